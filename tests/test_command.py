"""The command as a process: any folder, no display, one line for an error. Most are forks; what the start of
Python, a shell or a signal has a part in is a process of its own."""

import fcntl
import functools
import io
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from forks import FORKS, finished, run_command, start_command
from pyarrow import parquet

import multiindex_nb as mi
from multiindex_nb import cli
from multiindex_nb.cli import learn, tables
from multiindex_nb.engine import cost

pytestmark = pytest.mark.usefixtures("plain_signals")
SCRIPT = Path(sys.executable).with_name("multiindex")
QUICK = ["learn", "--d", "20", "--n-per-d", "40", "--width", "32"]
ENV = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "DISPLAY", "MPLBACKEND")}


def run(words, folder, start=None):
    "The finished process; a fork unless it is said how to start it."
    if start is None:
        return run_command(words, folder, ENV)
    return subprocess.run([*start, *map(str, words)], cwd=folder, env=ENV, capture_output=True, text=True,
                          timeout=120)


@pytest.mark.parametrize("start", [(str(SCRIPT),), (sys.executable, "-m", "multiindex_nb.cli")])
def test_help_and_version(start, tmp_path):
    "Both ways to start it; nothing on standard error."
    for words, part in ([["--help"], "learn"], [["learn", "--help"], "--target"],
                        [["--version"], mi.__version__]):
        done = run(words, tmp_path, start)
        assert (done.returncode, done.stderr) == (0, "") and part in done.stdout


