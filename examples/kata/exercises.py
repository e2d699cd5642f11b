"""Exercises: bugs in short functions, none of them a kata, each with the command that mends it.

usage: exercises.py OUT.jsonl [COUNT] [--run] [--guesses MODEL] [--seed S]

They teach a model made from nothing to read a statement and to write a call, before it sees a kata.
The functions are those of the standard library and of the packages installed here, and invented
ones (bugs.py); forager's own mutators put the bugs in. An exercise has the form that an
attempt at a kata has when it is trained on, with wrong guesses before the right one, which are not.
Those are made up, or the own ones of a model that has learned from such exercises: after them it
learns what is left, and not to guess the same again.

The file grows as they are made, and the same command goes on after a kill.
"""

import argparse
import random
import re
import sysconfig
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

from bugs import Bug, in_files, in_inventions
from guesser import Guesser
from outcomes import bound
from places import attempt, place

from forager.learning.filters.changes import Unproven
from forager.records import RecordWriter, read_records
from forager.trajectories.record import Trajectory

WRONG = (0, 0, 0, 1, 1, 2, 4)  # guesses before the right one, up to those of an evaluation
OWN = (1, 2, 3, 4)  # guesses of a model before it
EASY = 2  # one in so many of those that the model mends at once
NEAR = 4  # a wrong guess is so many times likelier in the line of the bug: a model guesses there
TOGETHER = 20  # exercises that are written at a time
LIKE = [  # what a wrong guess puts in place of what
    ("<", "<=", ">", ">=", "==", "!="),
    ("+", "-", "*", "/", "//", "%", "**"),
    ("+=", "-=", "*=", "//="),
    ("&", "|", "^"),
    ("and", "or"),
    ("in", "not in"),
    ("True", "False"),
]


def bugs(files: list[Path], source: random.Random, pool: Executor, *, run: bool) -> Iterator[Bug]:
    """Bugs in the functions of files and in invented ones, taking turns; with `run`, one in three.

    Only a part of all functions can run.
    """
    found = in_files(files, source, pool, run=run)
    for number, invented in enumerate(in_inventions(source, pool)):
        other = next(found, None) if not run or number % 2 else None
        yield from filter(None, (invented, other))


def guess(bug: list[str], fix: list[str], source: random.Random) -> tuple[str, ...]:
    """The function with one more thing changed, mostly wrong as well."""
    near = [before != after for before, after in zip(bug, fix, strict=False)]
    places = [
        (number, found.span(), other)
        for number, line in enumerate(bug)
        for found in re.finditer(r"\b(not in|\w+)\b|[-+*/%<>=!&|^]+", line)
        for other in others(found[0])
    ]
    if not places:
        return ()
    weights = [NEAR if near[place[0]] else 1 for place in places]
    ((number, (start, end), other),) = source.choices(places, weights)
    return (*bug[:number], bug[number][:start] + other + bug[number][end:], *bug[number + 1 :])


def others(word: str) -> list[str]:
    """What might stand in a word's place."""
    if word.isdecimal():
        return [str(int(word) + 1), str(int(word) - 1)]
    return [other for like in LIKE if word in like for other in like if other != word]


def exercise(made: Bug, name: str) -> Trajectory | None:
    """The attempt that mends a bug, after guesses made up; None where one command cannot."""
    source, fix = random.Random(name), tuple(made.fix)
    wrong = {guess(made.bug, made.fix, source) for _ in range(source.choice(WRONG))} - {(), fix}
    at = place(made, name, source)
    try:
        guesses = [
            (at.command(lines), "failed") for lines in source.sample(sorted(wrong), len(wrong))
        ]
        return attempt(at, guesses)
    except Unproven:
        return None


def exercises(found: Iterator[tuple[Bug, str]], model: Path | None) -> Iterator[Trajectory]:
    """Exercises of bugs with these names; those of a model have its own wrong guesses."""
    if model is None:
        yield from filter(None, (exercise(bug, name) for bug, name in found))
        return
    seeded = ((bug, name, random.Random(name)) for bug, name in found)
    places = ((place(bug, name, source), source.choice(OWN)) for bug, name, source in seeded)
    with Guesser(model) as guesser:
        for at, guesses in guesser.play(places):
            if not guesses and zlib.crc32(at.name.encode()) % EASY:
                continue
            with suppress(Unproven):
                yield attempt(at, guesses)


def write(path: Path, most: int, found: Iterator[tuple[Bug, str]], model: Path | None) -> int:
    """Add to a file the exercises that it lacks; how many it has."""
    with RecordWriter(path) as writer:
        names = [made.instance_id for made in read_records(path, Trajectory)]
        if names[most - 1 :]:
            return len(names)
        start = int(names[-1].rpartition(".")[2]) + 1 if names else 0
        made = islice(exercises(islice(found, start, None), model), most - len(names))
        while some := list(islice(made, TOGETHER)):
            writer.append(*some)
    return most


def main() -> None:
    """Write so many exercises."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("count", type=int, nargs="?", default=30_000)
    parser.add_argument("--run", action="store_true", help="only functions that tests can run")
    parser.add_argument("--guesses", type=Path, metavar="MODEL", help="whose wrong guesses to use")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    source = random.Random(given.seed)
    roots = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    files = sorted({path for root in roots for path in root.rglob("*.py")})
    source.shuffle(files)
    # In other processes, all that takes long; what is drawn does not depend on their number.
    with ProcessPoolExecutor(initializer=bound) as pool:
        found = enumerate(bugs(files, source, pool, run=given.run))
        named = ((bug, f"exercise.{given.seed}.{number}") for number, bug in found)
        print(write(given.output, given.count, named, given.guesses), "exercises")


if __name__ == "__main__":
    main()
