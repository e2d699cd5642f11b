"""One attempt at one task: start, act, take the patch, grade, record."""

import time
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime

from forager import __version__
from forager.agent.loop import Agent
from forager.agent.model import Model
from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Toolbox
from forager.environments.repository.grading import grade
from forager.environments.repository.workspace import open_task, take_patch
from forager.environments.task import Task
from forager.rollout.again import Parent, Recorded
from forager.rollout.live import Live, Shown
from forager.rollout.settings import RunSettings
from forager.rollout.warm import WarmSandboxes
from forager.sandboxes.engine import check_disk
from forager.sandboxes.sandbox import Limits, SandboxFactory
from forager.trajectories.live import RUNNING
from forager.trajectories.record import Outcome, Timings, Trajectory, Usage

_ISSUE = """This issue was filed for the repository in /testbed:

<issue>
{issue}
</issue>

Make it happen first, then change the code so that it is resolved. It is judged by hidden tests; \
the tests that are there must pass as before."""


def prompt(task: Task) -> str:
    """What the agent is told: the problem statement; of an issue, what is to be done about it."""
    statement = task.problem_statement
    return _ISSUE.format(issue=statement) if task.kind == "issue-fix" else statement


def make_attempt(
    task: Task,
    number: int,
    settings: RunSettings,
    model: Model,
    toolbox: Toolbox,
    sandboxes: SandboxFactory,
    live: Live | None = None,
    parent: Parent | None = None,
    warm: WarmSandboxes | None = None,
) -> Trajectory:
    """Make an attempt and grade it. Raises SandboxError, ModelError: the attempt is lost.

    With a parent its first turns are made again, and then the model goes on. From `warm` comes the
    sandbox in which it is graded, which may be started while the model thinks.
    """
    began = time.monotonic()
    limits = limits_of(task, settings)
    base = _beginning(task, number, settings, toolbox, limits)
    if parent:
        base = base.model_copy(update={"parent": parent.name, "parent_turn": parent.turn})
        model = Recorded(parent.trajectory, parent.turn, model)
    with ExitStack() as stack:
        shown = stack.enter_context(live.attempt(base) if live else nullcontext(Shown(base)))
        sandbox, commit = open_task(task, limits, sandbox=sandboxes)
        graders = stack.enter_context(warm.expected(task.image, limits)) if warm else sandboxes
        try:
            ready = time.monotonic()
            syntax = SYNTAXES[settings.syntax]
            agent = Agent(model, sandbox, toolbox, syntax, settings.limits, settings.system)
            shown.agent = agent
            exit_reason = agent.run(prompt(task))
            patch = take_patch(sandbox, commit, task.setup.workdir)
        finally:
            sandbox.close()
        acted = time.monotonic()
        shown.grading = True
        graded = grade(task, patch, limits, sandbox=graders)
        if settings.sandbox == "docker" and not graded.resolved:
            check_disk()
    ended = time.monotonic()
    made = {
        "messages": agent.messages,
        "model_calls": agent.model_calls,
        "tool_calls": agent.tool_calls,
        "outcome": Outcome(
            exit_reason=exit_reason,
            patch=patch,
            resolved=graded.resolved,
            reward=graded.reward,
            similarity=graded.similarity,
            tests=graded.tests,
            ignored_files=graded.ignored_files,
            note=graded.note,
        ),
        "usage": agent.usage(since=parent.turn - 1 if parent else 0),
        "timings": Timings(
            total=round(ended - began, 3),
            start=round(ready - began, 3),
            model=round(sum(call.seconds for call in agent.model_calls), 3),
            tools=round(sum(call.seconds for call in agent.tool_calls), 3),
            grading=round(ended - acted, 3),
        ),
    }
    return Trajectory(**{**dict(base), **made})


def limits_of(task: Task, settings: RunSettings) -> Limits:
    """What the sandboxes of an attempt may use: at least the memory that the task's tests need."""
    limits = settings.sandbox_limits
    return limits.model_copy(update={"memory": max(limits.memory, task.setup.memory)})


def _beginning(
    task: Task, number: int, settings: RunSettings, toolbox: Toolbox, limits: Limits
) -> Trajectory:
    """What is known of an attempt before it is made."""
    return Trajectory(
        id=f"{task.instance_id}.{number}",
        instance_id=task.instance_id,
        attempt=number,
        kind=task.kind,
        repo=task.repo,
        mutation=task.mutation,
        model=settings.model_of(number),
        syntax=settings.syntax,
        sampling=settings.sampling_of(number),
        limits=settings.limits,
        sandbox_limits=limits,
        image=task.image,
        image_digest=task.image_digest,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        tools=SYNTAXES[settings.syntax].definitions(toolbox),
        messages=[],
        model_calls=[],
        tool_calls=[],
        outcome=Outcome(exit_reason=RUNNING),
        usage=Usage(),
        timings=Timings(),
        version=__version__,
    )
