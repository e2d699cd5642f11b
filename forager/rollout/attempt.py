"""One attempt at one task: open it, act, take the answer, grade it, record all of it."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from forager.agent.faults import only_foreseen
from forager.agent.foreign import CommandAgent
from forager.agent.loop import SYSTEM, Acting, Agent, first_messages
from forager.agent.model import Model
from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Toolbox
from forager.agent.traffic import TRAFFIC
from forager.environments.environment import (
    CauseKind,
    Environment,
    HasSystemPrompt,
    OpenedTask,
    ReviewsSubmissions,
    allowed_tools,
    opened_task,
)
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.errors import SandboxLost, Unforeseen, UsageError
from forager.rollout.again import Parent, Recorded, system_of
from forager.rollout.blame import ERROR, FAULTS, ControlAttempt, StartedSandboxes, log_of
from forager.rollout.live import Live, LiveAttempt
from forager.rollout.settings import RunSettings
from forager.rollout.warm import WarmSandboxes
from forager.sandboxes.engine import check_disk
from forager.sandboxes.sandbox import Limits, SandboxFactory
from forager.trajectories.live import RUNNING
from forager.trajectories.record import Message, Outcome, Timings, Trajectory, Usage
from forager.trajectories.show import text_of
from forager.version import VERSION


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

    An attempt that broke its sandbox or its grading has failed (see `blame.py`).
    With a parent its first turns are made again, after the same system prompt unless the settings
    have one of their own, and then the model goes on. From `warm` comes the sandbox in which it is
    graded, which may be started while the model thinks.
    """
    began = time.monotonic()
    environment = environment_of(task)
    limits = environment.limits(task, settings.sandbox_limits)
    toolbox = _allowed(toolbox, environment, task)
    base = _beginning(task, number, settings, toolbox, limits)
    if parent:
        base = base.model_copy(update={"parent": parent.name, "parent_turn": parent.turn})
        model = Recorded(parent.trajectory, parent.turn, model)
        if settings.system == SYSTEM:  # no other is asked for: it goes on as it began
            settings = settings.model_copy(update={"system": system_of(parent.trajectory)})
    with ExitStack() as stack:
        shown = stack.enter_context(live.attempt(base) if live else nullcontext(LiveAttempt(base)))
        control = ControlAttempt(environment, task, limits, StartedSandboxes(sandboxes))
        opened = opened_task(environment, task, limits, control.sandboxes)
        graders = sandboxes
        if warm and task.image:
            graders = stack.enter_context(warm.expected(task.image, limits))
        try:
            ready = time.monotonic()
            agent: Acting
            if settings.agent:
                agent = _foreign(environment, task, opened, base, settings, model)
            else:
                agent = _agent(environment, task, opened, settings, model, toolbox)
            shown.agent = agent
            outcome = _acted(control, agent, opened)
        finally:
            opened.sandbox.close()
        acted = time.monotonic()
        shown.grading = True
        if not outcome.cause:
            outcome = _graded(replace(control, sandboxes=StartedSandboxes(graders)), outcome)
        if settings.sandbox == "docker" and task.image and not outcome.resolved:
            check_disk()
    ended = time.monotonic()
    made = {
        "messages": agent.messages,
        "model_calls": agent.model_calls,
        "tool_calls": agent.tool_calls,
        "outcome": _with_kind(outcome),
        "foreign": agent.foreign,
        "tools": agent.definitions,
        "usage": Usage.of(agent.model_calls[parent.turn - 1 if parent else 0 :]),
        "timings": Timings(
            total=round(ended - began, 3),
            start=round(ready - began, 3),
            model=round(sum(call.seconds for call in agent.model_calls), 3),
            tools=round(sum(call.seconds for call in agent.tool_calls), 3),
            grading=round(ended - acted, 3),
        ),
    }
    return Trajectory(**{**dict(base), **made})


def beginning_of(
    task: Task, settings: RunSettings, toolbox: Toolbox
) -> tuple[list[Message], Toolbox]:
    """The first messages of an attempt, and the tools that its task allows. Raises UsageError."""
    environment = environment_of(task)
    tools = _allowed(toolbox, environment, task)
    system = _system_prompt(environment, settings, tools)
    return first_messages(system, environment.prompt(task), SYNTAXES[settings.syntax], tools), tools


