"""Texts with the parts that a model is trained on: states, actions, or both."""

from collections.abc import Iterator
from typing import Literal

from forager.records import Record
from forager.tracing.cutting import Cut
from forager.tracing.record import Sources, Trace
from forager.tracing.views.cwm import (
    ACTION,
    ARGUMENT,
    BEGIN,
    CONTEXT,
    END,
    FRAME,
    CwmFrame,
    checked,
    cwm_trace,
)

Loss = Literal["states", "actions", "both"]


class TextPart(Record):
    """A part of a text, and whether a model is trained to write it."""

    text: str
    loss: bool


def segments(trace: Trace, sources: Sources, loss: Loss, cut: Cut | None = None) -> list[TextPart]:
    """CWM's text of an episode in parts, which joined are the whole text. Raises Malformed.

    The states are what happens next, and the variables and values at it; the actions are the
    source lines. The context and the first call are given.
    """
    found = cwm_trace(trace, sources, cut)
    context = f"{BEGIN}{CONTEXT}{checked(found.context)}{FRAME}"
    parts = [TextPart(text=context, loss=False)]
    for number, frame in enumerate(found.frames):
        parts += [
            TextPart(text=text, loss=number > 0 and loss in ("both", part))
            for text, part in _parts(frame)
        ]
    parts.append(TextPart(text=END, loss=loss != "actions"))
    return joined(parts)


def _parts(frame: CwmFrame) -> Iterator[tuple[str, str]]:
    """A frame's text in states and actions."""
    whole = frame.text()
    head, _, rest = whole.partition(ACTION)
    source, valued, value = rest.partition(ARGUMENT)
    yield head, "states"
    if valued:
        yield f"{ACTION}{source}", "actions"
        yield f"{ARGUMENT}{value}", "states"
    else:
        yield f"{ACTION}{source}", "actions"


def joined(parts: list[TextPart]) -> list[TextPart]:
    """Neighbours with the same loss as one part."""
    found: list[TextPart] = []
    for part in parts:
        if found and found[-1].loss == part.loss:
            found[-1] = TextPart(text=found[-1].text + part.text, loss=part.loss)
        else:
            found.append(part)
    return found
