"""Attempts run again, to see whether they reproduce what was recorded."""

from pathlib import Path
from threading import Lock

from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.records import RecordWriter, read_records
from forager.rollout.again import Recorded, check_own, system_of
from forager.rollout.attempt import make_attempt
from forager.rollout.settings import RunSettings
from forager.sandboxes.sandbox import SandboxFactory
from forager.trajectories.marks import Marks
from forager.trajectories.record import Trajectory
from forager.trajectories.reproduction import DIFFERS, REPRODUCES, Reproduction, results_path


def execute(
    recorded: Trajectory, task: Task, sandbox: str, toolbox: Toolbox, sandboxes: SandboxFactory
) -> Trajectory:
    """Make the recorded calls in a fresh sandbox and grade the outcome.

    `sandbox` names the kind that `sandboxes` starts. Raises SandboxError, which says nothing about
    the attempt.
    """
    settings = settings_of(recorded, sandbox).model_copy(update={"system": system_of(recorded)})
    model = Recorded(recorded)
    return make_attempt(task, recorded.attempt, settings, model, toolbox, sandboxes)


def settings_of(recorded: Trajectory, sandbox: str) -> RunSettings:
    """The settings under which the attempt was made. Raises UsageError for a foreign agent's."""
    check_own(recorded)
    return RunSettings(
        models=[recorded.model],
        syntax=recorded.syntax,
        sampling=recorded.sampling,
        limits=recorded.limits,
        sandbox=sandbox,
        sandbox_limits=recorded.sandbox_limits,
    )


class ReproductionLog:
    """The results of executions: a file next to the attempts, and a tag on each attempt.

    Its methods may be called from several threads.
    """

    def __init__(self, source: Path) -> None:
        self._path, self._marks, self._lock = results_path(source), Marks(source), Lock()

    def read(self) -> dict[str, Reproduction]:
        """The latest result of each attempt."""
        found = read_records(self._path, Reproduction) if self._path.exists() else iter(())
        return {result.id: result for result in found}

    def keep(self, result: Reproduction) -> None:
        """Store a result; it is on disk when this returns. Raises StoreError."""
        tag = REPRODUCES if result.reproduces else DIFFERS
        with self._lock:
            with RecordWriter(self._path, wait=True) as writer:
                writer.append(result)
            self._marks.refresh()
            others = set(self._marks.of(result.id).tags) - {REPRODUCES, DIFFERS}
            self._marks.say(result.id, tags=(*sorted(others), tag))
