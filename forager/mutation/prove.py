"""Proves mutants by the project's own tests, and proves tasks again."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Literal, TypeVar

from forager.environments.image import Image
from forager.environments.sandbox import Limits
from forager.environments.task import Task
from forager.environments.testing import run_tests
from forager.environments.workspace import apply_patch, open_task
from forager.errors import SandboxError
from forager.records import Record

Reason = Literal[
    "survived", "breaks everything", "flaky", "timeout", "does not apply", "crashed the test run"
]
_MUTANT_TEST_SECONDS = 20.0  # for one test: a mutant may loop without end
A = TypeVar("A")
B = TypeVar("B")


class Verdict(Record):
    """What the tests say of a mutant: the tests that fail and pass, or why it is no task."""

    fail_to_pass: list[str] = []
    pass_to_pass: list[str] = []
    reason: Reason | None = None


def prove(draft: Task, image: Image, limits: Limits) -> Verdict:
    """Run the image's passing tests on the mutant, twice, in two fresh containers.

    A mutant is a task when at least one test fails, at least one still passes, and both runs say
    the same. Raises SandboxError.
    """
    first = _run(draft, image, limits)
    if first.reason:
        return first
    second = _run(draft, image, limits)
    return first if second == first else Verdict(reason="flaky")


def _run(draft: Task, image: Image, limits: Limits) -> Verdict:
    try:
        sandbox, _ = open_task(draft, limits)
    except SandboxError as error:
        if "setup_patch fails" in str(error):
            return Verdict(reason="does not apply")
        raise
    try:
        report = run_tests(
            sandbox,
            image.setup,
            timeout=3 * image.test_seconds + 30,
            test_seconds=_MUTANT_TEST_SECONDS,
        )
    finally:
        sandbox.close()
    if not report.complete:
        slow = report.seconds >= 3 * image.test_seconds + 30
        return Verdict(reason="timeout" if slow else "crashed the test run")
    outcomes = {test: report.outcomes.get(test, "missing") for test in image.passing}
    failing = [test for test, outcome in outcomes.items() if outcome != "passed"]
    passing = [test for test, outcome in outcomes.items() if outcome == "passed"]
    if not failing:
        return Verdict(reason="survived")
    if not passing:
        return Verdict(reason="breaks everything")
    return Verdict(fail_to_pass=failing, pass_to_pass=passing)


def check(task: Task) -> str:
    """Prove a task again in fresh containers; return what is wrong with it, or nothing.

    Without the reference patch every FAIL_TO_PASS test must fail and every PASS_TO_PASS test
    pass; with it, all must pass; and the agent's repository must hold one commit.
    """
    limits = Limits(memory=task.setup.memory)
    wanted = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
    if not task.FAIL_TO_PASS:
        return "FAIL_TO_PASS is empty"
    for fixed in (False, True):
        try:
            sandbox, _ = open_task(task, limits)
        except SandboxError as error:
            if "setup_patch fails" in str(error):
                return "its setup_patch does not apply"
            raise
        try:
            history = sandbox.run("git rev-list --all --count && git remote && git stash list")
            if history.output.strip() != "1":
                return f"the repository holds more than one commit: {history.output.strip()}"
            patches = [task.patch] if fixed else []
            for patch in [*patches, *([task.test_patch] if task.test_patch else [])]:
                applied = apply_patch(sandbox, patch)
                if applied.exit_code:
                    return f"its patch does not apply: {applied.output.strip()[:200]}"
            report = run_tests(
                sandbox, task.setup, wanted, test_seconds=60.0 if fixed else _MUTANT_TEST_SECONDS
            )
        finally:
            sandbox.close()
        passed = {test for test, outcome in report.outcomes.items() if outcome == "passed"}
        should = set(wanted if fixed else task.PASS_TO_PASS)
        wrong = sorted(should - passed) + sorted(set() if fixed else passed & {*task.FAIL_TO_PASS})
        if wrong:
            state = "with the reference patch" if fixed else "with the bug"
            return f"{state}, {len(wrong)} tests do otherwise, {wrong[0]} among them"
    return ""


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterable[A], ahead: int
) -> Iterator[tuple[A, B]]:
    """Do the work on several items at a time; yield the results in the items' order."""
    queue: list[tuple[A, Future[B]]] = []
    source = iter(items)
    try:
        while True:
            queue += [
                (item, pool.submit(work, item)) for item in islice(source, ahead - len(queue))
            ]
            if not queue:
                return
            item, future = queue.pop(0)
            yield item, future.result()
    finally:
        for _, future in queue:
            future.cancel()
