"""Exercises: bugs in short functions, none of them a kata, each with the command that mends it.

usage: exercises.py OUT.jsonl [COUNT] [--run] [--seed S]

They teach a model made from nothing to read a statement and to write a call, before it sees a kata.
The functions are those of the standard library and of the packages installed here, and invented
ones (bugs.py); forager's own mutators put the bugs in. An exercise has the form that an
attempt at a kata has when it is trained on, with wrong guesses before the right one, which are not.
"""

import argparse
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

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
NEAR = 4  # a wrong guess is so many times likelier in the line of the bug: a model guesses there
LIKE = [  # what a wrong guess puts in place of what
    ("<", "<=", ">", ">=", "==", "!="),
    ("+", "-", "*", "/", "//", "%", "**"),
    ("+=", "-=", "*=", "//="),
    ("and", "or"),
    ("in", "not in"),
    ("True", "False"),
]


def exercises(files: list[Path], source: random.Random, *, run: bool) -> Iterator[Trajectory]:
    """Bugs in the functions of files and in invented ones, taking turns; with `run`, one in three.

    Only a part of all functions can run.
    """
    # In other processes, all that takes long; what is drawn does not depend on their number.
    with ProcessPoolExecutor(initializer=bound_memory) as pool:
        found = in_files(files, source, pool, run=run)
        for number, invented in enumerate(in_inventions(source, pool)):
            other = next(found, None) if not run or number % 2 else None
            for bug in (invented, other):
                if bug and (attempt := exercise(bug, source)):
                    yield attempt


def guess(bug: list[str], fix: list[str], source: random.Random) -> tuple[str, ...]:
    """The function with one more thing changed, mostly wrong as well."""
    near = [before != after for before, after in zip(bug, fix, strict=False)]
    places = [
        (number, found.span(), other)
        for number, line in enumerate(bug)
        for found in re.finditer(r"\b(not in|\w+)\b|[-+*/%<>=!]+", line)
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


def exercise(made: Bug, source: random.Random) -> Trajectory | None:
    """The attempt that mends a bug; None where one command cannot."""
    name, bug, fix = made.name, made.bug, made.fix
    first = source.randrange(300)
    module = source.choice(made.modules)  # not of the function's name: it is to be read
    path = f"kata/{module}.py"
    test = f"tests/test_{module}.py::test_{name.lstrip('_')}"
    code = "\n".join(f"{number} {line}" for number, line in enumerate(bug, first + 1))
    statement = (
        f"There is a bug in the function `{name}` of `{path}`:\n\n{code}\n\n"
        f"{made.shown}\n\npython -m pytest {test}"
    )
    wrong = {guess(bug, fix, source) for _ in range(source.choice(WRONG))} - {(), tuple(fix)}
    guesses = source.sample(sorted(wrong), len(wrong))
    messages: list[Message] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": statement},
    ]
    calls: list[ToolCall] = []
    left = 1024 - source.randrange(100, 300)
    for turn, lines in enumerate((*guesses, tuple(fix))):
        try:
            edit = script(LineEdit(path, first, tuple(bug), lines))
        except Unproven:
            return None
        right = lines == tuple(fix)
        call = Call("bash", {"command": TRIALS.command(edit, path, test)})
        word = "passed" if right else "failed"
        calls.append(
            ToolCall(
                message=len(messages) + 1,
                tool="bash",
                arguments=call.arguments,
                exit_code=int(not right),
                output_length=len(word),
                turns_left=7 - turn,
                tokens_left=left - 60 * turn,
            )
        )
        told = with_budget(f"{word}\n[exit code {int(not right)}]", calls[-1])
        messages += [
            SYNTAXES["text"].write("", call, TOOLBOX),
            {"role": "user", "content": told},
        ]
    messages.append(SYNTAXES["text"].write("", Call("submit", {}), TOOLBOX))
    calls.append(ToolCall(message=len(messages), tool="submit"))
    identity = f"exercise.{source.getrandbits(48):012x}"
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


def main() -> None:
    """Write so many exercises."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("count", type=int, nargs="?", default=30_000)
    parser.add_argument("--run", action="store_true", help="only functions that tests can run")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    source = random.Random(given.seed)
    roots = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    files = sorted({path for root in roots for path in root.rglob("*.py")})
    source.shuffle(files)
    made = islice(exercises(files, source, run=given.run), given.count)
    print(write_records(given.output, made), "exercises")


if __name__ == "__main__":
    main()
