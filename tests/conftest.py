"""A browser for the tests that need one, the order in which two workers share the work, and what took
longest."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forks import USUAL, heed, load

ROOT = Path(__file__).resolve().parents[1]
# For workers, forks and commands: memory that was freed is kept, or a third of their time would go into
# fetching it again.
os.environ |= {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**29)}
sys.path.insert(0, str(ROOT / "tools"))


TOGETHER = {"test_live.py": "test_site.py"}  # files that share a built site
# files whose tests share nothing that is dear to make
SPREAD = ("test_chapters", "test_estimator", "test_install")


def pytest_collection_modifyitems(items):
    "Chapters first: they take longest."
    items.sort(key=lambda item: item.path.stem != "test_chapters")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    "Tests of one file stay in one worker, for its fixtures; chapters and others that share nothing do not."
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return nodeid if Path(file).stem in SPREAD else TOGETHER.get(Path(file).name, Path(file).name)

    return ByFile(config, log)


def pytest_terminal_summary(terminalreporter):
    "The five slowest chapters and the five slowest tests."
    reports = [r for kind in ("passed", "failed")
               for r in terminalreporter.stats.get(kind, []) if r.when == "call"]
    for what in ("chapters", "tests"):
        kind = sorted((r for r in reports if ("test_chapter[" in r.nodeid) == (what == "chapters")),
                      key=lambda r: -r.duration)
        terminalreporter.write_line(f"slowest {what}: "
                                    + (", ".join(
                                        f"{r.nodeid.split('::')[-1]} {r.duration:.0f} s" for r in kind[:5])
                                        or "none"))


def missing(what: str, left: str = "tests in a browser were not run"):
    "Skip a test that lacks something, saying so; fail instead where the environment says CI_BROWSER=1."
    (pytest.fail if os.environ.get("CI_BROWSER") == "1" else pytest.skip)(f"{what}: {left}")


@pytest.fixture(scope="module")
def plain_signals():
    """Signals that whoever started the tests ignores, such as nohup, have their usual meaning here and in
    child processes."""
    before = {number: signal.getsignal(number) for number in USUAL}
    heed(USUAL)
    yield
    heed(before)


@pytest.fixture(scope="session")
def cluster():
    "Two Dask workers in processes that may be killed and come back: forks, so that they start at once."
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    load()
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0",
                                      processes=True) as it:
            yield it


@pytest.fixture(scope="session")
def browser():
    "Chromium, headless: $CHROMIUM, or the first on the PATH."
    from page_figures import FLAGS, chromium_path

    path = chromium_path()
    if path is None:
        missing("no chromium on the PATH and none in $CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api",
                                   reason="no playwright: tests in a browser were not run")
    with sync_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    "The folder of the built site."
    if shutil.which("npm") is None and not (ROOT / ".cache").is_dir():
        missing("no npm to fetch KaTeX with")
    out = tmp_path_factory.mktemp("site") / "docs"
    done = subprocess.run([sys.executable, ROOT / "tools" / "build_site.py", "--smalldocs", "--out", out],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def pages(site):
    "Path within the site -> parsed page."
    from bs4 import BeautifulSoup

    return {p.relative_to(site).as_posix(): BeautifulSoup(p.read_text(encoding="utf-8"), "html.parser")
            for p in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="session")
def address(site):
    "Where the site is served."
    from page_figures import serving

    with serving(site) as home:
        yield home


@contextlib.contextmanager
def watched(browser, home):
    "Opens pages; at the end what a console said, and a request that left `home`, is a failure."
    opened, said = [], []

    def show(place, **options):
        page = browser.new_page(**{"accept_downloads": True, **options})
        opened.append(page)
        page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: said.append(str(e)))
        page.on("request", lambda r: None if r.url.startswith((home, "data:", "blob:"))
                else said.append(r.url))
        page.goto(f"{home}{place}")
        return page

    yield show
    for page in opened:
        page.close()
    assert said == []


def settled(page):
    "Wait until no picture is being computed; test errors may follow."
    page.wait_for_function(
        "() => { const f = document.querySelector('.mi-live').figure; return f?.box.dataset.ms && "
        "!f.wait.textContent }", timeout=30_000)


@contextlib.contextmanager
def held_back(page):
    "What the workers answer is kept back meanwhile, so that the marks of what is old can be read."
    page.evaluate("() => { const f = document.querySelector('.mi-live').figure; window.held = []; "
                  "f.answer = (...what) => held.push(what) }")
    yield
    page.evaluate("() => { const f = document.querySelector('.mi-live').figure; delete f.answer; "
                  "held.forEach(what => f.answer(...what)) }")


def play(page, timeout):
    "Press Play, wait for the end (so many milliseconds at most), and tell the steps that were drawn."
    page.evaluate(
        "() => { const f = document.querySelector('.mi-live').figure, draw = f.render.bind(f); window.seen = "
        "[]; f.render = () => { seen.push(f.t); draw(); } }")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for(timeout=timeout)
    return page.evaluate("() => seen")


def say(page):
    "The sentence below a live figure."
    return page.locator(".mi-say").text_content()
