"""Sweeps: whoever is killed, writes at the same time, fails or finds a damaged file, no row is lost;
clusters give the same numbers."""

import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from matplotlib.figure import Figure
from pyarrow import parquet

from multiindex_nb import __version__
from multiindex_nb import reproduce as reproducing
from multiindex_nb import sweeps
from multiindex_nb.sweeps import (
    Claim, DamagedFileWarning, OtherVersionWarning, Sweep, Verdict, pack, product, read_store, run_cell,
    run_sweep, spot_check, stored_rows, write_table, write_whole
)  # fmt: skip


def measured(x, seed):
    "What every cell of this file returns."
    return {"value": np.random.default_rng([x, seed]).normal(), "curve": [x, seed, 0.5]}


def logging_cell(log, pause=0.0):
    "A cell that takes a little while and notes in `log` that it was computed."

    def cell(x, seed):
        time.sleep(pause)
        with open(log, "a") as file:
            file.write(f"{x} {seed}\n")
        return measured(x, seed)

    return cell


def stand_in(x, seed):
    "A cell that must never run: only the keys of the sweep are wanted."
    raise AssertionError("computed again")


def contents(rows):
    "Rows without what differs from run to run."
    return [{name: value for name, value in row.items() if name not in ("seconds", "version")}
            for row in rows]


def expected(sweep):
    "What the rows of a complete sweep hold, in its order."
    return [{"key": key, "sweep": sweep.name, **settings, "seed": seed, **measured(settings["x"], seed),
             "error": None} for key, settings, seed in sweep.cells()]


def state(folder):
    "Names in a folder, at any depth, with the time of the last change and the file's own number."
    return sorted((str(p.relative_to(folder)), p.stat().st_mtime_ns, p.stat().st_ino)
                  for p in folder.rglob("*"))


