"""Proves mutants by the plain test command in clean sandboxes, and proves tasks again.

One sandbox serves many mutants. After each mutant the prover restores the files, removes new ones,
and compares a listing of every folder that tests can write to with the listing from the start. If
they differ, it discards the sandbox.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from forager.environments.repository.guards import guards_of, make_guards, refusal, run_guarded
from forager.environments.repository.task import Guards, RepositoryTask, TestSetup
from forager.environments.repository.testing import Failure, TestReport, run_tests
from forager.environments.repository.workspace import APPLY, apply_patch, open_task
from forager.errors import SandboxError
from forager.images.image import Image
from forager.mutation.reach import edits_of
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import CommandResult, Limits, Sandbox

Start = Callable[[str, Limits], Sandbox]
"""Starts a sandbox of an image within limits."""

MUTANT_TEST_SECONDS = 20.0  # limit for one test, because a mutant may loop forever
_AGAIN = 5  # times as long may a run take that begins anew
_FAILURES = 20  # most failures that a report describes
_KEPT = "/tmp/forager-kept"
_FILES = f"{_KEPT}/files"
_LISTING = (  # names, kinds, modes, sizes and times of files, and the number of processes
    f"find /testbed /home/agent /opt/venv /tmp /var/tmp /dev/shm -path {_KEPT} -prune -o ! -type d "
    "-printf '%p %y %m %s %T@\\n' -o -type d -printf '%p\\n' 2>/dev/null | sort | sha1sum; "
    "left=(/proc/[0-9]*); echo ${#left[@]}"  # the shell counts: another process would count itself
)


@dataclass(frozen=True, slots=True)
class Proof:
    """The outcome of each test on a mutant, with descriptions of some failures."""

    report: TestReport
    failures: dict[str, Failure]


class Prover:
    """Runs tests on mutants of one image. Not for use by several threads at once."""

    def __init__(self, image: Image, start: Start) -> None:
        self._image = image
        self._start = start
        self._sandbox: Sandbox | None = None
        self._clean = ""
        self.ended = False

    def run(self, diff: str, tests: Sequence[str] | None, *, explain: int = 0) -> Proof | None:
        """Run these tests on a mutant, or all if None; return None if the diff does not apply.

        The prover runs `explain` of the failing tests again, so that pytest prints the values
        that they compare. A run whose time is over begins anew with more, as the machine may have
        been busy. Raises SandboxError.
        """
        proof = self._proven(diff, tests, explain, 1)
        if proof and proof.report.timed_out:
            proof = self._proven(diff, tests, explain, _AGAIN)
        return proof

    def _proven(
        self, diff: str, tests: Sequence[str] | None, explain: int, patience: float
    ) -> Proof | None:
        sandbox = self._clean_sandbox()
        files = " ".join(shlex.quote(path) for path in edits_of(diff))
        _must(sandbox, f"rm -rf {_KEPT} && mkdir -p {_FILES} && cp -p --parents {files} {_FILES}")
        try:
            if _break(sandbox, diff).exit_code:
                return None
            report = self._report(sandbox, self._image.setup, tests, patience)
            told = self._explained(sandbox, report, explain) if explain else {}
            return Proof(report, told or report.failures)
        finally:
            self._reset(sandbox)

    def guards(self, tests: Sequence[str], failures: Mapping[str, Failure]) -> Guards:
        """Change these tests, which pass here, so that they fail. Raises SandboxError.

        `failures` are those of the mutant.
        """
        sandbox = self._clean_sandbox()
        _must(sandbox, f"rm -rf {_KEPT} && mkdir -p {_FILES}")
        try:
            return make_guards(sandbox, self._image.setup, tests, failures)
        finally:
            self._reset(sandbox)

    def _report(
        self,
        sandbox: Sandbox,
        setup: TestSetup,
        tests: Sequence[str] | None,
        patience: float = 1,
    ) -> TestReport:
        return run_tests(
            sandbox,
            setup,
            tests,
            timeout=patience * (3 * self._image.test_seconds + 30),
            test_seconds=MUTANT_TEST_SECONDS,
            failures=_FAILURES,
        )

    def _explained(self, sandbox: Sandbox, report: TestReport, count: int) -> dict[str, Failure]:
        """Describe `count` failures in full, in the same words on each run."""
        passing = self._image.passing
        failed = [test for test in passing if report.outcomes.get(test, "passed") != "passed"]
        chosen = failed[:: max(1, len(failed) // count)][:count]  # spread over the files
        if not chosen or not report.complete:
            return {}
        setup = self._image.setup
        changed = {
            "arguments": [*setup.arguments, "--assert=rewrite", "-vvv"],
            "variables": {**setup.variables, "PYTHONHASHSEED": "0"},  # a fixed order of sets
        }
        return self._report(sandbox, setup.model_copy(update=changed), chosen).failures

    def _clean_sandbox(self) -> Sandbox:
        if self._sandbox is None:
            memory = Limits(memory=self._image.recipe.memory)
            self._sandbox = self._start(self._image.reference, memory)
            # Compile the original files once; Python ignores byte code of changed files.
            self._sandbox.run(f"cd /testbed && {self._image.setup.python} -m compileall -q .")
            self._sandbox.run("rm -rf /tmp/* /tmp/.[!.]*")
            self._clean = self._sandbox.run(_LISTING).output
        if self.ended:  # another thread closed the prover while this one started the sandbox
            self._sandbox.close()
            raise SandboxError("the proof is no longer wanted")
        return self._sandbox

    def _reset(self, sandbox: Sandbox) -> None:
        """Restore the files; if the listing differs afterwards, remove the sandbox."""
        result = sandbox.run(
            f"cd /testbed && cp -p -r {_FILES}/. . && git ls-files -z -o --exclude='*.pyc' "
            "--exclude-from=.git/info/exclude | xargs -0 -r rm -rf; "
            f"find /home/agent -mindepth 1 -cnewer {_KEPT} -delete; "
            f"find /tmp /var/tmp /dev/shm -mindepth 1 -delete; {_LISTING}"
        )
        if result.output != self._clean or result.state_lost:
            self._sandbox = None
            sandbox.close()

    def close(self) -> None:
        """Remove the sandbox, even while another thread uses it."""
        self.ended = True
        if self._sandbox is not None:
            self._sandbox.close()


def check(task: RepositoryTask) -> str:
    """Prove a task again in fresh containers; return what is wrong with it, or "".

    Without the reference patch every FAIL_TO_PASS test must fail and every PASS_TO_PASS test must
    pass. With it, all must pass. The agent's repository must have exactly one commit.
    """
    if not task.FAIL_TO_PASS:
        return "FAIL_TO_PASS is empty"
    for fixed in (False, True):
        found = _examined(task, fixed)
        if found.broken_off:  # other work may have ended it, such as by taking all memory
            found = _examined(task, fixed)
        if found.problem:
            return found.problem
    return ""


class _Found(NamedTuple):
    """What is wrong with a task, and whether that is because its tests broke off."""

    problem: str = ""
    broken_off: bool = False


def _examined(task: RepositoryTask, fixed: bool) -> _Found:
    try:
        sandbox, _ = open_task(task, Limits(memory=task.setup.memory))
    except SandboxError as error:
        if "setup_patch fails" in str(error):
            return _Found("its setup_patch does not apply")
        raise
    try:
        return _problem(task, sandbox, fixed)
    finally:
        sandbox.close()


def _problem(task: RepositoryTask, sandbox: Sandbox, fixed: bool) -> _Found:
    history = sandbox.run("git rev-list --all --count && git remote && git stash list")
    if history.output.strip() != "1":
        return _Found(f"the repository holds more than one commit: {history.output.strip()}")
    for patch in [task.patch if fixed else "", task.test_patch]:
        applied = apply_patch(sandbox, patch) if patch else None
        if applied and applied.exit_code:
            return _Found(f"its patch does not apply: {applied.output.strip()[:200]}")
    wanted = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
    if fixed:
        guards = guards_of(task, Limits(memory=task.setup.memory), docker_sandbox)
        report, _ = run_guarded(sandbox, task, guards)
    else:
        report = run_tests(sandbox, task.setup, wanted, test_seconds=MUTANT_TEST_SECONDS)
    state = "with the reference patch" if fixed else "with the bug"
    passed = {test for test, outcome in report.outcomes.items() if outcome == "passed"}
    if fixed and (refused := refusal(report, guards, passed=passed >= set(wanted))):
        return _Found(f"{state}: {refused}", not report.complete)
    should = set(wanted if fixed else task.PASS_TO_PASS)
    wrong = sorted(should - passed) + sorted(set() if fixed else passed & {*task.FAIL_TO_PASS})
    if not wrong:
        return _Found()
    if not report.complete:
        return _Found(f"{state}, the tests broke off: {report.broken_off}", True)
    return _Found(f"{state}, {len(wrong)} tests do otherwise, {wrong[0]} among them")


def _break(sandbox: Sandbox, diff: str) -> CommandResult:
    """Apply a bug as `open_task` does, with copies of what that changes of the repository."""
    sandbox.write(f"{_KEPT}/diff", diff.encode())
    return sandbox.run(
        f"( cd /testbed && cp -p .git/index {_KEPT}/index && mkdir {_KEPT}/objects && "
        f"export GIT_INDEX_FILE={_KEPT}/index GIT_OBJECT_DIRECTORY={_KEPT}/objects "
        "GIT_ALTERNATE_OBJECT_DIRECTORIES=.git/objects && "
        f"git update-index -q --refresh; {APPLY} {_KEPT}/diff )"
    )


def _must(sandbox: Sandbox, command: str) -> None:
    result = sandbox.run(command)
    if result.exit_code:
        raise SandboxError(f"cannot prepare the repository: {result.output.strip()}")
