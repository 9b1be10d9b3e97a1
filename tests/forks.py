"""Processes that start at once: forks of one that has loaded the large libraries and done nothing else."""

import io
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["torch", "scipy.optimize", "scipy.stats", "sklearn.ensemble", "matplotlib.pyplot", "execnb.shell",
     "pyarrow.parquet", "fastcore.test", "dask.array", "distributed", "multiindex_nb.cli.bench",
     "multiindex_nb.cli.fit", "multiindex_nb.cli.learn", "multiindex_nb.cli.reproduce"])


# what a signal does in a process that a shell starts
USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL,
         signal.SIGHUP: signal.SIG_DFL}


def heed(answers: dict) -> None:
    "Answer these signals so."
    for number, answer in answers.items():
        signal.signal(number, answer)


def load() -> None:
    "Start the process that forks, before anyone else says what it should load."
    multiprocessing.forkserver.ensure_running()


def finished(process, seconds: float = 120) -> int:
    "The exit code of a fork, which is killed if it takes longer."
    process.join(seconds)
    if process.exitcode is None:
        process.kill(), process.join()
        raise TimeoutError(f"killed after {seconds:g} s")
    return process.exitcode


def end_workers() -> None:
    "Joblib's, which would keep this process for five minutes."
    if "joblib.externals.loky" in sys.modules:
        sys.modules["joblib.externals.loky"].get_reusable_executor().shutdown(wait=True, kill_workers=True)


def be_command(words, folder, env, *streams) -> None:
    """The command `multiindex` as a shell starts it; standard output and error are files by name or ends of
    pipes."""
    from multiindex_nb.cli import main

    for number, stream in enumerate(streams, 1):
        os.dup2(stream.fileno() if hasattr(stream, "fileno") else os.open(stream, os.O_WRONLY), number)
    os.chdir(folder)
    os.environ.clear(), os.environ.update(env)
    heed(USUAL)
    raw = bool(env.get("PYTHONUNBUFFERED"))
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(open(number, "wb", 0 if raw else -1, closefd=False), "utf-8", write_through=raw,
                         line_buffering=number == 2, errors=None if number == 1 else "backslashreplace")
        for number in (1, 2))
    sys.argv = ["multiindex", *words]
    try:
        sys.exit(main())
    finally:
        end_workers()


def be_module(name, words) -> None:
    "`python -m name`, silent."
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.argv = [name, *words]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def be_script(path, words, out) -> None:
    "`python path`, with all that it says in a file."
    for number in (1, 2):
        os.dup2(os.open(out, os.O_WRONLY | os.O_APPEND), number)
    sys.argv = [path, *words]
    runpy.run_path(path, run_name="__main__")


def run_script(path, *words, seconds: float = 600) -> tuple[int, str]:
    "Its exit code, and what it said."
    with tempfile.NamedTemporaryFile(mode="r", encoding="utf-8") as said:
        process = FORKS.Process(target=be_script, args=(str(path), words, said.name))
        process.start()
        return finished(process, seconds), said.read()


def start_module(name, *words):
    "Its process."
    process = FORKS.Process(target=be_module, args=(name, [*map(str, words)]))
    process.start()
    return process


def start_command(words, folder, env, *streams):
    "Its process."
    process = FORKS.Process(target=be_command, args=([*map(str, words)], folder, env, *streams))
    process.start()
    return process


def run_command(words, folder, env, out=None) -> subprocess.CompletedProcess:
    "What it said, and its exit code; `out` is a pipe to write to, which nobody reads here."
    with tempfile.TemporaryDirectory() as said:
        files = [Path(said) / name for name in ("out", "err")]
        for file in files:
            file.touch()
        code = finished(start_command(words, folder, env, out or files[0], files[1]))
        return subprocess.CompletedProcess(words, code, *(file.read_text("utf-8") for file in files))
