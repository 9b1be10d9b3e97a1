"""Every chapter runs, and decides what its saved outputs say: a verdict or a name that flips is a failure."""

from pathlib import Path

import nbformat
import pytest
from chapters import run_chapter, text_of, words

# the long ones first
CHAPTERS = sorted((Path(__file__).resolve().parents[1] / "nbs").glob("*.ipynb"), reverse=True)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path):
    """From top to bottom without an error; the words of each output are those that were saved, whatever the
    numbers."""
    said, error = run_chapter(path)
    assert error is None, error
    saved = {c.id: text_of(c.outputs) for c in nbformat.read(path, 4).cells if c.cell_type == "code"}
    changed = {name: (saved[name], now) for name, now in said.items() if words(now) != words(saved[name])}
    assert not changed, "\n".join(f"cell {name} was saved as\n{before}\nand now says\n{now}"
                                  for name, (before, now) in changed.items())


@pytest.mark.parametrize("cell, error",
                         [("'holds' if 1 > 2 else 'does not hold'", None), ("1 / 0", "ZeroDivisionError"),
                          ("import os; os._exit(3)", "no result"), ("while True: pass", "within 1 s")])
def test_what_a_chapter_may_not_do(tmp_path, cell, error):
    "Flip a word, fail, die, or never end; a number may differ."
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)
                                           for source in ("print('strength', 0.31)", cell)])
    nbformat.write(page, tmp_path / "a.ipynb")
    said, failed = run_chapter(tmp_path / "a.ipynb", 1 if "while" in cell else 900)
    assert failed is None if error is None else error in failed
    assert error is not None or words(list(said.values())[1]) != words("'holds'")
    assert words("strength 0.29e-3") == words("strength 0.31 ")
