"""Reference pages for the public names, made from signatures, docments, docstrings, gates and the examples of
nbs/api.ipynb."""

import ast
import dataclasses
import functools
import html
import inspect
import json
import math
import re
import sys
import textwrap
from configparser import ConfigParser
from pathlib import Path

from fastcore.docments import docments

import multiindex_nb

ROOT = Path(__file__).resolve().parents[1]
PART = {"problem": "the problem", "engine": "both stages", "theory": "what theory predicts",
        "estimator": "for your own table", "view": "pictures", "explorer": "the explorer"}
PROBES = (object(), "?", math.nan, -1e300, -(10**30))  # what almost no gate lets pass
NOTHING = inspect.Parameter.empty


def part_of(name: str) -> str:
    "The folder or module of the package that defines a name."
    return getattr(multiindex_nb, name).__module__.split(".")[1]


def prose(text: str) -> str:
    "Plain text with `code` as HTML."
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(" ".join(text.split()), quote=False))


def first_sentence(thing) -> str:
    "The first paragraph of a docstring."
    return (inspect.getdoc(thing) or "").split("\n\n")[0]


def code(text) -> str:
    "A type or a value, set as code; shapes with the quotes of this project."
    return f"<code>{html.escape(str(text), quote=False)}</code>" if text not in (NOTHING, None) else ""


def bold(name: str) -> str:
    "A name that means something here only."
    return f"<strong>{name}</strong>"


def kind(anno) -> str:
    "An annotation as it is written."
    return anno if isinstance(anno, str) else getattr(anno, "__name__", str(anno))


def parameters(thing) -> dict:
    "Name -> docment, annotation, default; of what is called."
    found = docments(thing, full=True)
    taken = inspect.signature(thing).parameters
    return {name: what for name, what in found.items()
            if name in taken and name not in ("self", "args", "kwargs")}


def signature(name: str, thing) -> str:
    "As it is written in the module: one line where it fits."
    words = []
    for key, what in parameters(thing).items():
        words.append(key + ("" if what["anno"] is NOTHING else f": {kind(what['anno'])}")
                     + ("" if what["default"] is NOTHING else f" = {what['default']!r}"))
    given = inspect.signature(thing).return_annotation
    tail = f" -> {kind(given)}" if given not in (NOTHING, None, "None") else ""
    line = f"{name}({', '.join(words)}){tail}"
    return line if len(line) <= 80 else "\n".join(
        [f"{name}(", *(f"    {word}," for word in words), f"){tail}"])


def table(heads: tuple, rows: list[tuple]) -> str:
    "Rows of HTML cells; a column that is empty throughout is left out."
    keep = [k for k in range(len(heads)) if any(row[k] for row in rows)]
    line = lambda cells, tag: "<tr>" + "".join(f"<{tag}>{cells[k]}</{tag}>" for k in keep) + "</tr>"
    return "\n".join(['<table class="table">', f"<thead>{line(heads, 'th')}</thead>", "<tbody>",
                      *(line(row, "td") for row in rows), "</tbody>", "</table>", ""]) if rows else ""


def taken(thing) -> str:
    "The table of parameters."
    set_as = lambda text, value: code(text) if value is not NOTHING else ""
    return table(("name", "type", "default", "meaning"),
                 [(bold(key), set_as(kind(what["anno"]), what["anno"]),
                   set_as(repr(what["default"]), what["default"]), prose(what["docment"] or ""))
                  for key, what in parameters(thing).items()])


def refusals(thing) -> list[str]:
    "What the gates of a function say to what they do not let pass."
    lines = []
    for name, gate in getattr(thing, "gates", {}).items():
        said = {}
        for probe in PROBES:
            try:
                gate(probe, name)
            except (TypeError, ValueError) as error:
                if (words := re.split(", got |; ", str(error))[0]).startswith(f"{name} must"):
                    said.setdefault(words.removeprefix(name), type(error).__mro__[-4].__name__)
        parts = [f"{prose(words)} (<code>{error}</code>)" for words, error in said.items()]
        lines += [f"<li>{bold(name)} {', '.join(parts)}</li>"] if parts else []
    return lines


