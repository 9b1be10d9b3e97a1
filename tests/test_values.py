"""Kept values: every function of the chapters under mutation, on small inputs, gives what it gave.

A case is a line of tests/cases.txt, an expression in the names of its module and of `HELPERS`; what it gave
is in tests/values.json, with the constants of each module, the defaults of its functions, and what their
gates say to some fifty arguments. The chapters test the definitions, by other means; a kept value is what a
definition gave once it had passed, and notices any change of it. A change that is meant is kept with

    python tests/test_values.py --keep

which prints what differs. Numbers agree to 1e-6 of themselves, arrays to 1e-6 of the sum of their magnitudes
(single precision: 1e-4); where a solver, a rank or a kink decides, the case names its own limit after two
spaces and a number sign. Inputs are arithmetic, no random stream decides them; planes are compared by their
projectors, and vectors up to their sign.
"""

import contextlib
import dataclasses
import functools
import importlib
import inspect
import json
import math
import re
import sys
import types
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

HERE = Path(__file__).parent
PROBES = [0, 1, 2, 3, 10, 12, 13, 199, 200, 201, 1000, 1001, 10_000, 10_001, 20_000, 20_001, 10**6, 10**6 + 1,
          10**9, 10**9 + 1, 10**12, 10**12 + 1, 10**15, 10**15 + 1, 2**62, 2**62 + 1, 2**63 - 1, 2**63, -1,
          0.0, 1.0, 0.5, 2.5, -0.5, 1e-300, 9e-301, 1e-100, 9e-101, 1e12, 2e12, 1e30, 2e30, 1e100, 2e100,
          1e300, 1.1e300, 5e-324, math.inf, math.nan, True, None, "auto", "holdout", "gcv", "rule", "mse",
          "huber:2", "cosine", "fused", "gd", "h2(z1)", "", (), ("mse",), [1], np.zeros(2), np.zeros((2, 2))]


def normal(n: int, *d: int, start: int = 1) -> torch.Tensor:
    "Numbers that lie as evenly as standard normal ones would, n of them or n rows, in float64."
    roots = torch.tensor([2, 3, 5, 7, 11, 13, 17, 19, 23, 29][: math.prod(d) or 1]).double().sqrt()
    u = torch.arange(start, start + n).double()[:, None] * roots % 1
    return torch.special.ndtri(u).reshape(n, *d)


def plane(V):
    "The projector on the span of the rows."
    return np.linalg.pinv(np.asarray(V, dtype=float)) @ np.asarray(V, dtype=float)


def signed(V):
    "Rows turned so that the largest entry of each is positive."
    V = np.asarray(V, dtype=float)
    return V * np.sign(np.take_along_axis(V, abs(V).argmax(-1)[..., None], -1))


class Drawn:
    "Axes, or anything else, that keeps what it is told."

    def __init__(self):
        self.said = []

    def __getattr__(self, name):
        return lambda *args, **options: self.said.append([name, list(args), options])


@contextlib.contextmanager
def replaced(module, names: dict):
    "The module with some of its names replaced."
    before = {name: getattr(module, name) for name in names}
    vars(module).update(names)
    try:
        yield
    finally:
        vars(module).update(before)


def lazy(X, chunk: int):
    "A Dask array of these rows."
    import dask.array as da

    return da.from_array(np.asarray(X), chunks=(chunk, *X.shape[1:]))


def changed(thing, action):
    "The thing after the action."
    action(thing)
    return thing


HELPERS = dict(np=np, torch=torch, math=math, normal=normal, plane=plane, signed=signed, Drawn=Drawn,
               lazy=lazy, changed=changed, T=lambda *x: torch.tensor(x, dtype=torch.float64))


def told(value):
    "A value as JSON keeps it; of a large array its shape and four sums."
    if isinstance(value, torch.nn.Module):
        return {**{name: told(t) for name, t in value.named_buffers()}, "activation": value.activation.name}
    if type(value).__module__.startswith("dask"):
        return {"chunks": told(value.chunks), "computed": told(value.compute(scheduler="synchronous"))}
    if isinstance(value, (torch.Tensor, np.ndarray)):
        t = torch.as_tensor(np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value.detach())
        flat = t.to(torch.float64).ravel()
        kept = {"array": str(t.dtype)[6:], "shape": list(t.shape)}
        if len(flat) <= 4:
            return kept | {"values": told(flat.tolist())}
        good = flat.nan_to_num(0, 0, 0)
        at = torch.arange(len(flat)).double()
        sums = [good.abs().sum(), (good * at.cos()).sum(), (good * (at * 2**0.5).cos()).sum()]
        return kept | {"sums": told([x.item() for x in sums]), "infinite": int((~flat.isfinite()).sum())}
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.10g}") if math.isfinite(value) else str(float(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: told(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"a": type(value).__name__, **fields}
    if isinstance(value, dict) and value and all(isinstance(part, float) for part in value.values()):
        names, numbers = list(value), np.array(list(value.values()))
        if all(isinstance(name, float) for name in names):
            return {"from": told(np.array(names)), "to": told(numbers)}
        if len(names) > 12:
            return {"keys": zlib.crc32(repr(names).encode()), "values": told(numbers)}
    if isinstance(value, dict):
        return {str(name): told(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, types.GeneratorType)):
        return [told(part) for part in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Drawn):
        return told(value.said)
    if isinstance(value, functools.partial):
        return {"a": value.func.__name__, "of": told(value.args), "with": told(value.keywords)}
    if isinstance(value, (str, int, type(None))):
        return value
    return f"a {type(value).__name__}"


