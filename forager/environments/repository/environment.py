"""The repository environment: the answer is a patch, and tests judge it in a fresh sandbox."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from forager.environments.environment import (
    AnswerTrial,
    AttemptAnswer,
    Grade,
    OpenedTask,
    OwnTests,
    TestBaseline,
)
from forager.environments.repository.grading import grade
from forager.environments.repository.taking import Base, read_base, take_patch
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.trying import (
    baseline,
    canonical,
    trial,
    without_truth,
)
from forager.environments.repository.workspace import open_task
from forager.sandboxes.sandbox import Limits, SandboxFactory

_ISSUE = """This issue was filed for the repository in /testbed:

<issue>
{issue}
</issue>

Make it happen first, then change the code so that it is resolved. It is judged by hidden tests; \
the tests that are there must pass as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRepository(OpenedTask):
    """A repository in a sandbox; `read_base` reads its commit from another sandbox."""

    read_base: Callable[[], Base]


class RepositoryEnvironment:
    """Implements Environment, KnowsReference, ExplainsTasks, TriesAnswers and ComparesAnswers.

    Its tasks are of mutate-fix, issue-fix and other data sets.
    """

    task_type = RepositoryTask

    def prompt(self, task: RepositoryTask) -> str:
        """The problem statement; an issue with instructions around it."""
        statement = task.problem_statement
        return _ISSUE.format(issue=statement) if task.kind == "issue-fix" else statement

    def limits(self, task: RepositoryTask, limits: Limits) -> Limits:
        """At least the memory that the task's tests need."""
        return limits.with_memory(task.setup.memory)

    def open(self, task: RepositoryTask, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """Put the bug into the image's repository, as its only commit."""
        sandbox, commit = open_task(task, limits, sandbox=sandboxes)
        fresh = partial(read_base, task, limits, sandboxes)
        return OpenedRepository(sandbox=sandbox, base=commit, read_base=fresh)

    def answer(self, task: RepositoryTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The patch of all changes in the working tree since `open`."""
        del text
        assert isinstance(opened, OpenedRepository)
        return take_patch(opened.sandbox, opened.base, task.setup.workdir, opened.read_base)

    def grade(
        self, task: RepositoryTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Run the task's tests on the patch."""
        return grade(task, answer, limits, sandbox=sandboxes)

    def explanation(self, task: RepositoryTask) -> dict[str, str]:
        """The bug, the reference patch, and the patch of the hidden tests."""
        return {
            "bug": task.setup_patch,
            "reference patch": task.patch,
            "patch of the tests": task.test_patch,
        }

    def reference(self, task: RepositoryTask) -> str:
        """The task's own patch."""
        return task.patch

    def canonical(self, answer: str) -> str:
        """The changed lines of each file, without what stands around them."""
        return canonical(answer)

    def without_truth(self, task: RepositoryTask) -> RepositoryTask:
        """The task without patch, hidden tests, deciding tests, guards and labels."""
        return without_truth(task)

    def baseline(
        self,
        task: RepositoryTask,
        own: OwnTests,
        written: Sequence[str],
        limits: Limits,
        sandboxes: SandboxFactory,
    ) -> TestBaseline:
        """Run the repository's suite and the written tests on the broken repository."""
        return baseline(task, own, written, limits, sandboxes)

    def trial(
        self,
        task: RepositoryTask,
        answer: str,
        own: Sequence[str],
        written: Sequence[str],
        limits: Limits,
        sandboxes: SandboxFactory,
    ) -> AnswerTrial:
        """Run own tests and written tests on a patch."""
        return trial(task, answer, own, written, limits, sandboxes)
