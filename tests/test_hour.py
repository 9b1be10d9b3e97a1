"""The method in an hour: it stays an hour. `python tests/test_hour.py` prints the figures."""

import json
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
HOUR = sorted((README.parent / "nbs").glob("0[a-d]_*.ipynb"))


def figures(path):
    "Words, lines of code that are shown, lines exported, and lines before the first picture."
    words = lines = exported = 0
    before = None
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            words += len(source.split())
        elif not source.startswith(("#| hide", "#| default_exp")):
            if before is None and any("image/png" in output.get("data", {}) for output in cell["outputs"]):
                before = lines
            code = [line for line in source.splitlines() if line.strip() and not line.startswith("#|")]
            lines, exported = lines + len(code), exported + len(code) * source.startswith("#| export")
    return {"words": words, "lines": lines, "exported": exported, "before the first picture": before}


def test_the_hour_is_one():
    "Four chapters, 5000 words and 300 lines in all; each at most 60 lines exported, and a picture within 30."
    found = [figures(path) for path in HOUR]
    assert len(found) == 4 and sum(f["words"]
                                   for f in found) <= 5000 and sum(f["lines"] for f in found) <= 300
    assert all(f["exported"] <= 60 and f["before the first picture"] <= 30 for f in found), found


def test_the_first_page_is_one_page():
    "At most 900 words, code and all; a picture before the first command."
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) <= 900 and 0 < text.index("![") < text.index("make run")


if __name__ == "__main__":
    print("README", len(README.read_text(encoding="utf-8").split()), "words")
    for chapter in HOUR:
        print(chapter.stem, figures(chapter))