def test_learn_from_another_folder(tmp_path):
    """Table on standard output, silence on standard error, picture and record in ./results; the same again
    with the same seed, in a fork."""
    records = []
    for k, start in enumerate([(str(SCRIPT),), None]):
        done = run([*QUICK, "--loss", "mse", "huber:0.5", "--target", "h2(z1)+h2(z2)", "--noise", "0.1"],
                   tmp_path, start)
        assert (done.returncode, done.stderr) == (0, "")
        assert all(word in done.stdout
                   for word in ("alignment", "coverage", "verdict", "oracle", "trivial", "huber:0.5"))
        assert (tmp_path / "results" / "learn.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        records.append(json.loads((tmp_path / "results" / "learn.json").read_text()))
        for entry in records[k]["runs"]:
            assert entry.pop("seconds") > 0
    assert records[0] == records[1]
    assert records[0]["settings"]["noise"] == 0.1 and records[0]["n"] == [1600, 1600, 10_000]
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
    "Real data in three formats, without a truth; whitened, and what does that is recorded."
    done = run(["learn", "--data", data_file(tmp_path, kind), "--r", 1, "--loss", "mse", "--width", 32,
                "--out", "here"], tmp_path)
    assert (done.returncode,
            done.stderr) == (0, "") and "unknown" in done.stdout and "oracle" not in done.stdout
    record = json.loads((tmp_path / "here" / "learn.json").read_text())
    assert record["oracle_error"] is None and record["runs"][0]["test_error"] < 0.5
    assert "standardised and whitened" in done.stdout and len(record["whitening"]["matrix"]) == 6


def test_columns_in_any_unit_are_whitened(command, tmp_path):
    "Correlated columns, one times 1e-6: the test error is the same, and `--raw` is another."
    Z, y = mi.sample(mi.Target.parse("h2(z1)"), mi.random_subspace(6, 1), 500)
    X = 3 + Z.numpy() @ np.random.default_rng(0).standard_normal((6, 6)) * [1, 10, 1, 1, 1, 1]
    errors = []
    for k, (unit, more) in enumerate([(1, []), (1e-6, ["--whiten"]), (1, ["--raw"])]):
        np.savez(f"{k}.npz", X=X * [1, 1, unit, 1, 1, 1], y=y)
        words = ["learn", "--data", f"{k}.npz", "--r", 1, "--width", 32, "--out", k, *more]
        assert command(*words)[::2] == (0, "")
        record = json.loads((tmp_path / str(k) / "learn.json").read_text())
        errors.append(record["runs"][0]["test_error"])
    assert abs(errors[1] / errors[0] - 1) < 1e-6 and errors[0] < 0.5 < errors[2]


def test_fit_and_predict_in_two_processes(tmp_path):
    "The shell's way: columns by name in another order, the label passed over, the count outside said."
    X, y = mi.sample(mi.Target.parse("h2(z1)"), mi.random_subspace(3, 1), 200, noise=0.1)
    new = np.r_[X[:3], 99 * X[3:4]]
    write = lambda name, head, rows: np.savetxt(tmp_path / name, rows, "%.17g", ",", header=head, comments="")
    write("t.csv", "area,rooms,age,price", np.c_[X, y])
    write("new.csv", "age,price,area,rooms", np.c_[new[:, 2], y[:4], new[:, :2]])
    fit = run(["fit", "--data", "t.csv", "--label", "price", "--r", 1, "--out", "model"], tmp_path)
    assert (fit.returncode, fit.stderr) == (0, "") and "direction 1" in fit.stdout and "rooms " in fit.stdout
    done = run(["predict", "--model", "model", "--data", "new.csv"], tmp_path)
    expected = mi.MultiIndexRegressor(1, random_state=0).fit(X, y)
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert done.returncode == 0 and rows[0] == ["price", "outside"]
    assert np.allclose([float(p) for p, _ in rows[1:]], expected.predict(new), rtol=1e-9)
    assert "left aside: price" in done.stderr and "1 of 4 rows lie outside" in done.stderr


@pytest.mark.skipif(not Path("/proc").exists(), reason="no folder that even root cannot write")
def test_a_model_that_cannot_be_written_is_kept(tmp_path):
    "The summary is printed, and the one line of the error says where the model is."
    data_file(tmp_path, "npz")
    done = run(["fit", "--data", "data.npz", "--r", 1, "--out", "/proc/model"], tmp_path)
    assert done.returncode == 2 and "fitted  " in done.stdout and done.stderr.count("\n") == 1
    kept = Path(done.stderr.split()[-1])
    assert run(["predict", "--model", kept, "--data", "data.npz"], tmp_path).returncode == 0
    kept.unlink(), kept.parent.rmdir()


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
    ["learn", "--data", "missing.csv", "--r", "1", "--raw", "--whiten"],
    ["learn", "--unknown"],
    ["fit"],
    ["fit", "--data", "missing.csv"],
    ["fit", "--data", "missing.csv", "--out", "no/model"],
    ["predict", "--model", "missing"],
    ["predict", "--model", "missing", "--data", "missing.csv"],
    ["predict", "--out", "p.csv"],
]


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_value_costs_one_line(words, tmp_path):
    "Exit code 2, one line, no traceback, nothing written."
    done = run(words, tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("multiindex") and "error: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_interruption_is_one_line(tmp_path, tmp_path_factory):
    "Ctrl-C during the work: exit code 130, nothing half written."
    streams = [tmp_path_factory.mktemp("said") / name for name in ("out", "err")]
    for stream in streams:
        stream.touch()
    process = start_command(["learn", "--d", 300, "--n-per-d", 100, "--steps", 100, "--engine", "autograd"],
                            tmp_path, ENV, *streams)
    time.sleep(2)
    os.kill(process.pid, signal.SIGINT)
    code, (out, err) = finished(process, 60), (stream.read_text() for stream in streams)
    assert (code, out) == (130, "") and err.count("\n") == 1 and "interrupted" in err
    assert list(tmp_path.iterdir()) == []


def test_reproduce_writes_a_report_and_goes_on_from_stored_results(tmp_path):
    "One claim at small scale; the second call computes nothing and says the same."
    first = run(["reproduce", "--claim", "c1", "--jobs", 2], tmp_path)
    assert (first.returncode, first.stderr) == (0, "") and "holds" in first.stdout
    folder = tmp_path / "reproduction"
    assert sorted(p.name for p in folder.iterdir()) == ["C1.pdf", "C1.svg", "REPRODUCTION.md", "results"]
    report, stored = (folder / "REPRODUCTION.md").read_text(), folder / "results" / "C1-small.parquet"
    rows = parquet.read_table(stored)
    assert "| C1 |" in report and "**holds**" in report and len(rows) == 240
    second = run(["reproduce", "--claim", "C1", "--jobs", 1], tmp_path)
    assert second.stdout == first.stdout and (folder / "REPRODUCTION.md").read_text() == report
    assert parquet.read_table(stored).equals(rows)


@pytest.mark.parametrize("words", [["--claim", "C99"], ["--jobs", "0"], ["--scale", "vast"], ["--claim"]],
                         ids=" ".join)
def test_reproduce_refuses_in_one_line(words, tmp_path):
    "Exit code 2, one line, nothing written."
    done = run(["reproduce", *words], tmp_path)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_bench_prints_a_table_and_goes_on_from_stored_results(tmp_path):
    "A peer and ours on one small problem; the second call computes nothing and says the same."
    words = ["bench", "--peers", "--target", "h2(z1)", "--d", 8, "--n-per-d", 25, "--seeds", 1, "--peer",
             "one-step", "--out", "kept"]
    first = run(words, tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert [line.split()[0] for line in first.stdout.splitlines()[2:4]] == ["one-step", "ours"]
    (stored,) = (tmp_path / "kept").glob("*.parquet")
    assert len(parquet.read_table(stored)) == 2
    assert run(words, tmp_path).stdout == first.stdout


def test_bench_times_every_path(command, tmp_path, monkeypatch):
    "A table for each problem, slopes over d, and the rows as Parquet."
    # the rate of the machine is not the subject
    monkeypatch.setattr(cost, "measure_machine", functools.partial(cost.measure_machine, 200))
    code, out, err = command("bench", "--d", 40, 80, "--width", 16, "--steps", 2, "--path", "power", "learn",
                             "--out", "speed")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["power", "learn"]
    assert sum(line.startswith("slope of log seconds against log d") for line in lines) == 2
    rows = parquet.read_table(tmp_path / "speed" / "speed.parquet").to_pylist()
    assert len(rows) == 4 and all(0 < r["seconds"] < 60 and r["ratio"] > 0 and r["flops"] > 0 for r in rows)


WRONG = (["--d", "1"], ["--width", "7"], ["--device", "moon"], ["--path", "fast"],
         ["--peers", "--d", "9", "10"], ["--peers", "--peer", "lda"], ["--peers", "--target", "h4(z1"],
         ["--peers", "--d", "1"], ["--peers", "--seeds", "0"], ["--peers", "--noise", "nan"])


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_bench_refuses_in_one_line(words, tmp_path):
    "Exit code 2, one line, nothing written."
    done = run(["bench", *words, "--out", "kept"], tmp_path)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def shell(line, folder, **env):
    "A line of bash in `folder` with the command as $MI; the finished process."
    here = {**ENV, "MI": str(SCRIPT), **env}
    return subprocess.run(["bash", "-c", line], cwd=folder, env=here, capture_output=True, text=True,
                          errors="replace", timeout=120)


LAST = '; echo "${PIPESTATUS[0]}" >&2'
SHORT = "--target 'h2(z1)' --d 10 --n-per-d 20 --width 16 --steps 2"
TABLE = "bench --d 20 --width 16 --steps 2 --path power --out o"
C1 = "reproduce --claim C1 --out o"
WRITTEN = {"learn": ["learn.json", "learn.png"], "bench": ["speed.parquet"], "reproduce": ["REPRODUCTION.md"]}


def nobody():
    "A pipe whose reader has gone."
    receiver, sender = FORKS.Pipe(duplex=False)
    receiver.close()
    return sender


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("line", [f"learn {SHORT} --out o", "predict --target 'h2(z1)' --loss mse",
                                  "--help", "learn --help", TABLE, C1])
def test_a_reader_that_has_seen_enough_is_no_error(line, unbuffered, tmp_path):
    "Exit code 0, nothing on standard error, results written."
    words = shlex.split(line)
    if line == C1:
        assert run(words, tmp_path).returncode == 0  # so that the next call is short
    with nobody() as out:
        done = run_command(words, tmp_path, {**ENV, "PYTHONUNBUFFERED": unbuffered}, out)
    assert (done.returncode, done.stderr) == (0, "")
    assert all((tmp_path / "o" / name).stat().st_size > 0 for name in WRITTEN.get(words[0], [])
               if "help" not in line)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("line", [f"learn {SHORT} --out o", "--help"])
def test_a_reader_that_has_seen_enough_in_a_shell(line, unbuffered, tmp_path):
    "The same where Python's own last flush has a part."
    assert shell(f"$MI {line} | true{LAST}", tmp_path, PYTHONUNBUFFERED=unbuffered).stderr == "0\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_on_a_full_disk(tmp_path):
    "One line, exit code 2; what could be written elsewhere is there."
    done = shell(f"$MI learn {SHORT} --out o > /dev/full", tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "No space" in done.stderr
    assert json.loads((tmp_path / "o" / "learn.json").read_text())["runs"]


def test_closed_streams(tmp_path):
    "Nobody reads anything: the results are written all the same, and a failure keeps its exit code."
    assert shell(f"$MI learn {SHORT} --out o >&- 2>&-",
                 tmp_path).returncode == 0 and (tmp_path / "o" / "learn.json").exists()
    assert shell("$MI learn --d 1 2>&-", tmp_path).returncode == 2
    assert shell("{ $MI learn --d 1; echo $? >code; } 2>&1 | true",
                 tmp_path).returncode == 0 and (tmp_path / "code").read_text() == "2\n"


def test_names_that_a_terminal_cannot_show(tmp_path):
    "They are written as escapes on an ASCII terminal, and kept in the record."
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 2))
    rows = "\n".join(f"{a:.5f},{b:.5f},{a * a:.5f}" for a, b in X)
    (tmp_path / "größe.csv").write_text(f"größe,$\\alpha^,年\n{rows}\n", encoding="utf-8")
    words = ["learn", "--data", "größe.csv", "--r", "1", "--loss", "mse", "--width", "16", "--steps", "2",
             "--out", "o"]
    done = subprocess.run([SCRIPT, *words], cwd=tmp_path, env={**ENV, "PYTHONIOENCODING": "ascii"},
                          capture_output=True, timeout=120)
    assert (done.returncode,
            done.stderr) == (0, b"") and rb"gr\xf6\xdfe" in done.stdout and rb"\u5e74" in done.stdout
    record = json.loads((tmp_path / "o" / "learn.json").read_text())
    assert record["label"].startswith("'年' (the last column") and record["inputs"] == ["größe", "$\\alpha^"]
    done = run([*words[:2], "grö.csv", *words[3:]], tmp_path)
    assert done.returncode == 2 and "no such file" in done.stderr and done.stderr.count("\n") == 1


RC = ["text.usetex: True", "font.family: Nowhere Sans", "savefig.format: svg", "savefig.bbox: tight",
      "savefig.dpi: 100000"]


def test_the_style_of_the_user_changes_no_picture(tmp_path):
    """The same picture, byte for byte, and nothing said: LaTeX, a font that is not there, another format,
    tight, huge. Each would be seen by itself."""
    plain = run(shlex.split(f"learn {SHORT} --out plain"), tmp_path)
    (tmp_path / "matplotlibrc").write_text("\n".join(RC))
    done = shell(f"$MI learn {SHORT} --out own", tmp_path, PATH="/nowhere:/usr/bin:/bin")
    assert (done.returncode, done.stderr, plain.returncode) == (0, "", 0)
    assert (tmp_path / "own" / "learn.png").read_bytes() == (tmp_path / "plain" / "learn.png").read_bytes()


def test_a_picture_that_fails_loses_no_numbers(tmp_path):
    "learn.json and the table are there; one line says what is not; no part of a file is left."
    (tmp_path / "o" / "learn.png").mkdir(parents=True)
    done = run(shlex.split(f"learn {SHORT} --out o"), tmp_path)
    assert done.returncode == 2 and done.stderr.count(
        "\n") == 1 and "not written" in done.stderr and "learn.png" in done.stderr
    assert "verdict" in done.stdout and "wrote o/learn.json" in done.stdout
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["learn.json", "learn.png"]


@pytest.mark.skipif(not Path("/proc").exists(), reason="no folder that even root cannot write")
@pytest.mark.parametrize("words",
                         [["learn", *shlex.split(SHORT)],
                          ["bench", "--d", "20", "--width", "16", "--steps", "2", "--path", "power"],
                          ["reproduce", "--claim", "C1"]], ids=lambda w: w[0])
def test_a_folder_that_cannot_be_written(words, tmp_path):
    "One line, exit code 2; `learn` has printed its table."
    done = run([*words, "--out", "/proc/nowhere/o"], tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith(
        f"multiindex {words[0]}: error: ")
    assert words[0] != "learn" or "verdict" in done.stdout


def test_the_label_is_printed_and_recorded(tmp_path):
    "By `learn` and `plan`, with the inputs beside it."
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    np.savetxt(tmp_path / "t.csv", np.c_[X, np.ones(200), X[:, 0] ** 2], delimiter=",",
               header="a,b,c,unit,price", comments="")
    done = run(["learn", "--data", "t.csv", "--r", 1, "--width", 16, "--out", "o"], tmp_path)
    assert (done.returncode,
            done.stderr) == (0,
                             "") and "label   'price' (the last column, since none is called y" in done.stdout
    assert ("inputs  'a', 'b', 'c', 'unit'" in done.stdout
            and "note: constant in the rows for training: 'unit'" in done.stdout)
    record = json.loads((tmp_path / "o" / "learn.json").read_text())
    assert record["label"].startswith("'price'") and record["inputs"] == ["a", "b", "c", "unit"]
    done = run(["plan", "--data", "t.csv", "--label", "a", "--loss", "mse"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "label   'a' (as asked for" in done.stdout


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    "The command in this process and in an empty folder: exit code, output, errors."
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def call(*words):
        capsys.readouterr()
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


def refused(answer, name):
    "One line on standard error that begins like an error of this command, nothing else; its text."
    code, out, err = answer
    assert (code, out) == (2, "") and err.count("\n") == 1 and err.startswith(
        f"multiindex {name}: error: "), answer
    return err


X = np.random.default_rng(0).standard_normal((100, 3))
Y = X[:, 0] ** 2
ARRAYS = {
    "complex inputs": (X * 1j, Y, "must hold real numbers, got dtype complex128"),
    "complex labels": (X, Y * 1j, "must hold real numbers"),
    "text": (X.astype(str), Y, "must hold real numbers"),
    "dates": (X, np.arange(100).astype("datetime64[D]"), "must hold real numbers, got dtype datetime64[D]"),
    "objects": (X.astype(object), Y, "cannot be read"),
    "a structure": (np.zeros(100, [("a", float)]), Y, "must hold real numbers"),
    "inputs of 1e200": (X * 1e200, Y, "choose another unit"),
    "labels of 1e-300": (X, Y * 1e-300, "choose another unit"),
    "constant inputs": (np.ones_like(X), Y, "every input is constant"),
    "no rows": (X[:0], Y[:0], "at least 2 rows"),
    "NaN": (X * np.nan, Y, "must be finite"),
}


@pytest.mark.parametrize("inputs, labels, words", ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_are_no_data(inputs, labels, words, command):
    "Refused by name, in one line; nothing is written."
    np.savez("a.npz", X=inputs, y=labels)
    err = refused(command("learn", "--data", "a.npz", "--r", 1, "--width", 8), "learn")
    assert words in err and "a.npz" in err and os.listdir() == ["a.npz"]


def test_damaged_files(command, tmp_path):
    """A flipped byte anywhere, a header that asks for a terabyte, a name that stands twice, a folder with the
    name of a file: one line each."""
    np.savez("a.npz", X=X, y=Y)
    whole = Path("a.npz").read_bytes()
    for place in range(0, len(whole), 97):
        Path("a.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            tables.read_data("a.npz")
        except (ValueError, OSError) as error:
            assert str(error)
    Path("a.npz").write_bytes(whole[:1000] + bytes([whole[1000] ^ 255]) + whole[1001:])
    assert "a.npz cannot be read: Bad CRC" in refused(command("learn", "--data", "a.npz", "--r", 1), "learn")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header,
                                         {"descr": "<f8", "fortran_order": False, "shape": (10**12, 30)})
    with zipfile.ZipFile("a.npz", "w") as file:
        file.writestr("X.npy", header.getvalue()), file.writestr("y.npy", header.getvalue())
    assert "not enough memory" in refused(command("plan", "--data", "a.npz"), "plan")
    Path("a.csv").write_text("a,a,y\n" + "1,2,3\n4,5,6\n" * 20)
    assert "2 columns named 'a'" in refused(command("learn", "--data", "a.csv", "--r", 1), "learn")
    Path("b.csv").mkdir()
    assert "b.csv is a folder" in refused(command("predict", "--data", "b.csv"), "predict")


@pytest.mark.parametrize("option, value",
                         [("--target", "z1"), ("--d", 5), ("--n-per-d", 3), ("--noise", 0),
                          ("--condition", 1)])
def test_an_option_that_data_would_ignore_is_an_error(option, value, command):
    "Even at its default value: who writes --noise 0 believes that it is heard."
    np.savez("a.npz", X=X, y=Y)
    err = refused(command("learn", "--data", "a.npz", "--r", 1, option, value), "learn")
    assert f"{option} does not go with --data" in err


@pytest.mark.parametrize("words", ["--seeds 2", "--noise 0", "--target z1", "--peer SIR", "--peers --width 8",
                                   "--peers --steps 2", "--peers --path power", "--peers --device cpu",
                                   "--peers --matrix-free"])
def test_an_option_that_bench_would_ignore_is_an_error(words, command):
    "Those of the peers without --peers, those of the paths with it."
    assert f"{words.split()[-2 if '--matrix' not in words else -1]} does not go with" in refused(
        command("bench", *words.split()), "bench")


HUGE = ["learn --d {n}", "learn --n-per-d {n}", "learn --width {n}", "learn --steps {n}", "bench --d {n}",
        "bench --n-per-d {n}", "bench --width {n}", "bench --steps {n}",
        "bench --peers --target z1 --peer one-step --seeds {n}", "bench --peers --d {n}",
        "bench --peers --n-per-d {n}", "reproduce --jobs {n}", "explore --port {n}",
        "predict --n-per-d {n}0000"]


@pytest.mark.parametrize("number", [10**9, 10**20])
@pytest.mark.parametrize("line", HUGE)
def test_numbers_that_cannot_be_meant(line, number, command):
    "Refused at once, by the name of an option, without a word of PyTorch's."
    words = line.format(n=number).split()
    begin = time.process_time()
    err = refused(command(*words), words[0])
    assert any(option in err
               for option in words
               if option.startswith("--")) and "Exception" not in err and os.listdir() == []
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("jobs", [-99, -2, 0])
def test_number_of_processes(jobs, command):
    "-1 or at least 1; joblib itself takes any number below zero."
    assert "--jobs must be -1 or in [1," in refused(
        command("reproduce", "--claim", "C1", "--jobs", jobs), "reproduce")
    assert os.listdir() == []


def test_a_folder_below_a_file(command):
    "Said before the work, which would be lost."
    Path("file").touch()
    for words in (["learn"], ["bench", "--path", "power"], ["reproduce", "--claim", "C1"]):
        assert "below the file file" in refused(command(*words, "--out", "file/o"), words[0])


TINY = ["learn", "--d", 10, "--n-per-d", 30, "--width", 8, "--out", "o"]


def test_numbers_that_are_not_finite_are_null_in_the_record(command):
    "The results of a run with an infinite number in it are kept, and any reader of JSON takes them."
    code, out, err = command(*TINY, "--lr", 1e299)
    record = json.loads(Path("o/learn.json").read_text(),
                        parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert code in (0, 2) and err.count("\n") <= 1 and "verdict" in out
    assert record["runs"][0]["lr"] == 1e299 and None in record["runs"][0]["history"]["norm"] + record["runs"][
        0]["history"]["loss"]
    assert not [name for name in os.listdir("o") if "part" in name]


def test_interrupted_while_drawing(command, monkeypatch):
    "The line says that the record is written, and it is; no part of the picture is left."
    monkeypatch.setattr(learn, "draw", lambda *_: signal.raise_signal(signal.SIGINT))
    code, out, err = command(*TINY)
    assert (code, out, err) == (130, "",
                                "multiindex learn: interrupted, o/learn.json is written\n") and os.listdir(
                                    "o") == ["learn.json"]


@pytest.mark.parametrize("name, code", [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_signals_before_anything_is_written(name, code, command, monkeypatch):
    "One line, and the exit code of the shell; the answers of this process come back."
    before = signal.getsignal(getattr(signal, name))
    monkeypatch.setattr(learn, "run_loss", lambda *_: signal.raise_signal(getattr(signal, name)))
    got, out, err = command(*TINY)
    assert (got, out) == (code,
                          "") and err.count("\n") == 1 and "nothing is written" in err and os.listdir() == []
    assert signal.getsignal(getattr(signal, name)) == before


def children(process):
    "Processes below this one."
    psutil = pytest.importorskip("psutil")
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("name, code, group", [("SIGTERM", 143, False), ("SIGHUP", 129, True)])
def test_reproduce_ends_its_workers(name, code, group, tmp_path):
    """One line says what is kept; joblib's workers and helpers end too, without a word, and no part of a file
    is left. A closed terminal reaches all of them at once."""
    words = [SCRIPT, "reproduce", "--claim", "C6", "--jobs", "2"]
    with subprocess.Popen(words, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, start_new_session=True) as process:
        begin = time.monotonic()
        while not list(tmp_path.rglob("*.parquet")) and time.monotonic() - begin < 60:
            time.sleep(0.02)
        below = children(process)
        (os.killpg if group else os.kill)(process.pid, getattr(signal, name))
        out, err = process.communicate(timeout=60)
    psutil = pytest.importorskip("psutil")
    assert len(below) >= 2 and psutil.wait_procs(below, timeout=10)[1] == []
    assert (process.returncode,
            out) == (code,
                     "") and err == f"multiindex reproduce: ended by {name}, finished cells are kept and the same command goes on from there\n"  # noqa: E501
    assert list(tmp_path.rglob("*.parquet")) and list(tmp_path.rglob("*.part")) == []


def test_workers_are_ended_before_the_parts_of_files_are_cleared():
    "Also those that have no part in what was interrupted."
    from joblib.externals.loky import get_reusable_executor

    executor = get_reusable_executor(max_workers=1)
    task = executor.submit(time.sleep, 20)
    (worker,) = executor._processes.values()
    with pytest.raises(KeyboardInterrupt), cli.stop.no_orphans(None, "nothing"):
        raise KeyboardInterrupt
    assert not worker.is_alive() and task.exception(10) is not None


SLOW = "import time\nprint('loading', flush=True)\ntime.sleep(60)\n"


OTHER = "import sys; from multiindex_nb.cli import main; sys.exit(main(['learn']))"


@pytest.mark.parametrize("start, said", [((str(SCRIPT), "learn"), "multiindex"),
                                         ((sys.executable, "-m", "multiindex_nb.cli", "learn"), "multiindex"),
                                         ((sys.executable, "-c", OTHER), "multiindex learn")],
                         ids=["the command", "the module", "another program"])
def test_ctrl_c_while_importing(start, said, tmp_path):
    "One line, at once; a program that calls `main` is not taken along, and goes on from its exception."
    (tmp_path / "torch.py").write_text(SLOW)
    path = os.pathsep.join(
        filter(None, [str(tmp_path), str(Path(mi.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(start, cwd=tmp_path, env={**ENV, "PYTHONPATH": path}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        try:
            err = process.communicate(timeout=30)[1]
        finally:
            process.kill()
    assert (process.returncode, err) == (130, f"{said}: interrupted, nothing is written\n")


def test_a_warning_is_one_line_and_ends_nothing(command, monkeypatch):
    "Also one that nobody has thought of, and where warnings are errors."
    warnings.simplefilter("error")
    monkeypatch.setattr(learn, "summary", lambda *_: warnings.warn("strange\nlabels") or "the table")
    code, out, err = command(*TINY)
    assert (code, err) == (0, "multiindex learn: warning: strange labels\n") and "the table" in out


def write_csv(name, X, y):
    "Inputs x0, x1, ... and the label y."
    np.savetxt(name, np.c_[X, y], delimiter=",", comments="",
               header=",".join([*(f"x{k}" for k in range(X.shape[1])), "y"]))


@pytest.mark.parametrize("n, d, note", [(30, 50, "expect nothing"), (100, 1, "y")])
def test_odd_shapes_are_said_in_notes(n, d, note, command):
    "Fewer rows than columns, one column: not a word on standard error."
    X = np.random.default_rng(0).standard_normal((n, d))
    write_csv("t.csv", X, X[:, 0] ** 2)
    for words in (["learn", "--r", 1, "--width", 16, "--steps", 2], ["predict"]):
        code, out, err = command(*words, "--loss", "mse", "--data", "t.csv")
        assert (code, err) == (0, "") and note in out


def test_labels_that_are_all_the_same_in_one_part(command):
    "Said before the work, by the name of the part."
    write_csv("t.csv", np.random.default_rng(0).standard_normal((60, 2)), np.arange(60) == 7)
    assert "t.csv (r = 1): the 12 rows for the test all have the label 0" in refused(
        command("learn", "--r", 1, "--loss", "mse", "--data", "t.csv"), "learn")


def test_numbers_are_run_as_they_are_written(command):
    "No digit is lost between the words, the computation and the command that is proposed."
    _, out, err = command("predict", "--target", "h2(z1)", "--loss", "pinball:0.12345678", "--noise",
                          0.123456789)
    assert err == "" and " --loss pinball:0.12345678 " in out and "--noise 0.123456789\n" in out


def test_ends_of_ranges(command):
    "The largest seed is taken; what is refused is said with the true end, and by an option that exists."
    assert command(*TINY, "--target", "h2(z1)", "--seed", 2**63 - 1)[::2] == (0, "")
    for words, said in ((["predict", "--target", "z1", "--cosine", 0.9999999], "[1e-06, 0.999999]"),
                        (["predict", "--target", "z1", "--n-per-d", 1e-9], "--n-per-d must be in [0.001"),
                        (["learn", "--target", "z11", "--d", 10], "--d must be at least 11")):
        assert said in refused(command(*words), words[0])
    _, out, _ = command("predict", "--target", "h2(z1)", "--loss", "mse", "--d", 10**10)
    assert "no run here: " in out and "try:" not in out


def test_bench_runs_each_size_once(command, monkeypatch):
    "No slope from one dimension."
    # the rate of the machine is not the subject
    monkeypatch.setattr(cost, "measure_machine", functools.partial(cost.measure_machine, 200))
    code, out, err = command("bench", "--d", 20, 20, "--width", 16, "--steps", 2, 2, "--path", "power")
    assert (code, err) == (0, "") and out.count("problem") == 1 and "slope" not in out


def test_a_backend_that_matplotlib_does_not_know(tmp_path):
    "No matter: pictures are drawn without one."
    done = shell(f"$MI learn {SHORT} --out o", tmp_path, MPLBACKEND="no-such-thing")
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "o" / "learn.png").exists()


NARROW = [TINY, ["plan", "--loss", "mse", "huber", "--n-per-d", 40], ["learn", "--loss", "hinge"],
          ["learn", "--d", "ten"], ["--help"], ["learn", "--help"], ["bench", "--help"],
          ["predict", "--help"]]


@pytest.mark.parametrize("words", NARROW, ids=lambda words: " ".join(map(str, words[:3])))
def test_narrow_terminals(words, command, monkeypatch):
    """At COLUMNS=40 no line is wider, unless it is one word, but for an error, which is one line always;
    otherwise no table is wider than 79, and prose keeps its lines."""
    plain = command(*words)
    assert plain[2].count("\n") <= 1
    table = [line
             for line in plain[1].splitlines()
             if not line.startswith(("note", "try", "target", "  note", "     ("))]
    assert max(map(len, table), default=0) <= 79
    monkeypatch.setenv("COLUMNS", "40")
    _, out, err = command(*words)
    assert all(len(line) <= 40 or len(line.split()) == 1 for line in out.splitlines()), out
    assert err == plain[2]


def test_width_of_a_terminal(monkeypatch):
    "Known for a terminal, unknown for a file; COLUMNS goes before both."
    monkeypatch.delenv("COLUMNS", raising=False)
    main, side = os.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("4H", 24, 57, 0, 0))
    with os.fdopen(main, "rb"), os.fdopen(side, "w") as terminal, open(os.devnull, "w") as file:
        monkeypatch.setattr(sys, "__stdout__", terminal)
        assert (cli.words.columns(terminal), cli.words.columns(file), cli.words.columns(None)) == (57, 0, 0)
        monkeypatch.setenv("COLUMNS", "44")
        assert (cli.words.columns(terminal), cli.words.columns(file)) == (44, 44)
