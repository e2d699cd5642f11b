"""Bugs in short functions, none of them a kata, and what a test of each saw.

in_files(files, …)    functions of files, which are run or not; then what a test saw is made up
in_inventions(…)      functions of invented.py, which are run
"""

import random
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from itertools import count, islice
from multiprocessing import cpu_count
from pathlib import Path
from typing import NamedTuple

from functions import functions, katas, name_of, plain
from invented import functions as inventions
from outcomes import difference

from forager.mutation.candidates import variants
from forager.threads import in_order
from mutators import FAMILIES

CHOSEN = ("operators",)  # as in scripts/bootstrap
TOGETHER = 40  # functions that are mutated as one file
EACH = 4  # bugs of a function
EACH_RUN = 2  # of one that tests run
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


def in_files(
    files: list[Path], source: random.Random, pool: Executor, *, run: bool
) -> Iterator[Bug]:
    """Bugs in the functions of files, those of many files mixed.

    With `run` only harmless functions count, and tests run them; else what a test saw is made up.
    """
    own = random.Random(source.getrandbits(32))  # how many are drawn ahead depends on the machine
    some = functions(files, pool, only_harmless=run)
    batches = iter(lambda: list(islice(some, TOGETHER)), [])
    seeded = ((own.getrandbits(32), batch) for batch in batches)
    for _, bugs in in_order(pool, run_bugs if run else read_bugs, seeded, cpu_count()):
        yield from bugs


def in_inventions(source: random.Random, pool: Executor) -> Iterator[Bug]:
    """Bugs in invented functions, which tests show."""
    own = random.Random(source.getrandbits(32))  # how many are drawn ahead depends on the machine
    seeds = (own.getrandbits(32) for _ in count())
    for _, bugs in in_order(pool, shown_bugs, seeds, cpu_count()):
        yield from bugs


def shown_bugs(seed: int) -> list[Bug]:
    """Bugs in a few invented functions, with what a test shows."""
    source = random.Random(seed)
    return run_bugs((source.getrandbits(32), list(islice(inventions(source), TOGETHER))))


def run_bugs(seeded: tuple[int, list[str]]) -> list[Bug]:
    """Bugs in functions that may run here, none of them a kata, with what a test shows."""
    source, known = random.Random(seeded[0]), katas()
    fixes, bugs = bugs_of([code for code in seeded[1] if plain(code) not in known])
    return [
        Bug(name, code.split("\n"), fixes[name].split("\n"), shown, MODULES)
        for name, variants_of in bugs.items()
        for code in source.sample(variants_of, min(EACH_RUN, len(variants_of)))
        if (shown := difference(name, fixes[name], code, source))
    ]


def read_bugs(seeded: tuple[int, list[str]]) -> list[Bug]:
    """Bugs in functions that are not run; what a test saw is made up."""
    source = random.Random(seeded[0])
    fixes, bugs = bugs_of(seeded[1])
    words = sorted({word for name in fixes for word in name.split("_") if len(word) > 2})
    return [
        Bug(name, bug, fixes[name].split("\n"), seen(name, bug[0], source), words or ["code"])
        for name, variants_of in bugs.items()
        for code in source.sample(variants_of, min(EACH, len(variants_of)))
        if (bug := code.split("\n"))
    ]


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


def seen(name: str, line: str, source: random.Random) -> str:
    """What a test might have seen, made up."""
    given = line.partition("(")[2].rpartition(")")[0]
    values = ", ".join(repr(source.choice(VALUES)) for _ in given.split(",") if given)
    expected, got = source.sample(VALUES, 2)
    return f"{name}({values})\nExpected: {expected!r}\nGot: {got!r}"
