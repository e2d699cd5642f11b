"""The worker that makes attempts, in this process or on a node of a cluster."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from forager.agent.model import Model
from forager.agent.tool import Toolbox
from forager.agent.traffic import RateLimiter
from forager.environments.environment import has_tools
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.rollout.again import Parent, Parents
from forager.rollout.attempt import make_attempt
from forager.rollout.live import Live
from forager.rollout.meter import MeteredModel, SharedMeter
from forager.rollout.settings import RunSettings
from forager.rollout.warm import Expected, WarmSandboxes
from forager.sandboxes.delivery import check_image, deliver
from forager.sandboxes.kinds import SANDBOXES, sandbox_kind
from forager.sandboxes.leftovers import sweep
from forager.trajectories.record import Trajectory, Usage
from forager.trajectories.summary import Summary


class ModelFactory(Protocol):
    """Makes the model of an attempt; must be picklable, as a cluster sends it to the nodes."""

    def __call__(self, job: "Job", limiter: RateLimiter) -> Model:
        """Make the model of an attempt, whose requests ask the limiter first."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """An attempt to make."""

    task: Task
    number: int

    @property
    def id(self) -> str:
        """The attempt's id."""
        return f"{self.task.instance_id}.{self.number}"


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job: the summary of the attempt that was stored, or the error.

    `usage` is the cost, stored or not; `refusal` is that of the outcome, and `bug` the cause and
    the traceback of an attempt that failed by an error in a tool or in the grading.
    """

    id: str
    usage: Usage
    summary: Summary | None = None
    refusal: str = ""
    bug: tuple[str, str] = ("", "")
    error: Exception | None = None


class Worker:
    """Makes attempts and stores them, in as many threads as call `work`."""

    def __init__(
        self,
        settings: RunSettings,
        make_model: ModelFactory,
        toolbox: Toolbox,
        keep: Callable[[Trajectory], None],
        live: Live,
    ) -> None:
        self._live = live
        self._settings, self._make_model = settings, make_model
        self._toolbox, self._keep = toolbox, keep
        self._proven: set[tuple[str, str]] = set()  # images here that have the digest of the tasks
        self._parents = Parents(settings.branch) if settings.branch else None
        kind = sandbox_kind(settings.sandbox)
        self._graders = WarmSandboxes(kind, settings.warm)
        self._sandboxes = self._graders
        if settings.agent_files:  # which grading does without
            with_files = partial(kind, files=settings.agent_files)
            self._sandboxes = WarmSandboxes(with_files, settings.warm)

    def expected(self, job: Job) -> Expected:
        """Announce the sandbox of a job that starts soon, so that it may start now.

        None is due for a task without tools.
        """
        environment = environment_of(job.task)
        limits = environment.limits(job.task, self._settings.sandbox_limits)
        if not has_tools(environment, job.task):
            return self._sandboxes.nothing_due(job.task.image, limits)
        return self._sandboxes.expected(job.task.image, limits)

    def work(self, job: Job, meter: SharedMeter, expected: Expected | None = None) -> JobResult:
        """Make an attempt, in the sandbox that was expected for it, and store it."""
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
                    self._graders,
                )
            self._keep(trajectory)
        except Exception as error:
            return JobResult(job.id, metered.usage if metered else Usage(), error=error)
        summary, outcome = Summary.of(trajectory), trajectory.outcome
        bug = (outcome.cause, outcome.log)
        return JobResult(job.id, metered.usage, summary, outcome.refusal, bug)

    def _parent(self, job: Job) -> Parent | None:
        """The attempt that a job continues; all attempts of a round continue the same one."""
        if not self._parents:
            return None
        return self._parents.of(job.task.instance_id, job.number // len(self._settings.models))

    def _deliver(self, task: Task) -> None:
        """Make sure that the task's image is here, and not another one under its name."""
        wanted = task.image, task.image_digest
        if task.image and wanted not in self._proven and self._settings.sandbox in SANDBOXES:
            if self._settings.images:
                deliver(
                    task.image, task.image_digest, self._settings.images, self._settings.sandbox
                )
            else:
                check_image(task.image, task.image_digest, self._settings.sandbox)
            self._proven.add(wanted)

    def close(self) -> None:
        """Close the sandboxes; the attempts in them are lost."""
        self._sandboxes.close()
        self._graders.close()
        self._live.close()
        if self._settings.sandbox == "docker":
            sweep()
