"""Time what users call, beside kept figures: a call that has become a fifth slower is a failure. A figure is
the best of three times, in multiples of what 1e9 operations of a large product take in the same run. By hand,
on a machine that does nothing else; `--keep` keeps today's."""

import argparse
import json
import os
import sys
from pathlib import Path

KEPT = Path(__file__).resolve().parents[1] / "tests" / "speed.json"
ALLOWED = 1.2


def slower(kept: dict[str, float], now: dict[str, float]) -> list[str]:
    "Calls that take a fifth longer than they did."
    return [name for name in now if now[name] > ALLOWED * kept.get(name, float("inf"))]


def measured() -> dict[str, float]:
    "Figure of each call on 16 000 rows of 50 columns."
    from multiindex_nb.cli.bench import _call_rows
    from multiindex_nb.engine.cost import measure_machine

    best: dict[str, float] = {}
    for _ in range(3):
        for row in _call_rows(50, 16_000, 256):
            rate = measure_machine(1000, min_seconds=0.1, dtypes=["float64"]).rate["float64"]
            best[row["call"]] = min(best.get(row["call"], float("inf")), row["seconds"] * rate / 1e9)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep what is measured now")
    args = parser.parse_args()
    now, kept = measured(), json.loads(KEPT.read_text(encoding="utf-8"))
    for name, figure in now.items():
        print(f"{name:26s} {figure:10.3g}   kept {kept.get(name, float('nan')):10.3g}")
    if args.keep:
        KEPT.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        return 0
    print("slower by a fifth:", ", ".join(slower(kept, now)) or "none")
    return bool(slower(kept, now))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
