"""`multiindex explore` as a user meets it: the command, its address, its end, and the page in a browser."""

import contextlib
import json
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
from conftest import held_back, play, say, settled, watched

pytestmark = pytest.mark.usefixtures("plain_signals")
SCRIPT = Path(sys.executable).with_name("multiindex")
SHOTS = Path(os.environ.get("SCREENSHOTS", Path(__file__).parents[1] / "results" / "screenshots"))


@contextlib.contextmanager
def serving(*more, **env):
    "`multiindex explore` with these changes to the environment: its process, port and address."
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [SCRIPT, "explore", "--port", str(port), *more]
    # an address is not folded
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "COLUMNS": "40", **env}) as process:
        try:
            place, line = f"http://127.0.0.1:{port}/", process.stdout.readline()
            if line != f"explorer at {place} (Ctrl-C ends it)\n":
                process.kill()  # or its errors would be read for ever
                raise AssertionError((line, process.stderr.read()))
            yield SimpleNamespace(process=process, port=port, address=place)
        finally:
            process.kill()  # or the tests would wait for ever


def ended(server, number, wait=20):
    "Exit code and what was written to standard error after a signal."
    server.process.send_signal(number)
    return server.process.wait(wait), server.process.stderr.read()


@pytest.fixture(scope="module")
def server():
    "One server for all tests that only ask, ended by Ctrl-C, with nothing to say about it."
    with serving("--no-browser") as found:
        yield found
        assert ended(found, signal.SIGINT) == (0, "")


def ask(url, **headers):
    "Status and text of the answer to one request."
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_answers_on_this_machine_only_and_to_its_name(server):
    """Nothing listens on another address of this machine; a page whose name was made to point here (DNS
    rebinding) is refused."""
    assert ask(server.address)[0] == 200 and ask(server.address, Host=f"localhost:{server.port}")[0] == 200
    assert [ask(server.address + path, Host=f"evil.example:{server.port}")[0]
            for path in ("", "core.js")] == [403, 403]
    if sys.platform == "linux":  # all of 127.0.0.0/8 is this machine
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", server.port), timeout=20)


def test_browser_is_opened_at_the_printed_address_and_hangup_ends_it(tmp_path):
    """Also one that does not return before it is closed; SIGHUP costs one line and 129, and the port is free
    at once."""
    seen = tmp_path / "seen"
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" >>{seen}\nexec sleep 30 >/dev/null 2>&1\n')
    (tmp_path / "browser").chmod(0o755)
    with serving(BROWSER=f"{tmp_path}/browser %s") as server:
        assert ask(server.address)[0] == 200
        for _ in range(200):
            if seen.exists() and seen.read_text().endswith("\n"):
                break
            time.sleep(0.1)
        assert seen.read_text() == f"{server.address}\n"
        code, said = ended(server, signal.SIGHUP)
        assert code == 129 and said.count("\n") == 1 and "SIGHUP" in said
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", server.port))


def test_a_home_that_cannot_be_written_changes_nothing():
    "Nothing is written anywhere."
    with serving("--no-browser", HOME="/proc/none", TMPDIR="/proc/none") as server:
        assert ask(server.address)[0] == 200
        assert ended(server, signal.SIGINT) == (0, "")


