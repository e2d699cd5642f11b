"""Proves mutants by the plain test command in clean sandboxes, and proves tasks again.

A sandbox is used for many mutants. After each one the files are put back, what was added is
removed, and a listing of every place that the tests can write to is compared with the one that was
taken before the first; where anything differs the sandbox is thrown away.
"""

import shlex
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from forager.environments.repository.task import RepositoryTask, TestSetup
from forager.environments.repository.testing import Failure, TestReport, run_tests
from forager.environments.repository.workspace import apply_patch, open_task
from forager.errors import SandboxError
from forager.images.image import Image
from forager.mutation.reach import edits_of
from forager.sandboxes.sandbox import Limits, Sandbox

Start = Callable[[str, Limits], Sandbox]
"""Starts a sandbox of an image within limits."""

MUTANT_TEST_SECONDS = 20.0  # for one test: a mutant may loop without end
_FAILURES = 20  # tests whose failure is described
_KEPT = "/tmp/forager-kept"
_LISTING = (  # names, kinds, modes, sizes and times; and how many processes there are
    f"find /testbed /home/agent /opt/venv /tmp /var/tmp /dev/shm -path {_KEPT} -prune -o ! -type d "
    "-printf '%p %y %m %s %T@\\n' -o -type d -printf '%p\\n' 2>/dev/null | sort | sha1sum; "
    "left=(/proc/[0-9]*); echo ${#left[@]}"  # by the shell alone: a process more would count too
)
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Proof:
    """What each test did on a mutant, and how some of them failed."""

    report: TestReport
    failures: dict[str, Failure]


class Prover:
    """Runs tests on mutants of one image; used by one thread at a time."""

    def __init__(self, image: Image, start: Start) -> None:
        self._image = image
        self._start = start
        self._sandbox: Sandbox | None = None
        self._clean = ""
        self.ended = False

    def run(self, diff: str, tests: Sequence[str] | None, *, explain: int = 0) -> Proof | None:
        """Run these tests on a mutant, all where None; return None where the diff does not apply.

        `explain` of those that fail run once more, to tell the values that they compare.
        Raises SandboxError.
        """
        sandbox = self._clean_sandbox()
        files = " ".join(shlex.quote(path) for path in edits_of(diff))
        _must(sandbox, f"rm -rf {_KEPT} && mkdir {_KEPT} && cp -p --parents {files} {_KEPT}")
        try:
            if apply_patch(sandbox, diff).exit_code:
                return None
            report = self._report(sandbox, self._image.setup, tests)
            told = self._explained(sandbox, report, explain) if explain else {}
            return Proof(report, told or report.failures)
        finally:
            self._reset(sandbox)

    def _report(
        self, sandbox: Sandbox, setup: TestSetup, tests: Sequence[str] | None
    ) -> TestReport:
        return run_tests(
            sandbox,
            setup,
            tests,
            timeout=3 * self._image.test_seconds + 30,
            test_seconds=MUTANT_TEST_SECONDS,
            failures=_FAILURES,
        )

    def _explained(self, sandbox: Sandbox, report: TestReport, count: int) -> dict[str, Failure]:
        """The failures of some tests that failed, told in full and in the same words each time."""
        passing = self._image.passing
        failed = [test for test in passing if report.outcomes.get(test, "passed") != "passed"]
        chosen = failed[:: max(1, len(failed) // count)][:count]  # spread over the files
        if not chosen or not report.complete:
            return {}
        setup = self._image.setup
        changed = {
            "arguments": [*setup.arguments, "--assert=rewrite", "-vvv"],
            "variables": {**setup.variables, "PYTHONHASHSEED": "0"},  # the order of sets
        }
        return self._report(sandbox, setup.model_copy(update=changed), chosen).failures

    def _clean_sandbox(self) -> Sandbox:
        if self._sandbox is None:
            memory = Limits(memory=self._image.recipe.memory)
            self._sandbox = self._start(self._image.reference, memory)
            # Byte code of the right files is made once; it is not used for others.
            self._sandbox.run(f"cd /testbed && {self._image.setup.python} -m compileall -q .")
            self._sandbox.run("rm -rf /tmp/* /tmp/.[!.]*")
            self._clean = self._sandbox.run(_LISTING).output
        if self.ended:  # closed by another thread while it was made
            self._sandbox.close()
            raise SandboxError("the proof is no longer wanted")
        return self._sandbox

    def _reset(self, sandbox: Sandbox) -> None:
        """Put everything back; where that does not give what was, remove the sandbox."""
        result = sandbox.run(
            f"cd /testbed && cp -p -r {_KEPT}/. . && git ls-files -z -o --exclude='*.pyc' "
            "--exclude-from=.git/info/exclude | xargs -0 -r rm -rf; "
            f"find /home/agent -mindepth 1 -cnewer {_KEPT} -delete; "
            f"find /tmp /var/tmp /dev/shm -mindepth 1 -delete; {_LISTING}"
        )
        if result.output != self._clean or result.state_lost:
            self._sandbox = None
            sandbox.close()

    def close(self) -> None:
        """Remove the sandbox; another thread may be using it."""
        self.ended = True
        if self._sandbox is not None:
            self._sandbox.close()


def check(task: RepositoryTask) -> str:
    """Prove a task again in fresh containers; return what is wrong with it, or nothing.

    Without the reference patch every FAIL_TO_PASS test must fail and every PASS_TO_PASS test
    pass; with it, all must pass; and the agent's repository must hold one commit.
    """
    if not task.FAIL_TO_PASS:
        return "FAIL_TO_PASS is empty"
    for fixed in (False, True):
        try:
            sandbox, _ = open_task(task, Limits(memory=task.setup.memory))
        except SandboxError as error:
            if "setup_patch fails" in str(error):
                return "its setup_patch does not apply"
            raise
        try:
            if problem := _problem(task, sandbox, fixed):
                return problem
        finally:
            sandbox.close()
    return ""


def _problem(task: RepositoryTask, sandbox: Sandbox, fixed: bool) -> str:
    history = sandbox.run("git rev-list --all --count && git remote && git stash list")
    if history.output.strip() != "1":
        return f"the repository holds more than one commit: {history.output.strip()}"
    for patch in [task.patch if fixed else "", task.test_patch]:
        applied = apply_patch(sandbox, patch) if patch else None
        if applied and applied.exit_code:
            return f"its patch does not apply: {applied.output.strip()[:200]}"
    wanted = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
    seconds = 60.0 if fixed else MUTANT_TEST_SECONDS
    report = run_tests(sandbox, task.setup, wanted, test_seconds=seconds)
    if fixed and (report.distrusted or not report.complete):  # grading would refuse it
        return f"with the reference patch: {report.distrusted or 'the test run broke off'}"
    passed = {test for test, outcome in report.outcomes.items() if outcome == "passed"}
    should = set(wanted if fixed else task.PASS_TO_PASS)
    wrong = sorted(should - passed) + sorted(set() if fixed else passed & {*task.FAIL_TO_PASS})
    if not wrong:
        return ""
    state = "with the reference patch" if fixed else "with the bug"
    return f"{state}, {len(wrong)} tests do otherwise, {wrong[0]} among them"


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterable[A], ahead: int
) -> Generator[tuple[A, B], None, None]:
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


def _must(sandbox: Sandbox, command: str) -> None:
    result = sandbox.run(command)
    if result.exit_code:
        raise SandboxError(f"cannot prepare the repository: {result.output.strip()}")