class Server:
    "A process with everything loaded that forks, so that a test may start and kill dozens of runs a minute."

    def __init__(self):
        code = "import sys; sys.path.insert(0, sys.argv[1]); import test_sweeps; test_sweeps.serve()"
        self.process = subprocess.Popen([sys.executable, "-c", code, str(Path(__file__).parent)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, work, *arguments):
        "The process, and its group, of a function of this file."
        return self.ask("start", work.__name__, *map(str, arguments))

    def wait(self, number):
        "Its exit code; minus the signal if it was killed."
        return self.ask("wait", number)


def serve():
    "Fork for every line `start`, collect for every line `wait`."
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        what, *words = json.loads(line)
        if what == "wait":
            print(os.waitstatus_to_exitcode(os.waitpid(words[0], 0)[1]), file=out, flush=True)
            continue
        number = os.fork()
        if number == 0:
            os.setsid()
            code = 1
            try:
                globals()[words[0]](*words[1:])
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        print(number, file=out, flush=True)


@pytest.fixture(scope="module")
def server():
    "One for all tests of the file."
    it = Server()
    yield it
    it.process.communicate(timeout=10)


# killed

SLOW = Sweep("slow", stand_in, product(x=list(range(8))), seeds=8)


def run_slow(folder, backend, workers):
    "The sweep that is killed: 64 cells of 0.01 s."
    sweep = Sweep("slow", logging_cell(Path(folder) / "log", 0.01), SLOW.settings, 8)
    with joblib.parallel_config(backend, n_jobs=int(workers)):
        run_sweep(sweep, folder, progress=False)


@pytest.mark.parametrize("backend, workers, runs, kills",
                         [("sequential", 1, 1, (4, 3)), ("sequential", 1, 2, (3,)),
                          ("threading", 3, 1, (3, 3)), ("loky", 2, 1, (1,))])
def test_sigkill_loses_no_finished_cell(server, tmp_path, backend, workers, runs, kills):
    """Twenty kills at random moments in all: a row that goes, a row cut short, a cell under way that is not
    computed again, a table that differs in the end."""
    moments = random.Random(workers)
    for number, times in enumerate(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        kept = {}
        for _ in range(times):
            processes, deadline = [server.start(run_slow, folder, backend, workers)
                                   for _ in range(runs)], time.monotonic() + 60
            while len(stored_rows(SLOW, folder)) <= len(kept) and time.monotonic() < deadline:
                time.sleep(0.01)
            for process in processes:
                time.sleep(moments.uniform(0, 0.06))
                os.killpg(process, signal.SIGKILL)
            assert [server.wait(process) for process in processes] == [-signal.SIGKILL] * runs
            rows = stored_rows(SLOW, folder)
            assert kept.keys() <= rows.keys() and len(rows) > len(kept)
            assert contents(rows.values()) == [row for row in expected(SLOW) if row["key"] in rows]
            kept = rows
        assert len(kept) < 64
        assert server.wait(server.start(run_slow, folder, "sequential", 1)) == 0
        assert contents(parquet.read_table(folder / "slow.parquet").to_pylist()) == expected(SLOW)
        computed = (folder / "log").read_text().splitlines()
        assert len(set(computed)) == 64
        # only cells under way at a kill are computed twice
        assert runs > 1 or len(computed) <= 64 + times * workers
        before = state(folder)
        # and nothing now
        assert contents(run_sweep(SLOW, folder)) == expected(SLOW) and state(folder) == before


STEPS = Sweep("steps", stand_in, product(x=[1, 2]), seeds=1)


def run_steps(folder, last):
    "A run that kills itself before it does the `last`-th thing to its folder."
    count = 0

    def hook(event, arguments):
        nonlocal count
        on_disk = event in ("os.mkdir", "os.rename", "os.remove",
                            "os.rmdir") or event == "open" and arguments[1:2] != ("rb",)
        if on_disk and str(arguments[0]).startswith(folder):
            count += 1
            if count == int(last):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)
        run_sweep(Sweep("steps", lambda x, seed: measured(x, seed), STEPS.settings, 1), folder)


def test_a_kill_before_any_step_on_the_disk_loses_nothing(server, tmp_path):
    """An order of writing, renaming and removing in which some row is nowhere for a moment, and leftovers
    that stop or outlive the next run."""
    start, code, last = tmp_path / "start", None, 0
    old = Sweep("steps", lambda x, seed: measured(x, seed), product(x=[7]), 2)
    run_sweep(old, start)
    row = {"key": "left", "sweep": "steps", "x": 9, "seed": 0, **measured(9, 0), "error": None,
           "seconds": 0.0, "version": __version__}
    write_table([row], start / "steps.cells" / "left.parquet")  # by another run, which was killed
    (start / "steps.cells" / "bad.parquet").touch()
    had = read_store("steps", start)[0]
    while code != 0:
        last += 1
        folder = tmp_path / str(last)
        shutil.copytree(start, folder)
        code = server.wait(server.start(run_steps, folder, last))
        assert code in (0, -signal.SIGKILL)
        assert had.items() <= read_store("steps", folder)[0].items(), last
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedFileWarning)
            rows = run_sweep(Sweep("steps", lambda x, seed: measured(x, seed), STEPS.settings, 1), folder)
        assert contents(rows) == expected(STEPS), last
        assert contents(parquet.read_table(folder / "steps.parquet").to_pylist()) == expected(
            STEPS) + contents(had.values()), last
        assert sorted(p.relative_to(folder).as_posix()
                      for p in folder.rglob("*")) == [
                          ".steps.lock", "steps.cells", "steps.cells/bad.parquet.damaged",
                          "steps.parquet"], last
    assert last > 15


def die_once(folder):
    "A cell that kills its own process at x = 3, until the file `healed` is there."

    def cell(x, seed):
        if x == 3 and not (folder / "healed").exists():
            while len(list(folder.glob("worker.cells/*.parquet"))) < 2:  # others first
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)
        with open(folder / "log", "a") as file:
            file.write(f"{x}\n")
        return measured(x, seed)

    return cell