def test_taken_port_costs_one_line(tmp_path):
    "Exit code 2."
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run([SCRIPT, "explore", "--port", str(taken.getsockname()[1])], capture_output=True,
                              text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count(
        "\n") == 1 and "is taken" in done.stderr


# In a browser


@pytest.fixture
def page(browser, server):
    "Open the explorer and wait for its picture."
    with watched(browser, server.address) as show:
        def opened(state="", **options):
            page = show(state and f"#live-explore?{state}", **{
                "viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options})
            settled(page)
            return page

        yield opened


def errors(page, count=17):
    "The test errors of both sides, once so many are known."
    page.wait_for_function(
        "n => document.querySelector('.mi-live').figure.sides.every(S => S.known().length >= n)", arg=count,
        timeout=120_000)
    return page.evaluate("() => document.querySelector('.mi-live').figure.sides.map(S => S.errors)")


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()
    settled(page)


def test_two_losses_on_the_same_rows(page):
    "Five charts a side; the sentence, the picture's description and the numbers agree; screenshots are kept."
    SHOTS.mkdir(parents=True, exist_ok=True)
    for mode, width in (("light", 1280), ("dark", 390)):
        shown = page(color_scheme=mode, viewport={"width": width, "height": 844})
        (left, right), text = errors(shown), say(shown)
        assert left[3] > 0.9 > 0.5 > right[3]
        assert (f"Test error, after 3 steps: {left[3]:.2f} on the left, {right[3]:.2f} on the right." in text
                and text.startswith("Squared loss: nothing stands out"))
        assert shown.locator(".mi-pic > svg").get_attribute("aria-label").endswith(text)
        assert shown.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        shown.screenshot(path=SHOTS / f"explorer-{width}-{mode}.png", full_page=True)


def test_why_one_stops_early(page):
    """The story's last step is worse than an earlier one, and the sentence says stop earlier; with Huber on
    the right of the odd target, neither loss sees it."""
    shown = page()
    press(shown, "Stop in time")
    _, right = errors(shown)
    assert min(right) < 0.8 * right[16] and "stop earlier" in say(shown) and "after 16 steps" in say(shown)
    press(shown, "An odd target")
    assert "Pinball, τ = 0.9: two eigenvalues stand out" in say(shown)
    shown.get_by_label("Loss on the right").select_option("huber:1")
    settled(shown)
    assert "Neither passes on anything of degree two" in say(shown)


def test_every_knob_is_a_part_of_the_link(page):
    "What a link says is what is shown; undo and reset lead back."
    state = {"target": "z1*z2", "left": "l1", "loss": "pinball:0.1", "d": 50, "ratio": 60, "m": 64,
             "noise": 0.5, "seed": 7, "t": 5}
    shown = page("&".join(f"{key}={value}" for key, value in state.items()).replace("*", "%2A"))
    found = shown.locator(".mi-live").evaluate("e => e.figure.sides.map(S => S.s)")
    assert [side["loss"] for side in found] == ["l1", "pinball:0.1"] and all(
        {**state, **side, "t": 5, "left": "l1", "loss": "pinball:0.1"} == {**state, "T": 16}
        for side in found)
    assert shown.locator("path.n").nth(0).get_attribute("d").count("M") == 32
    shown.locator("summary").click()
    shown.get_by_label("Loss on the left").select_option("mse")
    settled(shown)
    shown.get_by_label(re.compile("^Neurons")).press("End")
    settled(shown)
    assert "Squared loss: " in say(shown) and shown.locator("path.n").nth(0).get_attribute(
        "d").count("M") == 256
    press(shown, "Undo"), press(shown, "Undo")
    assert say(shown).startswith("Absolute loss")
    press(shown, "Reset")
    shown.wait_for_function("() => location.hash === '#live-explore'")


def test_never_stale_and_never_stuck(page):
    """A target that cannot be read, then a loss, then ten seeds: what is old is marked, and the last setting
    is shown in the end."""
    shown = page()
    shown.locator("summary").click()
    field, wait, busy = shown.get_by_label("Target"), shown.locator(".mi-wait"), shown.locator(".mi-pic")
    # what is under way for the first must not answer for the second
    field.fill("z1*z2"), field.fill("h2(z1)+h9(q)")
    shown.wait_for_timeout(1500)
    assert "at column" in wait.text_content() and field.get_attribute("aria-invalid") == busy.get_attribute(
        "aria-busy") == "true"
    with held_back(shown):
        shown.get_by_label("Loss on the right").select_option("pinball:0.9")
        field.fill("h2(z1)+z2**2")
        for _ in range(10):
            shown.get_by_label(re.compile("^Seed")).press("ArrowRight")
        assert busy.get_attribute("aria-busy") == "true" and wait.text_content() == "computing …"
    settled(shown)
    errors(shown, 1)
    assert shown.locator(".mi-live").evaluate(
        "e => e.figure.sides.map(S => [S.s.target, S.s.loss, S.s.seed])") == [
            ["h2(z1)+z2**2", loss, 10] for loss in ("mse", "pinball:0.9")]


def test_a_target_left_unread_does_not_hold_the_others_up(page):
    """A knob that is turned while the target cannot be read draws the last good one, and the field shows
    which."""
    shown = page()
    shown.locator("summary").click()
    shown.get_by_label("Target").fill("h2(z1")
    shown.get_by_label("Loss on the right").select_option("l1")
    settled(shown)
    assert shown.get_by_label("Target").input_value() == "h4(z1)+h4(z2)" and shown.get_by_label(
        "Target").get_attribute("aria-invalid") == "false"
    assert "Absolute loss: two eigenvalues stand out" in say(shown)


def test_play_from_the_start(page):
    "From step 0 to the chosen one; whoever wants no motion sees whole steps."
    seen = play(page(), 20_000)
    assert seen[0] == 0 and seen[-1] == 3 and {*seen} == {0, 1, 2, 3}


def test_downloads(page):
    "A picture and a table; the table holds the test errors that are drawn."
    shown, files = page("d=25&m=32"), {}
    both = errors(shown)
    for kind in ("SVG", "CSV", "JSON"):
        with shown.expect_download() as caught:
            shown.get_by_role("button", name=f"Download as {kind}").click()
        files[kind] = Path(caught.value.path()).read_text(encoding="utf-8")
    rows = [line.split(",") for line in files["CSV"].split() if ",errors," in line]
    assert files["SVG"].startswith("<svg") and [float(row[-1]) for row in rows] == [
        error for side in both for error in side]
    assert [side["errors"] for side in json.loads(files["JSON"])] == both


def test_every_control_is_named(page):
    "By axe, everything open, in both modes; headings and landmarks of the page included."
    from test_site import axe

    for mode in ("light", "dark"):
        shown = page(color_scheme=mode)
        shown.locator("summary").click()
        shown.evaluate(axe())
        found = shown.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(v => [v.id, "
            "v.impact, v.nodes[0].html.slice(0, 120)])")
        assert found == []
        names = shown.locator(".mi-live :is(input, select, button)").evaluate_all(
            "all => all.map(e => e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent)")  # noqa: E501
        assert len(names) >= 20 and all(re.search("[A-Za-z]{3}", name) for name in names)


def test_phone(page):
    "The two discs, three more rows of charts and the three knobs are in view together."
    shown = page(viewport={"width": 390, "height": 844}, has_touch=True)
    shown.locator(".mi-pic").evaluate("e => e.scrollIntoView()")
    knobs, charts = shown.locator(".mi-live > .mi-knobs").bounding_box(), shown.locator(
        ".mi-pic").bounding_box()
    assert knobs["y"] + knobs["height"] <= 844 and knobs["height"] < 150 and charts["y"] > -1 and charts[
        "y"] + charts["height"] <= knobs["y"]
    shown.screenshot(path=SHOTS / "explorer-phone.png")