def members(thing: type) -> dict[str, object]:
    "Public methods and properties that the package itself defines, in the order of the classes."
    found = {}
    for base in thing.__mro__:
        if base.__module__.startswith("multiindex_nb"):
            for name, what in vars(base).items():
                if not name.startswith("_") and (inspect.isroutine(what) or isinstance(
                        what, property | classmethod | staticmethod | functools.cached_property)):
                    found.setdefault(name, what)
    return found


def attributes(thing: type) -> str:
    "Fields, annotated attributes and properties."
    notes = docments(thing, full=True) if dataclasses.is_dataclass(thing) else {}
    rows = [(bold(field.name), code(kind(field.type)), prose(notes[field.name]["docment"] or ""))
            for field in (dataclasses.fields(thing) if notes else ())]
    if not notes:
        rows = [(bold(name), code(kind(anno)), "") for name, anno in inspect.get_annotations(thing).items()
                if not name.startswith("__")]
    for name, what in members(thing).items():
        get = getattr(what, "fget", None) or getattr(what, "func", None)
        if get and not inspect.isroutine(what):
            given = kind(get.__annotations__.get("return", ""))
            rows.append((bold(name), code(given), prose(first_sentence(get))))
    return table(("attribute", "type", "meaning"), rows)


def methods(thing: type) -> str:
    "Signature, sentence and parameters of every method."
    out = []
    for name in members(thing):
        method = getattr(thing, name)
        if inspect.isroutine(method):
            out += [f"```python\n{signature(name, method)}\n```\n",
                    f"<p>{prose(first_sentence(method))}</p>\n",
                    taken(method) if any(what["docment"] for what in parameters(method).values()) else ""]
    return "\n".join(out)


@functools.cache
def examples() -> list[tuple[str, str, list]]:
    "Name of the cell, source and outputs of every example in nbs/api.ipynb; what is imported first."
    cells = json.loads((ROOT / "nbs" / "api.ipynb").read_text(encoding="utf-8"))["cells"]
    return [(cell["id"].removeprefix("example-"), "".join(cell["source"]), cell["outputs"]) for cell in cells
            if cell["cell_type"] == "code" and cell["id"].startswith("example-")
            and "%matplotlib" not in "".join(cell["source"])]


def needs(source: str) -> tuple[set[str], set[str]]:
    "Names that a piece of code reads and names that it sets."
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    return ({node.id for node in names if isinstance(node.ctx, ast.Load)},
            {node.id for node in names if isinstance(node.ctx, ast.Store)})


def example(name: str) -> tuple[str, str, list]:
    """The first example that speaks of a name, after what it needs of the earlier ones and of the imports;
    the words for its picture, if the name is that of a picture; what it gave."""
    (_, imports, _), *cells = examples()
    place = next((k for k, cell in enumerate(cells) if cell[0] == name), None)
    if place is None:
        place = next(k for k, cell in enumerate(cells) if re.search(rf"\b{name}\b", cell[1]))
    body = [strip(cells[place][1])]
    wanted = needs(body[0])[0]
    for _, source, _ in reversed(cells[:place]):
        kept = "\n".join(ast.get_source_segment(source, part) for part in ast.parse(source).body
                         if isinstance(part, ast.Assign))
        if kept and needs(kept)[1] & wanted:
            body.insert(0, kept)
            wanted |= needs(kept)[0]
    lines = [line for line in strip(imports).splitlines() if line and line.split()[-1] in wanted | {"mi"}]
    alt = re.search(r'fig-alt: "(.*)"', cells[place][1]) if name.startswith("plot_") else None
    return "\n".join([*lines, "", *body]), alt[1] if alt else "", cells[place][2]


def strip(source: str) -> str:
    "Code without nbdev's directives."
    return "\n".join(line for line in source.splitlines() if not line.startswith("#|")).strip()


