"""The Environment seam: how tasks are asked, opened in a sandbox, answered and graded.

A batch runner, filter, trainer or evaluation knows *that* a task can be asked, opened, answered
and graded, never *how*. Other packages add environments as entry points of
`forager.environments`: the name of an entry point is the name that tasks carry in `environment`.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import Field, FiniteFloat

from forager.environments.task import Task
from forager.records import Record
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

T = TypeVar("T", bound=Task, contravariant=True)


class Grade(Record):
    """What grading says of an answer."""

    resolved: bool
    reward: FiniteFloat = Field(description="What RL maximises, on a scale of the environment.")
    cause: str = Field("", description="Why the answer was refused, in a sentence.")
    tests: dict[str, str] = Field(
        {},
        description="Outcome of each test that decides: passed, failed, error, skipped, timeout or "
        "missing.",
    )
    similarity: float = Field(0.0, description="To the reference answer, from 0 to 1.")
    ignored_files: list[str] = Field([], description="Files of the answer that grading left out.")


@dataclass(frozen=True, slots=True)
class OpenedTask:
    """A sandbox in the state that the agent is to see; `base` is what its answer is taken against.

    For a repository `base` is the id of its one commit.
    """

    sandbox: Sandbox
    base: str = ""


class Environment(Protocol[T]):
    """One sort of tasks. Instances hold no state of attempts and are shared by threads.

    `open`, `answer` and `grade` raise SandboxError where the machine fails: the attempt is lost
    and made again.
    """

    @property
    def task_type(self) -> type[Task]:
        """The record as which its tasks are read."""
        ...

    def prompt(self, task: T) -> str:
        """What the agent is told."""
        ...

    def limits(self, task: T, limits: Limits) -> Limits:
        """The limits of its sandboxes: those given, raised to what the task needs at least."""
        ...

    def open(self, task: T, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """Start a sandbox in the state that the agent is to see."""
        ...

    def answer(self, task: T, opened: OpenedTask, text: str) -> str:
        """What counts as the answer once the agent has ended: a patch, a program, a text.

        `text` is the agent's last message. The sandbox is still open.
        """
        ...

    def grade(self, task: T, answer: str, limits: Limits, sandboxes: SandboxFactory) -> Grade:
        """Judge the answer in fresh sandboxes."""
        ...
