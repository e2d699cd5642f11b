"""Exercises: bugs in short functions of other Python code, each with the command that mends it.

usage: exercises.py OUT.jsonl [COUNT] [--seed S]

They teach a model made from nothing to read a statement and to write a call, before it sees a kata.
The functions are those of the standard library and of the packages installed here; forager's own
mutators put the bugs in. Nothing is run, so nothing is proven and no test says what was expected.
An exercise has the form that an attempt at a kata has when it is trained on; no kata is among them.
"""

import argparse
import ast
import random
import re
import sysconfig
import textwrap
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call
from forager.learning.filters.changes import Change, Unproven
from forager.learning.filters.sed import command
from forager.mutation.candidates import variants
from forager.records import write_records
from forager.trajectories.record import ModelCall, Outcome, Timings, ToolCall, Trajectory, Usage
from mutators import FAMILIES
from tools import TOOLBOX

CHOSEN = ("operators", "variables", "attributes", "arguments", "branches", "loops")
SYSTEM = "Fix the bug and submit."  # as in bootstrap.toml
LINES = 8  # of a function, at most
WIDTH = 90
TOGETHER = 40  # functions that are mutated as one file
EACH = 3  # bugs of a function


def functions(files: list[Path]) -> Iterator[str]:
    """Short functions without docstrings and decorators, each once."""
    seen: set[str] = set()
    for path in files:
        try:
            text = path.read_text()
            tree = ast.parse(text)
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                code = short(text.split("\n"), node)
                if code and code not in seen:
                    seen.add(code)
                    yield code


def short(lines: list[str], node: ast.FunctionDef) -> str:
    """The function without its docstring and comments, or nothing where it is too long."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) else node.body
    if not body or node.name.startswith("__"):
        return ""
    kept = lines[node.lineno - 1 : node.body[0].lineno - 1]
    kept += lines[body[0].lineno - 1 : node.end_lineno]
    plain = textwrap.dedent("\n".join(kept)).split("\n")
    plain = [line for line in plain if line.strip() and not line.strip().startswith("#")]
    if not 2 <= len(plain) <= LINES or max(map(len, plain)) > WIDTH:
        return ""
    code = "\n".join(plain)
    try:
        ast.parse(code)
    except SyntaxError:
        return ""
    return code


def exercises(files: list[Path], source: random.Random) -> Iterator[Trajectory]:
    """Bugs in the functions, those of many files mixed."""
    some = functions(files)
    families = {name: FAMILIES[name] for name in CHOSEN}
    while together := list(islice(some, TOGETHER)):
        named = {name_of(code): code for code in together}
        text = "\n\n\n".join(named.values()) + "\n"
        found: dict[str, list[str]] = {name: [] for name in named}
        for variant in variants(text, families):
            bug = re.search(
                rf"^def {variant.function}\b.*?(?=\n\n\n|\Z)", variant.text, re.M | re.S
            )
            if bug and variant.function in found:
                found[variant.function].append(bug[0].rstrip("\n"))
        for name, bugs in found.items():
            for bug in source.sample(bugs, min(EACH, len(bugs))):
                if made := exercise(name, bug.split("\n"), named[name].split("\n"), source):
                    yield made


def name_of(code: str) -> str:
    """The name of a function."""
    return code.partition("def ")[2].partition("(")[0].strip()


def exercise(name: str, bug: list[str], fix: list[str], source: random.Random) -> Trajectory | None:
    """The attempt that mends a bug; None where one command cannot."""
    first = source.randrange(300)
    module = source.choice(name.strip("_").split("_")) or "code"
    path = f"kata/{module}.py"
    try:
        call = Call("bash", {"command": command(Change(path, first, tuple(bug), tuple(fix)), path)})
    except Unproven:
        return None
    code = "\n".join(f"{number} {line}" for number, line in enumerate(bug, first + 1))
    statement = (
        f"There is a bug in the function `{name}` of `{path}`:\n\n{code}\n\n"
        f"python -m pytest tests/test_{module}.py::test_{name.lstrip('_')}"
    )
    answer, done = (SYNTAXES["text"].write("", one, TOOLBOX) for one in (call, Call("submit", {})))
    told = f"[exit code 0]\n[5 turns and {1024 - source.randrange(60, 300)} tokens left]"
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
        messages=[
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": statement},
            answer,
            {"role": "user", "content": told},
            done,
        ],
        model_calls=[ModelCall(message=at, usage=Usage(), seconds=0) for at in (2, 4)],
        tool_calls=[
            ToolCall(message=3, tool="bash", arguments=call.arguments, exit_code=0),
            ToolCall(message=5, tool="submit"),
        ],
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
