"""The documentation site: built once, read as text and in a browser."""

import base64
import io
import json
import os
import re
import shutil
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from conftest import missing

import multiindex_nb

ROOT = Path(__file__).resolve().parents[1]
SHOTS = Path(os.environ.get("SCREENSHOTS", ROOT / "results" / "screenshots"))
# the hour first
CHAPTERS = sorted((p.stem for p in (ROOT / "nbs").glob("[0-9]*.ipynb")),
                  key=lambda name: (name[1].isdigit(), name))


def test_every_chapter_is_listed_and_built(pages, site):
    """In the sidebar, once, the hour first, and as a page; on the map and in llms.txt too; its notebook can
    be had, and opens in Colab, where its first code cell fetches the package."""
    links = [a["href"] for a in pages["index.html"].select("#quarto-sidebar a[href]")]
    shown = [h for h in links if h[0].isdigit()]
    assert sorted(shown) == sorted(f"{name}.html"
                                   for name in CHAPTERS) and [h[:2] for h in shown[:4]] == [
                                       "0a", "0b", "0c", "0d"]
    assert {a["href"].split("#")[0] for a in pages["map.html"].select("main table a[href]")} >= set(shown)
    assert all(f"{name}.html" in pages for name in CHAPTERS) and "reproduction/REPRODUCTION.html" in links
    listed = (site / "llms.txt").read_text(encoding="utf-8")
    settings = ConfigParser()
    settings.read(ROOT / "settings.ini")
    for name in [*CHAPTERS, "explore"]:
        page, notebook = pages[f"{name}.html"], json.loads((site / f"{name}.ipynb").read_text(encoding="utf-8"))
        assert f"]({name}.html): " in listed and page.select_one(f'a[download][href="{name}.ipynb"]')
        assert page.select_one(f'a[href="{settings["DEFAULT"]["colab_url"]}/{name}.ipynb"]')
        assert settings["DEFAULT"]["git_url"] in notebook["cells"][1]["source"]
        assert notebook["cells"][0]["cell_type"] == "markdown"
    assert all(soup.select_one("footer").get_text().strip().endswith(f"Version {multiindex_nb.__version__}")
               for soup in pages.values())


def test_links_and_anchors_lead_somewhere(pages, site):
    "Every link within the site."
    broken, ids = [], {name: {t["id"] for t in soup.select("[id]")} for name, soup in pages.items()}
    for name, soup in pages.items():
        for a in soup.select("a[href]"):
            link, anchor = urldefrag(a["href"])
            if urlparse(link).scheme:
                continue
            goal = os.path.normpath(os.path.join(os.path.dirname(name), unquote(link))) if link else name
            if not (site / goal).exists() or (anchor and goal in ids and unquote(anchor) not in ids[goal]):
                broken.append((name, a["href"]))
    assert broken == []


def test_names_and_chapters_in_the_prose_are_links(pages):
    "Where a chapter is named by its number, or a public name is set as code."
    loose, public = [], set(multiindex_nb.__all__) | {"MultiIndexRegressor"}
    for name, soup in pages.items():
        for text in soup.select_one("main").find_all(string=re.compile(r"[Cc]hapter \d\d")) if soup.find(
            "main") else ():
            number = re.search(r"[Cc]hapter (\d\d)", text)[1]
            if not text.find_parent(
                ["a", "pre", "code", "script", "h1", "h2", "h3"]) and not name.startswith(number):
                loose.append((name, str(text)[:60]))
        loose += [(name, c.get_text()) for c in soup.select("main code") if c.get_text() in public
                  and not c.find_parent(["a", "pre", "h1", "h2", "h3", "h4"])]
    assert loose == []


def test_nothing_is_loaded_from_elsewhere(pages):
    "Scripts, styles and pictures are files of the site."
    outside = [(name, tag.get("src") or tag.get("href")) for name, soup in pages.items()
               for tag in soup.select("script[src], link[rel=stylesheet], img[src], iframe")
               if urlparse(tag.get("src") or tag.get("href") or "").scheme in ("http", "https")]
    assert outside == []


def test_pictures_say_what_they_show(pages):
    "An alternative text for each, written for it and not made from a heading."
    poor = [(name, image["alt"][:60]) for name, soup in pages.items() for image in soup.select("main img")
            if len(image.get("alt", "")) < 25 or image["alt"].startswith("Figure in the section")]
    assert poor == []


