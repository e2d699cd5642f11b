"""Exercises: bugs in short functions, none of them a kata, each with the command that mends it.

usage: exercises.py OUT.jsonl [COUNT] [--run] [--guesses MODEL] [--seed S]

They teach a model made from nothing to read a statement and to write a call, before it sees a kata.
The functions are those of the standard library and of the packages installed here, and invented
ones (bugs.py); forager's own mutators put the bugs in. An exercise has the form that an
attempt at a kata has when it is trained on, with wrong guesses before the right one, which are not.
Those are made up, or the own ones of a model that has learned from such exercises: after them it
learns what is left, and not to guess the same again.
"""

import argparse
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bugs import Bug, in_files, in_inventions
from outcomes import bound_memory

from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call
from forager.learning.filters.changes import LineEdit, Unproven
from forager.learning.filters.sed import TrialTemplate, script
from forager.records import write_records
from forager.trajectories.budget import with_budget
from forager.trajectories.record import (
    Message,
    ModelCall,
    Outcome,
    Timings,
    ToolCall,
    Trajectory,
    Usage,
)
from tools import TOOLBOX

SYSTEM = "Fix the bug and submit."  # as in bootstrap.toml
TRIALS = TrialTemplate("./try {path} '{script}'")  # likewise
WRONG = (0, 0, 0, 1, 1, 2, 4)  # guesses before the right one, up to those of an evaluation
OWN = (0, 1, 2, 3, 4)  # guesses of a model before it
NEAR = 4  # a wrong guess is so many times likelier in the line of the bug: a model guesses there
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


class Place(NamedTuple):
    """Where a bug is said to be, and what the model reads of it."""

    bug: Bug
    path: str
    test: str
    first: int
    """Lines before the function."""
    left: int
    """Tokens that may be written, at the start."""

    @property
    def statement(self) -> str:
        """As a kata's."""
        made = self.bug
        code = "\n".join(f"{number} {line}" for number, line in enumerate(made.bug, self.first + 1))
        return (
            f"There is a bug in the function `{made.name}` of `{self.path}`:\n\n{code}\n\n"
            f"{made.shown}\n\npython -m pytest {self.test}"
        )

    def command(self, lines: Sequence[str]) -> str:
        """The guess that makes these lines of the function's. Raises Unproven if none does."""
        edit = LineEdit(self.path, self.first, tuple(self.bug.bug), tuple(lines))
        return TRIALS.command(script(edit), self.path, self.test)

    def call(self, turn: int, message: int, command: str, word: str) -> ToolCall:
        """The call of a guess, which says passed, failed or unchanged."""
        return ToolCall(
            message=message,
            tool="bash",
            arguments={"command": command},
            exit_code=int(word != "passed"),
            output_length=len(word),
            turns_left=5 - turn,  # as in an evaluation
            tokens_left=self.left - 60 * turn,
        )


def place(made: Bug, source: random.Random) -> Place:
    """A place for a bug."""
    first = source.randrange(300)
    module = source.choice(made.modules)  # not of the function's name: it is to be read
    test = f"tests/test_{module}.py::test_{made.name.lstrip('_')}"
    return Place(made, f"kata/{module}.py", test, first, 1024 - source.randrange(100, 300))


def exercise(made: Bug, source: random.Random) -> Trajectory | None:
    """The attempt that mends a bug, after guesses made up; None where one command cannot."""
    fix = tuple(made.fix)
    wrong = {guess(made.bug, made.fix, source) for _ in range(source.choice(WRONG))} - {(), fix}
    at = place(made, source)
    try:
        guesses = [
            (at.command(lines), "failed") for lines in source.sample(sorted(wrong), len(wrong))
        ]
        return attempt(at, guesses, f"exercise.{source.getrandbits(48):012x}")
    except Unproven:
        return None


def attempt(at: Place, guesses: Sequence[tuple[str, str]], identity: str) -> Trajectory:
    """The attempt with these guesses, and what each says, and then the right one."""
    right = (at.command(at.bug.fix), "passed")
    messages: list[Message] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": at.statement},
    ]
    calls: list[ToolCall] = []
    for turn, (command, word) in enumerate((*guesses, right)):
        calls.append(at.call(turn, len(messages) + 1, command, word))
        messages += said(calls[-1], word)
    messages.append(SYNTAXES["text"].write("", Call("submit", {}), TOOLBOX))
    calls.append(ToolCall(message=len(messages), tool="submit"))
    return Trajectory(
        id=f"{identity}.0",
        instance_id=identity,
        attempt=0,
        kind="exercise",
        repo="python",
        model="mutators",
        syntax="text",
        image="",
        image_digest="",
        started_at="",
        messages=messages,
        model_calls=[
            ModelCall(message=call.message - 1, usage=Usage(), seconds=0) for call in calls
        ],
        tool_calls=calls,
        outcome=Outcome(exit_reason="not run"),
        usage=Usage(),
        timings=Timings(),
        version="",
    )


def said(call: ToolCall, word: str) -> list[Message]:
    """A guess and its answer."""
    told = with_budget(f"{word}\n[exit code {call.exit_code}]", call)
    written = SYNTAXES["text"].write("", Call("bash", call.arguments), TOOLBOX)
    return [written, {"role": "user", "content": told}]


def made(found: Iterator[Bug], model: Path | None, source: random.Random) -> Iterator[Trajectory]:
    """Exercises of bugs; those of a model have its own wrong guesses."""
    if model is None:
        yield from filter(None, (exercise(bug, source) for bug in found))
        return
    from guesser import Guesser

    places = ((place(bug, source), source.choice(OWN)) for bug in found)
    with Guesser(model) as guesser:
        for at, guesses in guesser.play(places):
            with suppress(Unproven):
                yield attempt(at, guesses, f"exercise.{source.getrandbits(48):012x}")


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
    with ProcessPoolExecutor(initializer=bound_memory) as pool:
        found = bugs(files, source, pool, run=given.run)
        written = islice(made(found, given.guesses, source), given.count)
        print(write_records(given.output, written), "exercises")


if __name__ == "__main__":
    main()
