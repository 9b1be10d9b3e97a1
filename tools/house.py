"""The parts of the package: what each is for and may import. Draws them in CONTRIBUTING.md and heads each
folder; `--check` changes nothing and fails where either is old."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "multiindex_nb"
# A part is a folder of the package, or a module that stands alone: what it is for, and the parts it may
# import.
HOUSE = {
    "gate": ("checks of arguments", ()),
    "sweeps": ("grids of runs, stored tables, verdicts", ("gate",)),
    "problem": ("Hermite polynomials, targets, losses, white inputs", ("gate",)),
    "core": ("the method in an hour: the definition", ("problem",)),
    "engine": ("both stages, fast and checked", ("gate", "problem")),
    "theory": ("what the theory predicts", ("gate", "sweeps", "problem", "engine")),
    "estimator": ("the adviser, refinement, the scikit-learn estimator",
                  ("gate", "sweeps", "problem", "engine")),
    "view": ("pictures", ("gate", "engine")),
    "claims": ("the claims of the paper, one file each", ("sweeps", "problem", "engine", "theory")),
    "compare": ("other methods, real tables",
                ("gate", "sweeps", "problem", "engine", "theory", "estimator", "claims")),
    "explorer": ("sliders", ("gate", "sweeps", "problem", "engine", "theory", "view")),
    "reproduce": ("all claims judged", ("sweeps", "claims")),
    "cli": ("the command",
            ("gate", "sweeps", "problem", "engine", "theory", "estimator", "explorer", "reproduce",
             "compare")),
}
START, END = "<!-- house -->\n", "<!-- /house -->\n"


def imported(path: Path) -> set[str]:
    "Modules of the package that a module imports, at any depth, as dotted names below the package."
    out, package = set(), ["multiindex_nb", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            full = ".".join([*base, *([node.module] if node.module else [])])
            # what is imported may be a module itself
            out |= {full, *(f"{full}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
    return {name.removeprefix("multiindex_nb.") for name in out if name.startswith("multiindex_nb.")}


def modules() -> dict[str, set[str]]:
    "Module -> modules that it imports; the flat list of names and the index of the documentation left out."
    paths = [p for p in sorted(PACKAGE.rglob("*.py")) if p.name not in ("__init__.py", "_modidx.py")
             or p.parent.name == "cli"]
    names = {".".join(p.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): p
             for p in paths}
    return {name: {other for other in imported(path) if other in names or other in HOUSE}
            for name, path in names.items()}


def arrows() -> dict[str, set[str]]:
    "Part -> other parts that it imports."
    found: dict[str, set[str]] = {part: set() for part in HOUSE}
    for name, others in modules().items():
        part = name.split(".")[0]
        found.setdefault(part, set()).update(other.split(".")[0] for other in others)
    return {part: others - {part} for part, others in found.items()}


def faults() -> list[str]:
    "Every arrow that the house does not allow, and every part that it does not know."
    return [f"{a} imports {b}" for a, found in arrows().items()
            for b in sorted(found) if a not in HOUSE or b not in HOUSE[a][1]]


def picture() -> str:
    """The parts as a Mermaid graph; an arrow points at what is imported, and those that follow from others
    are left out."""
    found = arrows()
    reach = {}
    for part in HOUSE:  # each imports earlier ones only
        reach[part] = found[part].union(*(reach[other] for other in found[part]))
    lines = ["```mermaid", "flowchart BT"]
    for part, (what, _) in HOUSE.items():
        size = sum(len(p.read_text().splitlines())
                   for p in ([PACKAGE / f"{part}.py"] if (PACKAGE / f"{part}.py").exists()
                             else (PACKAGE / part).glob("*.py")))
        lines.append(f'    {part}["<b>{part}</b>, {round(size, -2)} lines<br>{what}"]')
        direct = [b for b in found[part] if not any(b in reach[c] for c in found[part])]
        lines += [f"    {part} --> {b}" for b in HOUSE if b in direct]
    return "\n".join([*lines, "```"]) + "\n"


def headings() -> dict[Path, str]:
    "The first line of each folder's `__init__.py`; the command's is a chapter's."
    return {PACKAGE / part / "__init__.py": f'"""{what[0].upper()}{what[1:]}."""\n'
            for part, (what, _) in HOUSE.items() if (PACKAGE / part).is_dir() and part != "cli"}


def main() -> int:
    path = ROOT / "CONTRIBUTING.md"
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(START)
    wanted = {path: before + START + picture() + END + rest.split(END)[1], **headings()}
    old, wrong = {p: new for p, new in wanted.items() if p.read_text(encoding="utf-8") != new}, faults()
    if "--check" in sys.argv:
        wrong += [f"{p.relative_to(ROOT)} is old: run tools/house.py" for p in old]
    else:
        for p, new in old.items():
            p.write_text(new, encoding="utf-8")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
