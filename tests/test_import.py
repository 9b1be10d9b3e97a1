"""Importing is quick, quiet and without side effects."""

import ast
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import house

HEAVY = ("matplotlib", "ipywidgets", "anywidget", "nbdev", "fastcore", "sklearn", "scipy.optimize", "pyarrow",
         "distributed")
PROBE = f"""
import sys, time
start = time.process_time()
import torch
middle = time.process_time()
import multiindex_nb
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


def test_imports_go_one_way_between_the_parts():
    "No arrow of the house runs back up or across, and its picture is that of today."
    assert house.faults() == [] and subprocess.run(
        [sys.executable, house.__file__, "--check"], check=False).returncode == 0
    order = list(house.HOUSE)
    assert all(order.index(below) < order.index(part) for part, (_, allowed) in house.HOUSE.items()
               for below in allowed)


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
