"""Make README.md and its pictures from nbs/index.ipynb; with --check, say whether they are up to date."""

import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]
PICTURES = "nbs/images"


def visible(notebook):
    "The cells that a reader should see, without directives."
    # a live figure lives on the site only
    keep = [c for c in notebook.cells if not re.search(r"^#\| *hide|class=\"mi-live\"", c.source, re.M)]
    for cell in keep:
        cell.source = re.sub(r"^#\|.*\n?", "", cell.source, flags=re.M)
    notebook.cells = keep
    notebook.metadata["language_info"] = {"name": "python"}  # nbdev_clean drops it, and code blocks want it
    return notebook


def render() -> dict[Path, bytes]:
    "Every file that the README consists of."
    notebook = nbformat.read(ROOT / "nbs" / "index.ipynb", as_version=4)
    alts = re.findall(r'^#\| fig-alt: "(.*)"$', "\n".join(c.source for c in notebook.cells), re.M)
    notebook = visible(notebook)
    resources = {"unique_key": "index", "output_files_dir": PICTURES}
    text, resources = MarkdownExporter().from_notebook_node(notebook, resources)
    head = "<!-- Made from nbs/index.ipynb by tools/readme.py: edit the notebook. -->\n\n"
    for alt in alts:
        text = text.replace("![png]", f"![{alt}]", 1)
    text = re.sub(r"\]\((?!https?:|nbs/|#)", "](nbs/", text)  # links of the notebook start in its own folder
    text = re.sub(r"\n[ \n]*\n", "\n\n", head + text.strip() + "\n")
    return {ROOT / "README.md": text.encode(),
            **{ROOT / name: data for name, data in resources["outputs"].items()}}


def main() -> int:
    files = render()
    stale = [p for p, data in files.items() if not p.is_file() or p.read_bytes() != data]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what nbs/index.ipynb gives: run tools/readme.py",
                  file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[path])
        print("wrote", path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
