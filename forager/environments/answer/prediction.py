"""Output and input prediction, after CruxEval.

What does a function return for this input? For which input does it return this?

The answer is a literal, which is compared with the known output here; nothing runs. CruxEval
runs the answer as an expression, and drops one that calls `f(INPUT)`; literals leave no other way
to have the program say the answer. The answer of an input prediction is a call. The function runs
on its arguments in a sandbox, which never learns the output that it should return. On CruxEval's
16,000 published verdicts both rules decide the same.
"""

import ast
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from forager.environments.answer.expressions import arguments_of
from forager.environments.answer.question import QuestionEnvironment, tagged_answer, verdict
from forager.environments.answer.texts import LONGEST, parsed, sides
from forager.environments.environment import AttemptAnswer, Grade, OpenedTask
from forager.environments.function.calls import Returned, returned_by, size_of
from forager.environments.function.running import Case, Program, run_cases
from forager.environments.task import Task
from forager.errors import TaskError
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

OUTPUT, INPUT = "output-prediction", "input-prediction"
_MEMORY = 1 << 30  # bytes of a call
_LONGEST_VALUE = 1 << 20  # bytes


class PredictionTask(Task):
    """A function in Python, one input, and what it returns."""

    code: str = Field(description="Python that defines the function.")
    function: str = Field("f", description="Its name.")
    input: str = Field(description="The arguments, as a call has them between its brackets.")
    output: str = Field(description="What it returns, as a literal.")
    seconds: float = Field(3.0, gt=0, description="Time limit of a call (CruxEval: 3).")


class OutputPrediction(QuestionEnvironment[PredictionTask]):
    """Implements Environment, KnowsReference and ChoosesTools."""

    task_type = PredictionTask

    def answer(self, task: PredictionTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The output that the model's assertion, or its bare answer, names."""
        del task, opened
        return found(text, side=1)

    def grade(
        self, task: PredictionTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Compare the literal with the output."""
        del limits, sandboxes
        given, truth = literal(answer), _truth(task)
        if given is None:
            return verdict("the answer is not a literal of Python", "format")
        return verdict("" if same(given[0], truth) else "the function returns something else")

    def reference(self, task: PredictionTask) -> str:
        """The output."""
        return task.output


class InputPrediction(QuestionEnvironment[PredictionTask]):
    """Implements Environment, KnowsReference and ChoosesTools."""

    task_type = PredictionTask

    def limits(self, task: PredictionTask, limits: Limits) -> Limits:
        """At least the memory of a call."""
        del task
        return limits.with_memory(_MEMORY + (256 << 20))

    def answer(self, task: PredictionTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The call that the model's assertion, or its bare answer, names."""
        del task, opened
        return found(text, side=0)

    def grade(
        self, task: PredictionTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Call the function, and compare what it returns."""
        if arguments_of(answer, task.function, task.code) is None:
            return verdict(f"the answer is not a call of {task.function}", "format")
        sandbox = sandboxes(task.image, limits=limits)
        try:
            ((grade,),) = grades(sandbox, [(task, [answer])])
        finally:
            sandbox.close()
        return grade

    def reference(self, task: PredictionTask) -> str:
        """The input."""
        return f"{task.function}({task.input})"


def grades(
    sandbox: Sandbox, asked: Sequence[tuple[PredictionTask, Sequence[str]]]
) -> list[list[Grade]]:
    """Grade many answers to input predictions in one sandbox, with one command."""
    ran = run_cases(sandbox, [_program(task, answers) for task, answers in asked])
    found = []
    for (task, answers), results in zip(asked, ran, strict=True):
        calls = iter(results)
        found.append(
            [
                verdict(f"the answer is not a call of {task.function}", "format")
                if arguments_of(answer, task.function, task.code) is None
                else _input_verdict(task, returned_by(next(calls), _bound(task)))
                for answer in answers
            ]
        )
    return found


def _truth(task: PredictionTask) -> Any:
    """What the function returns. Raises TaskError."""
    truth = literal(task.output)
    if truth is None:
        raise TaskError(
            f"`output` of {task.instance_id} is not a literal of up to {LONGEST:,} characters"
        )
    return truth[0]


def _bound(task: PredictionTask) -> int:
    return size_of(_truth(task))


def _program(task: PredictionTask, answers: Sequence[str]) -> Program:
    calls = [arguments_of(answer, task.function, task.code) for answer in answers]
    cases = [
        Case(kind="call", function=task.function, arguments=call, output=_LONGEST_VALUE)
        for call in calls
        if call is not None
    ]
    return Program(text=task.code, cases=cases, seconds=task.seconds, memory=_MEMORY, stop=False)


def _input_verdict(task: PredictionTask, came: Returned) -> Grade:
    if came.problem:
        return verdict(came.problem, came.kind)
    return verdict("" if same(came.value, _truth(task)) else "the function returns something else")


def found(text: str, *, side: int) -> AttemptAnswer:
    """The answer in a message: a side (0 or 1) of its assertion, or all of it."""
    answer = tagged_answer(text)
    both = sides(answer.text)
    return answer.model_copy(update={"text": both[side]}) if both else answer


def literal(text: str, most: int = LONGEST) -> tuple[Any] | None:
    """The value of a Python literal of at most `most` characters, alone in a tuple; else None."""
    expression = parsed(text, most)
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
    except (RecursionError, ArithmeticError):  # a signalling NaN equals nothing
        return False
