"""Small changes to the exported code of a chapter, for tools/mutate.py.

Nothing is changed in docstrings, annotations, imports, decorators, texts of errors and warnings, f-strings,
conversions, progress bars and functions that draw with matplotlib, and no number to one that is the same
(1e300 + 1).
"""

import ast, copy, hashlib, itertools, json, re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SEED = "2"
OPERATORS = {"Add": "-", "Sub": "+", "Mult": "/", "Div": "*", "FloorDiv": "*", "Pow": "*", "Mod": "*",
             "And": "or", "Or": "and",
             # fmt: skip
             "Lt": "<= >=", "LtE": "< >", "Gt": ">= <=", "GtE": "> <", "Eq": "!=", "NotEq": "==",
             "Is": "is not", "IsNot": "is", "In": "not in", "NotIn": "in"}
NAMES = {"min": "max", "argmin": "argmax", "any": "all", "floor": "ceil", "amin": "amax",
         "minimum": "maximum", "clamp_min": "clamp_max", "sum": "mean"}
NAMES |= {new: old for old, new in NAMES.items()}
CONVERSIONS = (
    "float int bool str tuple list dict set item tolist contiguous numpy detach cpu copy items keys values "
    "type len range".split())


@dataclass(frozen=True)
class Mutant:
    "One change: bytes `start` to `end` of an exported cell become `text`."

    id: str
    cell: str
    function: str
    change: str
    line: str
    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        data = source.encode()
        return (data[: self.start] + self.text.encode() + data[self.end :]).decode()


def called(node) -> str:
    "The last name of what a call calls."
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def edited(node, **fields) -> str:
    "Source of a node with some fields replaced."
    node = copy.copy(node)
    for name, value in fields.items():
        setattr(node, name, value)
    return f"({ast.unparse(node)})"


def changes(node):
    "Pairs (name of the operator, new text) for one node of the tree."
    if isinstance(node, (ast.BinOp, ast.BoolOp)):
        new = OPERATORS.get(type(node.op).__name__)
        if new:
            op = ast.parse(f"a {new} b", mode="eval").body.op
            yield f"to {new}", edited(node, op=op)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for new in re.split(" (?![a-z])", OPERATORS[type(node.ops[0]).__name__]):
            yield f"to {new}", edited(node, ops=ast.parse(f"a {new} b", mode="eval").body.ops)
    elif isinstance(node, ast.Compare):
        yield "first comparison dropped", edited(
            node, left=node.comparators[0], ops=node.ops[1:], comparators=node.comparators[1:])
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "flipped", repr(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        if node.value + 1 != node.value:
            yield "plus one", repr(node.value + 1)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield f"{type(node.op).__name__} dropped", f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield f"to {NAMES[node.id]}", NAMES[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield f"to {NAMES[node.attr]}", edited(node, attr=NAMES[node.attr])
    elif isinstance(node, ast.Call) and called(node) not in CONVERSIONS:
        wraps = len(node.args) == 1 and not node.keywords or called(node).startswith(
            ("check_", "as_")) and node.args
        inner = node.args[0] if wraps else node.func.value if not node.args + node.keywords and isinstance(
            node.func, ast.Attribute) else None
        if inner is not None and not isinstance(inner, ast.Starred):
            yield f"{called(node)} dropped", f"({ast.unparse(inner)})"
        for k in node.keywords:
            yield f"{k.arg} dropped", edited(
                node, keywords=[other for other in node.keywords if other is not k])


def removable(node) -> bool:
    "A statement that can go without leaving a name undefined."
    targets = getattr(node, "targets", [])
    return isinstance(node, (ast.Raise, ast.AugAssign, ast.Continue, ast.Break, ast.Expr)) or any(
        isinstance(t, (ast.Attribute, ast.Subscript)) for t in targets)


def walk(node, function=""):
    "All changes below a node, as (function, node that is replaced, operator, new text)."
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr, ast.arg)):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        if any(isinstance(n, (ast.Import, ast.ImportFrom)) and "matplotlib" in ast.unparse(n)
               for n in node.body):
            return
        function = f"{function}.{node.name}".lstrip(".")
    if isinstance(node, ast.stmt) and removable(node):
        yield function, node, "statement removed", "pass"
    if isinstance(node, ast.Raise) or isinstance(node, ast.Assign) and "progress" in {
        getattr(n, "id", "") for n in ast.walk(node.value)}:
        return
    if isinstance(node, (ast.If, ast.IfExp, ast.While)) and not isinstance(
        node.test, (ast.Compare, ast.UnaryOp)):
        yield function, node.test, "negated", f"(not ({ast.unparse(node.test)}))"
    quiet = isinstance(node, ast.Call) and called(node) in ("tqdm", "warn")
    yield from () if quiet else ((function, node, *change) for change in changes(node))
    below = ast.iter_child_nodes(node)
    if quiet:
        below = node.args[:1] if called(node) == "tqdm" else []
    elif isinstance(node, ast.FunctionDef):
        below = [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]
    elif isinstance(node, ast.ClassDef):
        below = node.body
    elif isinstance(node, ast.AnnAssign):
        below = filter(None, [node.value])
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        below = [] if called(node.value) == "warn" else [
            node.value.func, *node.value.args, *node.value.keywords]
    for child in below:
        yield from walk(child, function)


def read_cells(path: Path) -> list[tuple[str, str]]:
    "Identifier and source of each cell that nbdev_test would run."
    cells = [(c["id"], "".join(c["source"]))
             for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    return [(i, s) for i, s in cells if not re.search(r"^#\| *(slow|notest|eval: *false)", s, re.M)]


def mutants_of(path: Path) -> list[Mutant]:
    "All mutants of a chapter, in the fixed order that the sample is taken in."
    found, seen = [], Counter()
    for cell, source in read_cells(path):
        if not re.search(r"^#\| *export", source, re.M):
            continue
        starts = list(itertools.accumulate((len(line) for line in source.encode().splitlines(True)),
                                           initial=0))
        for function, node, operator, text in walk(ast.parse(source)):
            start, end = starts[node.lineno
                                - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
            old, line = source.encode()[start:end].decode(), source.splitlines()[node.lineno - 1].split(
                "  #")[0].strip()
            key = path.name[:2], function, operator, old, line
            seen[key] += 1
            digest = hashlib.sha256(repr((SEED, *key, seen[key])).encode()).hexdigest()[:10]
            change = " ".join(f"`{old}` removed".split() if text == "pass"
                              else f"`{old}` to `{text}`".split())
            found.append(Mutant(f"{path.name[:2]}-{digest}", cell, function or "module", change, line, start,
                                end, text))
    return sorted(found, key=lambda m: m.id)
