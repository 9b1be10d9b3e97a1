"""Ideas before machinery: a picture or a table early in a chapter, and cells that fit in the head.
`python tests/test_room.py` prints the figures."""

import json
from pathlib import Path

from test_hour import figures

NBS = Path(__file__).resolve().parents[1] / "nbs"
CHAPTERS = sorted(NBS.glob("[0-9]*_*.ipynb"))
# lines shown before the first picture, where there is one and that is beyond 30: an entry goes once its
# chapter is shorter
UNSEEN: dict[str, int] = {}


def exported(path):
    "Lines of each exported cell."
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
             if cell["cell_type"] == "code"]
    return [len([line for line in s.splitlines() if line.strip() and not line.startswith("#|")])
            for s in cells if s.startswith("#| export")]


def before_the_first_output(path):
    "Lines of code that are shown before the first picture or table."
    lines = 0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith(("#| hide", "#| default_exp")):
            if cell["outputs"]:
                return lines
            lines += len([line for line in source.splitlines() if line.strip() and not line.startswith("#|")])
    return lines


def row(path):
    "The figures of a chapter; one without exports has none of cells."
    cells = exported(path) or [0]
    return {"before the first picture": figures(path)["before the first picture"],
            "before the first output": before_the_first_output(path), "cells": len(cells),
            "mean": round(sum(cells) / len(cells), 1), "longest": max(cells)}


FOUND = {path.stem: row(path) for path in CHAPTERS}


def test_cells_that_fit_in_the_head():
    """A cell is a screen at most, a dozen lines of 110 columns on average; a chapter whose cells have grown
    long, or a new one, is named."""
    assert len(FOUND) >= 59
    assert {name: f for name, f in FOUND.items() if f["longest"] > 30} == {}
    assert {name: f for name, f in FOUND.items() if f["mean"] > 14} == {}
    lines = sum(f["mean"] * f["cells"] for f in FOUND.values())
    assert lines <= 11.5 * sum(f["cells"] for f in FOUND.values()), lines


def test_a_chapter_opens_with_its_question():
    """A picture or a table within thirty lines, and the picture too, where there is one: always in chapters
    00 to 1a, 20 to 31, 51 to 54."""
    assert {name: f for name, f in FOUND.items() if f["before the first output"] > 30} == {}
    seen = {name: f["before the first picture"] for name, f in FOUND.items()}
    assert {name: n for name, n in seen.items() if n is not None and n > UNSEEN.get(name, 30)} == {}
    drawn = [n for name, n in seen.items()
             if name[:2] in ("51", "52", "53", "54") or name < "32"]
    assert len(drawn) == 41 and None not in drawn, seen


if __name__ == "__main__":
    for name, found in FOUND.items():
        print(f"{name:20s}", found)
