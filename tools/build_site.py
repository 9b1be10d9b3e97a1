"""Build the documentation site from nbs/ and _quarto.yml: with quarto where it is installed, else with smalldocs."""  # noqa: E501

import argparse
import ast
import base64
import html
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from configparser import ConfigParser
from copy import copy as copied
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent  # of this environment, on the PATH or not
KATEX, TERSER = "0.16.11", "5.31.0"
MATHS = re.compile(r"katex|auto-render")  # scripts and styles that a page no longer needs
TYPESET = """const katex = require(process.argv[1]), all = JSON.parse(require('fs').readFileSync(0));
console.log(JSON.stringify(all.map(([tex, displayMode]) => katex.renderToString(tex, { displayMode }))))"""
FACE = re.compile(r"font-family:(\w+);font-style:(\w+);font-weight:(400);src:url\(fonts/([\w-]+)\.woff2")
RARE = re.compile("Caligraphic|Fraktur|SansSerif|Script|Typewriter|Main-Italic")  # these may come late
ADD = """for (const [family, style, weight, data] of %s) document.fonts.add(new FontFace(family,
  Uint8Array.from(atob(data), c => c.charCodeAt()), { style, weight }));"""
INSTALL = """# Where the package is missing, in Colab for instance: fetch it, and the stored tables.
from importlib.util import find_spec

if not find_spec("multiindex_nb"):
    !git clone --quiet --depth 1 --branch {branch} {git_url}
    %pip install --quiet ./{repo}
    %cd {repo}/nbs"""
COMMENT, BRACE = re.compile(r"/\*.*?\*/", re.S), re.compile(r"[{}]")
DOC = re.compile(r"show_doc\((\w+)\)")
TEST = re.compile(r"^ *(test_\w+\(|assert )", re.M)
KEEP = ("images", "live", "reproduction", "references.bib", "site.css", "site.js", "styles.css")
CODE = re.compile(r'(<pre class="sourceCode[^>]*>)(.*?)(?=</pre>)', re.S)
LABELS = {"nav.navbar": "The site", "#quarto-sidebar": "Chapters", "#TOC": "On this page",
          ".toc-actions": "This page's source", ".page-navigation": "Next and previous"}
STAGE = (
    "from nbdev.quarto import refresh_quarto_yml; from nbdev.serve import proc_nbs; refresh_quarto_yml(); "
    "proc_nbs(n_workers=2)")


class SiteError(Exception):
    "The site cannot be built, in one line."


def call(words: list[str], **options) -> str:
    "Standard output of a command; `SiteError` with its last line if it fails."
    done = subprocess.run(words, capture_output=True, text=True, **options)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise SiteError(f"{' '.join(map(str, words[:2]))} failed: {lines[-1]}")
    return done.stdout


