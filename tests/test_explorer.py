"""The explorer as a user meets it, the command, a browser, a slider, a button, a text box; and as a stranger
does."""

import contextlib
import http.client
import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

psutil = pytest.importorskip("psutil", reason="no psutil, which comes with voila: the explorer was not served")
websocket = pytest.importorskip("websocket", reason="no websocket-client, which comes with voila: the explorer was not served")

pytestmark = pytest.mark.usefixtures("plain_signals")
SCRIPT = Path(sys.executable).with_name("multiindex")
SHOTS = Path(os.environ.get("SCREENSHOTS", Path(__file__).parents[1] / "results" / "screenshots"))


@contextlib.contextmanager
def serving(start=(SCRIPT, "explore"), more=("--no-browser",), **env):
    "A server started by `multiindex explore`, with these changes to the environment: its process, port, address and token."
    pytest.importorskip("voila", reason="no voila: the explorer was not served")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [*start, "--port", str(port), *more]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "40", **env}) as process:  # an address is not folded
        try:
            line = process.stdout.readline()
            found = re.fullmatch(rf"explorer at (http://127\.0\.0\.1:{port}/\?token=([\w-]{{20,}})) \(Ctrl-C ends it\)\n", line)
            if not found:
                process.kill()  # or its errors would be read for ever
                raise AssertionError((line, process.stderr.read()))
            yield SimpleNamespace(process=process, port=port, address=found[1], token=found[2])
        finally:
            process.kill()  # or the tests would wait for ever


@contextlib.contextmanager
def served(**env):
    "The same, ended by Ctrl-C."
    with serving(**env) as server:
        yield server
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0 and server.process.stderr.read() == ""


@pytest.fixture(scope="module")
def server():
    "One server for all tests that only ask."
    with served() as found:
        yield found


@pytest.fixture(scope="module")
def address(server):
    "Where it answers."
    return server.address


def browse(jar=None):
    "An opener that keeps cookies and follows redirections, as a browser does."
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar() if jar is None else jar))


class Stay(urllib.request.HTTPRedirectHandler):
    "Follow no redirection, to see it."

    def redirect_request(self, *args):
        return None


def ask(url, opener=None, **headers):
    "Status and text of the answer to one request."
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with (opener or urllib.request.build_opener(Stay)).open(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def below(server):
    "The processes that the command has started: server and kernels."
    return psutil.Process(server.process.pid).children(recursive=True)


def kernels(server):
    "The kernels among them."
    return {child.pid for child in below(server) if "ipykernel_launcher" in child.cmdline()}


STRANGERS = {
    "a wrong token": ("/?token=0123456789abcdef0123456789abcdef", {}),
    "a wrong cookie": ("/", {"Cookie": "multiindex-{port}=0123456789abcdef"}),
    "another host": ("/", {"Host": "evil.example"}),
    "another host with the token": ("/?token={token}", {"Host": "evil.example:{port}"}),
    "another port": ("/?token={token}", {"Host": "127.0.0.1:1"}),
    "an image on a page of another site": ("/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image", "Referer": "http://evil.example/"}),
    "another origin": ("/?token={token}", {"Origin": "http://evil.example:{port}"}),
    "a token elsewhere": ("/api/kernels?token={token}", {}),
    "a static file": ("/voila/static/voila.js", {}),
    "a file of the page": ("/voila/files/explorer.ipynb", {}),
}


