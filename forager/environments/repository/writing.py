"""The test-writing environment: the answer is a program that shows whether a fault is there.

A model gets the statement of a repository task. Its program is *kept* by CWM's rule (it parses,
holds both sentences, and prints only `Issue reproduced` on the broken repository, within 120 s) and
is *right* if it prints only `Issue resolved` with the reference patch. Both must hold.
"""

from collections.abc import Collection

from forager.environments.environment import (
    AttemptAnswer,
    CauseKind,
    Grade,
    OpenedTask,
)
from forager.environments.function.program_answer import left_file, only_block
from forager.environments.repository.reproducing import (
    LONGEST,
    REPRODUCED,
    RESOLVED,
    SECONDS,
    code_of,
    problem_of,
)
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.trying import baseline, trial, without_truth
from forager.environments.repository.workspace import open_task
from forager.environments.task import Task
from forager.sandboxes.sandbox import Limits, SandboxFactory

TEST_WRITING = "test-writing"
FILE = "/tmp/reproduce.py"
_PROMPT = """This problem was found in the repository in {workdir}:

<problem>
{statement}
</problem>

Do not solve it. Write a program that shows whether it is there. It runs in {workdir} with the \
repository's own Python, and others will run it before and after the problem is solved:

- While the problem is there, it prints exactly "{reproduced}".
- Once the problem is solved, it prints exactly "{resolved}".
- It prints nothing else, ends within {seconds:.0f} seconds, and changes no file.

{place}"""
_IN_FILE = "Leave the program as {file}, run it to see that it prints the first line, and submit."
_IN_MESSAGE = "Answer with the program in one block of Python."


class TestWritingTask(Task):
    """A repository task about which a program is to be written.

    With `file` an agent with tools leaves the program there; else it is in the model's message.
    """

    __test__ = False

    environment: str = TEST_WRITING
    kind: str = TEST_WRITING
    about: RepositoryTask
    file: str = ""

    @classmethod
    def of(cls, task: RepositoryTask, *, file: str = FILE) -> "TestWritingTask":
        """The task to write a program about another task."""
        return cls(
            instance_id=f"{task.instance_id}.written",
            repo=task.repo,
            problem_statement=task.problem_statement,
            image=task.image,
            image_digest=task.image_digest,
            labels=task.labels,
            source=task.source,
            licence=task.licence,
            contaminated=task.contaminated,
            about=task,
            file=file,
        )

    def test_groups(self) -> dict[str, list[str]]:
        """What the program must do."""
        return {"program": ["kept", "right"]}


class TestWritingEnvironment:
    """Implements Environment, ChoosesTools, WritesTests and ComparesAnswers."""

    __test__ = False
    task_type = TestWritingTask

    def tools(self, task: TestWritingTask) -> Collection[str] | None:
        """All if the program is a file that an agent leaves, else none."""
        return None if task.file else ()

    def prompt(self, task: TestWritingTask) -> str:
        """The statement, and what the program must print."""
        place = _IN_FILE.format(file=task.file) if task.file else _IN_MESSAGE
        return _PROMPT.format(
            workdir=task.about.setup.workdir,
            statement=task.problem_statement,
            reproduced=REPRODUCED,
            resolved=RESOLVED,
            seconds=SECONDS,
            place=place,
        )

    def limits(self, task: TestWritingTask, limits: Limits) -> Limits:
        """At least the memory that the repository's tests need."""
        return limits.with_memory(task.about.setup.memory)

    def open(self, task: TestWritingTask, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """The broken repository, as an agent that repairs it sees it."""
        sandbox, commit = open_task(task.about, limits, sandbox=sandboxes)
        return OpenedTask(sandbox, commit)

    def answer(self, task: TestWritingTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The file that the agent left, or the only block of code in the model's message."""
        if task.file:
            return left_file(opened.sandbox, task.file, 4 * LONGEST)
        return only_block(text, "python")

    def about(self, task: TestWritingTask) -> str:
        """The id of the repository task."""
        return task.about.instance_id

    def canonical(self, answer: str) -> str:
        """The program without comments and layout."""
        return code_of(answer) or answer.strip()

    def grade(
        self, task: TestWritingTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Run the program on the broken repository, and with the reference patch."""
        if problem := problem_of(answer):
            return _refused(problem, "format", kept=False)
        hidden = without_truth(task.about)
        if not baseline(hidden, "none", [answer], limits, sandboxes).shows[0]:
            return _refused(f"it does not print only {REPRODUCED!r} at first", "policy", kept=False)
        tried = trial(task.about, task.about.patch, [], [answer], limits, sandboxes)
        if not tried.written[0]:
            return _refused(
                tried.problem or f"it does not print only {RESOLVED!r} with the reference patch",
                "policy",
                kept=True,
            )
        return Grade(resolved=True, reward=1, tests={"kept": "passed", "right": "passed"})


def _refused(cause: str, kind: CauseKind, *, kept: bool) -> Grade:
    tests = {"kept": "passed" if kept else "failed", "right": "failed"}
    return Grade(resolved=False, reward=-1, cause=cause, cause_kind=kind, tests=tests)
