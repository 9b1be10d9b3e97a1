"""Sweeps: killed processes lose nothing, clusters give the same numbers."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import joblib
import pytest
from pyarrow import parquet

from multiindex_nb.sweeps import Sweep, product, run_sweep, stored_rows

SCRIPT = textwrap.dedent(
    """
    import sys, time
    import joblib, numpy as np
    from multiindex_nb.sweeps import Sweep, product, run_sweep

    def slow_cell(x, seed):
        "A draw that takes a little while, and a note that it was computed."
        time.sleep(0.05)
        with open(sys.argv[2], "a") as log:
            log.write(f"{x} {seed}\\n")
        return {"value": np.random.default_rng([x, seed]).normal(), "curve": [x, seed, 0.5]}

    with joblib.parallel_config(n_jobs=int(sys.argv[3])):
        run_sweep(Sweep("slow", slow_cell, product(x=[0, 1, 2, 3, 4]), seeds=12), sys.argv[1])
    """
)


def stand_in(x, seed):
    "A cell that must never run: only the keys of the sweep are wanted."
    raise AssertionError("computed again")


SWEEP = Sweep("slow", stand_in, product(x=[0, 1, 2, 3, 4]), seeds=12)


def start(tmp_path, workers):
    "The script as a process group of its own."
    script = tmp_path / "sweep.py"
    script.write_text(SCRIPT)
    words = [sys.executable, str(script), str(tmp_path / "out"), str(tmp_path / "log"), str(workers)]
    return subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("workers", [1, 3])
def test_sigkill_loses_no_finished_cell(tmp_path, workers):
    "Killed four times at random moments, every finished row is there and whole, and the end is complete."
    moments, kept = random.Random(workers), 0
    for _ in range(4):
        process = start(tmp_path, workers)
        deadline = time.monotonic() + 60
        while len(stored_rows(SWEEP, tmp_path / "out")) < kept + 4 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        rows = stored_rows(SWEEP, tmp_path / "out")
        assert len(rows) >= kept and all(r["error"] is None and len(r["curve"]) == 3 for r in rows.values())
        kept = len(rows)
    assert 0 < kept < 60
    assert start(tmp_path, workers).wait(timeout=120) == 0
    assert len(parquet.read_table(tmp_path / "out" / "slow.parquet")) == 60
    computed = (tmp_path / "log").read_text().splitlines()
    assert len(set(computed)) == 60
    assert len(computed) <= 60 + 4 * workers  # only cells under way at a kill are computed twice
    assert len(run_sweep(SWEEP, tmp_path / "out")) == 60  # and nothing now


def draw(x, seed):
    "A number that depends on its arguments only."
    import numpy as np

    return {"value": np.random.default_rng([x, seed]).normal()}


def test_dask_cluster_gives_the_same_rows(tmp_path):
    "Sent to a local Dask cluster by parallel_config alone."
    distributed = pytest.importorskip("distributed")
    sweep = Sweep("draws", draw, product(x=[1, 2, 3]), seeds=4)
    here = [row["value"] for row in run_sweep(sweep, tmp_path / "here")]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as cluster:
        with distributed.Client(cluster), joblib.parallel_config(backend="dask"):
            there = [row["value"] for row in run_sweep(sweep, tmp_path / "there")]
    assert here == there


def count_threads(seed):
    "Threads that this worker's products may use, inside a cell and outside."
    import torch

    return {"inside": torch.get_num_threads(), "limit": int(os.environ.get("OMP_NUM_THREADS", 0))}


def test_workers_times_threads_is_at_most_cores(tmp_path):
    "No oversubscription: a cell runs on one thread, and its worker was started with no more than its share."
    jobs = min(2, os.cpu_count())
    with joblib.parallel_config(n_jobs=jobs):
        rows = run_sweep(Sweep("threads", count_threads, ({},), seeds=6), tmp_path)
    assert {row["inside"] for row in rows} == {1.0}
    assert jobs == 1 or all(1 <= row["limit"] <= max(1, os.cpu_count() // jobs) for row in rows)


def test_half_written_file_is_no_row(tmp_path):
    "A temporary file left by a killed writer is not read."
    sweep = Sweep("draws", draw, product(x=[1]), seeds=2)
    cells = tmp_path / "draws.cells"
    cells.mkdir()
    (cells / f".{sweep.cells()[0][0]}.parquet.123.part").write_bytes(b"PAR1 half")
    assert stored_rows(sweep, tmp_path) == {}
    assert len(run_sweep(sweep, tmp_path)) == 2
    assert not cells.exists()
