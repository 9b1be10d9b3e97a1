"""Ideas before machinery in chapters 00 to 08, and in the engine room too. `python tests/test_room.py`
prints the figures."""

import json
from pathlib import Path

from test_hour import figures

NBS = Path(__file__).resolve().parents[1] / "nbs"
CHAPTERS, ROOM = sorted(NBS.glob("0[0-8]_*.ipynb")), sorted(NBS.glob("4[0-9]_*.ipynb"))


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
    "The figures of a chapter."
    cells = exported(path)
    return {"before the first picture": figures(path)["before the first picture"], "cells": len(cells),
            "mean": round(sum(cells) / len(cells), 1), "longest": max(cells)}


def test_a_picture_within_thirty_lines_and_cells_that_fit_in_the_head():
    """A chapter shows its question before its code; a cell is a screen at most, a dozen lines of 110 columns
    on average."""
    found = {path.stem: row(path) for path in CHAPTERS}
    assert len(found) == 9
    assert all(f["before the first picture"] <= 30 and f["longest"] <= 40 and f["mean"] <= 18
               for f in found.values()), found
    assert sum(f["mean"] * f["cells"]
               for f in found.values()) <= 13.5 * sum(f["cells"] for f in found.values()), found


def test_the_engine_room_opens_with_a_question_too():
    "A picture or a table within thirty lines."
    assert len(ROOM) == 8 and all(before_the_first_output(path) <= 30 for path in ROOM)


if __name__ == "__main__":
    for chapter in CHAPTERS + ROOM:
        print(f"{chapter.stem:20s}", row(chapter))
