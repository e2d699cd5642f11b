"""An attempt as steps: the model's answer, the executed call and its observations."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from forager.trajectories.record import Message, ModelCall, ToolCall, Trajectory

REASONING = ("reasoning_content", "reasoning")
"""The fields of a message in which servers return the model's reasoning as text."""


class Step(NamedTuple):
    """A model call, its message, the executed call (None if none was), and its observations."""

    model_call: ModelCall
    message: Message
    call: ToolCall | None
    observations: list[Message]


def opening(trajectory: Trajectory) -> list[Message]:
    """Return the messages before the model's first answer."""
    first = trajectory.model_calls[0].message if trajectory.model_calls else None
    return trajectory.messages[:first]


def steps(trajectory: Trajectory) -> Iterator[Step]:
    """Yield the steps of an attempt, whatever its syntax.

    Messages that open another conversation belong to no step.
    """
    starts = [call.message for call in trajectory.model_calls]
    executed = {bisect_left(starts, call.message) - 1: call for call in trajectory.tool_calls}
    ends = [
        after.opens if after.opens > call.message else after.message
        for call, after in pairwise(trajectory.model_calls)
    ]
    ends.append(len(trajectory.messages))
    for number, (start, end) in enumerate(zip(starts, ends, strict=False)):
        yield Step(
            trajectory.model_calls[number],
            trajectory.messages[start],
            executed.get(number),
            trajectory.messages[start + 1 : end],
        )


def reasoning(message: Message) -> str:
    """Return the model's reasoning if the server returned it separately; else an empty text."""
    return next((str(message[name]) for name in REASONING if message.get(name)), "")