def test_pictures_have_no_ground(browser, pages, site, address):
    """All are transparent where nothing is drawn, and have a place before they load; by day and by night their
    letters stand out from the page (black on white gives 21)."""
    from PIL import Image

    for name, soup in pages.items():
        for image in soup.select("main img"):
            kind, _, data = image["src"].partition(";base64,")
            if kind.endswith(".svg"):
                ground = (site / Path(name).parent / kind).read_text(encoding="utf-8").split("</g>")[0]
                assert "fill: none" in ground and "#ffffff" not in ground, (name, image["alt"])
                continue
            source = io.BytesIO(base64.b64decode(data)) if data else site / Path(name).parent / image["src"]
            with Image.open(source) as picture:
                place = int(image["width"]), int(image["height"])
                assert place in {picture.size, tuple(pixels // 2 for pixels in picture.size)}, name
                corner = picture.convert("RGBA").getpixel((0, 0))
                assert corner[3] == 0 or picture.format == "GIF", (name, image["alt"])
    part = lambda level: level / 12.92 if level <= 0.04 else ((level + 0.055) / 1.055) ** 2.4
    light = lambda pixel: sum(w * part(v / 255) for w, v in zip((0.2126, 0.7152, 0.0722), pixel)) + 0.05
    for mode in ("light", "dark"):
        page = browser.new_page(color_scheme=mode)
        page.goto(address + "04_power_iteration.html")
        dressed(page, mode)
        figure = page.locator("main img").first
        figure.screenshot(path=SHOTS / f"site-figure-{mode}.png")
        shown = Image.open(SHOTS / f"site-figure-{mode}.png").convert("RGB")
        levels = [light(pixel) for _, pixel in shown.getcolors(shown.width * shown.height)]
        ground = light(shown.getpixel((0, 0)))
        print(mode, round(contrast := max(max(levels) / ground, ground / min(levels)), 1))
        assert contrast > 12 and (ground > 0.5) == (mode == "light")
        page.close()


def test_tests_and_sources_are_folded(pages):
    "Whoever reads a chapter meets code that shows something; contents name sections and public names alone."
    loose, public = [], {*multiindex_nb.__all__, "MultiIndexRegressor"}
    for name, soup in pages.items():
        for cell in soup.select("main .cell"):
            code = cell.select_one("pre.sourceCode")
            if code and not cell.select_one(".cell-output") and not code.find_parent("details") and re.search(
                    r"^ *(test_|assert )", code.get_text(), re.M):
                loose.append((name, code.get_text()[:60]))
        described = {f"#{head['id']}": head.get_text().strip() for head in soup.select(".cell-output-markdown [id]")
                     if head.name in ("h2", "h3", "h4")}
        loose += [(name, link["href"]) for link in soup.select("#TOC a")
                  if described.get(link["href"], "MultiIndexRegressor") not in public]
    assert loose == []


def test_headings_skip_no_level(pages):
    "A screen reader lists them; what a chapter exports before its first section included."
    jumps = []
    for name, soup in pages.items():
        levels = [int(head.get("aria-level", head.name[1]))
                  for head in soup.select("main :is(h1, h2, h3, h4, h5, h6)")]
        jumps += [name for a, b in zip([0, *levels], levels) if b > a + 1]
    assert jumps == []


def test_public_names_lead_to_their_reference(pages):
    "A sentence in the list; then parameters with their meaning, what is refused, the chapter, the source."
    rows = {row.a.get_text(): row for row in pages["api.html"].select("main tbody tr")}
    assert set(multiindex_nb.__all__) == set(rows)
    assert all(len(row.find_all("td")[1].get_text()) > 10 for row in rows.values())
    page, anchor = urldefrag(rows["train_first_layer"].a["href"])
    text = pages[page].find("section", id=anchor).get_text()
    assert all(words in text for words in ("eta1 > 0", "Float[Array, 'n d']", "DivergenceError",
                                           "steps must be 'auto' or an integer", "History", "source"))
    assert {a["href"] for a in pages["index.html"].select('a[href^="reference/"]')} >= {
        f"reference/{Path(row.a['href']).name.split('#')[0]}" for row in rows.values()}


def test_examples_of_the_reference_run_by_themselves(pages):
    "Each, from its own imports, in names of its own; what fails in a reader's hands fails here."
    import matplotlib

    matplotlib.use("agg")
    codes = {block.get_text() for name, soup in pages.items() if name.startswith("reference/")
             for block in soup.select("pre.python") if "import multiindex_nb as mi" in block.get_text()}
    assert len(codes) > 20
    for text in sorted(codes):
        exec(compile(text, text, "exec"), {})


# axe's time goes with the number of elements: a formula becomes a box of its size, and of many tokens of
# code of one colour one stays
FEWER = """() => {
    document.querySelectorAll('details').forEach(d => d.open = true);
    const sizes = [...document.querySelectorAll('.katex')].map(e => [e, e.getBoundingClientRect().width]), seen = new Set();
    sizes.forEach(([e, width]) => { e.style.cssText = `display: inline-block; width: ${width}px`; e.replaceChildren(); });
    document.querySelectorAll('pre span').forEach(e => seen.has(e.className) ? e.replaceWith(e.textContent) : seen.add(e.className));
    document.querySelectorAll('pre').forEach(e => e.normalize());
}"""
AXE = """async ([place, rules]) => (await axe.run(place, {resultTypes: ['violations'], ...(rules && {runOnly: rules})})).violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .map(v => `${v.id}: ${v.nodes[0].html.slice(0, 120)} ${v.nodes[0].failureSummary.slice(-160)}`)"""
# the container clips, so the page alone would never tell; an empty box of KaTeX may hang over by a few
WIDE = """() => [document.documentElement, document.querySelector('#quarto-content'), document.querySelector('main')]
    .filter(e => e.scrollWidth > e.clientWidth + 8).map(e => e.id || e.tagName)"""
RAW = """() => {
    const copy = document.querySelector('main').cloneNode(true);
    copy.querySelectorAll('.katex, pre, code, script').forEach(e => e.remove());
    return [...copy.textContent.matchAll(/.{0,20}(\\$\\$|\\\\[(\\[]).{0,20}/g)].map(m => 'raw formula: ' + m[0]);
}"""


def faults(page, name, address):
    """Console errors, requests that leave the site, formulas that did not come out, pictures that did not
    load."""
    found, forget = [], []
    listen = lambda event, f: (page.on(event, f), forget.append((event, f)))
    listen("console", lambda m: found.append(m.text) if m.type == "error" else None)
    listen("pageerror", lambda e: found.append(str(e)))
    listen("request", lambda r: None if r.url.startswith((address, "data:")) else found.append(r.url))
    page.goto(address + name)
    page.wait_for_function("() => !document.querySelector('.math') || document.querySelector('.katex')",
                           timeout=15_000)
    found += page.evaluate("""() => [
        ...[...document.querySelectorAll('.katex-error')].map(e => 'formula: ' + e.textContent),
        ...[...document.querySelectorAll('.math')].filter(e => !e.querySelector('.katex')).map(e => 'not a formula: ' + e.textContent),
        ...[...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => 'picture: ' + i.alt)]""")
    for event, f in forget:
        page.remove_listener(event, f)
    return found


def test_every_page_in_a_browser(browser, pages, address):
    """No fault, nothing wider than the screen, nothing serious by axe-core; on a phone by day, then on a desk
    by night, where colours alone are another matter. What all pages share is looked at on the first of them."""
    page, wrong, place = browser.new_page(reduced_motion="reduce"), {}, "html"
    page.add_init_script(axe())
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name in pages:
        found = []
        for mode, width in (("light", 390), ("dark", 1280)):
            page.emulate_media(color_scheme=mode)
            page.set_viewport_size({"width": width, "height": 844})
            found += faults(page, name, address) + page.evaluate(RAW) if mode == "light" else []
            dressed(page, mode)
            found += [f"wider than {width} pixels: {text}" for text in page.evaluate(WIDE)]
            page.evaluate(FEWER)
            found += page.evaluate(AXE, [place, None if mode == "light" else ["color-contrast"]])
            if name == "04_power_iteration.html":
                page.screenshot(path=SHOTS / f"site-{width}-{mode}.png")
        place = {"include": [["html"]], "exclude": [["#quarto-sidebar"], ["#quarto-header"]]}
        if found:
            wrong[name] = found[:4]
    page.close()
    assert wrong == {}


def dressed(page, mode):
    "Wait until a page wears its colours, and its live figures are drawn."
    page.wait_for_function(
        "dark => document.documentElement.classList.contains('quarto-dark') === dark && [...document."
        "querySelectorAll('.mi-live')].every(e => e.figure?.box.dataset.ms)", arg=mode == "dark", timeout=30_000)


def test_sidebar_opens_on_a_phone(browser, address):
    "The list of chapters, with their numbers, one tap away."
    from playwright.sync_api import expect

    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address + "04_power_iteration.html")
    link = page.locator("#quarto-sidebar a", has_text="05 Recovery")
    expect(link).not_to_be_in_viewport()
    page.locator(".quarto-btn-toggle").first.click()
    expect(link).to_be_in_viewport()
    link.click()
    page.wait_for_url("**/05_recovery.html")
    page.close()


def axe() -> str:
    "The source of axe-core, from npm."
    folder = ROOT / ".cache"
    if shutil.which("npm") is None and not list(folder.glob("axe-core-*")):
        missing("no npm to fetch axe-core with")
    from build_site import package

    return (package("axe-core", "4.14.1", folder) / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_search_finds_a_word_without_a_network(browser, address, mode):
    "The index is part of the site; what it finds can be read, and serves a screen reader, on any page."
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=mode, reduced_motion="reduce")
    page.add_init_script(axe())
    for name in ("index.html", "04_power_iteration.html", "api.html"):
        page.goto(address + name)
        dressed(page, mode)
        page.locator("#quarto-search input").fill("Huber")
        page.locator(".smalldocs-search-results a").first.wait_for(timeout=10_000)
        page.locator("#quarto-search input").press("ArrowDown")  # one of them is the current one
        assert page.locator(".smalldocs-search-results .active").count() == 1
        assert page.evaluate(AXE, ["#quarto-header", None]) == []
    page.screenshot(path=SHOTS / f"site-search-{mode}.png")
    page.close()


def test_weight_paint_and_shift(browser, site, address):
    """Of the longest pages and of those with a live figure; `python tools/page_figures.py` prints all. Breaks if
    formulas are set in the browser, or a figure has no place reserved."""
    from page_figures import MOST, MOVES, SIZES, measure

    longest = sorted(site.glob("*.html"), key=lambda path: -path.stat().st_size)[:3]
    for name in ("index.html", "explore.html", "0a_signal.html", "0c_power.html", "0d_readout.html",
                 *(path.name for path in longest)):
        for size in SIZES.values():
            weight, paint, shift = measure(browser, address + name, size)
            print(f"\n{name}, {size[0]} pixels: {weight:.2f} MB, first paint {paint:.0f} ms, layout shift {shift:.3f}")
            assert weight < MOST and shift < MOVES, name


def test_a_table_is_sorted_by_the_head_that_is_pressed(browser, address):
    """Of the 84 problems of the peers, by factor, and of the claims, by p: numbers as numbers, 1e-06 below 0.001; by
    keyboard too, and the other way round the next time; no row is lost."""
    from playwright.sync_api import expect

    for name, rows, column in (("25_peers.html", 84, 6), ("reproduction/REPRODUCTION.html", 18, 6)):
        page = browser.new_page()
        page.goto(address + name)
        table = page.locator("main table").filter(has=page.locator(f"tbody tr:nth-child({rows})"))
        head = table.locator("thead tr > *").nth(column)
        said = lambda table=table, column=column: [*map(float, table.locator("tbody tr").evaluate_all(
            "(rows, k) => rows.map(row => row.cells[k].textContent)", column))]
        before = sorted(said())
        assert len(before) == rows
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", "ascending")
        assert said() == before
        head.get_by_role("button").press("Enter")
        expect(head).to_have_attribute("aria-sort", "descending")
        assert said() == before[::-1]
        page.close()


def test_config_is_valid_and_names_real_files():
    "`_quarto.yml` parses, and each file in it exists."
    import yaml

    config = yaml.safe_load((ROOT / "_quarto.yml").read_text())
    listed = json.dumps(config["website"]["sidebar"])
    for name in [*CHAPTERS, "index", "notation", "api"]:
        assert listed.count(f'"{name}.ipynb"') == 1
    assert all((ROOT / "nbs" / name).is_file()
               for name in (config["bibliography"], *config["format"]["html"]["css"]))