def _allowed(toolbox: Toolbox, environment: Environment[Any], task: Task) -> Toolbox:
    """The tools that a task allows. Raises UsageError if one of them is not installed."""
    names = allowed_tools(environment, task)
    if names is None:
        return {name: tool for name, tool in toolbox.items() if not tool.on_request}
    if missing := set(names) - set(toolbox):
        raise UsageError(
            f"{task.instance_id} (environment {task.environment!r}) needs the tool "
            f"{min(missing)!r}, which no installed package provides"
        )
    return {name: tool for name, tool in toolbox.items() if name in names}


def _system_prompt(environment: Environment[Any], settings: RunSettings, toolbox: Toolbox) -> str:
    if not toolbox and settings.system == SYSTEM:
        return ""
    if isinstance(environment, HasSystemPrompt) and settings.system == SYSTEM:
        return environment.system_prompt
    return settings.system


def _agent(
    environment: Environment[Any],
    task: Task,
    opened: OpenedTask,
    settings: RunSettings,
    model: Model,
    toolbox: Toolbox,
) -> Agent:
    """Forager's own agent."""
    syntax, system = SYNTAXES[settings.syntax], _system_prompt(environment, settings, toolbox)
    agent = Agent(model, opened.sandbox, toolbox, syntax, settings.limits, system)
    if toolbox and isinstance(environment, ReviewsSubmissions):
        agent.review = partial(environment.review, task, opened)
    return agent


def _foreign(
    environment: Environment[Any],
    task: Task,
    opened: OpenedTask,
    base: Trajectory,
    settings: RunSettings,
    model: Model,
) -> CommandAgent:
    """The command of `--agent`. Raises UsageError if the task is not for it."""
    if allowed_tools(environment, task) is not None:
        raise UsageError(
            f"{task.instance_id} (environment {task.environment!r}) allows only some of forager's "
            "tools, which another agent lacks; run it without --agent"
        )
    return CommandAgent(settings.agent, model, base.model, opened.sandbox, settings.limits)


def _acted(control: ControlAttempt, agent: Acting, opened: OpenedTask) -> Outcome:
    """Let the agent act and take its answer; with a cause if there is none to grade."""
    exit_reason = ERROR
    try:
        exit_reason = agent.run(control.environment.prompt(control.task))
        with only_foreseen():
            answer = control.environment.answer(control.task, opened, final_text(agent.messages))
    except FAULTS as error:
        if isinstance(error, Unforeseen):  # said at once: to see whose fault it is takes long
            TRAFFIC.report(f"{control.task.instance_id}: error in a tool: {error}", error.log)
        cause = control.blame(error, "the agent broke its sandbox")
        log = log_of(error)
        return Outcome(exit_reason=exit_reason, refusal=agent.refusal, cause=cause, log=log)
    return Outcome(
        exit_reason=exit_reason,
        refusal=agent.refusal,
        answer=answer.text,
        left_out=answer.left_out,
        cause=answer.problem,
        cause_kind=answer.problem_kind if answer.problem else "",
    )


def _graded(control: ControlAttempt, outcome: Outcome) -> Outcome:
    """Grade the answer, a second time after an error: then the error may be the answer's fault."""
    for last in (False, True):
        try:
            with only_foreseen():
                grade = control.environment.grade(
                    control.task, outcome.answer, control.limits, control.sandboxes
                )
                if grade.cause_kind == "infrastructure":
                    raise SandboxLost(grade.cause or "the grading did not come to an end")
                return Outcome(**{**dict(outcome), **dict(grade)})
        except FAULTS as error:
            if last:
                cause = control.blame(error, "the answer broke its grading")
                return outcome.model_copy(update={"cause": cause, "log": log_of(error)})
    raise AssertionError


_KINDS: dict[str, CauseKind] = {"time_limit": "time", "format_errors": "format"}
"""Exit reasons of attempts that did not fail because of their answer."""


def _with_kind(outcome: Outcome) -> Outcome:
    """The outcome with what made the attempt fail; nothing if it is resolved."""
    kind = _KINDS.get(outcome.exit_reason) or outcome.cause_kind or "policy"
    return outcome.model_copy(update={"cause_kind": "" if outcome.resolved else kind})


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
        version=VERSION,
    )
