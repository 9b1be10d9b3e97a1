"""The built package in environments of its own: lowest and newest versions that settings.ini allows."""

import configparser
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from conftest import missing

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
OUTSIDE = re.compile(r"dns error|error sending request|Failed to fetch|tcp connect|network", re.I)
USE = """
import importlib, pkgutil, numpy as np, multiindex_nb as mi
names = [m.name for m in pkgutil.walk_packages(mi.__path__, "multiindex_nb.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
X, y = mi.sample(mi.Target.parse("h2(z1)"), mi.random_subspace(6, 1), 300, noise=0.1)
assert mi.population_spectrum(mi.Target.parse("z1*z2"), "l1").abs().min() > 0.6  # Sobol points
assert mi.MultiIndexRegressor(1, random_state=0).fit(X.numpy(), y.numpy()).score(X.numpy(), y.numpy()) > 0.9
print(len(names), mi.__file__)
"""  # noqa: E501


def ran(*words, **options) -> str:
    "Standard output of a command that must succeed; a registry out of reach is no fault of the package."
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env |= {k.replace("PIP", "UV", 1): env[k] for k in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL") if k in env}
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, env=env, timeout=600, **options)
    if done.returncode and "uv" in str(words[0]) and OUTSIDE.search(done.stderr):
        missing("packages cannot be fetched")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the sdist, the wheel built beside it, and in `again` the wheel built from the unpacked
    sdist."""
    out = tmp_path_factory.mktemp("dist")
    clean = out / "source"
    ran("git", "clone", "-q", ROOT, clean)
    for name in ran("git", "-C", ROOT, "ls-files", "-mo", "--exclude-standard").split("\n"):
        if name and (ROOT / name).is_file():  # not committed yet
            (clean / name).parent.mkdir(parents=True, exist_ok=True)
            (clean / name).write_bytes((ROOT / name).read_bytes())
    ran(sys.executable, "-m", "build", "--no-isolation", "-o", out, clean)
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        archive.extractall(out / "unpacked", filter="data")
    unpacked = next((out / "unpacked").iterdir())
    ran(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", out / "again", unpacked)
    return out


def contents(wheel: Path) -> dict[str, bytes]:
    "The files of a wheel, without the list of their times."
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}


def test_sdist_gives_the_same_wheel(built):
    """A file that MANIFEST.in forgets is missing here; so are the mark that the package has types and the
    explorer's page, which comes without its tests."""
    direct, again = (contents(next(folder.glob("*.whl"))) for folder in (built, built / "again"))
    assert direct == again
    assert {"multiindex_nb/py.typed", "multiindex_nb/style.mplstyle"} <= set(direct)
    assert {name
            for name in direct if "/live/" in name} == {
                f"multiindex_nb/live/{name}" for name in ("index.html", "core.js", "figure.js", "worker.js")}


@pytest.mark.parametrize("source, versions", [("*.tar.gz", "lowest-direct"), ("*.whl", "highest")])
def test_installs_and_runs(built, tmp_path, source, versions):
    "Every module and the command, from sdist and wheel; torch stays the build that is here."
    if versions.startswith("lowest") and sys.version_info >= (3, 13):
        pytest.skip("the lowest versions are older than this Python and were not built for it")
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    wanted = [w for w in settings["DEFAULT"]["requirements"].split() if not w.startswith("torch")]
    home = tmp_path / "env"
    ran(BIN / "uv", "venv", "-q", "--python", sys.executable, home)
    torch = f"torch=={metadata.version('torch')}"
    package = next(built.glob(source))
    ran(BIN / "uv", "pip", "install", "-q", "--python", home, "--resolution", versions, torch, *wanted,
        package)
    if versions.startswith("lowest"):
        found = ran(BIN / "uv", "pip", "list", "-q", "--python", home, "--format", "freeze")
        lowest = [w.replace(">=", "==") for w in wanted]
        assert all(re.search(rf"^{re.escape(w)}(\.0)*$", found, re.M) for w in lowest), found
    count, where = ran(home / "bin" / "python", "-c", USE, cwd=tmp_path).split()
    assert int(count) > 30 and where.startswith(str(home))
    words = ["learn", "--target", "h2(z1)", "--d", "20", "--n-per-d", "40", "--width", "32", "--out",
             "results"]
    said = ran(home / "bin" / "multiindex", *words, cwd=tmp_path)
    assert "recovered" in said and (tmp_path / "results" / "learn.json").is_file()
