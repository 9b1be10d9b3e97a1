"""Importing is quick, quiet and without side effects."""

import ast
import builtins
import dis
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import CodeType

import multiindex_nb
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import house

HEAVY = ("matplotlib", "ipywidgets", "anywidget", "nbdev", "fastcore", "sklearn", "scipy.optimize", "pyarrow",
         "distributed")
PROBE = f"""
import sys, time
start = time.process_time()
import torch
middle = time.process_time()
from multiindex_nb import learn
share = (time.process_time() - middle) / (middle - start)
import json, random
print(json.dumps([share, [m for m in {HEAVY!r} if m in sys.modules], random.random()]))
"""


def probe():
    "Processor time over that of importing torch, heavy modules loaded, in a fresh interpreter."
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_import_takes_less_than_torch_by_far_and_loads_nothing_heavy():
    "Processor time, best of three: a busy machine slows both."
    probes = [probe() for _ in range(3)]
    assert min(share for share, *_ in probes) < 0.6
    assert probes[0][1] == []


LIGHT = """
import contextlib, io, sys
import multiindex_nb
from multiindex_nb.cli import main
from multiindex_nb.cli.words import COMMANDS
WRONG = {"fit": [[]], "plan": [["--loss", "hinge"]],
         "learn": [["--loss", "hinge"], ["--readout-loss", "hinge"], ["--engine", "gpu"],
                   ["--activation", "x"]]}
for name in [command.name for command in COMMANDS]:
    for words in (["--help"], ["--nosuch"], *WRONG.get(name, ())):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                main([name, *words])
            except SystemExit as stop:
                assert stop.code == (0 if words == ["--help"] else 2), (name, words)
        print(name, *words, *{"torch", "numpy", "scipy", "pandas", "sklearn", "pyarrow"} & set(sys.modules))
"""


def test_help_and_a_usage_error_load_nothing_heavy():
    "Of no subcommand; nor does the package before one of its names is used."
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    words = ("--help", "--nosuch", "fit", " hinge", " gpu", " x")
    assert len(lines) == 20 and all(line.endswith(words) for line in lines), lines


def test_imports_go_one_way_between_the_parts():
    "No arrow of the house runs back up or across, and its picture is that of today."
    assert house.faults() == [] and subprocess.run(
        [sys.executable, house.__file__, "--check"], check=False).returncode == 0
    order = list(house.HOUSE)
    assert all(order.index(below) < order.index(part) for part, (_, allowed) in house.HOUSE.items()
               for below in allowed)


def codes(outer: CodeType):
    "The code of every function in it, however deep."
    for inner in outer.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from codes(inner)


def unknown(text: str, known) -> set[str]:
    "Global names that a function of the source `text` asks for and that are neither known nor built in."
    asked = {step.argval for code in codes(compile(text, "", "exec")) for step in dis.get_instructions(code)
             if step.opname == "LOAD_GLOBAL"}
    return asked - set(known) - set(dir(builtins))


@pytest.mark.parametrize("name", sorted(
    module.name for module in pkgutil.walk_packages(multiindex_nb.__path__, "multiindex_nb.")
    if not module.name.endswith("__main__")))
def test_every_name_that_a_function_uses_is_there(name):
    "An import in a cell that is not exported: the chapter runs, the module does not."
    module = importlib.import_module(name)
    assert unknown(Path(module.__file__).read_text(encoding="utf-8"), vars(module)) == set()


def test_a_name_that_is_missing_is_noticed():
    "In a function, and in a function within it."
    text = "import math\ndef f(x):\n    return math.pi + lost + (lambda y: len(y) + gone)(x)"
    assert unknown(text, {"math", "f"}) == {"lost", "gone"}


def test_an_arrow_that_runs_back_up_is_noticed(monkeypatch):
    "Once the estimator may not import the engine, and the house no longer knows `view`, both are named."
    monkeypatch.setitem(house.HOUSE, "estimator", ("", ("gate", "sweeps", "problem")))
    monkeypatch.delitem(house.HOUSE, "view")
    assert {"estimator imports engine", "view imports engine"} <= set(house.faults())


def test_no_module_imports_itself_through_others():
    "The modules can be put in an order in which each imports earlier ones only."
    found = house.modules()
    left = {name: others & set(found) - {name} for name, others in found.items()}
    while ready := [name for name, others in left.items() if not others & set(left)]:
        left = {name: others for name, others in left.items() if name not in ready}
    assert not left


def test_no_import_time_work():
    "At module level there are only imports, definitions and constants; no loops, no bare calls."
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Expr,
               ast.If)
    for name in house.modules():
        path = house.PACKAGE / f"{name.replace('.', '/')}.py"
        for node in ast.parse(
            (path if path.exists() else path.with_suffix("") / "__init__.py").read_text()).body:
            assert isinstance(node, allowed), (name, node.lineno)
            assert not (isinstance(node, ast.Expr)
                        and not isinstance(node.value, ast.Constant)), (name, node.lineno)
