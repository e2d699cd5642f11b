"""Attempts run again, to see whether they come out as they are recorded."""

from pathlib import Path
from threading import Lock

from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.records import RecordWriter, read_records
from forager.rollout.again import Recorded
from forager.rollout.attempt import make_attempt
from forager.rollout.settings import RunSettings
from forager.sandboxes.sandbox import SandboxFactory
from forager.trajectories.marks import Marks
from forager.trajectories.record import Trajectory
from forager.trajectories.reproduction import DIFFERS, REPRODUCES, Reproduction, results_path


def execute(
    recorded: Trajectory, task: Task, sandbox: str, toolbox: Toolbox, sandboxes: SandboxFactory
) -> Trajectory:
    """Make the recorded calls in a fresh container and grade what comes of them.

    `sandbox` names the kind of what `sandboxes` starts. Raises SandboxError: nothing is said of
    the attempt.
    """
    settings = settings_of(recorded, sandbox)
    model = Recorded(recorded)
    return make_attempt(task, recorded.attempt, settings, model, toolbox, sandboxes)


def settings_of(recorded: Trajectory, sandbox: str) -> RunSettings:
    """Settings under which the attempt is made as it was."""
    return RunSettings(
        models=[recorded.model],
        syntax=recorded.syntax,
        sampling=recorded.sampling,
        limits=recorded.limits,
        sandbox=sandbox,
        sandbox_limits=recorded.sandbox_limits,
    )


class Results:
    """What came of executions: kept beside the attempts, and as a tag of each. For threads."""

    def __init__(self, source: Path) -> None:
        self._path, self._marks, self._lock = results_path(source), Marks(source), Lock()

    def read(self) -> dict[str, Reproduction]:
        """The last result of each attempt."""
        found = read_records(self._path, Reproduction) if self._path.exists() else iter(())
        return {one.id: one for one in found}

    def keep(self, result: Reproduction) -> None:
        """Keep a result; on disk when this returns. Raises StoreError."""
        tag = REPRODUCES if result.reproduces else DIFFERS
        with self._lock:
            with RecordWriter(self._path) as writer:
                writer.append(result)
            self._marks.refresh()
            others = set(self._marks.of(result.id).tags) - {REPRODUCES, DIFFERS}
            self._marks.say(result.id, tags=(*sorted(others), tag))
