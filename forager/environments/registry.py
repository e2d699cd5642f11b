"""The environments by name: forager's own, and those that other packages add."""

from functools import cache
from typing import Any

from forager.environments.answer.complexity import COMPLEXITY, ComplexityEnvironment
from forager.environments.answer.mathematics import MATH, MathEnvironment
from forager.environments.answer.observation import (
    NEXT_OBSERVATION,
    NextObservationEnvironment,
)
from forager.environments.answer.prediction import INPUT, OUTPUT, InputPrediction, OutputPrediction
from forager.environments.answer.termination import TERMINATION, TerminationEnvironment
from forager.environments.environment import Environment
from forager.environments.function.environment import CodingEnvironment
from forager.environments.function.task import CODING
from forager.environments.repository.environment import RepositoryEnvironment
from forager.environments.repository.writing import TEST_WRITING, TestWritingEnvironment
from forager.environments.task import REPOSITORY, Task
from forager.errors import UsageError
from forager.plugins import plugins

ENTRY_POINTS = "forager.environments"


def environment_of(task: Task) -> Environment[Any]:
    """The environment that a task belongs to. Raises UsageError."""
    return environment_named(task.environment)


def environment_named(name: object) -> Environment[Any]:
    """The environment of this name. Raises UsageError if no installed package provides it."""
    known = environments()
    if name not in known:
        raise UsageError(
            f"no environment {name!r} is installed; there are {', '.join(sorted(known))}. "
            f"Install the package whose entry point {ENTRY_POINTS} has this name"
        )
    return known[str(name)]


@cache
def environments() -> dict[str, Environment[Any]]:
    """The environments by name: forager's own, and those of entry points. Raises UsageError."""
    found: dict[str, Environment[Any]] = {
        REPOSITORY: RepositoryEnvironment(),
        TEST_WRITING: TestWritingEnvironment(),
        NEXT_OBSERVATION: NextObservationEnvironment(),
        CODING: CodingEnvironment(),
        MATH: MathEnvironment(),
        OUTPUT: OutputPrediction(),
        INPUT: InputPrediction(),
        TERMINATION: TerminationEnvironment(),
        COMPLEXITY: ComplexityEnvironment(),
    }
    for name, origin, environment in plugins(ENTRY_POINTS):
        if name in found:
            raise UsageError(f"{origin} takes the name of another environment")
        if missing := [member for member in _MEMBERS if not hasattr(environment, member)]:
            raise UsageError(f"{origin} is not an Environment: it lacks {', '.join(missing)}")
        found[name] = environment
    return found


_MEMBERS = ("task_type", "prompt", "limits", "open", "answer", "grade")
