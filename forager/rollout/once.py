"""One attempt, and one grade: for notebooks, tests and other trainers."""

from collections.abc import Iterator
from pathlib import Path

from forager.agent.model import Model
from forager.agent.tool import Toolbox
from forager.environments.environment import Grade
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.records import read_records
from forager.rollout.attempt import make_attempt
from forager.rollout.settings import RunSettings
from forager.sandboxes.kinds import sandbox_kind
from forager.sandboxes.sandbox import Limits
from forager.trajectories.record import Trajectory


def read_tasks(path: str | Path) -> Iterator[Task]:
    """Yield the tasks of a file. Raises UsageError."""
    return read_records(Path(path), Task)


def attempt(
    task: Task, model: Model, toolbox: Toolbox, settings: RunSettings | None = None
) -> Trajectory:
    """Let a model attempt a task, and grade it; nothing is stored.

    `settings` are those of a run: its limits, syntax and sandbox. Raises SandboxError and
    ModelError, which say nothing about the model, and UsageError.
    """
    settings = settings or RunSettings(models=[type(model).__name__])
    return make_attempt(task, 0, settings, model, toolbox, sandbox_kind(settings.sandbox))


def grade(task: Task, answer: str, sandbox: str = "docker") -> Grade:
    """Judge an answer (for a repository, a patch) in a fresh sandbox. Raises SandboxError."""
    environment = environment_of(task)
    limits = environment.limits(task, Limits())
    return environment.grade(task, answer, limits, sandbox_kind(sandbox))
