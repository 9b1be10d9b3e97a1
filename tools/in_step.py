"""Fail if nbdev_export or nbdev_clean would change a notebook or a module."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def contents() -> dict[Path, bytes]:
    "All notebooks and exported modules."
    files = [*ROOT.glob("nbs/*.ipynb"), *ROOT.glob("multiindex_nb/**/*.py")]
    return {path: path.read_bytes() for path in files}


def main() -> int:
    before = contents()
    for command in ("nbdev_export", "nbdev_clean"):
        subprocess.run([Path(sys.executable).parent / command], cwd=ROOT, check=True)
    after = contents()
    changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    for path in changed:
        print(f"{path.relative_to(ROOT)} was out of step", file=sys.stderr)
    return 1 if changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