def package(name: str, version: str, folder: Path) -> Path:
    "The unpacked files of an npm package, kept in `folder`."
    where = folder / f"{name}-{version}"
    if not where.is_dir():
        if shutil.which("npm") is None:
            raise SiteError(f"npm is needed once, to fetch {name} {version}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            call(["npm", "pack", f"{name}@{version}", "--pack-destination", scratch, "--silent"])
            with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
                archive.extractall(scratch, filter="data")
            os.replace(Path(scratch) / "package", where)
    return where


def stage() -> Path:
    "nbdev's staged notebooks, with the files that they point to."
    # Not the command nbdev_proc_nbs: without quarto it asks for root and runs `pip install -e` on whatever
    # environment is active.
    call([sys.executable, "-c", STAGE], cwd=ROOT)
    for copy in (ROOT / "_proc").glob("*.ipynb"):
        if not (ROOT / "nbs" / copy.name).is_file():
            copy.unlink()  # of a chapter that was renamed
    for name in KEEP:
        source, copy = ROOT / "nbs" / name, ROOT / "_proc" / name
        (shutil.copytree(source, copy, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, copy))
    shutil.copy(ROOT / "nbs" / "_quarto.yml", ROOT / "_proc" / "_quarto.yml")
    return ROOT / "_proc"


def show_sources(folder: Path) -> None:
    """What a cell exports is described in the cell's own order (nbdev reverses it), and the cell itself
    follows, folded; one that describes nothing too, and tests that show nothing."""
    for copy in folder.glob("*.ipynb"):
        page, after = json.loads(copy.read_text(encoding="utf-8")), -1
        for cell in json.loads((ROOT / "nbs" / copy.name).read_text(encoding="utf-8"))["cells"]:
            first, _, code = "".join(cell["source"]).partition("\n")
            if cell["cell_type"] == "code" and first == "#| export":
                insert_source(page["cells"], code.strip("\n"), cell["id"], after + 1)
            after = next((k for k, shown in enumerate(page["cells"]) if shown.get("id") == cell["id"]), after)
        for cell in page["cells"]:
            code = "".join(cell["source"])
            if TEST.search(code) and not cell.get("outputs", True) and "code-summary" not in code:
                cell["source"] = f'#| code-fold: true\n#| code-summary: "Test"\n{code}'
        copy.write_text(json.dumps(page), encoding="utf-8")


def insert_source(cells: list[dict], code: str, name: str, place: int) -> None:
    "One exported cell, after its descriptions or, where it has none, at `place`; imports alone are left out."
    source = f'#| code-fold: true\n#| code-summary: "Source"\n{code}'
    docs = {found[1]: cell for cell in cells if cell["cell_type"] == "code"
            and (found := DOC.search("".join(cell["source"])))}
    parts = ast.parse(code).body
    here = [docs[part.name] for part in parts if isinstance(part, ast.FunctionDef | ast.ClassDef)
            and part.name in docs]
    if all(isinstance(part, ast.Import | ast.ImportFrom)
           for part in parts) or any("".join(cell["source"]) == source for cell in cells):
        return  # nothing to show, or a page that was staged before
    place = min(map(cells.index, here), default=place)
    for cell in here:
        cells.remove(cell)
    cells[place:place] = [*here, {"cell_type": "code", "id": name, "metadata": {}, "execution_count": None,
                                  "outputs": [], "source": source}]


def homes(pages: dict) -> dict[str, str]:
    "Name -> page and anchor of its description: the reference page, else the one chapter that documents it."
    anchors: dict[str, set[str]] = {}
    for name, soup in pages.items():
        for tag in soup.select(
            ".cell-output-markdown h2, .cell-output-markdown h3, .cell-output-markdown h4"):
            anchors.setdefault(tag.get_text().strip(),
                               set()).add(f"{name}#{tag.get('id') or tag['data-anchor-id']}")
    taught = {name: found.pop() for name, found in anchors.items() if len(found) == 1}
    for page, soup in pages.items():
        for link in soup.select("a[data-name]"):  # of a reference page, to the chapter
            link["href"] = "../" + taught.get(link["data-name"], link["href"].removeprefix("../"))
            taught[link["data-name"]] = f"{page}#{link['data-name']}"
    return taught


def link_names(soup, page: str, where: dict[str, str]) -> None:
    """Make each name of the package that the prose or a table sets as code a link to its description, also
    where it is called."""
    for code in soup.select("main code"):
        goal = where.get(re.split(r"[(\[]", code.get_text())[0].removeprefix("multiindex_nb."))
        if goal and not code.find_parent(["a", "pre", "h1", "h2", "h3", "h4"]):
            code.wrap(soup.new_tag("a", href="../" * page.count("/") + goal))


def link_chapters(soup, page: str, chapters: dict[str, str]) -> None:
    "Make each \"chapter 04\" of the prose a link, and each number of \"chapters 04 and 05\"; the hour counts its own four."  # noqa: E501
    hour = page[:2] in ("0a", "0b", "0c", "0d")
    goals = chapters | {str(k): chapters[f"0{letter}"]
                        for k, letter in enumerate("abcd", start=1)} if hour else chapters
    word = re.compile(r"((?:[Cc]hapters? |(?<=\d)(?:, | and | to ))\d[\da-d]?)(?![\d.]\d|\d)")
    for text in soup.select_one("main").find_all(string=re.compile(r"[Cc]hapters? \d")) if soup.find(
        "main") else ():
        if text.find_parent(["a", "pre", "code", "script", "h1", "h2", "h3"]):
            continue
        for part in word.split(text):
            found = re.fullmatch(r"([Cc]hapters? |, | and | to )(\d[\da-d]?)", part)
            if not found or goals.get(found[2], page) == page:
                text.insert_before(part)
                continue
            lead = "" if found[1][:1] in "Cc" else found[1]
            link = soup.new_tag("a", href="../" * page.count("/") + goals[found[2]])
            link.string = part[len(lead) :]
            text.insert_before(lead)
            text.insert_before(link)
        text.extract()


def typeset(pages: dict) -> list[str]:
    """Every formula of the site as KaTeX sets it. A page keeps its place in the list, between two marks,
    until it is written: nothing moves when it opens, and it loads fonts but no KaTeX."""
    wanted: dict[tuple[str, bool], int] = {}
    for name, soup in pages.items():
        for tag in soup.select("script, link[href]"):
            if MATHS.search(tag.get("src") or tag.get("href") or tag.get_text()):
                tag.decompose()
        formulas, home = soup.select(".math"), "../" * name.count("/") + "site_libs/katex/"
        for tag in formulas:
            key = tag.get_text().strip()
            key = (re.sub(r"^\\[(\[]|\\[)\]]$", "", key), "display" in tag["class"])
            tag.string = f"\0{wanted.setdefault(key, len(wanted))}\0"
        if formulas:
            soup.head.append(soup.new_tag("link", rel="stylesheet", href=f"{home}katex.min.css"))
            soup.head.append(soup.new_tag("script", src=f"{home}fonts.js"))
    dist = package("katex", KATEX, ROOT / ".cache") / "dist"
    boxes = json.loads(call(["node", "-e", TYPESET, dist / "katex.min.js"], input=json.dumps([*wanted])))
    # its last part in a box of its own (site.css): no line begins with the full stop after a formula
    return [re.sub(r'(<span class="base">(?:(?!<span class="base">).)*)(</span></span>)$',
                   r'<span class="whole">\1</span>\2', box, flags=re.S) for box in boxes]


def fonts_at_once(dist: Path, boxes: list[str]) -> str:
    """A script with the letters that formulas use. Fonts from a style sheet come after the first paint, and
    move the text; these are there before."""
    shown = re.sub(r'<span class="katex-mathml">.*?</math>', "", "".join(boxes))
    codes = set(map(ord, html.unescape("".join(re.findall(r">([^<]+)<", shown)))))
    data = lambda file: base64.b64encode(subset(dist / "fonts" / f"{file}.ttf", codes)).decode()
    sheet = (dist / "katex.min.css").read_text(encoding="utf-8")
    faces = [[*look, data(file)] for *look, file in FACE.findall(sheet) if not RARE.search(file)]
    return ADD % json.dumps(faces)


def subset(font: Path, codes: set[int]) -> bytes:
    "A font with these characters only, as WOFF."
    from fontTools.subset import Options, Subsetter, load_font, save_font

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it tells of two spare bytes
    options, out = Options(flavor="woff", hinting=False), io.BytesIO()
    less, cut = load_font(str(font), options), Subsetter(options)
    cut.populate(unicodes=codes)
    cut.subset(less)
    save_font(less, out, options)
    return out.getvalue()


def clear(png: bytes) -> bytes:
    """A picture in 256 colours whose white ground is transparent: on white it looks as before; a dark page
    turns light and dark round (site.css)."""
    import numpy as np
    from PIL import Image

    few, out = (picture := Image.open(io.BytesIO(png))).copy(), io.BytesIO()
    if picture.mode != "P" or "transparency" in picture.info:  # else 256 colours already (tools/figures.py)
        whole = picture.convert("RGBA")
        white = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
        few = white.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    ink = 255.0 - np.reshape(few.getpalette(), (-1, 3))
    alpha = ink.max(1, keepdims=True)
    few.putpalette((255 - 255 * ink / np.maximum(alpha, 1)).round().astype("uint8").tobytes())
    few.save(out, "PNG", optimize=True, dpi=picture.info.get("dpi", (96, 96)),
             transparency=alpha.astype("uint8").tobytes())
    return out.getvalue()


def clear_pictures(soup, folder: Path) -> None:
    "Pictures within a page without their ground, and for every picture its place before it is there."
    from PIL import Image

    for image in soup.select("main img[src]"):
        kind, _, data = image["src"].partition(";base64,")
        source = folder / image["src"]
        if kind == "data:image/png":
            picture = clear(base64.b64decode(data))
            image["src"], source = f"{kind};base64,{base64.b64encode(picture).decode()}", io.BytesIO(picture)
        if image["src"].endswith(".svg"):
            *_, width, height = re.search(r'viewBox="([^"]*)"', source.read_text(encoding="utf-8"))[1].split()
            image["width"], image["height"] = (round(float(points) * 4 / 3) for points in (width, height))
            continue
        with Image.open(source) as opened:
            scale = 2 if opened.info.get("dpi", (0,))[0] > 150 else 1  # tools/figures.py
            image["width"], image["height"] = (pixels // scale for pixels in opened.size)


def printed_columns(lines: list[str]) -> list[list[str]]:
    "Cells of a printed table: columns are apart where all lines are blank, and have a head and a body."
    wide = max(map(len, lines))
    lines = [f" {line.ljust(wide)}" for line in lines]
    blank = [not any(line[k] != " " for line in lines) for k in range(wide + 1)]
    starts = [k for k in range(1, wide + 1) if blank[k - 1] and not blank[k]]
    rows = [[line[a:b] for a, b in zip(starts, [*starts[1:], None])] for line in lines]
    for k in reversed(range(1, len(starts))):
        if not rows[0][k].strip() or not any(row[k].strip() for row in rows[1:]):
            for row in rows:
                row[k - 1] += row.pop(k)
    return [[cell.strip() for cell in row] for row in rows]


def tabulate(soup) -> None:
    "A long table that a cell printed becomes one whose columns can be sorted (site.js)."
    for pre in soup.select(".cell-output-stdout pre"):
        lines = pre.get_text().rstrip().split("\n")
        rows = printed_columns(lines) if len(lines) > 20 else [[]]
        if len(rows[0]) > 2 and all(map(all, rows)):
            made = soup.new_tag("table", attrs={"class": "table"})
            for part, cell, some in (("thead", "th", rows[:1]), ("tbody", "td", rows[1:])):
                made.append(body := soup.new_tag(part))
                for row in some:
                    body.append(line := soup.new_tag("tr"))
                    for text in row:
                        line.append(place := soup.new_tag(cell))
                        place.string = text
            pre.replace_with(made)


def order_headings(soup) -> None:
    "What a chapter exports before its first section has headings of the third level: one too low there."
    for head in soup.select("main :is(h2, h3, h4)"):
        if head.name == "h2":
            return
        head["aria-level"] = int(head.name[1]) - 1


def finish(soup, name: str, settings) -> None:
    "A way past the navigation, a description for every picture, the notebook to take along, no empty label."
    if soup.find("link", rel="icon") is None:
        soup.head.append(soup.new_tag("link", rel="icon", href="data:,"))
    for text in soup.select("#quarto-sidebar a[href] .menu-text, .page-navigation a[href] .nav-page-text"):
        if number := re.match(r"\d\d(?=_)", Path(text.find_parent("a")["href"]).name):
            text.insert(0, f"{number[0]} ")  # the text speaks of chapters by number
    if soup.find("script", src=(own := "../" * name.count("/") + "site.js")) is None:
        soup.head.append(soup.new_tag("script", src=own, defer=""))
    main = soup.find("main")
    if main is not None and soup.find("a", class_="skip") is None:
        soup.body.insert(0,
                         skip := soup.new_tag(
                             "a", href="#" + main.get("id", "main"), attrs={"class": "skip"}))
        skip.string = "Skip to the text"
    for image in soup.select("main img"):
        heading = image.find_previous(["h1", "h2", "h3"])
        image["alt"] = image.get(
            "alt") or f"Figure in the section “{heading.get_text().strip() if heading else name}”"
    if (ROOT / "nbs" / (notebook := Path(name).with_suffix(".ipynb"))).is_file() and (
        actions := soup.select_one(".toc-actions")) and not actions.select("a[download]"):
        for words, more in (("Download this notebook", {"href": str(notebook), "download": ""}),
                            ("Open in Colab", {"href": f"{settings['colab_url']}/{notebook}"})):
            actions.append(line := soup.new_tag("div", attrs={"class": "action-links"}))
            line.append(link := soup.new_tag("a", attrs={"class": "toc-action", **more}))
            link.string = words
    for path, words in LABELS.items():
        for part in soup.select(path):
            part["role"] = part.get("role", "navigation")
            part["aria-label"] = words
    for toggle in soup.select("a[data-bs-toggle=collapse]"):
        toggle["role"] = "button"
    for cell in soup.select("main th"):
        cell.name = cell.name if cell.get_text().strip() else "td"


def fold_contents(soup, public: set[str]) -> None:
    """Contents that list sections and public names, not helpers; once more, folded, for a screen with no room
    beside the text."""
    helpers = {f"#{head['id']}" for head in soup.select(".cell-output-markdown [id]")
               if head.name in ("h2", "h3", "h4") and head.get_text().strip() not in public}
    for link in soup.select("#TOC a"):
        if link["href"] in helpers:
            link.find_parent("li").decompose()
    head = soup.select_one("#title-block-header")
    if head is None or soup.select_one("#TOC a") is None or soup.select_one(".on-page"):
        return
    fold = soup.new_tag("details", attrs={"class": "on-page"})
    fold.append(title := soup.new_tag("summary"))
    title.string = "On this page"
    fold.append(box := soup.new_tag("nav", attrs={"aria-label": "Sections"}))
    for part in soup.select("#TOC > ul, .toc-actions"):
        box.append(copy := copied(part))
        for tag in [copy, *copy.find_all(True)]:
            tag.attrs = {key: tag[key] for key in ("href", "download") if tag.has_attr(key)}
    head.insert_after(fold)


def summary(pages: dict) -> str:
    "Every page with its question, for programs that read a site by a list (llms.txt)."
    said = {name: (soup.select_one("h1"),
                   soup.select_one("main .description, header .description, .subtitle"))
                   for name, soup in pages.items()}
    lines = [f"- [{title.get_text().strip()}]({name})" + (f": {words.get_text().strip()}" if words else "")
             for name, (title, words) in said.items() if title]
    return "\n".join(
        ["# multiindex-nb", "",
         "> " + pages["index.html"].select_one(".description, .subtitle").get_text().strip(), "", "## Pages",
         "", *lines, ""])


def polish(site: Path) -> None:
    "Rewrite every page of the built site in place."
    from bs4 import BeautifulSoup

    paths = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*.html"))}
    parked: list[str] = []  # four tags of five are in code, where nothing is changed
    park = lambda found: f"{found[1]}\1{parked.append(found[2]) or len(parked) - 1}\1"
    pages = {name: BeautifulSoup(CODE.sub(park, path.read_text(encoding="utf-8")), "html.parser")
             for name, path in paths.items()}
    where, chapters = homes(pages), {name[:2]: name for name in pages if re.match(r"\d[\da-d]_", name)}
    public = {link["data-name"] for soup in pages.values() for link in soup.select("a[data-name]")}
    config = ConfigParser()
    config.read(ROOT / "settings.ini")
    settings, listed, boxes = config["DEFAULT"], summary(pages), typeset(pages)
    for name, soup in pages.items():
        link_names(soup, name, where)
        link_chapters(soup, name, chapters)
        finish(soup, name, settings)
        fold_contents(soup, public)
        order_headings(soup)
        tabulate(soup)
        clear_pictures(soup, (site / name).parent)
        for script in soup.select('script[src="live/figure.js"]'):
            script["async"] = ""  # before the rest of the page is there
            for part in ("worker", "core", "figure"):  # all fetched at once
                soup.head.append(soup.new_tag("link", rel="modulepreload", href=f"live/{part}.js"))
        for footer in soup.select(".nav-footer-right"):
            footer.string = f"Version {settings['version']}"
        whole = re.sub("\1(\\d+)\1", lambda mark: parked[int(mark[1])], str(soup))
        (site / name).write_text(re.sub("\0(\\d+)\0", lambda mark: boxes[int(mark[1])], whole),
                                 encoding="utf-8")
    (site / "llms.txt").write_text(listed, encoding="utf-8")
    for path in site.rglob("*.png"):
        path.write_bytes(clear(path.read_bytes()))
    for path in (site / "reproduction").glob("*.svg"):
        picture = path.read_text(encoding="utf-8").replace('"fill: #ffffff"', '"fill: none"')
        path.write_text(picture, encoding="utf-8")
    for notebook in (ROOT / "nbs").glob("*.ipynb"):
        page = json.loads(notebook.read_text(encoding="utf-8"))
        page["cells"].insert(1, {"cell_type": "code", "id": "install", "metadata": {}, "outputs": [],
                                 "execution_count": None, "source": INSTALL.format_map(settings)})
        (site / notebook.name).write_text(json.dumps(page), encoding="utf-8")
    for path in (site / "site_libs" / "themes").glob("*.css"):
        # web fonts
        path.write_text(re.sub(r"@import url\([^)]*\);?", "", path.read_text(encoding="utf-8")),
                        encoding="utf-8")
    dist = package("katex", KATEX, ROOT / ".cache") / "dist"
    shutil.copytree(dist, site / "site_libs" / "katex", dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("*.mjs", "*.js", "contrib", "README*", "*.woff", "*.ttf"))
    (site / "site_libs" / "katex" / "fonts.js").write_text(fonts_at_once(dist, boxes), encoding="utf-8")


def slim(folder: Path) -> None:
    """The scripts of the live figures without comments, spaces and long names, two thirds of their size;
    where npm cannot fetch the tool, as they are."""
    home = ROOT / ".cache" / f"terser-{TERSER}"
    tool = home / "node_modules" / ".bin" / "terser"
    if not tool.exists():
        try:
            call(["npm", "install", "--silent", "--prefix", home, f"terser@{TERSER}"])
        except (SiteError, OSError) as error:
            print(f"build_site: the scripts of the live figures stay as long as they are ({error})",
                  file=sys.stderr)
            return
    for script in folder.glob("*.js"):
        call([tool, script, "--module", "--compress", "--mangle", "--output", script])


def without(css: str, used: set[str]) -> str:
    "A style sheet without the selectors that name a class which is no word of any page or script."
    kept, start = [], 0
    while (brace := css.find("{", start)) >= 0:
        depth, end = 1, brace + 1
        while depth:
            found = BRACE.search(css, end)
            depth, end = depth + (1 if found[0] == "{" else -1), found.end()
        head, body = css[start:brace], css[brace + 1 : end - 1]
        rule, start = COMMENT.sub("", head).rpartition(";")[2].strip(), end
        if rule.startswith(("@media", "@supports")):
            body = without(body, used)
        elif not rule.startswith("@"):
            bare = {part: re.sub(r"\([^()]*\)", "", part) for part in re.split(r",(?![^(]*\))", rule)}
            rule = ",".join(part for part, name in bare.items() if "\\" in name
                            or set(re.findall(r"\.([\w-]+)", name)) <= used)
        kept += [*re.findall(r"/\*!.*?\*/|@(?:charset|import)[^;]*;", head, re.S), f"{rule}{{{body}}}" if rule
                 and body else ""]
    return "".join(kept)


def lighten(site: Path) -> None:
    "Leave out of the themes and the icons what no page uses: some 500 KB that each page would load."
    texts = [path.read_text(encoding="utf-8") for kind in ("html", "js") for path in site.rglob(f"*.{kind}")]
    used = {word for text in texts for word in re.findall(r"[\w-]+", text)}
    icons = site / "site_libs" / "bootstrap-icons"
    for path in (*(site / "site_libs" / "themes").glob("*.css"), sheet := icons / "bootstrap-icons.min.css"):
        path.write_text(without(path.read_text(encoding="utf-8"), used), encoding="utf-8")
    sheet.write_text(re.sub(r'url\("[^"]*woff2[^"]*"\) format\("woff2"\),', "",
                            sheet.read_text(encoding="utf-8")), encoding="utf-8")
    (icons / "fonts" / "bootstrap-icons.woff2").unlink(missing_ok=True)
    codes = {int(code, 16) for path in (sheet, site / "site_libs" / "smalldocs.css")
             for code in re.findall(r"\\(f[\da-f]{3})\b", path.read_text(encoding="utf-8"))}
    font = icons / "fonts" / "bootstrap-icons.woff"
    font.write_bytes(subset(font, codes))


def build(out: Path, renderer: Path) -> int:
    "Build into `out` by quarto or smalldocs; the number of pages."
    package("katex", KATEX, ROOT / ".cache")
    folder = stage()
    show_sources(folder)
    call([sys.executable, ROOT / "tools" / "reference.py", folder])
    call([renderer, "render", "."], cwd=folder)
    polish(folder / "_docs")
    slim(folder / "_docs" / "live")
    if renderer.stem == "smalldocs":
        lighten(folder / "_docs")  # quarto compiles its own
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder / "_docs", out)
    return len(list(out.rglob("*.html")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "_docs", help="folder of the site (default _docs)")
    parser.add_argument("--smalldocs", action="store_true",
                        help="do not use quarto even where it is installed")
    args = parser.parse_args()
    try:
        quarto = None if args.smalldocs else shutil.which("quarto")
        print(f"wrote {build(args.out, Path(quarto or BIN / 'smalldocs'))} pages to {args.out}")
    except (SiteError, OSError) as error:
        print(f"build_site: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