def test_a_killed_worker_takes_no_finished_cell_along(tmp_path):
    "A bare TerminatedWorkerError that names nothing, and finished cells that are computed again."
    sweep = Sweep("worker", die_once(tmp_path), product(x=[1, 2, 3, 4, 5]), 1)
    with joblib.parallel_config("loky", n_jobs=2):
        with pytest.raises(ChildProcessError,
                           match="^worker: a worker process was killed.*finished cells are kept in"):
            run_sweep(sweep, tmp_path)
    kept = {str(row["x"]) for row in stored_rows(sweep, tmp_path).values()}
    before = (tmp_path / "log").read_text().split()
    assert len(kept) >= 2 and kept <= set(before)  # a neighbour may die between its log and its file
    (tmp_path / "healed").touch()
    assert contents(run_sweep(sweep, tmp_path)) == expected(sweep)
    after = (tmp_path / "log").read_text().split()[len(before):]
    # what was not kept, once, and nothing else
    assert sorted(after) == sorted({"1", "2", "3", "4", "5"} - kept)


def count_threads(seed):
    "Threads that this worker's products may use, inside a cell and outside."
    import torch

    return {"inside": torch.get_num_threads(), "limit": int(os.environ.get("OMP_NUM_THREADS", 0))}


def test_workers_times_threads_is_at_most_cores(tmp_path, monkeypatch):
    """Oversubscription: a cell runs on one thread, and its worker was started with no more than its share,
    where the user has not set it."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    jobs = min(2, os.cpu_count())
    with joblib.parallel_config(n_jobs=jobs):
        rows = run_sweep(Sweep("threads", count_threads, ({},), seeds=6), tmp_path)
    assert {row["inside"] for row in rows} == {1.0}
    assert jobs == 1 or all(1 <= row["limit"] <= max(1, os.cpu_count() // jobs) for row in rows)


# at the same time


def write_runs(folder, number):
    "Three runs on a common store, each with a seed more; two settings are this writer's own, one is shared."
    folder, number = Path(folder), int(number)
    while not (folder / "go").exists():
        time.sleep(0.001)
    for seeds in (1, 2, 3):
        sweep = Sweep("common", logging_cell(folder / f"log{number}", 0.002),
                      product(x=[0, 10 + number, 20 + number]), seeds + number)
        assert contents(run_sweep(sweep, folder / "store", progress=False)) == expected(sweep)


@pytest.mark.parametrize("writers", [2, 3])
def test_writers_at_the_same_time_lose_no_row(server, tmp_path, writers):
    """A run that packs away, deletes or overwrites what another has written, though the others ask for other
    seeds; also what a reader misses for a moment."""
    for trial in range(4):
        folder = tmp_path / str(trial)
        folder.mkdir()
        wanted = [Sweep("common", stand_in, product(x=[0, 10 + k, 20 + k]), 3 + k) for k in range(writers)]
        keys = {key for sweep in wanted for key, *_ in sweep.cells()}
        processes = [server.start(write_runs, folder, k) for k in range(writers)]
        (folder / "go").touch()
        seen, codes = set(), []
        while len(seen) < len(keys) and len(codes) == 0:
            now = set(read_store("common", folder / "store")[0])
            assert seen <= now
            seen = now
            time.sleep(0.001)
        assert [server.wait(process) for process in processes] == [0] * writers
        assert {row["key"]
                for row in parquet.read_table(folder / "store" / "common.parquet").to_pylist()} == keys
        assert sorted(p.name for p in (folder / "store").iterdir()) == [".common.lock", "common.parquet"]
        for k, sweep in enumerate(wanted):
            assert contents(run_sweep(sweep, folder / "store")) == expected(sweep)
            own = [line for line in (folder / f"log{k}").read_text().splitlines()
                   if not line.startswith("0 ")]
            assert len(own) == len(set(own)) == 2 * (3 + k)  # computed once, so never lost


def after_first(monkeypatch, name, then):
    "Let `then` happen right after the first call of a function of the module."
    real, calls = getattr(sweeps, name), []

    def patched(*arguments):
        found = real(*arguments)
        calls.append(arguments)
        if len(calls) == 1:
            then()
        return found

    monkeypatch.setattr(sweeps, name, patched)


def test_a_row_that_is_packed_while_others_read_is_read(tmp_path, monkeypatch):
    "A reader that looks at the packed file first and then finds the single file gone."
    sweep = Sweep("s", lambda x, seed: measured(x, seed), product(x=[1, 2]), 1)
    for cell in sweep.cells():
        run_cell(sweep, *cell, tmp_path / "s.cells")
    after_first(monkeypatch, "read_rows", lambda: pack(sweep, {}, tmp_path))
    assert contents(stored_rows(sweep, tmp_path).values()) == expected(sweep)


def test_a_row_that_is_written_while_others_pack_stays(tmp_path, monkeypatch):
    """A run that has read a failed row and, with its file, removes the good row that another run has written
    since."""
    sweep = Sweep("s", lambda x, seed: measured(x, seed), product(x=[1]), 1)
    fails = Sweep("s", lambda x, seed: 1 / 0, sweep.settings, 1)
    (cell,) = sweep.cells()
    run_cell(fails, *cell, tmp_path / "s.cells")
    after_first(monkeypatch, "read_store", lambda: run_cell(sweep, *cell, tmp_path / "s.cells"))
    pack(sweep, {}, tmp_path)
    assert contents(stored_rows(sweep, tmp_path).values()) == expected(sweep)


# other grids, other versions, nothing to do


def test_fewer_seeds_other_settings_and_revisions_keep_the_rows(tmp_path):
    """A store that drops rows which this grid did not ask for, a run that returns those of others, settings
    that take the type of others."""
    make = lambda x, seeds, revision=0: Sweep(
        "s", lambda x, seed: measured(int(x), seed), product(x=x), seeds, revision)
    grids = make([1, 2], 3), make([2, 1], 1), make([2.5], 1), make([1], 2, revision=1)
    for grid in grids:
        rows = run_sweep(grid, tmp_path)
        assert [(row["key"], row["x"], type(row["x"]), row["seed"])
                for row in rows] == [(key, p["x"], type(p["x"]), seed) for key, p, seed in grid.cells()]
    keys = parquet.read_table(tmp_path / "s.parquet")["key"].to_pylist()
    assert len(keys) == 6 + 1 + 2 and set(keys) == {key for grid in grids for key, *_ in grid.cells()}
    # the grid that was packed last comes first, in its order
    assert keys[:2] == [key for key, *_ in grids[3].cells()]
    assert len(run_sweep(Sweep("s", stand_in, grids[0].settings, 3), tmp_path)) == 6


@pytest.mark.parametrize("where", ["nothing missing", "spot check"])
def test_reading_a_packed_table_touches_nothing(tmp_path, where):
    "A lock file, a folder or a new table beside results that are kept under version control."
    sweep = Sweep("s", lambda x, seed: measured(x, seed), product(x=[1, 2]), 2)
    run_sweep(sweep, tmp_path / "first")
    (tmp_path / "kept").mkdir()
    shutil.copy(tmp_path / "first" / "s.parquet", tmp_path / "kept")
    before = state(tmp_path / "kept")
    rows = spot_check(sweep, tmp_path / "kept") if where == "spot check" else run_sweep(
        Sweep("s", stand_in, sweep.settings, 2), tmp_path / "kept")
    assert contents(rows) == expected(sweep) and state(tmp_path / "kept") == before


def test_rows_of_another_version_are_used_and_said(tmp_path):
    "Old rows mixed with new ones without a word; a warning where there are none."
    sweep = Sweep("s", lambda x, seed: measured(x, seed), product(x=[1, 2]), 2)
    rows = run_sweep(sweep, tmp_path)
    pack(sweep, {row["key"]: row | {"version": v} for row, v in zip(rows, ["0.0.1", "0.0.2", "0.0.1"])},
         tmp_path)
    more = Sweep("s", sweep.cell, sweep.settings, 3)
    with pytest.warns(OtherVersionWarning,
                      match=r"^s: 3 of the 6 rows were computed by version 0.0.1, 0.0.2 and are used by .* "
                            r"spot_check") as said:
        assert contents(run_sweep(more, tmp_path)) == expected(more)
    assert len(said) == 1
    run_sweep(Sweep("s", sweep.cell, ({"x": 2},), 3), tmp_path / "new")


# damaged files


def half(data):
    "The first half of a file, as a full disk or a power cut leaves it."
    return data[: len(data) // 2]


def no_key(data, folder):
    "A table of something else."
    write_table([{"value": 1.0}], folder / "other")
    return (folder / "other").read_bytes()


BREAKS = {"empty": lambda data, folder: b"", "cut": lambda data, folder: half(data), "text": lambda data,
          folder: b"key,value\n1,2\n", "no key": no_key}


@pytest.mark.parametrize("which", ["cell", "packed"])
@pytest.mark.parametrize("how", BREAKS)
def test_a_damaged_file_is_named_set_aside_and_computed_again(tmp_path, how, which):
    "A sweep that stops at such a file, deletes it, uses it, or does not say which one it was."
    store = tmp_path / "store"
    sweep = Sweep("s", logging_cell(tmp_path / "log"), product(x=[1, 2]), 2)
    rows = run_sweep(sweep, store)
    file = store / "s.parquet"
    if which == "cell":
        file = store / "s.cells" / f"{rows[0]['key']}.parquet"
        write_table(rows[:1], file)
        (store / "s.parquet").unlink()
        pack(Sweep("s", stand_in, ({"x": 1},), 2), {row["key"]: row for row in rows[1:]}, tmp_path / "rest")
        shutil.copy(tmp_path / "rest" / "s.parquet", store)
    broken = BREAKS[how](file.read_bytes(), tmp_path)
    file.write_bytes(broken)
    file.with_name(f"{file.name}.damaged").write_text("of an earlier time")
    aside = file.with_name(f"{file.name}.damaged2")
    (tmp_path / "log").unlink()
    with pytest.warns(DamagedFileWarning, match=f"run_sweep will.*{file.name}"):
        assert len(stored_rows(sweep, store)) == (3 if which == "cell" else 0)
    with pytest.warns(DamagedFileWarning, match=aside.name) as said:
        assert contents(run_sweep(sweep, store)) == expected(sweep)
    assert len(said) == 1 and aside.read_bytes() == broken
    assert len((tmp_path / "log").read_text().splitlines()) == (1 if which == "cell" else 4)
    assert contents(run_sweep(Sweep("s", stand_in, sweep.settings, 2), store)) == expected(sweep)  # in peace


def test_half_written_file_is_no_row(tmp_path):
    "A temporary file left by a killed writer that is read, or that stays."
    sweep = Sweep("draws", lambda x, seed: measured(x, seed), product(x=[1]), seeds=2)
    cells = tmp_path / "draws.cells"
    cells.mkdir()
    (cells / f".{sweep.cells()[0][0]}.parquet.123.part").write_bytes(b"PAR1 half")
    assert stored_rows(sweep, tmp_path) == {}
    assert len(run_sweep(sweep, tmp_path)) == 2
    assert not cells.exists()


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """A rename before the contents are forced out, after which a power cut leaves an empty file; a folder
    whose new name is not forced out."""
    done, sync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append(os.fstat(number).st_ino), sync(number)))
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append("rename"), rename(old, new)))
    path = write_whole(tmp_path / "new" / "a", lambda part: part.write_text("whole"))
    assert done == [path.stat().st_ino, "rename", path.parent.stat().st_ino, tmp_path.stat().st_ino]


@pytest.mark.parametrize("code, fails", [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_synced_is_no_error_but_a_failing_disk_is(tmp_path, monkeypatch, code, fails):
    """File systems that refuse to sync a folder and would stop every sweep; a disk that fails and is not
    heard."""

    def refuse(number):
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    try:
        write_whole(tmp_path / "a", lambda part: part.write_text("whole"))
    except OSError as error:
        assert fails and error.errno == code
    else:
        assert not fails
    assert (tmp_path / "a").read_text() == "whole"


# errors

ERRORS = {
    "memory": (lambda: MemoryError("for once"), True),
    "disk": (lambda: OSError(errno.ENOSPC, "No space left on device"), True),
    "torch": (
        lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 400 bytes"),
        True),
    "its own": (lambda: ValueError("out of memory, says the cell"), False),
    "other": (lambda: RuntimeError("no luck"), False),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_what_fails_for_want_of_memory_or_disk_is_tried_again(tmp_path, kind):
    """A failure of the machine that is kept for ever or stops the run, a second trial while others still
    compete; and errors of the cell that are tried without being asked."""
    make, passes = ERRORS[kind]
    log, bad = [], {"trials": 0}

    def cell(x, seed):
        log.append(x)
        if x == 1 and bad["trials"] > 0:
            bad["trials"] -= 1
            raise make()
        return measured(x, seed)

    sweep, text = Sweep("s", cell, product(x=[1, 2, 3]), 1), f"{type(make()).__name__}: {make()}"
    bad["trials"] = 1
    rows = run_sweep(sweep, tmp_path / "once")
    assert log == ([1, 2, 3, 1] if passes else [1, 2, 3]) and [row["error"] for row in rows] == [
        None if passes else text, None, None]
    log.clear()
    bad["trials"] = 2
    assert [row["error"] for row in run_sweep(sweep, tmp_path / "twice")] == [text, None, None]
    bad["trials"] = 0
    log.clear()
    rows = run_sweep(sweep, tmp_path / "twice")
    assert log == [1] * passes and rows[0]["error"] == (None if passes else text)
    assert contents(run_sweep(sweep, tmp_path / "twice", retry_failed=True)) == expected(sweep) and log == [1]
    assert contents(parquet.read_table(tmp_path / "twice" / "s.parquet").to_pylist()) == expected(sweep)


def test_a_claim_that_is_not_judged_stops_no_other(tmp_path, monkeypatch):
    """Claims after a failed one that are not written, a failure that nobody can tell from the result, failed
    cells that no later call computes."""
    healed = []

    def cell(x, seed):
        if x == 1 and not healed:
            raise ValueError("no luck")
        return measured(x, seed)

    claims = [Claim(name, "a claim", lambda scale, k=k: Sweep(f"C{k}", cell, ({"x": k},), 2),
                    lambda rows: Verdict("m", "holds", 2, 0.1), lambda rows: Figure())
                    for k, name in enumerate(["C0", "C1", "C2"])]
    monkeypatch.setattr(reproducing, "all_claims", lambda: {claim.id: claim for claim in claims})
    found = reproducing.reproduce(out=tmp_path)
    assert reproducing.not_judged(found) == ["C1"] and [v.holds for _, v in found] == [
        "holds", "not judged", "holds"]
    report = (tmp_path / "REPRODUCTION.md").read_text()
    assert report.count(
        "**holds**") == 2 and "2 of 2 cells failed, the first with ValueError: no luck" in report
    assert sorted(p.name for p in tmp_path.glob("*.svg")) == ["C0.svg", "C2.svg"]
    healed.append(True)
    assert reproducing.not_judged(reproducing.reproduce(out=tmp_path)) == []


# clusters


def test_dask_cluster_gives_the_same_rows(tmp_path, cluster):
    "Numbers that depend on where they are computed; sent to a local Dask cluster by parallel_config alone."
    sweep = Sweep("draws", lambda x, seed: {"value": np.random.default_rng([x, seed]).normal()},
                  product(x=[1, 2, 3]), seeds=4)
    here = [row["value"] for row in run_sweep(sweep, tmp_path / "here")]
    with cluster.get_client(), joblib.parallel_config(backend="dask"):
        there = [row["value"] for row in run_sweep(sweep, tmp_path / "there")]
    assert here == there
