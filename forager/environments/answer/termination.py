"""Termination: does this call ever end?

The truth was proven when the task was made (`tasks/termination.py`); nothing runs.
"""

from forager.environments.answer.question import QuestionEnvironment, tagged_answer, verdict
from forager.environments.environment import AttemptAnswer, Grade, OpenedTask
from forager.environments.task import Task
from forager.sandboxes.sandbox import Limits, SandboxFactory

TERMINATION = "termination"
_WORDS = {"yes": True, "no": False}


class TerminationTask(Task):
    """A function in Python, one input, and whether the call ends."""

    environment: str = TERMINATION
    kind: str = TERMINATION
    code: str
    function: str
    input: str
    ends: bool


class TerminationEnvironment(QuestionEnvironment[TerminationTask]):
    """Implements Environment, ChoosesTools and KnowsReference."""

    task_type = TerminationTask

    def answer(self, task: TerminationTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The text between the model's last [ANSWER] and [/ANSWER]."""
        del task, opened
        return tagged_answer(text)

    def grade(
        self, task: TerminationTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Compare `yes` or `no` with the truth."""
        del limits, sandboxes
        given = _WORDS.get(answer.strip(" \t\n.`*").lower())
        if given is None:
            return verdict("the answer is neither `yes` nor `no`", "format")
        ends = "the call ends" if task.ends else "the call never ends"
        return verdict("" if given == task.ends else ends)

    def reference(self, task: TerminationTask) -> str:
        """`yes` or `no`."""
        return "yes" if task.ends else "no"
