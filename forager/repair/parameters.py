"""Proposals that put a missing parameter back into a definition."""

import ast
import re
from collections.abc import Iterator

from forager.repair.places import assigned, parameters_of
from forager.repair.proposals import Clues, Proposal
from forager.repair.source import FUNCTIONS, Passage

_PRIOR = 1.5
_DEFAULTS = {"None": 0.5, "False": 0.35, "True": 0.35, "0": 0.2, "1": 0.2, "''": 0.15, "()": 0.15,
             "' '": 0.05, "'utf-8'": 0.05, "-1": 0.05, "2": 0.02}  # fmt: skip
_NOT_DEFINED = re.compile(r"name '(\w+)' is not defined")
_UNBOUND = re.compile(r"local variable '(\w+)'")
_KEYWORD = re.compile(r"unexpected keyword argument '(\w+)'")
_COUNT = re.compile(r"takes (?:from \d+ to |at most )?\d+ positional arguments? but|takes no arg")
_DOCUMENTED = re.compile(r":param (?:\w+ )?(\w+)|^[ \t]*(\w+) ?(?:\(\w[^)]*\))?:", re.MULTILINE)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def parameters(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    """A parameter with each likely name, at each place of each definition, with each default."""
    tree = passage.tree()
    definitions = [node for node in ast.walk(tree) if isinstance(node, (*FUNCTIONS, ast.Lambda))]
    wrong_call = any(_COUNT.search(message) for message in clues.messages("TypeError"))
    for definition in definitions:
        names = _names(definition, clues, wrong_call)
        for name, likely in names.items():
            for lines, fit in _insertions(passage, definition, name):
                yield Proposal(
                    passage,
                    lines,
                    _PRIOR * likely * fit,
                    f"`{name}` is used here and comes from nowhere: "
                    "a parameter of that name seems to be missing.",
                )


def _names(definition: Definition, clues: Clues, wrong_call: bool) -> dict[str, float]:
    """The names that a missing parameter may have, each with its likelihood."""
    found: dict[str, float] = {}
    for message in clues.messages("TypeError"):
        found |= dict.fromkeys(_KEYWORD.findall(message), 2.0)
    body = definition.body if isinstance(definition.body, list) else [definition.body]
    read = dict.fromkeys(
        node.id
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
    free = [name for name in read if name not in parameters_of(definition)]
    for message in clues.messages("NameError", "UnboundLocalError"):
        named = [*_NOT_DEFINED.findall(message), *_UNBOUND.findall(message)]
        found |= {name: 2.0 for name in named if name in free}
    found |= {name: 1.5 for name in clues.ways if name in free}
    if wrong_call:
        local = assigned([statement for statement in body if isinstance(statement, ast.stmt)])
        for name in free:
            found.setdefault(name, 0.4 if name in local else 0.25)
        for name in _documented(definition):
            found.setdefault(name, 0.3)
        found.setdefault("_", 0.1)
    return {name: likely for name, likely in found.items() if name not in parameters_of(definition)}


def _documented(definition: Definition) -> list[str]:
    if isinstance(definition, ast.Lambda):
        return []
    found = _DOCUMENTED.findall(ast.get_docstring(definition) or "")
    return [one or other for one, other in found]


def _insertions(
    passage: Passage, definition: Definition, name: str
) -> Iterator[tuple[tuple[str, ...], float]]:
    """The passage's lines with the parameter, and how well it fits there."""
    arguments = definition.args
    plain = [*arguments.posonlyargs, *arguments.args]
    required = len(plain) - len(arguments.defaults)
    sentinel = _sentinel(definition, name)
    defaults = {sentinel: 1.5} | _DEFAULTS if sentinel else _DEFAULTS
    receiver = bool(plain) and plain[0].arg in ("self", "cls", "mcs")
    used_as = {"args": "*", "kwargs": "**", "kwds": "**", "kw": "**"}.get(name, "")
    for index in range(int(receiver), len(plain) + 1):
        lines = _with_parameter(passage, definition, index, name)
        if index <= required:
            yield lines, 0.5 if used_as else 1.0 / (1 + 0.1 * (required - index))
        if index >= required:
            for default, likely in defaults.items():
                text = f"{name}={default}"
                yield _with_parameter(passage, definition, index, text), likely
    if not arguments.vararg:
        yield _at_end(passage, definition, f"*{name}"), 1.2 if used_as == "*" else 0.1
    if not arguments.kwarg:
        yield _at_end(passage, definition, f"**{name}"), 1.2 if used_as == "**" else 0.1
    if arguments.vararg or arguments.kwonlyargs or arguments.kwarg:
        for text in (name, *(f"{name}={default}" for default in defaults)):
            yield _before_double_star(passage, definition, text), 0.3


def _sentinel(definition: Definition, name: str) -> str:
    """The object that the body compares the name with: `if key is _MISSING` gives `_MISSING`."""
    for node in ast.walk(definition):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Name)
            and node.left.id == name
            and isinstance(node.ops[0], ast.Is | ast.IsNot)
            and isinstance(node.comparators[0], ast.Name | ast.Constant)
        ):
            return ast.unparse(node.comparators[0])
    return ""


