"""Traces as text for a pipe."""

from collections.abc import Iterator

from rich.text import Text

from forager.replay.debugger import texts
from forager.replay.debugger.session import DebugSession
from forager.tracing.aligning import align, divergence
from forager.tracing.views.compact import compact_text
from forager.trajectories import draw

_AROUND = 10  # pairs before and after the divergence


def lines_of(session: DebugSession) -> Iterator[Text]:
    """A trace in the compact view."""
    yield texts.title(session.trace)
    text = draw.safe(compact_text(session.trace, session.sources))
    yield from (Text(line) for line in text.rstrip("\n").split("\n"))


def side_by_side(left: DebugSession, right: DebugSession, width: int) -> Iterator[Text]:
    """Two traces around the first state or event that differs."""
    pairs = align(left.side, right.side)
    place = divergence(pairs)
    yield texts.short_title(left.trace)
    yield texts.short_title(right.trace)
    if place == len(pairs):
        yield Text("the traces do not diverge")
        return
    half = max(20, (width - 3) // 2)
    for pair in pairs[max(0, place - _AROUND) : place + _AROUND + 1]:
        yield texts.pair_row(left, right, pair, half)
    names = texts.differing_names(pairs[place])
    yield Text(f"the first difference: {names or 'what is executed'}")
