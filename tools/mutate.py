"""Break the exported code in 300 small ways, one at a time, and see whether its chapter or tests/ notice.

The code under test is in notebooks, next to the cells that test it, so mutmut and cosmic-ray, which change
modules and run one command for each mutant, do not fit. Each change is tried on tests/test_values.py first,
in a fork with a changed copy of the package: seconds. What goes on is tried on its chapter, which is run
once; at each exported cell the process forks, and every child goes on with one change in that cell. A
chapter that fails, or takes three times as long, has noticed. The rest is tried on the files of tests/ that
concern the module, with a changed copy of the package again.

The sample is in tests/mutations.txt: a line is a mutant and, if it survives, the reason why. A mutant is
known by chapter, function, operator, text of its line and place among equals, so tests may be added without
moving the sample; one whose code is gone is replaced by the next of its chapter in a fixed order. Results
are kept in .cache/mutations.jsonl, so a run that was interrupted goes on; the report of a run that is
complete is tests/MUTATIONS.md.
"""

import argparse, contextlib, importlib, json, os, re, resource, select
import shutil, signal, subprocess, sys, tempfile, time, traceback
from collections import Counter
from functools import partial
from pathlib import Path

from mutants import Mutant, mutants_of, read_cells

ROOT = Path(__file__).resolve().parents[1]
# the slow ones last
CHAPTERS = ["00", "01", "02", "03", "04", "05", "06", "07", "08", "40", "41", "42", "43", "44", "45", "46",
            "47", "22", "23", "21", "24"]
SIZE, MEMORY = 300, 12 << 30  # mutants, and bytes that one may ask for
USUAL, SLOW = ["names", "bad_input", "properties"], "not memory_limit and not worker_killed"
TESTS = {"regressor": ["estimator"]} | dict.fromkeys(
    ["rows", "blocks", "losses", "power_iteration", "dual", "decay", "readout", "learner"], ["lazy"])