def _with_parameter(
    passage: Passage, definition: Definition, index: int, text: str
) -> tuple[str, ...]:
    """Insert the parameter before plain parameter number `index`, or after the last one."""
    plain = [*definition.args.posonlyargs, *definition.args.args]
    if index < len(plain):
        return _insert(passage, plain[index].lineno, plain[index].col_offset, f"{text}, ")
    return _behind(passage, definition, plain, text)


def _at_end(passage: Passage, definition: Definition, text: str) -> tuple[str, ...]:
    """Insert `*args` after the plain parameters, or `**kwargs` after all."""
    arguments = definition.args
    plain = [*arguments.posonlyargs, *arguments.args]
    if text.startswith("**"):
        plain += [*([arguments.vararg] if arguments.vararg else []), *arguments.kwonlyargs]
    lines = _behind(passage, definition, plain, text)
    # A bare `*` before keyword-only parameters is what is left of `*args`.
    row, column = _star(passage, definition) if not text.startswith("**") else (0, 0)
    if row:
        return _insert(passage, row, column + 1, text[1:])
    return lines


def _star(passage: Passage, definition: Definition) -> tuple[int, int]:
    """Position of a bare `*`: line of the module text and column, or zeros without one."""
    if not definition.args.kwonlyargs or definition.args.vararg:
        return 0, 0
    first = definition.args.kwonlyargs[0]
    lines = passage.text.split("\n")
    for row in range(first.lineno, definition.lineno - 1, -1):
        end = first.col_offset if row == first.lineno else len(lines[row - 1])
        column = lines[row - 1].rfind("*", 0, end)
        if column >= 0:
            return row, column
    return 0, 0


def _before_double_star(passage: Passage, definition: Definition, text: str) -> tuple[str, ...]:
    arguments = definition.args
    if arguments.kwarg:
        lines = passage.text.split("\n")
        column = lines[arguments.kwarg.lineno - 1].rfind("**", 0, arguments.kwarg.col_offset)
        lead = "" if arguments.vararg or arguments.kwonlyargs else "*, "
        return _insert(passage, arguments.kwarg.lineno, column, f"{lead}{text}, ")
    last = [*([arguments.vararg] if arguments.vararg else []), *arguments.kwonlyargs]
    return _behind(passage, definition, last, text)


def _behind(
    passage: Passage, definition: Definition, before: list[ast.arg], text: str
) -> tuple[str, ...]:
    """Insert a parameter after others; in an empty list, after the parenthesis."""
    if not before:
        return _into_empty(passage, definition, text)
    last = before[-1]
    ends = [(last.end_lineno or 0, last.end_col_offset or 0)]
    defaults = [*definition.args.defaults, *definition.args.kw_defaults]
    following = sorted(
        (node.end_lineno or 0, node.end_col_offset or 0)
        for node in defaults
        if node and (node.lineno, node.col_offset) > ends[0]
    )
    owned = {argument.arg for argument in definition.args.args[-len(definition.args.defaults) :]}
    keyword = {
        argument.arg
        for argument, default in zip(
            definition.args.kwonlyargs, definition.args.kw_defaults, strict=True
        )
        if default
    }
    has_default = bool(definition.args.defaults) and last.arg in owned
    if following and (has_default or last.arg in keyword):
        ends = following[:1]
    return _insert(passage, *ends[0], f", {text}")


def _into_empty(passage: Passage, definition: Definition, text: str) -> tuple[str, ...]:
    lines = passage.text.split("\n")
    line = lines[definition.lineno - 1]
    if isinstance(definition, ast.Lambda):
        column = definition.col_offset + len("lambda")
        return _insert(passage, definition.lineno, column, f" {text}")
    column = line.find("(", definition.col_offset)
    rest = line[column + 1 :].lstrip()
    comma = "" if rest.startswith(")") else ", "
    return _insert(passage, definition.lineno, column + 1, text + comma)


def _insert(passage: Passage, row: int, column: int, text: str) -> tuple[str, ...]:
    """The passage's lines with a text inserted; row and column as in the syntax tree."""
    index = passage.index_of(row)
    line = passage.lines[index].encode()
    new = (line[:column] + text.encode() + line[column:]).decode()
    return (*passage.lines[:index], new, *passage.lines[index + 1 :])
