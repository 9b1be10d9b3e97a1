"""Rows that do not fit: a limit on memory, a worker that dies, the same answer to rounding."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import torch
from forks import FORKS, finished, start_module
from sklearn.exceptions import DataConversionWarning

import multiindex_nb as mi

LINK = mi.Target.parse("h2(z1)+h2(z2)")


def rows(n=24_000, d=30, chunk=1500):
    "Data in memory, and the same as a Dask array."
    da = pytest.importorskip("dask.array")
    U = mi.random_subspace(d, 2, seed=0)
    X, y = mi.sample(LINK, U, n, noise=0.1, seed=0)
    return X, y, da.from_array(X.numpy(), chunks=(chunk, d))


@pytest.mark.parametrize("engine", ["fused", "power"])
@pytest.mark.parametrize("loss", ["mse", "huber", "pinball:0.8"])
@pytest.mark.parametrize("width", [32, 2000])
def test_chunks_give_the_same_answer(engine, loss, width):
    """Weights to 1e-8; predictions, whose equations are nearly singular, to 1e-6; with more rows than neurons
    and, by the dual, with fewer."""
    X, y, lazy = rows(n=24_000 if width == 32 else 600, chunk=1500 if width == 32 else 70)
    inside, outside = (mi.learn(source, y, 2, loss, width=width, engine=engine, steps=3, seed=1)
                       for source in (X, lazy))
    assert (inside.net.W - outside.net.W).norm() <= 1e-8 * inside.net.W.norm()
    expected = inside.predict(X[:1000])
    assert (outside.predict(X[:1000]) - expected).norm() <= 1e-6 * expected.norm()
    assert mi.subspace_error(inside.subspace, outside.subspace) < 1e-8
    assert inside.report.verdict == outside.report.verdict


LIMITED = textwrap.dedent(
    """
    import resource
    import numpy as np, dask.array as da, torch
    from dask import delayed
    import multiindex_nb as mi
    from multiindex_nb.engine.out_of_core import lazy_sample

    def allocated():
        "Bytes of private writable memory, what RLIMIT_DATA limits."
        return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))

    d, chunk, link = 200, 5000, mi.Target.parse("h2(z1)+h2(z2)")
    U = mi.random_subspace(d, 2)
    mi.learn(*lazy_sample(link, U, 3 * chunk, chunk=chunk), 2, "mse", steps=2, width=16)  # loads what is loaded late
    limit = allocated() * 8 // 5  # what labels take grows with it
    n = 4 * limit // (4 * d)  # rows of float32: four times the limit
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    base = np.random.default_rng(0).standard_normal((6 * chunk, d), dtype=np.float32)
    sizes = [min(chunk, n - start) for start in range(0, n, chunk)]
    make = lambda k, size: base[chunk * (k % 6) :][:size]  # six chunks over and over, made in no time
    X = da.concatenate([da.from_delayed(delayed(make)(k, size), (size, d), dtype="float32") for k, size in enumerate(sizes)])
    y = np.empty(n)
    for k, size in enumerate(sizes):
        y[chunk * k : chunk * k + size] = link(torch.from_numpy(make(k, size)) @ U.T.float())
    assert X.nbytes >= 4 * limit - 4 * d
    # the default keeps weights of all labels, not of half of them: twice as much beside the rows
    result = mi.learn(X, y, 2, "mse", steps=2, width=16, engine="power", progress=False, faithful=True)
    assert result.report.ok, result.report
    try:
        X.compute()
        raise SystemExit("the limit does not bind")
    except MemoryError:
        pass
    print(f"{X.nbytes / 2**20:.0f} MiB under a limit of {limit / 2**20:.0f} MiB, subspace error {mi.subspace_error(result.subspace, U):.4f}")
    """  # noqa: E501
)


@pytest.mark.skipif(not sys.platform.startswith("linux"),
                    reason="RLIMIT_DATA limits mapped memory on Linux only")
def test_rows_of_four_times_a_memory_limit(tmp_path):
    "X is four times what the process may allocate; computing it fails, learning from it does not."
    pytest.importorskip("dask.array")
    script = tmp_path / "limited.py"
    script.write_text(LIMITED)
    # one heap, little lost in gaps
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "8000000", "MALLOC_TRIM_THRESHOLD_": "131072",
                        "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True,
                          timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    # thirty thousand different rows, half of them for stage 1
    assert float(done.stdout.split()[-1]) < 0.3, done.stdout


def slow(chunk):
    "A chunk that takes a little while to come."
    time.sleep(0.1)
    return chunk


def strike_at(monkeypatch, number, strike):
    """Let `strike` happen a moment after the reading of that number has begun; the list says how many there
    were."""
    from multiindex_nb.problem import blocks

    read, begun = blocks.lazy_sums, []

    def counted(*args):
        begun.append(time.monotonic())
        if len(begun) == number:
            threading.Timer(0.3, strike).start()
        return read(*args)

    monkeypatch.setattr(blocks, "lazy_sums", counted)
    return begun


PHASES = {"spectrum": 1, "stage 1": 3, "readout": 6}  # number of a reading in each


@pytest.mark.parametrize("phase", PHASES)
def test_worker_killed(phase, monkeypatch, cluster):
    "SIGKILL to one of two workers in each phase of a run: the same network to rounding."
    X, y, lazy = rows(n=8000)
    inside = mi.learn(X, y, 2, "mse", steps=3, width=32)
    with cluster.get_client() as client:
        client.wait_for_workers(2, timeout=60)  # one may be coming back
        pids = list(client.run(os.getpid).values())
        begun = strike_at(monkeypatch, PHASES[phase], lambda: os.kill(pids[0], signal.SIGKILL))
        outside = mi.learn(lazy.map_blocks(slow, dtype=lazy.dtype), y, 2, "mse", steps=3, width=32)
        survivors = list(client.run(os.getpid).values())
    assert len(begun) > PHASES[phase] and pids[0] not in survivors, "the worker was not killed during the run"
    assert (inside.net.W - outside.net.W).norm() <= 1e-8 * inside.net.W.norm()
    expected = inside.predict(X[:1000])
    assert (outside.predict(X[:1000]) - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("phase", PHASES)
def test_scheduler_killed(phase, monkeypatch, tmp_path):
    """SIGKILL to the scheduler in each phase: an error within a minute, and no answer that rests on some of
    the rows."""
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    _, y, lazy = rows(n=8000)
    start = lambda what, *words: start_module(
        f"distributed.cli.dask_{what}", "--scheduler-file", tmp_path / "place", "--dashboard-address", ":0",
        *words)
    with dask.config.set(
        {"distributed.comm.timeouts.connect": "3s", "distributed.client.scheduler-info-interval": "1s"}):
        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0")
        worker = start("worker", "--nthreads", "1", "--no-nanny", "--death-timeout", "5")
        try:
            with distributed.Client(scheduler_file=str(tmp_path / "place"), timeout=60) as client:
                client.wait_for_workers(1, timeout=60)
                begun = strike_at(monkeypatch, PHASES[phase], scheduler.kill)
                with pytest.raises(Exception, match="cancelled|closed|lost|refused|[Tt]imed out|scheduler"):
                    mi.learn(lazy.map_blocks(lambda chunk: (time.sleep(0.1), chunk)[1], dtype=lazy.dtype), y,
                             2, "mse", steps=3, width=32)
                assert len(begun) == PHASES[phase] and time.monotonic() - begun[-1] < 60
        finally:
            for process in (scheduler, worker):
                process.kill(), process.join()


def reads(lazy, log, stop=0, end=None):
    "The same rows; every chunk read leaves a mark, and at that of number `stop` the process ends."
    def read(chunk):
        log.append(len(chunk))
        if len(log) == stop:
            end()
        return chunk

    return lazy.map_blocks(read, dtype=float, meta=np.zeros((0, 0)))


CHUNKS, KEPT = 4, dict(r=2, loss="huber", steps=2, width=16, seed=1)


def cut_short(folder, stop):
    "`learn` with a checkpoint, killed at a read."
    torch.set_num_threads(1)
    _, y, lazy = rows(n=4400, d=6, chunk=1100)
    end = lambda: os.kill(os.getpid(), signal.SIGKILL)
    mi.learn(reads(lazy, [], stop, end), y, **KEPT, checkpoint=folder)


def test_a_run_goes_on_from_its_last_finished_pass(tmp_path):
    """SIGKILL in each pass: the next call makes that pass and those after it, gives the same bits, and then
    makes none."""
    _, y, lazy = rows(n=4400, d=6, chunk=1100)
    log: list[int] = []
    plain = mi.learn(reads(lazy, log), y, **KEPT)
    passes = len(log) // CHUNKS
    assert passes == 7
    for k in range(passes):
        folder = tmp_path / str(k)
        extra = 1 if k < 4 else 2  # reads of a chunk to see which rows they are, X and what is held out
        process = FORKS.Process(target=cut_short, args=(folder, extra + CHUNKS * k + 3))
        process.start()
        assert finished(process) == -signal.SIGKILL and len(list(folder.iterdir())) == k
        for rest in (CHUNKS * (passes - k), 0):
            log.clear()
            again = mi.learn(reads(lazy, log), y, **KEPT, checkpoint=folder)
            assert torch.equal(again.net.W, plain.net.W) and torch.equal(again.net.a, plain.net.a)
            assert len(log) == rest + 2


def damage(file, how):
    "Cut a file short, change one byte of it, or put something else in its place."
    text = file.read_bytes()
    half = len(text) // 2
    file.write_bytes({"cut": text[:half], "changed": text[:half] + bytes([text[half] ^ 1]) + text[half + 1:],
                      "empty": b"", "other": b"passes"}[how])


def test_a_kept_pass_is_used_where_it_is_the_same(tmp_path, monkeypatch):
    """Other rows, labels or settings take passes of their own; a damaged file is said and its pass made
    again; a full disk is a warning."""
    X, y, lazy = rows(n=4400, d=6, chunk=1100)
    run = lambda X, y, **other: mi.learn(X, y, **dict(KEPT, checkpoint=tmp_path) | other)
    plain = run(lazy, y)
    before = set(tmp_path.iterdir())
    for source, labels, other in ((lazy * 2, y, {}), (lazy, -y, {}), (lazy, y, dict(loss="mse")),
                                  (lazy, y, dict(width=18)), (lazy, y, dict(seed=2))):
        own = mi.learn(source, labels, **KEPT | other)
        assert torch.equal(run(source, labels, **other).net.a, own.net.a)
    for how in ("cut", "changed", "empty", "other"):
        for file in before:
            damage(file, how)
        with pytest.warns(UserWarning, match="damaged, its pass is made again"):
            assert torch.equal(run(lazy, y).net.a, plain.net.a)
    log: list[int] = []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="passes cannot be kept in .*file"):
        run(reads(lazy, log), y, checkpoint=tmp_path / "file" / "folder")
    with pytest.raises(ValueError, match="checkpoint is for X as a Dask array"):
        run(X, y)
    assert not log
    monkeypatch.setattr(np, "savez", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(UserWarning, match="could not be kept in .*: No space left"):
        assert torch.equal(run(lazy, y, checkpoint=tmp_path / "full").net.a, plain.net.a)
    assert not list((tmp_path / "full").iterdir())


def test_what_goes_to_the_rows_is_small(monkeypatch, cluster):
    """Neither rows nor all labels go with a pass: its functions hold the network, and columns that a cluster
    has had are named."""
    import cloudpickle

    from multiindex_nb.problem import blocks

    X, y, lazy = rows(n=6000, d=10)
    read, functions, plans = blocks.lazy_sums, [], []

    def seen(X, columns, zeros, add):
        functions.append(len(cloudpickle.dumps((zeros, add))))
        plans.append(len(cloudpickle.dumps(blocks._cut(X.chunks[0], columns, True)[0])))
        return read(X, columns, zeros, add)

    monkeypatch.setattr(blocks, "lazy_sums", seen)
    with cluster.get_client():
        outside = mi.learn(lazy, y, **KEPT)
    inside = mi.learn(X, y, **KEPT)
    assert (inside.net.W - outside.net.W).norm() <= 1e-8 * inside.net.W.norm()
    assert len(plans) == 7 and max(functions) < 20_000 and max(plans) < 2000 < 8 * len(y)


def test_bad_entries_in_a_chunk_are_found(tmp_path):
    "A NaN in one chunk is an error that names X."
    X, y, lazy = rows(n=3000)
    broken = lazy.map_blocks(lambda chunk, block_info=None: chunk * float("nan") if block_info
                             and block_info[0]["chunk-location"][0] == 1 else chunk, dtype=float)
    with pytest.raises(ValueError, match="X must be finite"):
        mi.second_order_matrix(broken, y, "mse")
    with pytest.raises(ValueError, match="X must be finite"):
        mi.learn(broken, y, 2)
    import dask.array as da

    for row in (100, 1400, 1700, 2900):  # whichever stage reads it
        here = da.arange(3000, chunks=lazy.chunks[0])[:, None] == row
        with pytest.raises(ValueError, match="X must be finite"):
            mi.learn(da.where(here, float("nan"), lazy), y, 2)
    with pytest.raises(ValueError, match="n_indices must be"):
        mi.MultiIndexRegressor(n_indices=31).fit(lazy, y)
    with pytest.raises(TypeError, match="real numbers"):
        mi.learn(lazy.astype(complex), y, 2)
    assert isinstance(mi.second_order_matrix(lazy, y.numpy(), "mse"), torch.Tensor)


def fitted(kind):
    "Functions of rows that were learned from a small table, with what they are called in an error."
    X, y, _ = rows(n=600, d=6)
    if kind == "learn":
        return [mi.learn(X, y, 2, "mse", width=16, progress=False).predict]
    model = mi.MultiIndexRegressor(2, refine=False, width=16, random_state=0).fit(X.numpy(), y.numpy())
    return [model.predict, model.transform]


def in_memory(answer):
    "An answer as an array, computed if it is lazy."
    return np.asarray(answer.compute() if hasattr(answer, "compute") else answer)


@pytest.mark.parametrize("kind", ["learn", "estimator"])
@pytest.mark.parametrize("change",
                         ["as it is", "float32", "integers", "one empty chunk", "empty chunks at the ends",
                          "columns in chunks"])
def test_a_lazy_answer_is_that_in_memory(kind, change):
    "Other dtypes and chunks, empty ones too: the same numbers, shapes and dtype."
    da = pytest.importorskip("dask.array")
    X = rows(n=300, d=6)[0].numpy()
    X = {"float32": X.astype(np.float32), "integers": (3 * X).astype(np.int32)}.get(change, X)
    lazy = da.from_array(X, chunks=(100, 2 if change == "columns in chunks" else 6))
    keep = np.ones(300, bool)
    if "empty" in change:
        keep[100:200] = change != "one empty chunk"
        keep[:100] = keep[200:] = change == "one empty chunk"
        lazy = lazy[da.from_array(keep, chunks=100)]
        lazy.compute_chunk_sizes()
        assert 0 in lazy.chunks[0]
    for f in fitted(kind):
        inside, outside = in_memory(f(X[keep])), f(lazy)
        assert outside.shape == inside.shape and outside.dtype == outside.compute().dtype
        assert np.allclose(outside.compute(), inside, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["learn", "estimator"])
@pytest.mark.parametrize("change, words", [(lambda X: X[:, :4], "4|features"), (lambda X: X[:, 0], r"\(|1D"),
                                           (lambda X: X * float("nan"), "finite|NaN"),
                                           (lambda X: X + 1j, "real|[cC]omplex")])
def test_lazy_rows_are_checked_as_in_memory(kind, change, words):
    "Too few columns, one dimension, NaN, complex numbers: refused before or when they are read."
    da = pytest.importorskip("dask.array")
    X = rows(n=300, d=6)[0].numpy()
    for f in fitted(kind):
        for bad in (change(X), change(da.from_array(X, chunks=(100, 6)))):
            with pytest.raises((ValueError, TypeError), match=words):
                in_memory(f(bad))


@pytest.mark.parametrize("call", [
    lambda X, y: mi.refine_subspace(X, y, np.eye(4)[:2]),
    lambda X, y: mi.polish_subspace(X, y, np.eye(4)[:2]), mi.advise_loss, mi.third_order_directions,
    lambda X, y: mi.direction_intervals(mi.MultiIndexRegressor(1).fit(X[:50].compute(), y[:50]), X, y)],
    ids=["refine", "polish", "advise", "third order", "intervals"])
def test_what_needs_all_rows_refuses_a_plan(call):
    "By name and with a remedy, not by a method that Dask's arrays lack."
    X = np.random.default_rng(0).standard_normal((200, 4))
    da = pytest.importorskip("dask.array")
    with pytest.raises(ValueError, match=r"X must be in memory, got a Dask array: .*X\[:k\]"):
        call(da.from_array(X, chunks=(100, 4)), X[:, 0])


def test_a_chunk_of_another_length_is_found():
    "A reader that gives fewer rows than the plan says: nothing is left out without a word."
    X, y, lazy = rows(n=6000, d=6, chunk=2048)  # the cut falls on a block
    short = lazy.map_blocks(lambda chunk: chunk[:-5], chunks=lazy.chunks, dtype=float, meta=np.zeros((0, 0)))
    words = "X has a chunk of .* rows where its plan says"
    model = mi.MultiIndexRegressor(1, "mse", "rule", 16, refine=False, random_state=0, memory=6 * 8 * 300)
    for call in (
        lambda: mi.second_order_matrix(short, y, "mse"),
        lambda: mi.train_first_layer(mi.symmetric_init(8, 6), short, y, steps=1),
        lambda: mi.train_readout(mi.symmetric_init(8, 6, 1.0), short, y),
        lambda: mi.learn(short, y, 1, width=8),
        lambda: model.fit(short, y),
        *(lambda f=f: f(short).compute() for kind in ("learn", "estimator") for f in fitted(kind)),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize("method", ["predict", "transform"])
def test_lazy_rows_before_fit(method):
    "`NotFittedError` at once, as in memory."
    from sklearn.exceptions import NotFittedError

    _, _, lazy = rows(n=300, d=6)
    with pytest.raises(NotFittedError):
        getattr(mi.MultiIndexRegressor(), method)(lazy)


def test_lazy_fit_takes_what_a_fit_in_memory_takes():
    """Integers, an empty chunk, labels in a column, a column far from zero and one that is constant: the same
    model."""
    da = pytest.importorskip("dask.array")
    X, y, _ = rows(n=600, d=6)
    X, y = (100 * X).round().numpy().astype(np.int64), y.numpy()
    X[:, 1] += 1_700_000_000_000
    X[:, 2] = 7
    lazy = da.concatenate([da.from_array(X[:250], chunks=(250, 6)), da.zeros((0, 6), dtype=np.int64),
                           da.from_array(X[250:], chunks=(350, 6))])
    for memory in (2**28, 6 * 8 * 300):  # all rows in the sample, and half of them
        models = [mi.MultiIndexRegressor(2, refine=False, loss="mse", width=16, random_state=0, memory=memory)
                  for _ in range(2)]
        with pytest.warns(UserWarning, match="constant columns of X are left out: 1 of 6, by number 2"):
            models[0].fit(X, y)
        with pytest.warns(UserWarning, match="constant columns of X are left out: 1 of 6, by number 2"):
            models[1].fit(lazy, da.from_array(y, chunks=100) if memory == 2**28 else y)
        assert models[1].n_features_in_ == 6
        white = [(X - m.mean_.numpy()) @ m.whitening_.numpy() for m in models]
        assert all(np.abs(np.cov(Z.T)[np.ix_([0, 1, 3, 4, 5], [0, 1, 3, 4, 5])]
                          - np.eye(6)[np.ix_([0, 1, 3, 4, 5], [0, 1, 3, 4, 5])]).max() < 0.2 for Z in white)
        if memory == 2**28:
            assert np.allclose(models[0].predict(X), models[1].predict(lazy).compute())


@pytest.mark.filterwarnings("ignore")
def test_lazy_fit_takes_labels_in_a_column_and_refuses_complex_ones():
    """A column of labels, booleans and tensors with a gradient, as in memory; complex labels are a
    `TypeError` or `ValueError` in both."""
    X, y, lazy = rows(n=600, d=6)
    model = lambda: mi.MultiIndexRegressor(1, refine=False, loss="mse", width=16, random_state=0)
    plain = model().fit(lazy, y).predict(X.numpy())
    for labels in (y[:, None].numpy(), y.clone().requires_grad_(), list(y.tolist())):
        assert np.array_equal(model().fit(lazy, labels).predict(X.numpy()), plain)
    for data in (X.numpy(), lazy):
        with pytest.warns(DataConversionWarning, match="column-vector"):
            model().fit(data, y[:, None].numpy())
        model().fit(data, (y > y.median()).numpy())
        with pytest.raises((TypeError, ValueError), match="[cC]omplex|real"):
            model().fit(data, y.numpy() + 1j)


@pytest.mark.filterwarnings("ignore")
def test_lazy_rows_and_labels_are_refused_in_the_words_of_memory():
    "A unit too large or small in `learn` and `fit`; labels of words, and none."
    X, y, lazy = rows(n=300, d=6, chunk=100)
    for unit in (1e200, 1e-200):
        for call in (lambda X: mi.learn(X, y, 1, width=8), lambda X: mi.MultiIndexRegressor().fit(X, y)):
            for data in (unit * X.numpy(), unit * lazy):
                with pytest.raises(ValueError, match="the largest entry of X must be between"):
                    call(data)
    for data in (X.numpy(), lazy):
        for labels, words in ((["a"] * 300, "y: could not convert"), (None, "requires y to be passed")):
            with pytest.raises(ValueError, match=words):
                mi.MultiIndexRegressor().fit(data, labels)
