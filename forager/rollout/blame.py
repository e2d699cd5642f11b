"""Whose fault an error is: the attempt's, or the machine's.

An agent can break its own sandbox, and its answer can break the grading. Such an attempt has failed
and is not made again. It is lost only if something outside the sandbox ended it, or if an attempt
without an agent fails as well, in fresh sandboxes at the same task.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forager.agent.faults import one_line
from forager.environments.environment import AttemptAnswer, Environment, KnowsReference, opened_task
from forager.environments.task import Task
from forager.errors import (
    ForagerError,
    ImageMissing,
    LoggedError,
    SandboxError,
    SandboxLost,
    Stopped,
    Unforeseen,
)
from forager.sandboxes.no_sandbox import NoSandbox
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

ERROR = "error"
"""The exit reason of an attempt that broke its sandbox."""
_LIMITS = Limits()
FAULTS = (SandboxError, Unforeseen)
"""Errors that an agent can cause."""
_MACHINES = (SandboxLost, ImageMissing)


class StartedSandboxes:
    """Starts sandboxes; implements SandboxFactory. One that does not start is nobody's fault."""

    def __init__(self, factory: SandboxFactory) -> None:
        self._factory = factory

    def __call__(
        self, image: str, *, limits: Limits = _LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        """Start one. Raises SandboxLost, ImageMissing, EngineError, and Stopped."""
        try:
            return self._factory(image, limits=limits, environment=environment)
        except _MACHINES:
            raise
        except SandboxError as error:
            raise SandboxLost(str(error)) from error


@dataclass(frozen=True, slots=True)
class ControlAttempt:
    """What an attempt without an agent needs."""

    environment: Environment[Any]
    task: Task
    limits: Limits
    sandboxes: SandboxFactory

    def blame(self, error: ForagerError, what: str) -> str:
        """Why the attempt failed, in a sentence; `what` names what the error ended.

        Raises the error itself if it is not the attempt's fault, and Stopped.
        """
        if isinstance(error, _MACHINES):
            raise error
        try:
            works = self._works()
        except Stopped:
            raise
        except Exception:
            works = False
        if not works:
            raise error
        return f"{what}: {one_line(str(error))}; without the agent's work it does not happen"

    def _works(self) -> bool:
        """Whether an attempt without an agent comes to its end; raises as its parts do.

        Grades the reference, if there is one: environments need not run anything for no answer.
        """
        opened = opened_task(self.environment, self.task, self.limits, self.sandboxes)
        try:
            answer = AttemptAnswer()  # where a message is the answer, nobody gives one
            if not isinstance(opened.sandbox, NoSandbox):
                answer = self.environment.answer(self.task, opened, "")
        finally:
            opened.sandbox.close()
        reference = ""
        if isinstance(self.environment, KnowsReference):
            reference = self.environment.reference(self.task)
        if reference:
            grade = self.environment.grade(self.task, reference, self.limits, self.sandboxes)
            return grade.resolved and not answer.problem
        self.environment.grade(self.task, answer.text, self.limits, self.sandboxes)
        return not answer.problem


def log_of(error: Exception) -> str:
    """The traceback of an error that forager did not foresee; empty for others."""
    return error.log if isinstance(error, LoggedError) else ""
