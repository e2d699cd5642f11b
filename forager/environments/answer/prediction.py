"""Output prediction, after CruxEval: what does a function return for this input?

The answer is a literal, which is compared with the known output here; nothing runs. CruxEval
runs the answer as an expression, and drops one that calls `f(INPUT)`; literals leave no other way
to have the program say the answer. Its 8,000 published verdicts are the same.
"""

import ast
from typing import Any

from pydantic import Field

from forager.environments.answer.texts import LONGEST, parsed, sides, tagged
from forager.environments.environment import AttemptAnswer, CauseKind, Grade, OpenedTask
from forager.environments.task import Task
from forager.sandboxes.sandbox import Limits, SandboxFactory

OUTPUT = "output-prediction"
NO_ANSWER = "the message holds no [ANSWER] … [/ANSWER]"


class PredictionTask(Task):
    """A function in Python, one input, and what it returns."""

    code: str = Field(description="Python that defines the function.")
    function: str = Field("f", description="Its name.")
    input: str = Field(description="The arguments, as a call has them between its brackets.")
    output: str = Field(description="What it returns, as a literal.")


class OutputPrediction:
    """Implements Environment, KnowsReference and ChoosesTools."""

    task_type = PredictionTask

    def tools(self, task: PredictionTask) -> tuple[str, ...]:
        """None: the model reads and answers."""
        del task
        return ()

    def prompt(self, task: PredictionTask) -> str:
        """The statement, which shows the code and the input."""
        return task.problem_statement

    def limits(self, task: PredictionTask, limits: Limits) -> Limits:
        """The given limits: no sandbox is used."""
        del task
        return limits

    def open(self, task: PredictionTask, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """Never called, as no tools are allowed."""
        raise NotImplementedError

    def answer(self, task: PredictionTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The output that the model's assertion, or its bare answer, names."""
        del task, opened
        return found(text, side=1)

    def grade(
        self, task: PredictionTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Compare the literal with the output."""
        del limits, sandboxes
        given, truth = literal(answer), literal(task.output)
        if given is None:
            return verdict("the answer is not a literal of Python", "format")
        assert truth is not None
        return verdict("" if same(given[0], truth[0]) else "the function returns something else")

    def reference(self, task: PredictionTask) -> str:
        """The output."""
        return task.output


def found(text: str, *, side: int) -> AttemptAnswer:
    """The answer in a message: a side (0 or 1) of its assertion, or all of it."""
    answer = tagged(text)
    if not answer:
        return AttemptAnswer(problem=NO_ANSWER, problem_kind="format")
    both = sides(answer)
    return AttemptAnswer(text=both[side] if both else answer)


def literal(text: str) -> tuple[Any] | None:
    """The value of a Python literal, alone in a tuple; None for anything else."""
    expression = parsed(text) if len(text) <= LONGEST else None
    if expression is None:
        return None
    try:
        return (ast.literal_eval(expression),)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def same(value: Any, truth: Any) -> bool:
    """Whether two plain values are equal; False where Python cannot say."""
    try:
        return bool(value == truth)
    except RecursionError:
        return False


def verdict(cause: str, kind: CauseKind = "policy") -> Grade:
    """The grade of a text; its reward is 1 or -1, as in CWM."""
    if cause:
        return Grade(resolved=False, reward=-1, cause=cause, cause_kind=kind)
    return Grade(resolved=True, reward=1)
