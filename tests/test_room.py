"""Ideas before machinery: a picture or a table early in a chapter, and cells that fit in the head.
`python tests/test_room.py` prints the figures."""

import json
from pathlib import Path

from test_hour import figures

NBS = Path(__file__).resolve().parents[1] / "nbs"
CHAPTERS = sorted(NBS.glob("[0-9]*_*.ipynb"))
# lines of the longest cell, where that is beyond 30: an entry goes once its chapter is shorter
LONG = {"09_sweeps": 48, "12_samples_and_time": 51, "16_best_steps": 38, "17_end_to_end": 34,
        "18_outside_theory": 31, "19_card": 60}
# mean lines of a cell, where that is beyond 14: likewise
WIDE = {"10_gd_is_power": 15.4, "11_when_to_stop": 14.5, "13_which_loss": 15.2, "14_conditioning": 16.1,
        "15_start_step_split": 16.4, "31_explorer": 14.6, "52_third_order": 17.6}
# lines shown before the first output, where that is beyond 30: likewise
LATE = {"09_sweeps": 45}


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
    assert len(FOUND) >= 58
    assert {name: f for name, f in FOUND.items() if f["longest"] > LONG.get(name, 30)} == {}
    short = {name: f for name, f in FOUND.items() if name not in LONG}
    assert {name: f for name, f in short.items() if f["mean"] > WIDE.get(name, 14)} == {}
    lines, cells = (sum(f[what] * f["cells"] if what == "mean" else f[what] for f in short.values())
                    for what in ("mean", "cells"))
    assert lines <= 11.5 * cells, lines / cells


def test_a_chapter_opens_with_its_question():
    "A picture or a table within thirty lines; in chapters 00 to 08, 21 to 26, 28 to 31 and 51 a picture."
    assert {name: f for name, f in FOUND.items() if f["before the first output"] > LATE.get(name, 30)} == {}
    pictured = ("28", "29", "30", "31", "51", *(f"0{k}" for k in range(9)), *(f"2{k}" for k in range(1, 7)))
    drawn = {name: f for name, f in FOUND.items() if name[:2] in pictured}
    assert len(drawn) == 20 and all(f["before the first picture"] <= 30 for f in drawn.values()), drawn


if __name__ == "__main__":
    for name, found in FOUND.items():
        print(f"{name:20s}", found)
