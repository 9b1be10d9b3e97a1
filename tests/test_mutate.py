"""The mutation run works at all: on a toy chapter it sees what is tested and what is not."""

import json
import multiprocessing
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CELLS = {
    "code": "#| export\ndef double(x):\n    \"Twice x.\"\n    if x < 0:\n        raise ValueError('x must be "
            ">= 0')\n    return 2 * x",
    "test": "assert double(3) == 6",
    "slow": "#| slow\nassert double(-1) == 0",
}


@pytest.fixture
def tool(monkeypatch):
    "tools/mutate.py as a module."
    monkeypatch.syspath_prepend(ROOT / "tools")
    import mutate

    yield mutate
    for name in ("mutate", "mutants"):
        sys.modules.pop(name, None)


@pytest.fixture
def toy(tmp_path):
    "A chapter of two cells, and one that is skipped."
    path = tmp_path / "nbs" / "00_toy.ipynb"
    path.parent.mkdir()
    path.write_text(
        json.dumps(
            {"cells": [{"cell_type": "code", "id": i, "source": s.splitlines(True)}
                       for i, s in CELLS.items()]}))
    return path


def test_tested_lines_are_noticed_and_untested_ones_are_not(tool, toy, tmp_path):
    """A wrong sum is noticed, a hang and a crash too; that nobody tries x = 0 or x < 0 is not. The texts are
    left alone."""
    mutants, log = tool.mutants_of(toy), tmp_path / "log"
    assert {m.change for m in mutants} == {
        "`x < 0` to `(x <= 0)`", "`x < 0` to `(x >= 0)`", "`0` to `1`",
        "`raise ValueError('x must be >= 0')` removed", "`2` to `3`", "`2 * x` to `(2 / x)`",
    }  # fmt: skip
    bad = [tool.Mutant(f"00-{name}", "code", "", "", "", *span("return 2 * x"), text) for name, text in
           {"hang": "while True: pass", "crash": "__import__('os')._exit(3)"}.items()]  # fmt: skip
    work = multiprocessing.get_context("fork").Process(
        target=tool.run_chapter, args=(tmp_path, toy, mutants + bad, log, True, 0))
    work.start(), work.join()
    by = {r["id"]: r["by"] for r in map(json.loads, log.read_text().splitlines())}
    seen = {m.change for m in mutants if by[m.id]}
    assert seen == {"`x < 0` to `(x >= 0)`", "`2` to `3`", "`2 * x` to `(2 / x)`"}
    assert all(by[m.id] == "cell test" for m in mutants if m.change in seen
               - {"`x < 0` to `(x >= 0)`"}) and by["00-hang"] == by["00-crash"] == "dies or hangs"


def span(text: str) -> tuple[int, int]:
    "Where a text stands in the toy's code."
    start = CELLS["code"].index(text)
    return start, start + len(text)


def test_the_sample_stays_and_what_is_gone_is_replaced(tool, toy, tmp_path):
    "Reasons are kept, a mutant whose code is gone leaves a stale line, and the next one takes its place."
    mutants, path = {m.id: m for m in tool.mutants_of(toy)}, tmp_path / "sample.txt"
    first, *rest = mutants
    path.write_text(f"{first} nobody asks\n00-gone it was equal\n")
    sample, gone = tool.read_sample(path, mutants)
    assert sample == {first: "nobody asks", rest[0]: ""} and gone == ["00-gone it was equal"]
    assert tool.read_sample(path, mutants) == (sample, [])
    text = tool.report(sample, mutants, {first: "", rest[0]: "cell test"}, gone, {"00": "00_toy"})
    assert ("| 00_toy | 2 | 0 | 1 | 0 | 1 | 50% |" in text and "nobody asks" in text
            and "- 00-gone it was equal" in text)


def test_a_call_that_has_become_a_fifth_slower_is_named(tool):
    "One that was not kept yet is not; nor one that is faster."
    from bench_check import slower

    assert slower({"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 1.25, "b": 1.15, "c": 0.5, "new": 9.0}) == ["a"]
