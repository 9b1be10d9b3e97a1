"""Draw the figures of chapters again, at twice the resolution; nothing else in the notebooks changes."""

import argparse
import base64
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "c.InlineBackend.figure_formats = {'retina'}\n"
LEFT_OUT = re.compile(r"#\| *(slow|notest|eval: *false)")


def pictures(cell: dict) -> list[dict]:
    "Its outputs that hold a picture."
    return [each for each in cell.get("outputs", ()) if "image/png" in each.get("data", {})]


def drawn(path: Path) -> dict[str, list[dict]]:
    "Pictures of each cell with their sizes, from a run in which cells marked slow do nothing."
    page = nbformat.read(path, 4)
    for cell in page.cells:
        if cell.cell_type == "code" and LEFT_OUT.match(cell.source):
            cell.source = ""
    NotebookClient(page, timeout=None, kernel_name="python3",
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    return {cell.id: pictures(cell) for cell in page.cells}


def smaller(png: str) -> str:
    "In 96 colours, a third of the bytes; the resolution stays in the file."
    picture, out = Image.open(io.BytesIO(base64.b64decode(png))), io.BytesIO()
    few = picture.convert("RGB").quantize(96, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(out, "PNG", optimize=True, dpi=picture.info["dpi"])
    return base64.b64encode(out.getvalue()).decode()


def redraw(path: Path) -> tuple[int, int]:
    "Number of pictures in one notebook, and of those that were replaced."
    page, new, count = json.loads(path.read_text(encoding="utf-8")), drawn(path), 0
    for cell, old in ((cell, pictures(cell)) for cell in page["cells"]):
        made = new.get(cell["id"], [])
        if made and len(made) != len(old):
            raise SystemExit(f"{path.name}: cell {cell['id']} draws {len(made)} pictures and not {len(old)}")
        for each, other in zip(old, made):
            if size := other["metadata"].get("image/png"):  # else the cell shows a file
                each["data"]["image/png"], count = smaller(other["data"]["image/png"]), count + 1
                each["metadata"]["image/png"] = dict(size)
    text = json.dumps(page, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    path.write_text(text, encoding="utf-8")
    return sum(len(pictures(cell)) for cell in page["cells"]), count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", nargs="+", help="beginnings of names, such as 0a 04")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        profile = Path(home) / "profile_default"
        profile.mkdir()
        (profile / "ipython_kernel_config.py").write_text(CONFIG, encoding="utf-8")
        os.environ |= {"IPYTHONDIR": home, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        for path in sorted((ROOT / "nbs").glob("*.ipynb")):
            if path.name.startswith(tuple(args.chapters)) and "image/png" in path.read_text(encoding="utf-8"):
                print(path.name, "{1} of {0} pictures".format(*redraw(path)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
