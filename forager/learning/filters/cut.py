"""Cuts steps out of attempts and keeps the rest consistent: indices, budgets, usage."""

from collections.abc import Iterable
from typing import NamedTuple

from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call, Observation, Toolbox, executed
from forager.trajectories.budget import budget_after, with_budget, with_other_budget
from forager.trajectories.record import Message, ModelCall, ToolCall, Trajectory, Usage
from forager.trajectories.show import text_of
from forager.trajectories.steps import Step, opening, steps


class KeptStep(NamedTuple):
    """A step that stays: its number from 0, and the step, perhaps rewritten."""

    number: int
    step: Step


def cut(attempt: Trajectory, kept: Iterable[KeptStep], name: str) -> Trajectory:
    """The attempt with these steps only; `name` is that of the filter.

    Observations tell the turns and tokens that are left now. A prompt loses the tokens that the
    removed steps before it had added. Token ids are dropped, since they no longer fit.
    """
    prompts = [step.model_call.usage.prompt_tokens for step in steps(attempt)]
    messages, calls = list(opening(attempt)), []
    model_calls: list[ModelCall] = []
    own = Usage()
    remaining = list(kept)
    numbers = {step.number for step in remaining}
    saved, at = 0, 0
    for number, step in remaining:
        saved += sum(_growth(prompts, gone) for gone in range(at, number) if gone not in numbers)
        at = number
        usage = step.model_call.usage
        usage = usage.model_copy(update={"prompt_tokens": max(0, usage.prompt_tokens - saved)})
        own = own + usage if number + 1 >= (attempt.parent_turn or 1) else own
        model_calls.append(_bare(step.model_call, len(messages), usage))
        messages.append(step.message)
        if step.call is None:
            messages += step.observations
            continue
        left = budget_after(attempt.limits, model_calls)._asdict()
        calls.append(step.call.model_copy(update={"message": len(messages), **left}))
        messages += [_told(message, step.call, calls[-1]) for message in step.observations]
    return attempt.model_copy(
        update={
            "messages": messages,
            "model_calls": model_calls,
            "tool_calls": calls,
            "usage": own,
            "parent_turn": _parent_turn(attempt, remaining),
            "transforms": [*attempt.transforms, name],
        }
    )


def _growth(prompts: list[int], number: int) -> int:
    """The tokens that a step added to the prompt."""
    if number + 1 >= len(prompts) or not prompts[number] or not prompts[number + 1]:
        return 0
    return max(0, prompts[number + 1] - prompts[number])


def _bare(call: ModelCall, message: int, usage: Usage) -> ModelCall:
    """The model call without token ids."""
    gone = {"prompt_token_ids": None, "completion_token_ids": None, "logprobs": None}
    update = {"message": message, "usage": usage, "prompt_shared": 0, **gone}
    return call.model_copy(update=update)


def _told(message: Message, told: ToolCall, call: ToolCall) -> Message:
    content = message.get("content")
    if not isinstance(content, str):
        return message
    return {**message, "content": with_other_budget(content, told, call)}


def _parent_turn(attempt: Trajectory, kept: list[KeptStep]) -> int | None:
    if attempt.parent_turn is None:
        return None
    return 1 + sum(step.number + 1 < attempt.parent_turn for step in kept)


def rewritten(
    syntax: str, message: Message, call: Call, toolbox: Toolbox, *, thoughts: bool = True
) -> Message:
    """The message with another call, and its thought if `thoughts`."""
    text = text_of(message)
    thought = text if syntax == "functions" else text.partition("<tool:")[0].strip()
    written = SYNTAXES[syntax].write(thought if thoughts else "", call, toolbox)
    for old, new in zip(
        message.get("tool_calls") or (), written.get("tool_calls") or (), strict=True
    ):
        new["id"] = old.get("id")
    return {**message, **written}


def answered(step: Step, call: Call, observation: Observation, seconds: float = 0.0) -> Step:
    """The step with another call and its tool's answer, as text and as facts."""
    old = call_of(step)
    kept = {name: getattr(old, name) for name in ("message", "turns_left", "tokens_left")}
    made = executed(call, observation, seconds).model_copy(update=kept)
    content = with_budget(observation.text, made)
    told = [{**message, "content": content} for message in step.observations]
    return step._replace(call=made, observations=told)


def call_of(step: Step) -> ToolCall:
    """The call of a step; a malformed one if the step has no call."""
    return step.call or ToolCall(message=0, tool="", error=True)
