"""Makes questions about whether a call ends, each with a proven answer.

Programs are those of prediction tasks, and their mutants. A call ends if it returned or raised; it
never ends if a complete state of it occurred twice (`forager/programs/cases/halting.py`), which is
a proof for deterministic programs alone. What is neither is left out. Each program that is asked
about comes as often with a call that ends as with one that does not. Both are mutants where it can
be, of one operator if possible: that a program was changed says nothing about its answer.
"""

import ast
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, TypeAdapter

from forager.environments.answer.expressions import arguments_of
from forager.environments.answer.prediction import PredictionTask
from forager.environments.answer.termination import TERMINATION, TerminationTask
from forager.environments.function.running import Case, CaseResult, Program, run_cases
from forager.mutation.candidates import Families, variants
from forager.sandboxes.sandbox import Sandbox
from forager.untrusted import Malformed, Report, record

_MODULES = {
    *("bisect", "collections", "copy", "dataclasses", "functools", "heapq", "itertools", "math"),
    *("operator", "re", "string", "typing"),
}
"""Modules without input, time, chance or state that a program could change."""
_NAMES = {
    *("id", "hash", "input", "open", "globals", "locals", "vars", "exec", "eval", "compile"),
    *("setattr", "delattr", "memoryview", "breakpoint", "exit", "quit", "__import__"),
}
_SECONDS, _PROOF_SECONDS = 1.0, 2.0
_MEMORY = 1 << 30
_OUTPUT = 1 << 20
_STATEMENT = """\
Read this Python program and a call of one of its functions.

[PYTHON]
{code}
[/PYTHON]

Does the call `{function}({input})` end? It ends if it returns or raises an exception, however \
long that takes. Think step by step. Then answer `yes` or `no` between [ANSWER] and [/ANSWER].
"""

Truth = Literal["ends", "never ends"]


class WatchedCall(Report):
    """What the watcher of a call in a sandbox answers."""

    repeats: Annotated[int, Field(ge=1)] | None = None
    ended: bool = False
    unproven: str = ""


class MadeQuestions(NamedTuple):
    """The questions about a program, and what became none, by reason."""

    tasks: list[TerminationTask]
    dropped: Counter[str]


class Called(NamedTuple):
    """A program that a call is asked about, and the operator that made it, if one did."""

    code: str
    operator: str = ""


_WATCHED = TypeAdapter(WatchedCall)


def termination_tasks(
    source: PredictionTask,
    families: Families,
    sandbox: Callable[[], Sandbox],
    *,
    most: int,
    tried: int,
    seed: int,
) -> MadeQuestions:
    """Up to `most` questions about a program whose calls end, and as many whose calls do not.

    Tries the program and up to `tried` mutants of it, drawn by the seed. `sandbox` opens a fresh
    one. Raises SandboxError.
    """
    problem = unsuitable(source)
    if problem:
        return MadeQuestions([], Counter([problem]))
    dropped: Counter[str] = Counter()
    calls = [Called(source.code), *_mutants(source, families, tried, seed)]
    truths = proven(source, [call.code for call in calls], sandbox, dropped)
    ending = [call for call, truth in zip(calls, truths, strict=True) if truth == "ends"]
    looping = [call for call, truth in zip(calls, truths, strict=True) if truth == "never ends"]
    count = min(most, len(ending), len(looping))
    dropped["more of one kind than of the other"] += len(ending) + len(looping) - 2 * count
    questions = []
    for loop in looping[:count]:
        like = min(ending, key=lambda call: (call.operator != loop.operator, not call.operator))
        ending.remove(like)
        questions += [_task(source, like, ends=True), _task(source, loop, ends=False)]
    return MadeQuestions(questions, dropped)


