"""Exercises: bugs in short functions of other Python code, each with the command that mends it.

usage: exercises.py OUT.jsonl [COUNT] [--seed S]

They teach a model made from nothing to read a statement and to write a call, before it sees a kata.
The functions are those of the standard library and of the packages installed here; forager's own
mutators put the bugs in. Nothing is run, so nothing is proven, and what tests saw and answer is
made up. An exercise has the form that an attempt at a kata has when it is trained on, with wrong
guesses before the right one, which are not; no kata is among them.
"""

import argparse
import ast
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator
from itertools import islice
from multiprocessing import Pool
from pathlib import Path

from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call
from forager.learning.filters.changes import LineEdit, Unproven
from forager.learning.filters.sed import TrialTemplate, script
from forager.mutation.candidates import variants
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
from mutators import FAMILIES
from tools import TOOLBOX

CHOSEN = ("operators",)  # as in scripts/bootstrap
SYSTEM = "Fix the bug and submit."  # as in bootstrap.toml
TRIALS = TrialTemplate("./try {path} '{script}'")  # likewise
LINES = 6  # of a function, at most
WIDTH = 90
TOGETHER = 40  # functions that are mutated as one file
EACH = 4  # bugs of a function
WRONG = (0, 0, 1, 1, 2, 3)  # guesses before the right one
LIKE = [  # what a wrong guess puts in place of what
    ("<", "<=", ">", ">=", "==", "!="),
    ("+", "-", "*", "/", "//", "%", "**"),
    ("+=", "-=", "*=", "//="),
    ("and", "or"),
    ("in", "not in"),
    ("True", "False"),
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


def exercises(files: list[Path], source: random.Random) -> Iterator[Trajectory]:
    """Bugs in the functions, those of many files mixed."""
    some = functions(files)
    batches = iter(lambda: list(islice(some, TOGETHER)), [])
    with Pool() as pool:  # all that takes long; what is drawn does not depend on it
        for fixes, found in pool.imap(bugs_of, batches):
            words = sorted({word for name in fixes for word in name.split("_") if len(word) > 2})
            for name, bugs in found.items():
                for code in source.sample(bugs, min(EACH, len(bugs))):
                    bug, fix = code.split("\n"), fixes[name].split("\n")
                    if made := exercise(name, bug, fix, words or ["code"], source):
                        yield made


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


def guess(bug: list[str], source: random.Random) -> tuple[str, ...]:
    """The function with one more thing changed, mostly wrong as well."""
    places = [
        (number, found.span(), other)
        for number, line in enumerate(bug)
        for found in re.finditer(r"\b(not in|\w+)\b|[-+*/%<>=!]+", line)
        for other in others(found[0])
    ]
    if not places:
        return ()
    number, (start, end), other = source.choice(places)
    return (*bug[:number], bug[number][:start] + other + bug[number][end:], *bug[number + 1 :])


def others(word: str) -> list[str]:
    """What might stand in a word's place."""
    if word.isdecimal():
        return [str(int(word) + 1), str(int(word) - 1)]
    return [other for like in LIKE if word in like for other in like if other != word]


def seen(name: str, line: str, source: random.Random) -> str:
    """What a test might have seen, made up."""
    given = line.partition("(")[2].rpartition(")")[0]
    values = ", ".join(repr(source.choice(VALUES)) for _ in given.split(",") if given)
    expected, got = source.sample(VALUES, 2)
    return f"{name}({values})\nExpected: {expected!r}\nGot: {got!r}"


def exercise(
    name: str, bug: list[str], fix: list[str], words: list[str], source: random.Random
) -> Trajectory | None:
    """The attempt that mends a bug; None where one command cannot. `words` name modules."""
    first = source.randrange(300)
    module = source.choice(words)  # not of the function's name: it is to be read
    path = f"kata/{module}.py"
    test = f"tests/test_{module}.py::test_{name.lstrip('_')}"
    code = "\n".join(f"{number} {line}" for number, line in enumerate(bug, first + 1))
    statement = (
        f"There is a bug in the function `{name}` of `{path}`:\n\n{code}\n\n"
        f"{seen(name, bug[0], source)}\n\npython -m pytest {test}"
    )
    guesses = {guess(bug, source) for _ in range(source.choice(WRONG))} - {(), tuple(fix)}
    messages: list[Message] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": statement},
    ]
    calls: list[ToolCall] = []
    left = 1024 - source.randrange(100, 300)
    for turn, lines in enumerate((*sorted(guesses), tuple(fix))):
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
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    source = random.Random(given.seed)
    roots = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    files = sorted({path for root in roots for path in root.rglob("*.py")})
    source.shuffle(files)
    print(write_records(given.output, islice(exercises(files, source), given.count)), "exercises")


if __name__ == "__main__":
    main()
