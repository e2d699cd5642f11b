"""Texts with the parts that a model is trained on: states, actions, or both."""

from collections.abc import Iterable, Iterator
from itertools import groupby
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

    def parts() -> Iterator[tuple[str, bool]]:
        yield context, False
        for number, frame in enumerate(found.frames):
            for text, part in _parts(frame):
                yield text, number > 0 and loss in ("both", part)
        yield END, loss != "actions"

    return _joined(parts())


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


def _joined(parts: Iterable[tuple[str, bool]]) -> list[TextPart]:
    """Texts, each with whether it has loss; neighbours that are alike are one part."""
    return [
        TextPart(text="".join(text for text, _ in alike), loss=loss)
        for loss, alike in groupby(parts, lambda part: part[1])
    ]
