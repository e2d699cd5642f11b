"""Bugs in short functions: of other Python code, and in invented functions that tests run.

in_files(files, …)    functions of files: they are not run, and what a test saw is made up
in_inventions(…)      functions of invented.py: what a test saw is true, and none is a kata
"""

import ast
import random
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import cache
from itertools import count, islice
from multiprocessing import cpu_count
from pathlib import Path
from typing import NamedTuple

from invented import functions as inventions
from outcomes import difference

from forager.mutation.candidates import variants
from forager.threads import in_order
from mutators import FAMILIES

CHOSEN = ("operators",)  # as in scripts/bootstrap
LINES = 6  # of a function, at most
WIDTH = 90
TOGETHER = 40  # functions that are mutated as one file
EACH = 4  # bugs of a function
EACH_INVENTED = 2
MODULES = [
    "numbers",
    "lists",
    "text",
    "words",
    "logic",
    "money",
    "dates",
    "sets",
    "units",
    "games",
    "values",
    "pairs",
]
VALUES: tuple[object, ...] = (
    0,
    1,
    2,
    3,
    5,
    7,
    10,
    12,
    2.5,
    "",
    "a",
    "abc",
    "b c",
    [],
    [1, 2, 3],
    [4, 2],
    True,
    False,
)


class Bug(NamedTuple):
    """A function with a bug, and what a test saw."""

    name: str
    bug: list[str]
    fix: list[str]
    shown: str
    modules: list[str]
    """Names that a module of such functions may have."""


def in_files(files: list[Path], source: random.Random, pool: Executor) -> Iterator[Bug]:
    """Bugs in the functions of files, those of many files mixed; what tests saw is made up."""
    some = functions(files)
    batches = iter(lambda: list(islice(some, TOGETHER)), [])
    for _, (fixes, bugs) in in_order(pool, bugs_of, batches, cpu_count()):
        words = sorted({word for name in fixes for word in name.split("_") if len(word) > 2})
        for name, variants_of in bugs.items():
            for code in source.sample(variants_of, min(EACH, len(variants_of))):
                bug, fix = code.split("\n"), fixes[name].split("\n")
                shown = seen(name, bug[0], source)
                yield Bug(name, bug, fix, shown, words or ["code"])


def in_inventions(source: random.Random, pool: Executor) -> Iterator[Bug]:
    """Bugs in invented functions, which tests show."""
    own = random.Random(source.getrandbits(32))  # how many are drawn ahead depends on the machine
    seeds = (own.getrandbits(32) for _ in count())
    for _, bugs in in_order(pool, shown_bugs, seeds, cpu_count()):
        yield from bugs


def shown_bugs(seed: int) -> list[Bug]:
    """Bugs in a few invented functions, none of them a kata, with what a test shows."""
    source = random.Random(seed)
    known = katas()
    new = [code for code in islice(inventions(source), TOGETHER) if plain(code) not in known]
    fixes, bugs = bugs_of(new)
    return [
        Bug(name, code.split("\n"), fixes[name].split("\n"), shown, MODULES)
        for name, variants_of in bugs.items()
        for code in source.sample(variants_of, min(EACH_INVENTED, len(variants_of)))
        if (shown := difference(name, fixes[name], code, source))
    ]


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


def bugs_of(together: list[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The functions by their names, and each with bugs in it."""
    warnings.simplefilter("ignore")
    named = {name_of(code): code for code in together}
    text = "\n\n\n".join(named.values()) + "\n"
    found: dict[str, list[str]] = {name: [] for name in named}
    for variant in variants(text, {name: FAMILIES[name] for name in CHOSEN}):
        bug = re.search(rf"^def {variant.function}\b.*?(?=\n\n\n|\Z)", variant.text, re.M | re.S)
        if bug and variant.function in found:
            found[variant.function].append(bug[0].rstrip("\n"))
    return named, found


def name_of(code: str) -> str:
    """The name of a function."""
    return code.partition("def ")[2].partition("(")[0].strip()


def functions(files: list[Path]) -> Iterator[str]:
    """Short functions, no methods, no tests, without docstrings and decorators, each once."""
    seen: set[str] = set()
    for path in files:
        try:
            tree = ast.parse(path.read_text())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                code = short(node)
                if code and code not in seen:
                    seen.add(code)
                    yield code


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


def seen(name: str, line: str, source: random.Random) -> str:
    """What a test might have seen, made up."""
    given = line.partition("(")[2].rpartition(")")[0]
    values = ", ".join(repr(source.choice(VALUES)) for _ in given.split(",") if given)
    expected, got = source.sample(VALUES, 2)
    return f"{name}({values})\nExpected: {expected!r}\nGot: {got!r}"
