"""Short functions of other Python code, and the katas, which none of them may be.

Those that are `harmless` may run here: they call only builtins and methods of plain values, and
nothing that takes long in one step.
"""

import ast
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import cache, partial
from itertools import islice
from multiprocessing import cpu_count
from pathlib import Path

from forager.threads import in_order

LINES = 6  # of a function, at most
WIDTH = 90
FILES = 50  # that are read at a time
LARGEST = 1000  # number in a function that runs: nothing stops `sum(range(10 ** 12))`
_KNOWN = """
abs all any bool chr dict divmod enumerate filter float frozenset int isinstance len list map max
min ord range repr reversed round set sorted str sum tuple zip
AttributeError IndexError KeyError TypeError ValueError ZeroDivisionError
"""
_METHODS = {
    name
    for kind in (str, list, dict, set, tuple, int, float)
    for name in dir(kind)
    if not name.startswith("_")
} - {"format", "format_map", "to_bytes"}
_BARRED = (
    *(ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.ClassDef, ast.With, ast.Await),
    *(ast.Yield, ast.YieldFrom, ast.Pow, ast.LShift, ast.FunctionDef, ast.AsyncFunctionDef),
)


def functions(files: list[Path], pool: Executor, *, only_harmless: bool) -> Iterator[str]:
    """Short functions, no methods, no tests, without docstrings and decorators, each once."""
    seen: set[str] = set()
    rest = iter(files)
    chunks = iter(lambda: list(islice(rest, FILES)), [])
    for _, found in in_order(pool, partial(_found, only_harmless), chunks, cpu_count()):
        yield from (code for code in found if code not in seen)
        seen.update(found)


def _found(only_harmless: bool, files: list[Path]) -> list[str]:
    found: dict[str, None] = {}
    for path in files:
        try:
            tree = ast.parse(path.read_text())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                code = short(node)
                if code and (harmless(node) or not only_harmless):
                    found[code] = None
    return list(found)


def short(node: ast.FunctionDef) -> str:
    """The function as a kata is written, or nothing where it is no function of a few lines."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    if node.name.startswith(("__", "test")) or {"self", "cls"} & {
        argument.arg for argument in arguments
    }:
        return ""
    for argument in arguments:
        argument.annotation = None
    node.returns = None
    node.body = node.body[ast.get_docstring(node, clean=False) is not None :] or [ast.Pass()]
    code = ast.unparse(node)
    lines = code.split("\n")
    if '"' in code or not 2 <= len(lines) <= LINES or max(map(len, lines)) > WIDTH:
        return ""
    return code.replace("'", '"')


def harmless(function: ast.FunctionDef) -> bool:
    """Whether the function can do no more than compute with the values that it is given."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    if not plain or arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        return False
    nodes = list(ast.walk(function))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    known = {
        argument.arg for node in nodes if isinstance(node, ast.arguments) for argument in node.args
    }
    known |= {name.id for name in names if isinstance(name.ctx, ast.Store)} | set(_KNOWN.split())
    return known.issuperset(name.id for name in names) and not any(
        _barred(node) for node in nodes if node is not function
    )


def _barred(node: ast.AST) -> bool:
    """Whether this part of a function could reach other things, or take long in one step."""
    match node:
        case ast.Attribute(attr=name):
            return name not in _METHODS
        case ast.ExceptHandler(type=None):  # it would take the alarm
            return True
        case ast.Constant(value=int() | float() as number):
            return number > LARGEST
        case ast.arguments():  # defaults are computed where the function is defined
            defaults = filter(None, [*node.defaults, *node.kw_defaults])
            return not all(isinstance(default, ast.Constant) for default in defaults)
    return isinstance(node, _BARRED)


@cache
def katas() -> frozenset[str]:
    """The bodies of the katas."""
    trees = [ast.parse(path.read_text()) for path in (Path(__file__).parent / "kata").glob("*.py")]
    return frozenset(
        plain(ast.unparse(node))
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    )


def plain(code: str) -> str:
    """The body of a function whose arguments are numbered."""
    (function,) = ast.parse(code).body
    assert isinstance(function, ast.FunctionDef)
    names = {argument.arg: f"a{place}" for place, argument in enumerate(function.args.args)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return "\n".join(map(ast.unparse, function.body))


def name_of(code: str) -> str:
    """The name of a function."""
    return code.partition("def ")[2].partition("(")[0].strip()
