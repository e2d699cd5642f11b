"""What a program answers: cases from inputs."""

from collections.abc import Sequence
from contextlib import closing

from forager.environments.answer.prediction import literal
from forager.environments.function.calls import returned_by
from forager.environments.function.judging import case_of, program_of
from forager.environments.function.running import CaseResult, run_cases
from forager.environments.function.task import CodingTask, JudgedCase
from forager.sandboxes.sandbox import Limits, SandboxFactory

_MOST = 1 << 16  # bytes of an answer
_ITEMS = 10_000  # of a returned value


def answered(
    task: CodingTask,
    program: str,
    inputs: Sequence[JudgedCase],
    limits: Limits,
    sandboxes: SandboxFactory,
) -> list[JudgedCase]:
    """The inputs on which the program ends well, with its answers. Raises SandboxError.

    Left out are calls that return what no literal of Python says.
    """
    cases = [case_of(task, given, _MOST) for given in inputs]
    with closing(sandboxes(task.image, limits=limits)) as sandbox:
        (results,) = run_cases(sandbox, [program_of(task, program, cases, stop=False)])
    found = (_answered(task, *pair) for pair in zip(inputs, results, strict=True))
    return [case for case in found if case]


def _answered(task: CodingTask, given: JudgedCase, result: CaseResult) -> JudgedCase | None:
    if result.how != "ended":
        return None
    if not task.function:
        return given.model_copy(update={"expected": result.output})
    came = returned_by(result, _ITEMS)
    try:
        returns = repr(came.value)
    except (ValueError, RecursionError):  # thousands of digits
        return None
    if came.problem or literal(returns, _MOST) is None:
        return None
    return given.model_copy(update={"returns": returns})
