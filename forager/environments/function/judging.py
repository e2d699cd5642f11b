"""Judges a program by the cases of its task."""

import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import TypeAdapter

from forager.environments.answer.prediction import literal
from forager.environments.environment import CauseKind
from forager.environments.function.calls import CAUSES, returned_by, size_of
from forager.environments.function.comparison import same_lines, same_values
from forager.environments.function.cpp_tests import has_failed, has_passed, with_tests
from forager.environments.function.running import Case, CaseResult, Program, run_cases
from forager.environments.function.task import Checker, CodingTask, JudgedCase
from forager.errors import TaskError
from forager.sandboxes.sandbox import Limits, SandboxFactory
from forager.untrusted import Malformed, Report, record

LONGEST_VALUE = 16 << 20
"""Characters of what a case returns, and bytes that it may print."""
_LEAST = 1 << 16  # bytes that any case may print
_CHECK_SECONDS = 20.0
_ANSWER = 1 << 12  # bytes of a tester's answer


class CaseVerdict(NamedTuple):
    """What became of a case.

    `word` is passed, wrong, time, memory, crash, compile error or missing (an earlier case failed).
    """

    word: str
    cause: str = ""
    kind: CauseKind = ""


class TesterAnswer(Report):
    """The answer of the child that runs test code."""

    verdict: str
    error: str = ""


PASSED = CaseVerdict("passed")
_TESTER = TypeAdapter(TesterAnswer)
_FAILED = r"Assertion .* failed|did not pass"
_WORDS = {"compile": "compile error", "output": "wrong"}


def judged(
    tasks: Sequence[tuple[CodingTask, str]], image: str, limits: Limits, sandboxes: SandboxFactory
) -> list[list[CaseVerdict]]:
    """Judge programs, each by its own task, in one fresh sandbox. Raises SandboxError.

    All cases of a program that ends well are run, because nothing in the sandbox knows which are
    right; a case that ends badly is the last.
    """
    plans = [_plan(task, text) for task, text in tasks]
    programs = [program for plan in plans for program in plan.programs]
    sandbox = sandboxes(image, limits=limits)
    try:
        results = iter(run_cases(sandbox, programs))
    finally:
        sandbox.close()
    found = []
    for (task, _), plan in zip(tasks, plans, strict=True):
        found.append(_verdicts(task, plan, [next(results) for _ in plan.programs]))
    return _checked(tasks, found, image, limits, sandboxes)


class JudgingPlan(NamedTuple):
    """The programs to run for a task, and the token of C++ tests."""

    programs: list[Program]
    token: str = ""


def program_of(task: CodingTask, text: str, cases: list[Case], *, stop: bool = True) -> Program:
    """A program with the task's language and limits; see `Program` about `stop`."""
    return Program(
        text=text,
        cases=cases,
        language=task.language,
        preamble=task.preamble,
        libraries=task.libraries,
        seconds=task.seconds,
        memory=task.memory,
        stop=stop,
    )


def _plan(task: CodingTask, text: str) -> JudgingPlan:
    if not task.tests:
        cases = [case_of(task, case, _most(task, case)) for case in task.cases]
        return JudgingPlan([program_of(task, text, cases)])
    if task.language == "python":
        case = Case(kind="tests", function=task.function, tests=task.tests, output=_ANSWER)
        return JudgingPlan([program_of(task, text, [case])])
    token = secrets.token_hex(16)
    try:
        texts = [
            with_tests(text, task.tests, token, opposite=opposite) for opposite in (False, True)
        ]
    except ValueError as error:
        raise TaskError(f"{task.instance_id}: {error}") from error
    return JudgingPlan([program_of(task, changed, [Case()]) for changed in texts], token)


def case_of(task: CodingTask, given: JudgedCase, most: int) -> Case:
    """The case that runs a program on an input; its answer has at most `most` bytes."""
    if task.function:
        arguments, function = given.arguments, task.function
        return Case(kind="call", function=function, arguments=arguments, output=most)
    return Case(stdin=given.stdin, output=most)


def _most(task: CodingTask, case: JudgedCase) -> int:
    """Bytes that a case may print."""
    size = len(case.returns) * 8 if task.function else len(case.expected.encode()) * 2
    return max(_LEAST, min(size, LONGEST_VALUE))


def _verdicts(
    task: CodingTask, plan: JudgingPlan, results: Sequence[Sequence[CaseResult]]
) -> list[CaseVerdict]:
    if plan.token:
        (tested,), (opposite,) = results
        return [_cpp_verdict(tested, opposite, plan.token)]
    if task.tests:
        return [_tested(results[0][0])]
    return [_verdict(task, number, result) for number, result in enumerate(results[0])]


