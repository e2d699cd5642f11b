r"""Mathematics: the answer is the content of `\boxed{…}`, compared with a stored expression."""

from collections.abc import Collection

from pydantic import Field

from forager.environments.answer.boxes import final_answer
from forager.environments.answer.comparing import SECONDS, Comparison, compared
from forager.environments.answer.question import QuestionEnvironment, verdict
from forager.environments.environment import AttemptAnswer, CauseKind, Grade, OpenedTask
from forager.environments.task import Task
from forager.sandboxes.sandbox import Limits, SandboxFactory

MATH = "math"
PYTHON = "python"
"""The tool that tasks may allow."""
_SYSTEM = """Solve the problem. You may compute with Python. When you know the answer, write it \
in a message that calls no tool.

{instructions}"""
_PROMPT = "{problem}\n\nWrap your answer in $\\boxed{{}}$."
"""CWM's (`math_think_dialog.py`)."""
_CAUSES: dict[Comparison, tuple[str, CauseKind]] = {
    "equal": ("", ""),
    "different": ("the answer is another one", "policy"),
    "unreadable": ("the answer is not an expression in LaTeX", "format"),
    "time": ("comparing the answer takes too long", "time"),
    "crash": ("comparing the answer takes too much memory, or fails", "policy"),
}


class MathTask(Task):
    """A problem with one answer."""

    environment: str = MATH
    solution: str = Field(description="The answer, in LaTeX.")
    seconds: float = Field(SECONDS, gt=0, description="Time limit of a comparison.")
    python: bool = Field(False, description="Whether Python may be run, in the image.")


class MathEnvironment(QuestionEnvironment[MathTask]):
    """Implements Environment, ChoosesTools, HasSystemPrompt and KnowsReference."""

    task_type = MathTask
    system_prompt = _SYSTEM

    def tools(self, task: MathTask) -> Collection[str]:
        """Python, if the task allows it."""
        return (PYTHON,) if task.python else ()

    def open(self, task: MathTask, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """A sandbox to compute in."""
        return OpenedTask(sandboxes(task.image, limits=limits))

    def prompt(self, task: MathTask) -> str:
        """The problem, and where to put the answer."""
        return _PROMPT.format(problem=task.problem_statement)

    def answer(self, task: MathTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The content of the box."""
        del task, opened
        return final_answer(text)

    def grade(
        self, task: MathTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Compare the answer with the solution."""
        del limits, sandboxes
        return verdict(*_CAUSES[compared(answer, task.solution, task.seconds)])

    def reference(self, task: MathTask) -> str:
        """The solution."""
        return task.solution
