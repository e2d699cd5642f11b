"""The repository environment: the answer is a patch, and tests judge it in a fresh sandbox."""

from forager.environments.environment import Grade, OpenedTask
from forager.environments.repository.grading import grade
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import open_task, take_patch
from forager.sandboxes.sandbox import Limits, SandboxFactory

_ISSUE = """This issue was filed for the repository in /testbed:

<issue>
{issue}
</issue>

Make it happen first, then change the code so that it is resolved. It is judged by hidden tests; \
the tests that are there must pass as before."""


class RepositoryEnvironment:
    """Implements Environment for mutate-fix, issue-fix and imported tasks."""

    task_type = RepositoryTask

    def prompt(self, task: RepositoryTask) -> str:
        """The problem statement; an issue with instructions around it."""
        statement = task.problem_statement
        return _ISSUE.format(issue=statement) if task.kind == "issue-fix" else statement

    def limits(self, task: RepositoryTask, limits: Limits) -> Limits:
        """At least the memory that the task's tests need."""
        return limits.model_copy(update={"memory": max(limits.memory, task.setup.memory)})

    def open(self, task: RepositoryTask, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """Put the bug into the image's repository, as its only commit."""
        sandbox, commit = open_task(task, limits, sandbox=sandboxes)
        return OpenedTask(sandbox, commit)

    def answer(self, task: RepositoryTask, opened: OpenedTask, text: str) -> str:
        """The patch of all changes in the working tree since `open`."""
        del text
        return take_patch(opened.sandbox, opened.base, task.setup.workdir)

    def grade(
        self, task: RepositoryTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Run the task's tests on the patch."""
        return grade(task, answer, limits, sandbox=sandboxes)