def unsuitable(source: PredictionTask) -> str:
    """Why nothing is asked about a program; an empty text if something is."""
    try:
        tree = ast.parse(source.code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "it cannot be parsed"
    nodes = list(ast.walk(tree))
    if not any(isinstance(node, ast.While) for node in nodes):
        return "it has no `while`"
    if arguments_of(f"{source.function}({source.input})", source.function) is None:
        return "its input is not plain"
    return next(filter(None, map(_unpredictable, nodes)), "")


def _unpredictable(node: ast.AST) -> str:
    """What lets equal states go on differently, or depend on what is not in the state."""
    match node:
        case ast.Import(names=names):
            if {name.name for name in names} - _MODULES:
                return "it imports what may not be deterministic"
        case ast.ImportFrom(module=module):
            if module not in _MODULES:
                return "it imports what may not be deterministic"
        case ast.Name(id=name) if name in _NAMES or name.startswith("__"):
            return "it uses what may not be deterministic"
        case ast.Attribute(attr=name) if name.startswith("__") and name != "__init__":
            return "it uses what may not be deterministic"
        case ast.Compare(ops=ops, left=left, comparators=others):
            if any(isinstance(op, (ast.Is, ast.IsNot)) for op in ops) and not any(
                isinstance(side, ast.Constant) and side.value in (None, True, False)
                for side in (left, *others)
            ):
                return "it compares identities"
    return ""


def _mutants(source: PredictionTask, families: Families, count: int, seed: int) -> Iterator[Called]:
    found = [Called(variant.text, variant.operator) for variant in variants(source.code, families)]
    random.Random(f"{seed} {source.instance_id}").shuffle(found)
    usable = (
        call for call in found if not unsuitable(source.model_copy(update={"code": call.code}))
    )
    return islice(usable, count)


def proven(
    source: PredictionTask,
    codes: Sequence[str],
    sandbox: Callable[[], Sandbox],
    dropped: Counter[str],
) -> list[Truth | None]:
    """Whether the call of a task ends in each program; None where neither is proven."""
    first = _run(source, codes, "call", _SECONDS, sandbox)
    found: list[Truth | None] = [_ended(result, dropped) for result in first]
    slow = [place for place, result in enumerate(first) if result.how == "time"]
    if slow:
        watched = _run(source, [codes[place] for place in slow], "halting", _PROOF_SECONDS, sandbox)
        for place, result in zip(slow, watched, strict=True):
            found[place] = _watched(result, dropped)
    return found


def _run(
    source: PredictionTask,
    codes: Sequence[str],
    kind: Literal["call", "halting"],
    seconds: float,
    sandbox: Callable[[], Sandbox],
) -> list[CaseResult]:
    case = Case(kind=kind, function=source.function, arguments=source.input, output=_OUTPUT)
    programs = [Program(text=code, cases=[case], seconds=seconds, memory=_MEMORY) for code in codes]
    opened = sandbox()
    try:
        return [result for (result,) in run_cases(opened, programs)]
    finally:
        opened.close()


def _ended(result: CaseResult, dropped: Counter[str]) -> Truth | None:
    if result.how == "time":
        return None  # to be watched
    if result.how == "ended" and '"raised": "RecursionError' not in result.output[:40]:
        return "ends"
    dropped["it reached a limit"] += 1
    return None


def _watched(result: CaseResult, dropped: Counter[str]) -> Truth | None:
    try:
        answer = record(_WATCHED, result.output, 1 << 16)
    except Malformed:
        answer = WatchedCall(unproven="no state occurred again in time")
    if answer.repeats:
        return "never ends"
    if answer.ended:
        return "ends"
    dropped[f"unproven: {answer.unproven[:60]}"] += 1
    return None


def _task(source: PredictionTask, call: Called, *, ends: bool) -> TerminationTask:
    name = blake2b(call.code.encode(), digest_size=4).hexdigest()
    lines = len(call.code.splitlines())
    return TerminationTask(
        instance_id=f"{TERMINATION}.{source.instance_id}.{name}",
        problem_statement=_STATEMENT.format(
            code=call.code, function=source.function, input=source.input
        ),
        labels=source.labels.model_copy(
            update={
                "family": TERMINATION,
                "operator": call.operator,
                "difficulty": {"code_lines": float(lines)},
                "more": {"ends": "yes" if ends else "no"},
            }
        ),
        repo=source.repo,
        source=source.source,
        licence=source.licence,
        contaminated=source.contaminated,
        code=call.code,
        function=source.function,
        input=source.input,
        ends=ends,
    )