def forked(work, cpu: float):
    """What `work()` returns in a process of its own, or None if it dies, hangs or computes for more than
    `cpu` seconds."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            if "dask.threaded" in sys.modules:
                sys.modules["dask.threaded"].default_pool = None  # threads do not survive a fork
            resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 2))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            os.write(w, json.dumps(work()).encode())
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(w)
    text = os.read(r, 1 << 16) if select.select([r], [], [], 10 * cpu + 60)[0] else b""
    os.close(r)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return json.loads(text) if text else None


def run(shell, cells) -> str:
    "Run cells in order; the first that fails, or nothing."
    for cell, source in cells:
        shell.run(source)
        if shell.exc:
            return f"cell {cell}"
    return ""


def exported_to(notebook: Path) -> str:
    "The module that a chapter writes."
    return re.search(r"default_exp ([\w.]+)", notebook.read_text())[1]


@contextlib.contextmanager
def changed_copy(root: Path, notebook: Path, mutant: Mutant, source: str):
    "A folder that looks like the project, with one change in the package."
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder)
        for path in root.iterdir():
            if path.name in ("multiindex_nb", "tests"):
                shutil.copytree(path, new / path.name)
            elif path.name not in (".git", ".cache"):
                (new / path.name).symlink_to(path)
        path = new / "multiindex_nb" / f"{exported_to(notebook).replace('.', '/')}.py"
        strip = lambda text: re.sub(r"^#\|.*\n", "", text, flags=re.M).strip()
        assert path.read_text().count(strip(source)) == 1, f"{path.name} is out of step with its notebook"
        path.write_text(path.read_text().replace(strip(source), strip(mutant.apply(source))))
        yield new


def different_value(folder: Path, module: str) -> str:
    "The first case of tests/test_values.py that this package answers otherwise, of its own module first."
    for name in [name for name in sys.modules if name.partition(".")[0] == "multiindex_nb"]:
        del sys.modules[name]
    sys.path[:0] = [str(folder), str(folder / "tests")]
    import test_values

    for name in sorted(test_values.sections(), key=lambda name: name != module):
        if said := test_values.difference(name):
            return f"tests/test_values.py, {said.splitlines()[0][:80]}"
    return ""


def values_notice(root: Path, notebook: Path, mutant: Mutant, source: str) -> str:
    "What the kept values say of a mutant: the first that differs, or nothing."
    with changed_copy(root, notebook, mutant, source) as folder:
        said = forked(partial(different_value, folder, exported_to(notebook)), 60)
    return "tests/test_values.py dies or hangs" if said is None else said


def tests_notice(root: Path, notebook: Path, mutant: Mutant, source: str) -> str:
    """Run the module's files of tests/ on a changed copy of the package; the first test that fails, or
    nothing."""
    module = notebook.stem.partition("_")[2]
    files = [f"tests/test_{name}.py" for name in USUAL + TESTS.get(module, [])]
    with changed_copy(root, notebook, mutant, source) as new:
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-k", SLOW, *files]
        try:
            done = subprocess.run(command, cwd=new, env=os.environ | {"PYTHONPATH": str(new)},
                                  capture_output=True, text=True, timeout=900)
        except subprocess.TimeoutExpired:
            return "tests/, time limit"
    failed = re.search(r"^(?:FAILED|ERROR) ([^\s\[]+)", done.stdout, re.M)
    return "" if done.returncode == 0 else failed[1] if failed else "tests/"


def run_chapter(root: Path, notebook: Path, mutants: list[Mutant], log: Path, quick: bool = False,
                grace: int = 10) -> None:
    "Run a chapter, forking at each exported cell for the mutants in it; a line of the log for each."
    from execnb.shell import CaptureShell

    def write(**record):
        with log.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def clean():
        seconds = []
        for cell in cells:
            start = sum(os.times()[:4])
            if failed := run(shell, [cell]):
                return failed
            seconds.append(sum(os.times()[:4]) - start)
        return seconds

    os.chdir(notebook.parent)
    cells, left, has_values = read_cells(notebook), [], (root / "tests" / "values.json").exists()
    for mutant in mutants:  # before the chapter's own imports
        start = time.time()
        by = has_values and values_notice(root, notebook, mutant, dict(cells)[mutant.cell])
        write(id=mutant.id, by=by, seconds=round(time.time() - start, 1)) if by else left.append(mutant)
    if not left:
        return
    shell = CaptureShell(notebook)
    seconds = forked(clean, 3600)
    assert isinstance(seconds, list), f"{notebook.name} fails as it is: {seconds}"
    for k, (cell, source) in enumerate(cells):
        for mutant in [m for m in left if m.cell == cell]:
            start, changed = time.time(), [(cell, mutant.apply(source)), *cells[k + 1 :]]
            by = forked(partial(run, shell, changed), grace + 3 * sum(seconds[k:]))
            by = "dies or hangs" if by is None else by or (quick and " ") or tests_notice(
                root, notebook, mutant, source)
            write(id=mutant.id, by=by.strip(), tests=by != " ", seconds=round(time.time() - start, 1))
        run(shell, [(cell, source)])


def read_sample(path: Path, mutants: dict[str, Mutant]) -> tuple[dict[str, str], list[str]]:
    "The sample as {mutant: reason it survives}, and the lines of the file whose mutant is gone."
    lines = [line.partition(" ")[::2] for line in path.read_text().splitlines()] if path.exists() else []
    sizes = Counter(i[:2] for i, _ in lines)
    if not lines:  # chosen once: shares by largest remainder
        counts = Counter(i[:2] for i in mutants)
        share = {c: SIZE * n / len(mutants) for c, n in counts.items()}
        sizes = Counter({c: int(s) for c, s in share.items()})
        sizes.update(sorted(share, key=lambda c: int(share[c]) - share[c])[: SIZE - sizes.total()])
    sample = {i: reason for i, reason in lines if i in mutants}
    for i in mutants:  # in the order of their digests
        if i not in sample and sizes[i[:2]] > sum(j[:2] == i[:2] for j in sample):
            sample[i] = ""
    path.write_text("".join(f"{i} {reason}".strip() + "\n" for i, reason in sorted(sample.items())))
    return sample, [f"{i} {reason}" for i, reason in lines if i not in mutants]


def report(sample: dict[str, str], mutants: dict[str, Mutant], by: dict[str, str], gone: list[str],
           names: dict[str, str]) -> str:
    "The text of tests/MUTATIONS.md."
    rows = []
    for chapter, name in [*sorted(names.items()), ("", "all")]:
        ids = [i for i in sample if i.startswith(chapter)]
        if not ids:  # code that moved after the sample was drawn
            continue
        kept = sum(by[i].startswith("tests/test_values") for i in ids)
        tests = sum(by[i].startswith("tests/") for i in ids) - kept
        noticed = sum(bool(by[i]) for i in ids)
        rows.append(f"| {name} | {len(ids)} | {kept} | {noticed - tests - kept} | {tests} | "
                    f"{len(ids) - noticed} | {noticed / len(ids):.0%} |")
    left = [i for i in sample if not by[i]]
    stale = gone + [f"{i} {reason}" for i, reason in sample.items() if reason and by[i]]
    told = (
        "Made by `make mutate` (`tools/mutate.py` says how); the reasons are kept in `tests/mutations.txt`.")
    head = ["| chapter | mutants | noticed by kept values | else by the chapter | else by tests/ | survive | "
            "noticed |", "|---|--:|--:|--:|--:|--:|--:|"]
    lines = ["# Mutations", "", told, "", *head, *rows, "", "## Survivors"]
    for i in left:
        m = mutants[i]
        place = f"nbs/{names[i[:2]]}.ipynb, cell {m.cell}, `{m.function}`"
        lines += ["", f"**{i}** {place}: {m.change}", "", f"    {m.line}", "", sample[i]
                  or "No reason given yet."]
    lines += ["", "## Stale reasons", "", *(f"- {s}" for s in stale)] if stale else []
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1, help="chapters at the same time")
    parser.add_argument("--only", nargs="+", default=sorted(CHAPTERS), metavar="NN", help="these chapters")
    parser.add_argument("--again", choices=["survivors", "all"], help="try again what has a result already")
    parser.add_argument("--quick", action="store_true", help="leave tests/ for the next run without this")
    args = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    sys.path.insert(0, str(ROOT))
    for name in ("tqdm", "torch.utils.flop_counter", "sklearn.linear_model", "scipy.stats", "scipy.optimize",
                 "pandas", "dask.array", "pytest", "jaxtyping"):  # once, before forking
        importlib.import_module(name)
    from tqdm import tqdm

    notebooks = {path.name[:2]: path for path in sorted((ROOT / "nbs").glob("[0-9]*.ipynb"))
                 if path.name[:2] in CHAPTERS}
    mutants = {m.id: m for path in notebooks.values() for m in mutants_of(path)}
    sample, gone = read_sample(ROOT / "tests" / "mutations.txt", mutants)
    log = ROOT / ".cache" / "mutations.jsonl"
    log.parent.mkdir(exist_ok=True), log.touch()

    def results():
        lines = map(json.loads, log.read_text().splitlines())
        return {r["id"]: r["by"] for r in lines if args.quick or r.get("tests", True)}

    done = results()
    again = [i for i in done if i[:2] in args.only and (args.again == "all" or args.again and not done[i])]
    todo = [i for i in sample if i[:2] in args.only and (i not in done or i in again)]
    before, running = len(log.read_text().splitlines()), set()
    waiting = [c for c in CHAPTERS if any(i[:2] == c for i in todo)]
    with tqdm(total=len(todo), unit="mutant") as bar:
        while waiting or running:
            while waiting and len(running) < args.jobs:
                chapter = waiting.pop(0)
                if pid := os.fork():
                    running.add(pid)
                    continue
                try:
                    run_chapter(ROOT, notebooks[chapter], [mutants[i] for i in todo if i[:2] == chapter], log,
                                args.quick)
                except BaseException:
                    traceback.print_exc()
                os._exit(0)
            running -= {pid for pid in list(running) if os.waitpid(pid, os.WNOHANG)[0]}
            bar.n = sum(json.loads(line)["id"] in todo for line in log.read_text().splitlines()[before:])
            bar.refresh(), time.sleep(1)
    by = results()
    for c in args.only:
        ids = [i for i in sample if i[:2] == c]
        print(notebooks[c].name, f"{sum(bool(by.get(i)) for i in ids)} of {len(ids)} noticed,",
              f"{sum(i not in by for i in ids)} not run")
    if all(i in by for i in sample):
        text = report(sample, mutants, by, gone, {c: path.stem for c, path in notebooks.items()})
        (ROOT / "tests" / "MUTATIONS.md").write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
