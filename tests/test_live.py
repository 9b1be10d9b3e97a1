"""The live figures: JavaScript held to Python by Node, and turned by hand in a browser."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from chapters import run_chapter
from conftest import ROOT, held_back, missing, play, say, settled, watched

LIVE = ROOT / "nbs" / "live"
SHOTS = Path(os.environ.get("SCREENSHOTS", ROOT / "results" / "screenshots"))
PAGES = {"losses": "index.html", "spectrum": "0a_signal.html", "steps": "0c_power.html",
         "stop": "0d_readout.html", "explore": "explore.html"}


# Against Python, with Node


def node(*words):
    "The finished process of a call of Node; a skip that says so where there is none."
    if shutil.which("node") is None:
        missing("no node on the PATH", "the JavaScript of the live figures was not compared with Python")
    return subprocess.run(["node", *map(str, words)], capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    "A copy of what Node tests, to be spoiled."
    folder = tmp_path / "live"
    shutil.copytree(LIVE, folder)
    return folder


def test_the_browser_computes_what_python_computes():
    "To one part in a million, from the stored cases of chapter 50."
    done = node("--test", LIVE)
    assert done.returncode == 0, done.stdout[-3000:]


def test_types_agree():
    "TypeScript reads all three modules with their JSDoc: a name or an argument that is not there is a fault."
    if shutil.which("npm") is None and not list((ROOT / ".cache").glob("typescript-*")):
        missing("no npm to fetch TypeScript with", "the types of the live figures were not checked")
    from build_site import package

    tool = package("typescript", "5.9.3", ROOT / ".cache") / "lib" / "tsc.js"
    done = node(tool, "--noEmit", "--allowJs", "--checkJs", "--target", "es2023", "--lib",
                "es2023,dom,dom.iterable", "--module", "esnext",
                *(LIVE / f"{name}.js" for name in ("core", "worker", "figure")))
    assert done.returncode == 0, done.stdout


SPOILED = {
    "the sign of Huber's slope": ("core.js", "Math.max(-p, t - y)", "Math.max(-p, y - t)"),
    "the level of a quantile": ("core.js", "quantile(y, p)", "quantile(y, 1 - p)"),
    "a sine for its argument": ("core.js", "Math.sin(H[j * n + i])", "H[j * n + i]"),
    "a number of Python's": ("fixtures.json", '"error":0.6', '"error":0.7'),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_fault_is_noticed(copy, what):
    "Node fails on a small fault in either."
    name, right, wrong = SPOILED[what]
    text = (copy / name).read_text(encoding="utf-8")
    assert right in text
    (copy / name).write_text(text.replace(right, wrong), encoding="utf-8")
    assert node("--test", copy).returncode != 0


def test_drift_of_python_is_noticed(copy):
    "The chapter fails where the stored cases are not what Python gives."
    stored = json.loads((copy / "fixtures.json").read_text(encoding="utf-8"))
    stored["cases"][3]["S"][5] += 1e-5
    (copy / "fixtures.json").write_text(json.dumps(stored), encoding="utf-8")
    chapter = shutil.copy(ROOT / "nbs" / "50_live.ipynb", copy.parent)
    said, error = run_chapter(Path(chapter))
    assert error is not None and "Python no longer gives the stored cases" in error


# In a browser


@pytest.fixture
def figure(browser, address):
    "Open a page and wait for its figure."
    with watched(browser, address) as show:
        def opened(kind="losses", state="", wait=True, **options):
            page = show(f"{PAGES[kind]}{state and f'#live-{kind}?{state}'}", **{
                "viewport": {"width": 1280, "height": 1100}, **options})
            if wait:
                settled(page)
            return page

        yield opened


def dots(page, side=0):
    return page.locator(".mi-live path.n").nth(side).get_attribute("d")


def turn(page, name, value):
    "Put a slider at a place, as a drag does."
    page.locator(".mi-live").get_by_label(re.compile(f"^{name}")).evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', { bubbles: true })); "
        "e.dispatchEvent(new Event('change', { bubbles: true })) }", str(value))


@pytest.mark.parametrize("kind", PAGES)
def test_figure_draws(figure, kind):
    "Bars or dots, a sentence, an image with a description, in both modes; screenshots are kept."
    SHOTS.mkdir(parents=True, exist_ok=True)
    for mode, width in (("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)):
        page = figure(kind, color_scheme=mode, viewport={"width": width, "height": 844})
        if kind == "stop":
            page.wait_for_function(
                "() => document.querySelector('.mi-live').figure.sides[0].known().length === 17",
                timeout=120_000)
        box = page.locator(".mi-live")
        assert box.locator("svg path[d*='M']").count() >= 5 and len(
            say(page)) > 60 and "NaN" not in box.inner_html()
        assert box.locator(".mi-pic > svg").get_attribute("aria-label").endswith(say(page))
        assert page.evaluate(
            "() => document.documentElement.scrollWidth <= innerWidth && "
            "[...document.querySelectorAll('.mi-live *')].every(e => e.closest('svg') || "
            "e.getBoundingClientRect().right <= innerWidth)")
        box.screenshot(path=SHOTS / f"live-{kind}-{width}-{mode}.png",
                       style=".navbar, .quarto-secondary-nav, header { visibility: hidden }")


def test_first_screen_tells_the_losses_apart(figure):
    "Squared loss: nothing; Huber: two outliers and the circle; the numbers behind it say the same."
    page = figure()
    text = say(page)
    assert "Squared loss: nothing stands out; after 3 steps the neurons are near the centre" in text
    assert ("two eigenvalues stand out; after 3 steps the neurons reach the circle" in text
            and "pass on 0.00 and −0.23" in text)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download as JSON").click()
    left, right = json.loads(Path(caught.value.path()).read_text(encoding="utf-8"))
    assert (left["verdict"], right["verdict"]) == ("blind-loss", "recovered") and right["setting"][
        "loss"] == "huber:1"
    assert len(right["eigenvalues"]) == 100 and right["alignment"][3] > 0.9 > 0.5 > left["alignment"][3]


def test_a_knob_changes_picture_sentence_and_address(figure):
    "By keyboard; undo and reset lead back."
    page = figure()
    before = dots(page, 1)
    slider = page.locator(".mi-live").get_by_label(re.compile("^Rows"))
    for _ in range(6):
        slider.press("ArrowLeft")
    settled(page)
    page.wait_for_function("() => location.hash.endsWith('?ratio=6')")
    assert dots(page, 1) != before and "nothing stands out" in say(page).split("Huber")[1]
    page.get_by_role("button", name="Undo").click()
    settled(page)
    page.wait_for_function("() => location.hash.endsWith('?ratio=10')")
    page.get_by_role("button", name="Reset").click()
    settled(page)
    page.wait_for_function("() => location.hash === '#live-losses'")
    assert dots(page, 1) == before
    page.get_by_label("Loss on the right").select_option("l1")
    settled(page)
    assert page.locator("text.h").nth(
        1).text_content() == "Absolute loss" and "Absolute loss: two eigenvalues" in say(page)


STORIES = {
    "Huber sees h4": "Why: of degree two",
    "Too few rows": "Huber, δ = 1: nothing stands out; after 3 steps the neurons are near the centre",
    "Stop in time": "Huber, δ = 1: two eigenvalues stand out; after 16 steps the neurons have gathered along "
                    "one line and lost the other direction",
    "An odd target": "Pinball, τ = 0.9: two eigenvalues stand out; after 3 steps the neurons",
}


def test_stories(figure):
    "One press, and the sentence says what the story is about; with motion it is played as well."
    page = figure(reduced_motion="reduce")
    for name, words in STORIES.items():
        page.get_by_role("button", name=name).click()
        settled(page)
        assert words in say(page) and page.get_by_role("button", name=name).get_attribute(
            "aria-pressed") == "true"
    page = figure()
    page.get_by_role("button", name="Too few rows").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for(timeout=10_000)


def test_dragging(figure):
    """At d = 200, n = 20 000, m = 512: all steps are there with the first picture, and other numbers of rows
    are computed as soon as the pointer is at their slider: each costs a fraction of one S by plain loops."""
    page = figure(state="d=200&ratio=100")
    first, work = (int(page.locator(".mi-live").get_attribute(f"data-{name}")) for name in ("ms", "work"))
    rate = page.evaluate("""async () => {
        const core = await import('./live/core.js'), n = 400, A = core.gaussian(new Float64Array(n * n), core.generator(1)), B = A.slice();
        core.workbench(0, false);
        const times = [1, 2, 3].map(() => { const start = performance.now(); core.product(A, n, B, n, n); return performance.now() - start; });
        return n ** 3 / Math.min(...times) / 1e6;
    }""")
    plain = 20_000 * 200**2 / rate / 1e6
    page.get_by_role("slider", name="Rows").hover()
    page.wait_for_timeout(6 * plain)
    drags = {knob: page.evaluate("""async ([knob, places]) => {
        const { figure } = document.querySelector('.mi-live'), { input } = figure.inputs[knob], times = [], work = [];
        for (const place of places) {
            const start = performance.now();
            input.value = place, input.dispatchEvent(new Event('input'));
            while (figure.wait.textContent) await new Promise(go => setTimeout(go));
            times.push(performance.now() - start), work.push(+figure.box.dataset.work);
        }
        return [times.sort((x, y) => x - y)[times.length >> 1], Math.min(...work)];
    }""", [knob, places]) for knob, places in (("t", [*range(17)]), ("ratio", [8, 6, 5, 4, 3]), ("seed", [10, 30, 50, 70, 90]))}  # far apart: not ahead
    print(f"\nd = 200, n = 20 000, m = 512 in Chromium: both panels {first} ms, one worker {work} ms; products "
          f"{rate:.2f} a nanosecond, S by them {plain:.0f} ms, ratio {work / plain:.2f}; next picture, in the median: "
          + ", ".join(f"{knob} {time:.0f} ms, {time / plain:.3f}" for knob, (time, _) in drags.items()))
    assert drags["t"][0] < plain / 4 and drags["ratio"][1] < drags["seed"][1] / 3 and work < 10 * plain


def test_address_restores_the_state(figure):
    "A link is a figure; what in it makes no sense is left out."
    page = figure(state="target=h2(z1)%2Bh4(z2)&t=16&seed=1")
    assert "after 16 steps" in say(page) and "lost the other direction (coverage 0.00)" in say(
        page) and "the lead of the stronger by" in say(page)
    # another seed
    assert page.get_by_role("button", name="Stop in time").get_attribute("aria-pressed") == "false"
    page = figure(state="t=900&d=77&ratio=abc&target=q(z1)&loss=none&seed=-3")
    assert page.locator(".mi-live").evaluate("e => e.figure.state") == {
        "target": "h4(z1)+h4(z2)", "left": "mse", "loss": "huber:1", "d": 100, "ratio": 100, "m": 512,
        "noise": 0, "seed": 0, "t": 16}


def test_newest_request_wins_and_nothing_is_stale(figure):
    "Many changes at once end in the last; while it is computed the picture says so."
    page = figure()
    page.locator(".mi-live summary").click()
    with held_back(page):
        turn(page, "Dimension", 3)
        assert page.locator(".mi-wait").text_content() == "computing …" and page.locator(
            ".mi-pic").get_attribute("aria-busy") == "true"
    for seed in range(1, 6):
        turn(page, "Seed", seed)
    page.get_by_label("Target").fill("h3(z1)+h3(z2)")
    page.get_by_label("Loss on the right").select_option("pinball:0.9")
    turn(page, "Dimension", 1)
    settled(page)
    sides = page.locator(".mi-live").evaluate(
        "e => e.figure.sides.map(S => [S.s.target, S.s.loss, S.s.d, S.s.seed, S.L.values.length])")
    assert sides == [["h3(z1)+h3(z2)", loss, 50, 5, 50] for loss in ("mse", "pinball:0.9")]


def test_places_where_a_drag_may_go_are_computed_ahead(figure):
    "A pointer over a slider asks both sides for the nearest of its other places."
    page = figure()
    page.locator(".mi-live summary").click()
    page.evaluate("() => { window.asked = []; for (const S of document.querySelector('.mi-live').figure.sides) "
                  "S.worker.postMessage = what => asked.push(what.others) }")
    page.get_by_label("Seed").hover()
    assert page.evaluate("() => asked") == [[{"seed": k} for k in range(4)]] * 2
    page.get_by_label("Rows, n/d").hover()
    assert [other["ratio"] for other in page.evaluate("() => asked.at(-1)")][:3] == [100, 60, 160]


def test_a_worker_that_does_not_start(browser, address):
    "Is told, and the next knob tries again."
    page = browser.new_page()
    page.route("**/worker.js", lambda route: route.abort())
    page.goto(address + "index.html")
    page.get_by_text("could not compute here").wait_for()
    page.unroute("**/worker.js")
    turn(page, "Steps", 2)
    settled(page)
    assert "after 2 steps" in say(page)
    page.close()


def test_picture_stays_where_it_is(figure):
    "While the steps of a story are gone through: the sentence has its room."
    page = figure()
    page.get_by_role("button", name="Stop in time").click()
    tops = page.evaluate("""async () => {
        const box = document.querySelector('.mi-live'), steps = [...box.querySelectorAll('input[type=range]')].find(e => e.max === '16');
        while (!box.dataset.ms) await new Promise(f => setTimeout(f, 50));
        const tops = [];
        for (steps.value = 0; tops.length < 17; steps.value++) {
            steps.dispatchEvent(new Event('input'));
            await new Promise(requestAnimationFrame);
            tops.push(box.querySelector('.mi-pic').getBoundingClientRect().top - box.getBoundingClientRect().top);
        }
        return tops;
    }""")
    assert len(set(tops)) == 1, tops


def test_a_target_that_cannot_be_read(figure):
    "Is marked, explained, and does no harm."
    page = figure()
    page.locator(".mi-live summary").click()
    field = page.get_by_label("Target")
    field.fill("h2(z1)+q")
    assert page.locator(
        ".mi-wait").text_content() == "not drawn: a variable such as z1 is missing at column 8" and field.get_attribute("aria-invalid") == "true"
    field.fill("sin(z1)")
    assert "there is no function sin" in page.locator(".mi-wait").text_content()
    field.fill("h2(z1)")
    assert "use both z1 and z2" in page.locator(".mi-wait").text_content()
    field.fill("z1*z2")
    settled(page)
    assert field.get_attribute("aria-invalid") == "false" and "two eigenvalues stand out" in say(page)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_play(figure, motion):
    "From the start to the chosen step; between steps only for those who like motion."
    page = figure(reduced_motion=motion)
    seen = play(page, 10_000)
    assert seen[0] < 1 and seen[-1] == 3 and (
        {*seen} == {0, 1, 2, 3} if motion == "reduce" else len({*seen}) > 4)


def test_downloads(figure):
    "A picture that stands alone, in two kinds, and the numbers as a table."
    page = figure("spectrum")
    files = {}
    for kind in ("SVG", "PNG", "CSV"):
        with page.expect_download() as caught:
            page.get_by_role("button", name=f"Download as {kind}").click()
        files[kind] = Path(caught.value.path()).read_bytes()
    assert files["SVG"].startswith(b"<svg") and b"--b:#c14f00" in files["SVG"] and files["PNG"][
        :4] == b"\x89PNG" and len(files["PNG"]) > 10_000
    head, *rows = files["CSV"].decode().split()
    assert head.startswith("target,loss") and len([r for r in rows if ",eigenvalues," in r]) == 100


@pytest.mark.parametrize("kind", PAGES)
def test_controls_have_names_and_contrast(figure, kind):
    "No serious fault by axe within the figure, everything open, in both modes."
    from test_site import axe

    for mode in ("light", "dark"):
        page = figure(kind, color_scheme=mode)
        page.locator(".mi-live summary").click()
        page.evaluate(axe())
        found = page.evaluate(
            "async () => (await axe.run({include: [['.mi-live']]}, {resultTypes: "
            "['violations']})).violations.map(v => [v.id, v.impact, v.nodes[0].html.slice(0, 120)])")
        assert [f for f in found if f[1] in ("serious", "critical")] == []
        names = page.locator(".mi-live :is(input, select, button)").evaluate_all(
            "all => all.map(e => e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent)")
        assert len(names) >= 9 and all(names)


@pytest.mark.parametrize("size", [(1280, 800), (1024, 768), (390, 844)])
def test_first_screen_has_knobs_and_picture(figure, size):
    "Play and the three knobs are in view before anything is scrolled; from there on the discs stay above them."
    page = figure(viewport=dict(zip(("width", "height"), size)))
    places = """() => {
        const { svg, play, inputs } = document.querySelector('.mi-live').figure, place = e => e.getBoundingClientRect();
        const knobs = Object.values(inputs).slice(0, 3).map(({ input }) => place(input.parentElement));
        return { top: place(svg).top, discs: place(svg).top + Math.min((place(svg).width - 18) / 2, 220) + 22,
                 play: place(play), knobs: Math.min(...knobs.map(k => k.top)), end: Math.max(...knobs.map(k => k.bottom)) };
    }"""
    seen = page.evaluate(places)
    assert seen["end"] <= size[1] and seen["play"]["bottom"] < seen["knobs"] and seen["top"] < seen["knobs"] - 60
    page.mouse.wheel(0, 200)
    page.wait_for_function("() => scrollY >= 150")
    seen = page.evaluate(places)
    assert seen["end"] <= size[1] and 100 < seen["top"] and seen["discs"] <= seen["knobs"]


@contextlib.contextmanager
def lab(folder):
    "JupyterLab for the notebooks of a folder, with settings of its own: where it is."
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}",
             "--expose-app-in-browser",
             "--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    env = {f"JUPYTER_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    with subprocess.Popen(words, env=os.environ | env, stdout=subprocess.DEVNULL, text=True,
                          stderr=subprocess.PIPE) as process:
        try:
            for line in process.stderr:
                if "is running at" in line:
                    break
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.communicate(timeout=60)


def test_notebook(browser, tmp_path):
    "In JupyterLab, without a network: Python reads and sets the knobs, arrows turn them."
    from nbformat import v4, write

    cells = ("from multiindex_nb.explorer import live\nfigure = live(loss='l1', n_per_d=55)\nfigure",
             "print(figure.loss, figure.n_per_d, figure.steps)", "figure.steps, figure.target = 16, 'z1*z2'")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    write(v4.new_notebook(cells=[*map(v4.new_code_cell, cells)], metadata=kernel), tmp_path / "t.ipynb")
    with lab(tmp_path) as home, watched(browser, home) as show:
        page = show("lab/tree/t.ipynb", viewport={"width": 1280, "height": 1400})
        page.locator(".jp-CodeCell .cm-content").last.wait_for(timeout=120_000)
        page.evaluate("""async () => {
            await jupyterapp.restored;
            const { sessionContext } = jupyterapp.shell.currentWidget;
            await sessionContext.ready;
            await sessionContext.session.kernel.info;
        }""")

        def run(cell):
            page.locator(".jp-CodeCell .cm-content").nth(cell).click()
            page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell')")

        run(0)
        page.locator(".mi-live").wait_for(timeout=120_000)
        settled(page)
        assert "Absolute loss: two eigenvalues stand out; after 3 steps" in say(page)
        slider = page.get_by_role("slider", name="Steps")
        slider.focus()
        slider.press("ArrowRight")  # which JupyterLab would like to have
        page.wait_for_timeout(600)  # a state is written after a quarter of a second
        run(1)
        page.get_by_text("l1 60 4", exact=True).wait_for()  # 55 is between two places of the slider
        run(2)
        page.wait_for_function("() => document.querySelector('.mi-say').textContent.includes('after 16 steps')"
                               " && document.querySelector('.mi-live').figure.state.target === 'z1*z2'")
        settled(page)
        assert page.evaluate("() => { const { figure } = document.querySelector('.mi-live'); "
                             "return figure.host.share[1](figure) }") == (
            'live(target="z1*z2", loss="l1", n_per_d=60, steps=16)')
        page.locator(".mi-live").screenshot(path=SHOTS / "live-notebook.png")
        assert "#" not in page.url


def test_scripts_are_fetched_at_once(pages):
    "All three, on pages with a figure and on no other."
    for page in pages.values():
        asked = {link["href"] for link in page.select("link[rel=modulepreload]")}
        assert asked == {f"live/{name}.js" for name in ("core", "figure", "worker") if page.select(".mi-live")}


def test_weight(site):
    "What a page loads for its figure."
    sizes = {p.name: p.stat().st_size for p in (site / "live").iterdir()}
    print("\n", sizes)
    assert set(sizes) == {"core.js", "figure.js", "worker.js"}
    if shutil.which("npm"):
        assert sum(sizes.values()) < 48_000