def answer(work):
    "What a call gave, warned of or raised."
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            value = told(work())
        except Exception as error:
            value = {"raises": f"{type(error).__name__}: {str(error)[:200]}"}
    said = [f"{type(w.message).__name__}: {str(w.message)[:120]}" for w in heard]
    return {"warns": said, "value": value} if said else value


def same(kept, got, limit: float, scale: float = 0.0) -> bool:
    "Whether two answers agree."
    if isinstance(kept, bool) or isinstance(got, bool) or not isinstance(kept, (dict, list, int, float)):
        return kept == got
    if isinstance(kept, (int, float)):
        return isinstance(got, (int, float)) and abs(kept - got) <= limit * max(abs(kept), scale) + 1e-14
    if type(kept) is not type(got) or len(kept) != len(got):
        return False
    if isinstance(kept, list):
        return all(same(a, b, limit, scale) for a, b in zip(kept, got))
    if "array" in kept:
        limit = max(limit, 1e-4) if kept["array"] == "float32" else limit
        numbers = kept.get("sums") or kept.get("values")
        scale = max([abs(x) for x in numbers or [] if not isinstance(x, str)], default=0.0)
    return kept.keys() == got.keys() and all(same(kept[name], got[name], limit, scale) for name in kept)


def sections() -> dict[str, list[str]]:
    "The cases of each module."
    parts = re.split(r"^\[([\w.]+)\]\n", (HERE / "cases.txt").read_text(encoding="utf-8"), flags=re.M)
    return {name: [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
            for name, text in zip(parts[1::2], parts[2::2])}


def answers(name: str, lines: list[str]):
    "Pairs (case, answer) for a module: its constants, defaults, gates, and its own cases."
    module = importlib.import_module(f"multiindex_nb.{name}")
    own = {key: value for key, value in vars(module).items() if not key.startswith("__")}
    for key, value in own.items():
        if isinstance(value, (bool, int, float, str, tuple, dict)) and key != "_GATES":
            yield f"constant {key}", told(value)
        if not inspect.isfunction(value) or value.__module__ != module.__name__:
            continue
        taken = inspect.signature(value).parameters.values()
        yield f"defaults of {key}", [f"{p.name}={p.default!r}"[:80] for p in taken
                                     if p.default is not p.empty and not callable(p.default)]
        for argument, gate in getattr(value, "gates", {}).items():
            yield f"gate {argument} of {key}", gate_answers(gate)
    for key, gate in own.get("_SETTINGS", {}).items():
        yield f"gate {key}", gate_answers(gate)
    gate = importlib.import_module("multiindex_nb.gate")

    def replacing(work, **names):
        with replaced(module, names):
            return work()

    def no_room(work):
        with replaced(gate, {"machine_bytes": lambda: 0.0}):
            return work()

    space = own | HELPERS | {"replacing": replacing, "no_room": no_room, "module": module}
    for line in lines:
        if re.match(r"\w+(, \w+)* = ", line):
            failed = answer(lambda: exec(line, space))
            if isinstance(failed, dict) and "raises" in failed:
                yield line, failed
        else:
            text = line.split("  #")[0]
            yield line, answer(lambda: eval(text, space))


def gate_answers(gate) -> str:
    "For each probe whether a gate lets it pass, +, or the first letter of the error's class."
    said = (answer(lambda: gate(probe, "it")) for probe in PROBES)
    return "".join(a["raises"][0] if isinstance(a, dict) and "raises" in a else "+" for a in said)


def limit_of(line: str) -> float:
    "The relative limit that a case asks for."
    note = re.search(r"  # (\S+)", line)
    return float(note[1]) if note else 1e-6


def difference(name: str) -> str:
    "The first case of a module that gives another answer than the one kept, or nothing."
    kept, asked = json.loads((HERE / "values.json").read_text(encoding="utf-8"))[name], set()
    for line, value in answers(name, sections()[name]):
        asked.add(line)
        if line not in kept or not same(kept[line], json.loads(json.dumps(value)), limit_of(line)):
            return f"{line}\n  kept {kept.get(line)}\n  now  {value}"
    return "".join(f"not asked: {line}" for line in kept if line not in asked)


@pytest.mark.parametrize("name", sections())
def test_values_are_what_they_were(name):
    "Nothing that the module answers has changed; what is meant to change is kept again, as said above."
    assert difference(name) == ""


def test_every_exported_function_is_called():
    "What a module exports occurs in its cases; what only draws is looked at elsewhere."
    for name, lines in sections().items():
        module, text = importlib.import_module(f"multiindex_nb.{name}"), "\n".join(lines)
        made = (key for key in module.__all__ if inspect.isfunction(getattr(module, key)))
        assert [key for key in made
                if not key.startswith("plot_") and not re.search(rf"\b{key}\b", text)] == [], name


def keep() -> None:
    "Write the values of today, and print what differs from those of yesterday."
    path = HERE / "values.json"
    before, now = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}, {}
    for name, lines in sections().items():
        now[name] = {}
        for line, value in answers(name, lines):
            assert line not in now[name], f"twice: {line}"
            now[name][line] = json.loads(json.dumps(value))
        old = before.get(name, {})
        for line in sorted(old.keys() - now[name].keys()):
            print(f"gone from {name}: {line}")
        for line, value in now[name].items():
            if line not in old or not same(old[line], value, limit_of(line)):
                print(f"{name}: {line}\n  was {old.get(line)}\n  is  {value}")
            else:
                now[name][line] = old[line]
    text = "{\n" + ",\n".join(
        f"{json.dumps(name)}: {{\n" + ",\n".join(f"{json.dumps(line)}: {json.dumps(value)}"
                                                for line, value in part.items()) + "\n}"
        for name, part in now.items()) + "\n}\n"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if "--keep" in sys.argv:
        keep()
