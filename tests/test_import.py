"""Importing is quick, quiet and without side effects."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import multiindex_nb

HEAVY = ("matplotlib", "ipywidgets", "nbdev", "fastcore", "sklearn", "scipy.optimize", "pyarrow", "distributed")
PROBE = f"""
import sys, time
import torch
start = time.perf_counter()
import multiindex_nb
seconds = time.perf_counter() - start
import json, random
print(json.dumps([seconds, [m for m in {HEAVY!r} if m in sys.modules], random.random()]))
"""


def probe():
    "Seconds beyond those of torch, heavy modules loaded, in a fresh interpreter."
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_import_adds_less_than_a_second_to_torch_and_loads_nothing_heavy():
    "Best of three, so that a busy machine does not fail it."
    probes = [probe() for _ in range(3)]
    assert min(seconds for seconds, *_ in probes) < 1
    assert probes[0][1] == []


def modules():
    "Module name -> path, in the order of the chapters that define them."
    folder = Path(multiindex_nb.__file__).parent
    chapters = sorted((Path(__file__).parents[1] / "nbs").glob("[0-9]*.ipynb"))
    found = {}
    for chapter in chapters:
        source = "".join("".join(c["source"]) + "\n" for c in json.loads(chapter.read_text())["cells"])
        name = source.split("#| default_exp ")[1].split()[0]
        found[name] = folder / f"{name.replace('.', '/')}.py"
    return found


def imported(path):
    "Modules of the package that a module imports, at any depth."
    out, package = set(), ["multiindex_nb", *path.relative_to(Path(multiindex_nb.__file__).parent).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".") * bool(node.module)
            out |= {".".join(base[1:])} if node.module else {".".join([*base[1:], a.name]) for a in node.names}
    return out


def test_imports_point_from_higher_chapters_to_lower():
    "No module imports a later one."
    paths = modules()
    order = sorted(paths, key=lambda name: name != "gate")  # everybody enters through the gate, whose chapter is for those who want to know
    assert len(order) >= 9
    for i, name in enumerate(order):
        assert imported(paths[name]) <= set(order[:i]), name


def test_no_import_time_work():
    "At module level there are only imports, definitions and constants; no loops, no bare calls."
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Expr, ast.If)
    for name, path in modules().items():
        for node in ast.parse(path.read_text()).body:
            assert isinstance(node, allowed), (name, node.lineno)
            assert not (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)), (name, node.lineno)
