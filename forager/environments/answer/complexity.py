"""Complexity: how does the time or memory of a program grow with its input?

The truth is a label of the data set; nothing runs.
"""

from typing import Literal

from forager.environments.answer.growth import NoGrowthRate, rates_in, same_growth
from forager.environments.answer.question import QuestionEnvironment, verdict
from forager.environments.answer.texts import tagged, without_thought
from forager.environments.environment import AttemptAnswer, Grade, OpenedTask
from forager.environments.task import Task
from forager.sandboxes.sandbox import Limits, SandboxFactory

COMPLEXITY = "complexity"


class ComplexityTask(Task):
    """A program, and the growth rate of its time or memory."""

    environment: str = COMPLEXITY
    kind: str = COMPLEXITY
    code: str
    measure: Literal["time", "space"]
    complexity: str


class ComplexityEnvironment(QuestionEnvironment[ComplexityTask]):
    """Implements Environment, ChoosesTools and KnowsReference."""

    task_type = ComplexityTask

    def answer(self, task: ComplexityTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The last `O(…)` of the message, of what stands in [ANSWER] tags if there are any."""
        del task, opened
        found = rates_in(tagged(text) or without_thought(text))
        if found:
            return AttemptAnswer(text=found[-1])
        return AttemptAnswer(problem="the message holds no O(…)", problem_kind="format")

    def grade(
        self, task: ComplexityTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Compare the growth rates, whatever the variables are called."""
        del limits, sandboxes
        try:
            equal = same_growth(answer, task.complexity)
        except NoGrowthRate as error:
            return verdict(f"the answer is no growth rate: {error}", "format")
        return verdict("" if equal else f"the {task.measure} grows otherwise")

    def reference(self, task: ComplexityTask) -> str:
        """The label."""
        return task.complexity