@pytest.mark.parametrize("path, headers", STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_is_refused_before_a_kernel_is_started(path, headers, server):
    "403 for any request that lacks the host, or token and cookie; no kernel is there afterwards that was not there before."
    fill = lambda text: text.format(port=server.port, token=server.token)
    before = kernels(server)
    status, text = ask(f"http://127.0.0.1:{server.port}{fill(path)}", **{name: fill(value) for name, value in headers.items()})
    assert status == 403 and "kernel" not in text and kernels(server) <= before


def test_a_passer_by_is_told_where_to_look(server):
    "The bare front door answers with a sentence and without a kernel."
    before = kernels(server)
    status, text = ask(f"http://127.0.0.1:{server.port}/")
    assert status == 200 and "has printed" in text and "kernel" not in text and kernels(server) <= before


def test_token_is_exchanged_for_a_cookie_and_stays_out_of_sight(server):
    "A redirection to an address without it, a cookie for this page alone; other words of other processes do not hold it."
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        connection.request("GET", f"/?token={server.token}")
        answer = connection.getresponse()
    cookie = answer.headers["Set-Cookie"]
    assert (answer.status, answer.headers["Location"]) == (302, "/")
    assert cookie.startswith(f"multiindex-{server.port}=") and "HttpOnly" in cookie and "SameSite=Strict" in cookie and server.token not in cookie
    assert not any(server.token in word for child in below(server) for word in child.cmdline())
    pair = cookie.split(";")[0]
    assert ask(f"http://127.0.0.1:{server.port}/voila/static/voila.js", Cookie=pair)[0] == 200
    for site in ("same-site", "cross-site"):  # a page on another port of this machine has the cookie sent
        assert ask(f"http://127.0.0.1:{server.port}/", Cookie=pair, Sec_Fetch_Site=site, Sec_Fetch_Dest="image")[0] == 403


def opened(server, kernel, host, origin, cookie):
    "Does a websocket to a kernel open?"
    place = f"ws://127.0.0.1:{server.port}/api/kernels/{kernel}/channels?session_id=x"
    try:
        websocket.create_connection(place, host=host, origin=origin, cookie=cookie, timeout=20).close()
    except websocket.WebSocketBadStatusException as error:
        assert error.status_code == 403
        return False
    return True


def test_websocket_of_another_site_is_refused(server):
    "DNS rebinding: Host and Origin agree and are not ours. The page's own websocket opens, but not without the cookie."
    jar = http.cookiejar.CookieJar()
    status, text = ask(server.address, browse(jar))
    kernel = re.search(r'"kernelId": *"([^"]+)"', text)[1]
    (pair,) = [f"{c.name}={c.value}" for c in jar if c.name.startswith("multiindex-")]
    ours, evil = f"127.0.0.1:{server.port}", f"evil.example:{server.port}"
    assert status == 200 and opened(server, kernel, ours, f"http://{ours}", pair)
    assert not opened(server, kernel, ours, f"http://{ours}", None)
    assert not opened(server, kernel, evil, f"http://{evil}", None)
    assert not opened(server, kernel, evil, f"http://{evil}", pair)
    assert not opened(server, kernel, ours, f"http://{evil}", pair)


def gone(children, folder, seconds=15):
    "Wait for the end of these processes, and for the folder to be empty; what is left."
    _, alive = psutil.wait_procs(children, timeout=seconds)
    for _ in range(20):
        if not list(folder.iterdir()):
            break
        time.sleep(0.1)
    return alive, list(folder.iterdir())


ONE_PAGE = (sys.executable, "-c", "import sys, multiindex_nb.cli as cli; cli.serve.PAGES = 1; raise SystemExit(cli.main(['explore', *sys.argv[1:]]))")


def test_one_page_too_many_and_the_terminal_closes(tmp_path):
    "503 and no further kernel; SIGHUP ends command, server and kernels, and the folder is gone."
    with serving(ONE_PAGE, TMPDIR=str(tmp_path)) as server:
        opener = browse()
        assert ask(server.address, opener)[0] == 200
        assert ask(f"http://127.0.0.1:{server.port}/", opener) == (503, "1 pages are open: close one, or wait a minute for one that is closed.\n")
        assert len(kernels(server)) == 1
        children = below(server)
        assert len(children) == 2 and len(list(tmp_path.iterdir())) == 1
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(20) == 129
        said = server.process.stderr.read()
        assert said.count("\n") == 1 and "SIGHUP" in said
        assert gone(children, tmp_path) == ([], [])


def test_killed_command_takes_its_server_along(tmp_path):
    "The browser's own token works once. SIGKILL of the command: server and kernel end by themselves within seconds, and the folder is gone."
    seen, folder = tmp_path / "seen", tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" >>{seen}\n')
    (tmp_path / "browser").chmod(0o755)
    with serving(more=(), TMPDIR=str(folder), BROWSER=f"{tmp_path}/browser %s") as server:
        for _ in range(100):
            if seen.exists() and seen.read_text().endswith("\n"):
                break
            time.sleep(0.1)
        place = seen.read_text().strip()
        assert place.startswith(f"http://127.0.0.1:{server.port}/?token=") and server.token not in place
        assert ask(place, browse())[0] == 200 and ask(place, browse())[0] == 403
        children = below(server)
        assert len(children) == 2 and kernels(server) and len(list(folder.iterdir())) == 1
        server.process.kill()
        server.process.wait(20)
        assert gone(children, folder) == ([], [])


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
    with served(HOME=home) as server:
        status, text = ask(server.address, browse())
        assert status == 200 and "widget" in text
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
    assert "token" not in page.url and [(c["httpOnly"], c["sameSite"]) for c in page.context.cookies() if c["name"].startswith("multiindex-")] == [(True, "Strict")]
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
    "Nothing listens on this port but on 127.0.0.1."
    port = int(address.split(":")[2].split("/")[0])
    listening = {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port}
    assert listening == {"127.0.0.1"}


def test_taken_port_costs_one_line(tmp_path):
    "Exit code 2 before anything starts."
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run([SCRIPT, "explore", "--port", str(taken.getsockname()[1])], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1 and "is taken" in done.stderr