def _bad(result: CaseResult) -> CaseVerdict:
    """The verdict on a case that did not end well."""
    cause, kind = CAUSES[result.how]
    said = result.error.strip().rpartition("\n")[2] if result.how in ("crash", "compile") else ""
    told = f"{cause}: {said[:200]}" if said else cause
    return CaseVerdict(_WORDS.get(result.how, result.how), told, kind)


def _verdict(task: CodingTask, number: int, result: CaseResult) -> CaseVerdict:
    if result.how != "ended":
        return _bad(result)
    case = task.cases[number]
    if task.function:
        return _returned(case.returns, result)
    if task.comparison == "checker":
        return CaseVerdict("unchecked", result.output)
    if task.comparison == "exact":
        is_right = result.output == case.expected
    else:
        is_right = same_lines(result.output, case.expected)
    return PASSED if is_right else CaseVerdict("wrong", "it prints something else", "policy")


def _returned(returns: str, result: CaseResult) -> CaseVerdict:
    truth = literal(returns, most=LONGEST_VALUE)
    if truth is None:
        raise TaskError(f"a case's `returns` is not a literal of Python: {returns[:100]}")
    came = returned_by(result, size_of(truth[0]))
    if came.problem:
        return CaseVerdict("crash" if came.raised else "wrong", came.problem, came.kind)
    if same_values(came.value, truth[0]):
        return PASSED
    return CaseVerdict("wrong", "it returns something else", "policy")


def _tested(result: CaseResult) -> CaseVerdict:
    """The verdict of test code in Python."""
    if result.how != "ended":
        return _bad(result)
    try:
        answer = record(_TESTER, result.output, _ANSWER)
    except Malformed as error:
        return CaseVerdict("crash", f"the tests gave no verdict: {error}", "policy")
    if answer.verdict == "passed":
        return PASSED
    said = answer.error.strip().rpartition("\n")[2]
    return CaseVerdict("wrong" if answer.verdict == "wrong" else "crash", said[:300], "policy")


def _cpp_verdict(tested: CaseResult, opposite: CaseResult, token: str) -> CaseVerdict:
    if has_failed(tested.output, token) or (
        tested.how == "crash" and re.search(_FAILED, tested.error)
    ):
        return CaseVerdict("wrong", tested.error.strip()[:300] or "an assertion fails", "policy")
    if tested.how != "ended":
        return _bad(tested)
    if not has_passed(tested.output, token):
        return CaseVerdict("crash", "it ends before its tests do", "policy")
    if opposite.how == "ended" or has_passed(opposite.output, token):
        return CaseVerdict("wrong", "it passes the opposite tests, too", "policy")
    return PASSED


def _checked(
    tasks: Sequence[tuple[CodingTask, str]],
    found: list[list[CaseVerdict]],
    image: str,
    limits: Limits,
    sandboxes: SandboxFactory,
) -> list[list[CaseVerdict]]:
    """The verdicts, with those that a checker decides; checkers have a sandbox of their own."""
    places = [
        (number, place)
        for number, verdicts in enumerate(found)
        for place, verdict in enumerate(verdicts)
        if verdict.word == "unchecked"
    ]
    if not places:
        return found
    programs = [
        _checking(tasks[number][0], place, found[number][place].cause) for number, place in places
    ]
    sandbox = sandboxes(image, limits=limits)
    try:
        results = run_cases(sandbox, programs)
    finally:
        sandbox.close()
    for (number, place), (result,) in zip(places, results, strict=True):
        found[number][place] = _checkers_verdict(tasks[number][0], result)
    return found


def _checking(task: CodingTask, place: int, output: str) -> Program:
    """The checker with the files of one case."""
    if task.checker is None:
        raise TaskError(f"{task.instance_id} is compared by a checker and has none")
    checker: Checker = task.checker
    case = task.cases[place]
    files = {"input": case.stdin, "output": output, "expected": case.expected}
    return Program(
        text=checker.text,
        language=checker.language,
        cases=[Case(files=files, arguments=list(files))],
        seconds=_CHECK_SECONDS,
        memory=task.memory,
    )


def _checkers_verdict(task: CodingTask, result: CaseResult) -> CaseVerdict:
    """Exit codes as testlib has them. Raises TaskError for a checker that fails."""
    if result.how == "ended":
        return PASSED
    if result.how == "crash" and result.code in (1, 2) and "Traceback" not in result.error:
        return CaseVerdict(
            "wrong", f"the checker refuses it: {result.error.strip()[:200]}", "policy"
        )
    raise TaskError(f"{task.instance_id}: its checker fails: {result.how} {result.error[-200:]}")