def shown(outputs: list, alt: str) -> str:
    "Saved outputs of a cell as HTML; a picture only where it has an `alt`."
    out = []
    for each in outputs:
        data = each.get("data", {})
        if "image/png" in data and alt:
            out.append(f'<p><img alt="{html.escape(alt)}" src="data:image/png;base64,'
                       f'{"".join(data["image/png"]).strip()}"></p>\n')
        elif "image/png" not in data and (text := "".join(each.get("text", data.get("text/plain", [])))):
            said = html.escape(text.rstrip(), quote=False)
            out.append(f'<div class="cell-output"><pre><code>{said}</code></pre></div>\n')
    return "\n".join(out)


def entry(name: str, git: str) -> str:
    "All that is known of one name."
    thing = getattr(multiindex_nb, name)
    whole = inspect.getdoc(thing).split("\n\n")
    raises = isinstance(thing, type) and issubclass(thing, BaseException)
    bare = inspect.unwrap(thing)
    file, line = Path(inspect.getsourcefile(bare)).relative_to(ROOT), inspect.getsourcelines(bare)[1]
    text, alt, outputs = example(name)
    out = [f"## {name} {{#{name}}}\n"]
    out += [f"```python\n{signature(name, thing)}\n```\n"] if not raises else [
        f"<p>A {code(thing.__mro__[1].__name__)}.</p>\n"]
    out += [f"<p>{prose(part)}</p>\n" for part in whole]
    if not isinstance(thing, type):
        given = docments(thing, full=True).get("return") or {}
        out += [taken(thing), f"<p><strong>Returns</strong> {code(kind(given.get('anno')))}"
                + (f": {prose(given['docment'])}" if given.get("docment") else "") + "</p>\n"
                if given.get("anno") not in (None, NOTHING, "None") else ""]
    elif not raises:
        out += [attributes(thing), "" if dataclasses.is_dataclass(thing) else taken(thing), methods(thing)]
    if lines := refusals(thing):
        out += ["<details><summary>Refused before any work starts</summary>\n<ul>", *lines,
                "</ul>\n</details>\n"]
    out += [f"```python\n{text}\n```\n", shown(outputs, alt),
            f'<p><a data-name="{name}" href="{chapter(name)}">Derived and tested</a>, '
            f'<a href="{git}/{file.as_posix()}#L{line}">source</a></p>\n']
    return "\n".join(out)


def chapter(name: str) -> str:
    "The page of the chapter that defines a name, from a reference page."
    lines = inspect.getsource(inspect.getmodule(getattr(multiindex_nb, name)))
    return f"../{re.search(r'nbs/(.*?)[.]ipynb', lines)[1]}.html"


def index() -> str:
    "The list of all names with a sentence each, for the page \"All names\"."
    rows = [(f'<a href="reference/{part_of(name)}.html#{name}"><code>{name}</code></a>',
             prose(first_sentence(getattr(multiindex_nb, name))),
             f'<a href="{chapter(name)[3:]}">{Path(chapter(name)).stem[:2]}</a>')
            for name in multiindex_nb.__all__]
    return table(("name", "what it is", "chapter"), rows)


def write(folder: Path) -> None:
    "The reference pages into `folder`/reference, and the list into the staged page \"All names\"."
    config = ConfigParser()
    config.read(ROOT / "settings.ini")
    git = f"{config['DEFAULT']['git_url']}/blob/{config['DEFAULT']['branch']}"
    (folder / "reference").mkdir(exist_ok=True)
    for part in dict.fromkeys(map(part_of, multiindex_nb.__all__)):
        names = [name for name in multiindex_nb.__all__ if part_of(name) == part]
        head = textwrap.dedent(f"""\
            ---
            title: "Names: {PART[part]}"
            description: "How are {', '.join(names[:3])}{' and the others' if len(names) > 3 else ''} called?"
            ---
            """)
        (folder / "reference" / f"{part}.md").write_text(
            head + "\n" + "\n".join(entry(name, git) for name in names), encoding="utf-8")
    page = json.loads((folder / "api.ipynb").read_text(encoding="utf-8"))
    for cell in page["cells"]:
        if cell["cell_type"] == "markdown" and "|---" in (text := "".join(cell["source"])):
            cell["source"] = text[: text.index("| chapter")] + index()
    (folder / "api.ipynb").write_text(json.dumps(page), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
