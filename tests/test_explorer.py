"""The explorer as a user meets it: the command, a browser, a slider, a button, a text box."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("multiindex")
SHOTS = Path(os.environ.get("SCREENSHOTS", Path(__file__).parents[1] / "results" / "screenshots"))


@contextlib.contextmanager
def served(**env):
    "Where a server started by `multiindex explore` answers, with these changes to the environment."
    pytest.importorskip("voila", reason="no voila: the explorer was not served")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [SCRIPT, "explore", "--port", str(port), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}) as server:
        try:
            line = server.stdout.readline()
            assert line == f"explorer at http://127.0.0.1:{port}/ (Ctrl-C ends it)\n", server.stderr.read()
            yield line.split()[2]
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0 and server.stderr.read() == ""
        finally:
            server.kill()  # or the tests would wait for ever


@pytest.fixture(scope="module")
def address():
    "Where one server answers for all tests in a browser."
    with served() as place:
        yield place


@pytest.mark.parametrize("kind", ["no home", "a home with settings"])
def test_the_home_of_the_user_changes_nothing(kind, tmp_path):
    "A page is served where the home cannot be written, and where it holds settings of Jupyter and IPython that would stop it."
    home = "/proc/none" if kind == "no home" else str(tmp_path)
    (tmp_path / ".jupyter").mkdir()
    (tmp_path / ".jupyter" / "jupyter_server_config.py").write_text("raise SystemExit('not here')\n")
    (tmp_path / ".jupyter" / "voila.json").write_text('{"VoilaConfiguration": {"template": "no-such-template"}}')
    profile = tmp_path / ".ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True)
    (profile / "00.py").write_text("import sys; sys.modules['multiindex_nb'] = None\n")
    with served(HOME=home) as place, urllib.request.urlopen(place, timeout=60) as answer:
        assert answer.status == 200 and "widget" in answer.read().decode()
    assert list(tmp_path.rglob("*runtime*")) == []


@pytest.fixture(scope="module")
def page(browser, address):
    "A page with the explorer on it; `page.outside` collects requests to other hosts."
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.outside = []
    page.on("request", lambda r: page.outside.append(r.url) if not re.match(r"(http|ws)://127\.0\.0\.1|data:|blob:", r.url) else None)
    page.goto(address)
    settled(page)
    SHOTS.mkdir(parents=True, exist_ok=True)
    yield page
    page.close()


def alts(page):
    "The descriptions of the pictures on the page."
    return [image.get_attribute("alt") for image in page.query_selector_all("img[alt]")]


def settled(page, seconds=60):
    "Return once the last test error is there."
    page.wait_for_function("() => { const a = [...document.querySelectorAll('img[alt]')].map(i => i.alt); return a.length == 4 && a.some(t => t.startsWith('Test error') && !t.includes('not yet')); }", timeout=1000 * seconds)


def changed(page, before, which, seconds=30):
    "The descriptions once number `which` differs from `before`; milliseconds that it took."
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        now = alts(page)
        if len(now) >= 3 and now[which] != before[which]:
            return now, 1000 * (time.perf_counter() - start)
        time.sleep(0.01)
    raise AssertionError(f"nothing changed in {seconds} s: {before}")


def slider(page, label):
    "The handle of the slider with this label."
    return page.locator(".widget-slider", has=page.get_by_text(label, exact=True)).locator(".noUi-handle")


def test_page_shows_four_pictures_and_a_verdict(page):
    "All from this machine, each with a description."
    shown = alts(page)
    assert [text.split()[0] for text in shown] == ["Histogram", "Neurons", "Alignment", "Test"]
    assert "recovered" in page.inner_text("body")
    assert page.outside == []
    assert page.evaluate("() => [...document.images].every(i => i.complete && i.naturalWidth > 100)")
    page.screenshot(path=SHOTS / "explorer.png", full_page=True)


def test_slider_moves_pictures_and_words(page):
    "The fewest samples, by the keyboard: another spectrum, another verdict."
    before, handle = alts(page), slider(page, "samples n / d")
    assert "recovered" in page.inner_text("body")
    handle.press("Home")
    few, wait = changed(page, before, 0)
    settled(page)
    assert "n = 200 rows" in page.inner_text("body") and "recovered" not in page.inner_text("body")
    handle.press("End")
    changed(page, few, 0)
    settled(page)
    assert "n = 10000 rows" in page.inner_text("body")
    print(f"new spectrum {wait:.0f} ms after the key")


def test_play_moves_the_neurons(page):
    "The play button takes the neurons from step to step, the spectrum stays."
    before = alts(page)
    page.get_by_role("button", name="Play").click() if page.get_by_role("button", name="Play").count() else page.locator(".jupyter-widget-play button, .widget-play button").first.click()
    now, _ = changed(page, before, 1)
    assert now[0] == before[0]
    page.wait_for_function("() => [...document.querySelectorAll('img[alt]')].some(i => i.alt.startsWith('Neurons after 8 steps'))", timeout=20_000)
    page.screenshot(path=SHOTS / "explorer-played.png", full_page=True)


def test_bad_target_is_said_at_once_and_mended(page):
    "The error is live, names the column, and goes away."
    before, box = alts(page), page.get_by_label("target g(z1, z2, ...)")
    box.fill("h2(z1)+h9(q)")
    alert = page.get_by_role("alert").filter(has_text="column")
    alert.wait_for(timeout=10_000)
    assert "'q' is not a number" in alert.inner_text() and alts(page)[0] == before[0]
    page.screenshot(path=SHOTS / "explorer-bad-target.png", full_page=True)
    box.fill("h4(z1)+h4(z2)")
    changed(page, before, 0)
    settled(page)
    assert page.get_by_role("alert").filter(has_text="column").count() == 0


def test_story_sets_the_knobs(page):
    "MSE is blind to h4: the verdict says so."
    page.get_by_label("story", exact=True).select_option("MSE is blind to h4")
    page.get_by_text("blind-loss").wait_for(timeout=20_000)
    settled(page)
    assert page.get_by_label("loss of stage 1").input_value() == "mse"
    page.screenshot(path=SHOTS / "explorer-blind.png", full_page=True)


def test_new_value_cancels_what_is_under_way(page):
    "Ten values in a row: the last one is shown, within the time of a few."
    handle = slider(page, "seed")
    for _ in range(10):
        handle.press("ArrowRight")
    page.wait_for_function("() => document.querySelectorAll('img[alt]').length >= 3")
    settled(page)
    page.wait_for_timeout(300)
    assert slider(page, "seed").get_attribute("aria-valuenow") == "10.0"
    assert page.outside == []


def test_phone(browser, address):
    "Nothing is wider than the screen."
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address)
    settled(page)
    page.screenshot(path=SHOTS / "explorer-phone.png", full_page=True)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.close()


def test_answers_on_this_machine_only(address):
    "The page is served on 127.0.0.1."
    assert urllib.request.urlopen(address, timeout=20).status == 200
    assert address.startswith("http://127.0.0.1:")


def test_taken_port_costs_one_line(tmp_path):
    "Exit code 2 before anything starts."
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run([SCRIPT, "explore", "--port", str(taken.getsockname()[1])], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1 and "is taken" in done.stderr
