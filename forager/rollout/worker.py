"""What makes attempts: in this process, and on each node of a cluster."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

from forager.agent.model import Model
from forager.agent.tool import Toolbox
from forager.agent.traffic import Gate
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.rollout.again import Parent, Parents
from forager.rollout.attempt import make_attempt
from forager.rollout.live import Live
from forager.rollout.meter import MeteredModel, SharedMeter
from forager.rollout.settings import RunSettings
from forager.rollout.warm import Expected, WarmSandboxes
from forager.sandboxes.delivery import check_image, deliver
from forager.sandboxes.kinds import SANDBOXES
from forager.sandboxes.leftovers import sweep
from forager.trajectories.record import Trajectory, Usage
from forager.trajectories.summary import Summary


class MakeModel(Protocol):
    """Makes the model of an attempt; on a cluster it goes to the nodes, and so must pickle."""

    def __call__(self, job: "Job", gate: Gate) -> Model:
        """The model of an attempt; its requests pass the gate."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """An attempt to be made."""

    task: Task
    number: int

    @property
    def id(self) -> str:
        """The attempt's id."""
        return f"{self.task.instance_id}.{self.number}"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a job: the summary of the attempt that was kept, or the error.

    `usage` is what it has cost, kept or not.
    """

    id: str
    usage: Usage
    summary: Summary | None = None
    error: Exception | None = None


class Worker:
    """Makes attempts and keeps them, in as many threads as call `work`."""

    def __init__(
        self,
        settings: RunSettings,
        make_model: MakeModel,
        toolbox: Toolbox,
        keep: Callable[[Trajectory], None],
        live: Live,
    ) -> None:
        self._live = live
        self._settings, self._make_model = settings, make_model
        self._toolbox, self._keep = toolbox, keep
        self._proven: set[tuple[str, str]] = set()  # images here that are those of the tasks
        self._parents = Parents(settings.branch) if settings.branch else None
        self._sandboxes = WarmSandboxes(SANDBOXES[settings.sandbox], settings.warm)

    def expected(self, job: Job) -> Expected:
        """The sandbox of a job that is to begin soon: it may be started now."""
        limits = environment_of(job.task).limits(job.task, self._settings.sandbox_limits)
        return self._sandboxes.expected(job.task.image, limits)

    def work(self, job: Job, meter: SharedMeter, expected: Expected | None = None) -> Ended:
        """Make an attempt, in the sandbox that was expected for it, and keep it."""
        name = self._settings.model_of(job.number)
        metered: MeteredModel | None = None
        try:
            with expected or nullcontext(self._sandboxes) as sandboxes:
                self._deliver(job.task)
                metered = MeteredModel(self._make_model(job, meter), name, meter)
                trajectory = make_attempt(
                    job.task,
                    job.number,
                    self._settings,
                    metered,
                    self._toolbox,
                    sandboxes,
                    self._live,
                    self._parent(job),
                    self._sandboxes,
                )
            self._keep(trajectory)
        except Exception as error:
            return Ended(job.id, metered.usage if metered else Usage(), error=error)
        return Ended(job.id, metered.usage, summary=Summary.of(trajectory))

    def _parent(self, job: Job) -> Parent | None:
        """What a job goes on from; the attempts of a round go on from the same."""
        if not self._parents:
            return None
        return self._parents.of(job.task.instance_id, job.number // len(self._settings.models))

    def _deliver(self, task: Task) -> None:
        """See that the task's image is here, and no other one under its name."""
        wanted = task.image, task.image_digest
        if wanted not in self._proven:
            if self._settings.images:
                deliver(
                    task.image, task.image_digest, self._settings.images, self._settings.sandbox
                )
            else:
                check_image(task.image, task.image_digest, self._settings.sandbox)
            self._proven.add(wanted)

    def close(self) -> None:
        """End the sandboxes; the attempts in them are lost."""
        self._sandboxes.close()
        self._live.close()
        if self._settings.sandbox == "docker":
            sweep()
