"""One attempt at one task: open it, act, take the answer, grade it, record all of it."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime

from forager import __version__
from forager.agent.loop import Agent
from forager.agent.model import Model
from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Toolbox
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.rollout.again import Parent, Recorded
from forager.rollout.live import Live, LiveAttempt
from forager.rollout.settings import RunSettings
from forager.rollout.warm import WarmSandboxes
from forager.sandboxes.engine import check_disk
from forager.sandboxes.sandbox import Limits, SandboxFactory
from forager.trajectories.live import RUNNING
from forager.trajectories.record import Message, Outcome, Timings, Trajectory, Usage
from forager.trajectories.show import text_of


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
    environment = environment_of(task)
    limits = environment.limits(task, settings.sandbox_limits)
    base = _beginning(task, number, settings, toolbox, limits)
    if parent:
        base = base.model_copy(update={"parent": parent.name, "parent_turn": parent.turn})
        model = Recorded(parent.trajectory, parent.turn, model)
    with ExitStack() as stack:
        shown = stack.enter_context(live.attempt(base) if live else nullcontext(LiveAttempt(base)))
        opened = environment.open(task, limits, sandboxes)
        graders = stack.enter_context(warm.expected(task.image, limits)) if warm else sandboxes
        try:
            ready = time.monotonic()
            syntax = SYNTAXES[settings.syntax]
            agent = Agent(model, opened.sandbox, toolbox, syntax, settings.limits, settings.system)
            shown.agent = agent
            exit_reason = agent.run(environment.prompt(task))
            answer = environment.answer(task, opened, final_text(agent.messages))
        finally:
            opened.sandbox.close()
        acted = time.monotonic()
        shown.grading = True
        grade = environment.grade(task, answer, limits, graders)
        if settings.sandbox == "docker" and not grade.resolved:
            check_disk()
    ended = time.monotonic()
    made = {
        "messages": agent.messages,
        "model_calls": agent.model_calls,
        "tool_calls": agent.tool_calls,
        "outcome": Outcome(exit_reason=exit_reason, answer=answer, **dict(grade)),
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


def final_text(messages: Sequence[Message]) -> str:
    """The text of the last message that the agent wrote; empty where it wrote none."""
    for message in reversed(messages):
        if message.get("role") == "assistant":
            return text_of(message)
    return ""


def _beginning(
    task: Task, number: int, settings: RunSettings, toolbox: Toolbox, limits: Limits
) -> Trajectory:
    """What is known of an attempt before it is made."""
    return Trajectory(
        id=f"{task.instance_id}.{number}",
        instance_id=task.instance_id,
        attempt=number,
        environment=task.environment,
        kind=task.kind,
        repo=task.repo,
        labels=task.labels,
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
