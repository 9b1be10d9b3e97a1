"""Every chapter and test as other processors would run them, one setting after the other; writes
tests/EVERYWHERE.md. By hand: about an hour."""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "tests" / "EVERYWHERE.md"
# Half of the 2 x 2 x 2 design: each two of instruction set, reproducible kernels and threads occur in all
# four ways.
SETTINGS = [
    {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"},
    {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "OMP_NUM_THREADS": "1"},
    {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "AVX2", "OMP_NUM_THREADS": "2"},
    {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "2"},
]
HEAD = """# The checks under other instruction sets and thread counts

Made by `make test-everywhere`. A chapter fails if an assertion fails, or if a word of an output (a verdict, a name, what was chosen) is not the saved one.

| setting | Python, torch, numpy | passed | failed | skipped | minutes |
|---|---|---|---|---|---|
"""  # noqa: E501


def run(setting: dict[str, str], words: list[str]) -> tuple[str, list[str]]:
    "The row of one run, and the names of what failed."
    # idle threads sleep: those of three libraries take turns on the same cores
    waiting = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0",
               "OPENBLAS_THREAD_TIMEOUT": "4"}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "found.xml"
        # a core for each thread
        workers = max(1, (os.cpu_count() or 1) // int(setting["OMP_NUM_THREADS"]))
        command = [sys.executable, "-m", "pytest", "-n", str(workers), f"--junitxml={xml}", *words]
        subprocess.run(command, cwd=ROOT, env=os.environ | setting | waiting
                       | {"LOKY_MAX_CPU_COUNT": "1", "MPLBACKEND": "agg"}, check=False)
        cases = list(ElementTree.parse(xml).iter("testcase"))
    failed = [f"{c.get('classname')}::{c.get('name')}"
              for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = sum(c.find("skipped") is not None for c in cases)
    versions = f"{platform.python_version()}, {metadata.version('torch')}, {metadata.version('numpy')}"
    minutes = (time.monotonic() - start) / 60
    return (
        f"|{title(setting)}| {versions} | {len(cases) - len(failed) - skipped} | {len(failed)} | {skipped} | "
        f"{minutes:.0f} |", failed)


def title(setting: dict[str, str]) -> str:
    "The first column of a row."
    return "".join(f" `{k}={v}`" for k, v in setting.items()) + " "


def kept_rows() -> dict[str, str]:
    "Rows of earlier runs, by setting; of those never run, too."
    lines = REPORT.read_text(encoding="utf-8").splitlines() if REPORT.is_file() else []
    kept = {line.split("|")[1]: line for line in lines if line.startswith("| `")}
    return {title(s): f"|{title(s)}| not run | | | | |" for s in SETTINGS} | kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", type=int, nargs="+", choices=range(len(SETTINGS)),
                        help="some of the settings, by number (default all); the rows of the others are kept")
    parser.add_argument("words", nargs="*", help="passed on to pytest; the report is then not written")
    args = parser.parse_args()
    rows, wrong = kept_rows(), []
    for k in args.setting or range(len(SETTINGS)):
        row, failed = run(SETTINGS[k], args.words)
        rows[row.split("|")[1]] = row
        wrong += [f"- {name} under {' '.join(SETTINGS[k].values())}" for name in failed]
        print(row, *wrong, sep="\n", flush=True)
        if not args.words:
            end = wrong or ["Nothing failed in the last run."]
            REPORT.write_text(HEAD + "\n".join([*rows.values(), "", *end]) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
