"""The command as a process: any folder, no display, one line for an error."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import multiindex_nb as mi

SCRIPT = Path(sys.executable).with_name("multiindex")
QUICK = ["learn", "--d", "20", "--n-per-d", "40", "--width", "32"]
ENV = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}


def run(words, folder, start=(str(SCRIPT),)):
    "The finished process."
    return subprocess.run([*start, *map(str, words)], cwd=folder, env=ENV, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("start", [(str(SCRIPT),), (sys.executable, "-m", "multiindex_nb.cli")])
def test_help_and_version(start, tmp_path):
    "Both ways to start it; nothing on standard error."
    for words, part in ([["--help"], "learn"], [["learn", "--help"], "--target"], [["--version"], mi.__version__]):
        done = run(words, tmp_path, start)
        assert (done.returncode, done.stderr) == (0, "") and part in done.stdout


def test_learn_from_another_folder(tmp_path):
    "Table on standard output, silence on standard error, picture and record in ./results; the same again with the same seed."
    records = []
    for k in range(2):
        done = run([*QUICK, "--loss", "mse", "huber:0.5", "--target", "h2(z1)+h2(z2)", "--noise", "0.1"], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert all(word in done.stdout for word in ("alignment", "coverage", "verdict", "oracle", "trivial", "huber:0.5"))
        assert (tmp_path / "results" / "learn.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        records.append(json.loads((tmp_path / "results" / "learn.json").read_text()))
        for entry in records[k]["runs"]:
            assert entry.pop("seconds") > 0
    assert records[0] == records[1]
    assert records[0]["settings"]["noise"] == 0.1 and records[0]["n"] == [800, 800, 10_000]
    assert 0 <= records[0]["oracle_error"] < records[0]["runs"][0]["test_error"]


def data_file(folder, kind):
    "A file with real X and y."
    X, y = mi.sample(mi.Target.parse("h2(z1)"), mi.random_subspace(6, 1), 500)
    path, names = folder / f"data.{kind}", [f"x{i}" for i in range(6)]
    if kind == "npz":
        np.savez(path, X=X, y=y)
    elif kind == "csv":
        np.savetxt(path, np.c_[X, y], delimiter=",", header=",".join([*names, "y"]), comments="")
    else:
        parquet.write_table(pa.table({**dict(zip(names, X.numpy().T)), "y": y.numpy()}), path)
    return path


@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
def test_learn_from_a_file(kind, tmp_path):
    "Real data in three formats, with whitening, without a truth."
    done = run(["learn", "--data", data_file(tmp_path, kind), "--r", 1, "--loss", "mse", "--whiten", "--width", 32, "--out", "here"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "unknown" in done.stdout and "oracle" not in done.stdout
    record = json.loads((tmp_path / "here" / "learn.json").read_text())
    assert record["oracle_error"] is None and record["runs"][0]["test_error"] < 0.5


BAD = [
    [],
    ["fly"],
    ["learn", "--d", "x"],
    ["learn", "--d", "1"],
    ["learn", "--n-per-d", "0"],
    ["learn", "--target", "h4(z1"],
    ["learn", "--target", "import os"],
    ["learn", "--loss", "hinge"],
    ["learn", "--loss", "pinball:2"],
    ["learn", "--noise", "nan"],
    ["learn", "--condition", "0"],
    ["learn", "--steps", "-3"],
    ["learn", "--width", "5"],
    ["learn", "--seed", "-1"],
    ["learn", "--lr", "-1"],
    ["learn", "--engine", "warp"],
    ["learn", "--activation", "relu"],
    ["learn", "--data", "missing.csv", "--r", "1"],
    ["learn", "--data", "missing.csv"],
    ["learn", "--whiten"],
    ["learn", "--unknown"],
]


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_value_costs_one_line(words, tmp_path):
    "Exit code 2, one line, no traceback, nothing written."
    done = run(words, tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("multiindex") and "error: " in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def interruptible():
    "Children heed SIGINT even where the tests run in a shell's background, which makes them ignore it."
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interruption_is_one_line(tmp_path, interruptible):
    "Ctrl-C during the work: exit code 130, nothing half written."
    begin = time.perf_counter()
    run(["--version"], tmp_path)
    startup = time.perf_counter() - begin  # on this machine, as busy as it is
    words = [str(SCRIPT), "learn", "--d", "300", "--n-per-d", "100", "--steps", "100", "--engine", "autograd"]
    with subprocess.Popen(words, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(2 * startup + 2)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "") and err.count("\n") == 1 and "interrupted" in err
    assert list(tmp_path.iterdir()) == []


def test_reproduce_writes_a_report_and_goes_on_from_stored_results(tmp_path):
    "One claim at small scale; the second call computes nothing and says the same."
    first = run(["reproduce", "--claim", "c1", "--jobs", 2], tmp_path)
    assert (first.returncode, first.stderr) == (0, "") and "holds" in first.stdout
    folder = tmp_path / "reproduction"
    assert sorted(p.name for p in folder.iterdir()) == ["C1.png", "REPRODUCTION.md", "results"]
    report, stored = (folder / "REPRODUCTION.md").read_text(), folder / "results" / "C1-small.parquet"
    rows = parquet.read_table(stored)
    assert "| C1 |" in report and "**holds**" in report and len(rows) == 240
    second = run(["reproduce", "--claim", "C1", "--jobs", 1], tmp_path)
    assert second.stdout == first.stdout and (folder / "REPRODUCTION.md").read_text() == report
    assert parquet.read_table(stored).equals(rows)


@pytest.mark.parametrize("words", [["--claim", "C99"], ["--jobs", "0"], ["--scale", "vast"], ["--claim"]], ids=" ".join)
def test_reproduce_refuses_in_one_line(words, tmp_path):
    "Exit code 2, one line, nothing written."
    done = run(["reproduce", *words], tmp_path)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_bench_prints_a_table_and_goes_on_from_stored_results(tmp_path):
    "A peer and ours on one small problem; the second call computes nothing and says the same."
    words = ["bench", "--peers", "--target", "h2(z1)", "--d", 8, "--n-per-d", 25, "--seeds", 1, "--peer", "one-step", "--out", "kept"]
    first = run(words, tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert [line.split()[0] for line in first.stdout.splitlines()[2:4]] == ["one-step", "ours"]
    (stored,) = (tmp_path / "kept").iterdir()
    assert len(parquet.read_table(stored)) == 2
    assert run(words, tmp_path).stdout == first.stdout


def test_bench_times_every_path(tmp_path):
    "A table for each problem, slopes over d, and the rows as Parquet."
    words = ["bench", "--d", 40, 80, "--width", 16, "--steps", 2, "--path", "power", "learn", "--out", "speed"]
    done = run(words, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["power", "learn"]
    assert sum(line.startswith("slope of log seconds against log d") for line in lines) == 2
    rows = parquet.read_table(tmp_path / "speed" / "speed.parquet").to_pylist()
    assert len(rows) == 4 and all(0 < r["seconds"] < 60 and r["ratio"] > 0 and r["flops"] > 0 for r in rows)


WRONG = (["--d", "1"], ["--width", "7"], ["--device", "moon"], ["--path", "fast"], ["--peers", "--d", "9", "10"], ["--peers", "--peer", "lda"], ["--peers", "--target", "h4(z1"], ["--peers", "--d", "1"], ["--peers", "--seeds", "0"], ["--peers", "--noise", "nan"])


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_bench_refuses_in_one_line(words, tmp_path):
    "Exit code 2, one line, nothing written."
    done = run(["bench", *words, "--out", "kept"], tmp_path)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def shell(line, folder, **env):
    "A line of bash in `folder` with the command as $MI; the finished process."
    here = {**ENV, "MI": str(SCRIPT), **env}
    return subprocess.run(["bash", "-c", line], cwd=folder, env=here, capture_output=True, text=True, errors="replace", timeout=120)


LAST = '; echo "${PIPESTATUS[0]}" >&2'
SHORT = "--target 'h2(z1)' --d 10 --n-per-d 20 --width 16 --steps 2"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("line", [f"$MI learn {SHORT} --out o", "$MI predict --target 'h2(z1)' --loss mse", "$MI --help", "$MI learn --help", "$MI bench --d 20 --width 16 --steps 2 --path power --out o", "$MI reproduce --claim C1 --out o"])
def test_a_reader_that_has_seen_enough_is_no_error(line, unbuffered, tmp_path):
    "Exit code 0, nothing on standard error, results written."
    if "reproduce" in line:
        assert shell("$MI reproduce --claim C1 --out o", tmp_path).returncode == 0  # so that the next call is short
    done = shell(f"{line} | true{LAST}", tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert done.stderr == "0\n"
    wanted = {"learn": ["learn.json", "learn.png"], "bench": ["speed.parquet"], "reproduce": ["REPRODUCTION.md"]}.get(line.split()[1], [])
    assert all((tmp_path / "o" / name).stat().st_size > 0 for name in wanted if "help" not in line)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_on_a_full_disk(tmp_path):
    "One line, exit code 2; what could be written elsewhere is there."
    done = shell(f"$MI learn {SHORT} --out o > /dev/full", tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "No space" in done.stderr
    assert json.loads((tmp_path / "o" / "learn.json").read_text())["runs"]


def test_closed_streams(tmp_path):
    "Nobody reads anything: the results are written all the same, and a failure keeps its exit code."
    assert shell(f"$MI learn {SHORT} --out o >&- 2>&-", tmp_path).returncode == 0 and (tmp_path / "o" / "learn.json").exists()
    assert shell("$MI learn --d 1 2>&-", tmp_path).returncode == 2
    assert shell("{ $MI learn --d 1; echo $? >code; } 2>&1 | true", tmp_path).returncode == 0 and (tmp_path / "code").read_text() == "2\n"


def test_names_that_a_terminal_cannot_show(tmp_path):
    "They are written as escapes on an ASCII terminal, and kept in the record."
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 2))
    rows = "\n".join(f"{a:.5f},{b:.5f},{a * a:.5f}" for a, b in X)
    (tmp_path / "größe.csv").write_text(f"größe,$\\alpha^,年\n{rows}\n", encoding="utf-8")
    words = ["learn", "--data", "größe.csv", "--r", "1", "--loss", "mse", "--width", "16", "--steps", "2", "--out", "o"]
    done = subprocess.run([SCRIPT, *words], cwd=tmp_path, env={**ENV, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"") and rb"gr\xf6\xdfe" in done.stdout and rb"\u5e74" in done.stdout
    record = json.loads((tmp_path / "o" / "learn.json").read_text())
    assert record["label"].startswith("'年' (the last column") and record["inputs"] == ["größe", "$\\alpha^"]
    done = subprocess.run([SCRIPT, *words[:2], "grö.csv", *words[3:]], cwd=tmp_path, env={**ENV, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=120)
    assert done.returncode == 2 and b"no such file" in done.stderr and done.stderr.count(b"\n") == 1


RC = {"LaTeX": "text.usetex: True", "a font that is not there": "font.family: Nowhere Sans", "another format": "savefig.format: svg", "tight": "savefig.bbox: tight", "huge": "savefig.dpi: 100000"}


@pytest.mark.parametrize("rc", RC.values(), ids=RC)
def test_the_style_of_the_user_changes_no_picture(rc, tmp_path):
    "The same picture, byte for byte, and nothing said."
    plain = shell(f"$MI learn {SHORT} --out plain", tmp_path)
    (tmp_path / "matplotlibrc").write_text(rc + "\n")
    done = shell(f"$MI learn {SHORT} --out own", tmp_path, PATH="/nowhere:/usr/bin:/bin")
    assert (done.returncode, done.stderr, plain.returncode) == (0, "", 0)
    assert (tmp_path / "own" / "learn.png").read_bytes() == (tmp_path / "plain" / "learn.png").read_bytes()


def test_a_picture_that_fails_loses_no_numbers(tmp_path):
    "learn.json and the table are there; one line says what is not; no part of a file is left."
    (tmp_path / "o" / "learn.png").mkdir(parents=True)
    done = shell(f"$MI learn {SHORT} --out o", tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "not written" in done.stderr and "learn.png" in done.stderr
    assert "verdict" in done.stdout and "wrote o/learn.json" in done.stdout
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["learn.json", "learn.png"]


@pytest.mark.skipif(not Path("/proc").exists(), reason="no folder that even root cannot write")
@pytest.mark.parametrize("words", [["learn", *SHORT.replace("'", "").split()], ["bench", "--d", "20", "--width", "16", "--steps", "2", "--path", "power"], ["reproduce", "--claim", "C1"]], ids=lambda w: w[0])
def test_a_folder_that_cannot_be_written(words, tmp_path):
    "One line, exit code 2; `learn` has printed its table."
    done = run([*words, "--out", "/proc/nowhere/o"], tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith(f"multiindex {words[0]}: error: ")
    assert words[0] != "learn" or "verdict" in done.stdout


def test_the_label_is_printed_and_recorded(tmp_path):
    "By `learn` and `predict`, with the inputs beside it."
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    np.savetxt(tmp_path / "t.csv", np.c_[X, np.ones(200), X[:, 0] ** 2], delimiter=",", header="a,b,c,unit,price", comments="")
    done = run(["learn", "--data", "t.csv", "--r", 1, "--whiten", "--width", 16, "--out", "o"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "label   'price' (the last column, since none is called y" in done.stdout
    assert "inputs  'a', 'b', 'c', 'unit'" in done.stdout and "note: constant in the rows for training: 'unit'" in done.stdout
    record = json.loads((tmp_path / "o" / "learn.json").read_text())
    assert record["label"].startswith("'price'") and record["inputs"] == ["a", "b", "c", "unit"]
    done = run(["predict", "--data", "t.csv", "--label", "a", "--whiten", "--loss", "mse"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "label   'a' (as asked for" in done.stdout
