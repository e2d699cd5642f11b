"""Questions: tasks without tools, whose answer is the model's first message."""

from collections.abc import Collection
from typing import Generic, TypeVar

from forager.environments.answer.texts import tagged
from forager.environments.environment import AttemptAnswer, CauseKind, Grade, OpenedTask
from forager.environments.task import Task
from forager.sandboxes.sandbox import Limits, SandboxFactory

T = TypeVar("T", bound=Task)


class QuestionEnvironment(Generic[T]):
    """Implements ChoosesTools, and of Environment all but `task_type`, `answer` and `grade`."""

    def tools(self, task: T) -> Collection[str]:
        """None: the model thinks and answers."""
        del task
        return ()

    def prompt(self, task: T) -> str:
        """The statement."""
        return task.problem_statement

    def limits(self, task: T, limits: Limits) -> Limits:
        """The given limits: no sandbox is used."""
        del task
        return limits

    def open(self, task: T, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """Never called, as no tools are allowed."""
        raise NotImplementedError


def tagged_answer(text: str) -> AttemptAnswer:
    """The text between a message's last [ANSWER] and [/ANSWER]."""
    found = tagged(text)
    if found:
        return AttemptAnswer(text=found)
    return AttemptAnswer(problem="the message holds no [ANSWER] … [/ANSWER]", problem_kind="format")


def verdict(cause: str, kind: CauseKind = "policy") -> Grade:
    """The grade of a text; its reward is 1 or -1, as in CWM."""
    if cause:
        return Grade(resolved=False, reward=-1, cause=cause, cause_kind=kind)
    return Grade(resolved=True, reward=1)
