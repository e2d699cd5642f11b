"""Cuts an episode from a trace: one call, and those of its inner calls that are stepped into."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from forager.tracing.reader import Playback, Variables
from forager.tracing.record import Trace
from forager.tracing.stream import ENDING, Event, StreamReader
from forager.untrusted import Malformed

LONGEST = 32 << 20  # characters of values; no model reads as many, and a table holds 2 GiB


@dataclass(frozen=True)
class Cut:
    """What of a trace an episode shows. The same seed gives the same episode."""

    root: int = 0
    """The frame that is shown, by its number."""
    step_in: float = 1.0
    """Probability that an inner call is shown, and not only what it returns."""
    depth: int = 1000
    """Calls within calls that are shown."""
    seed: int = 0
    threads: bool = False
    """Whether the calls are shown with which other threads begin, and that outlive the root."""
    longest: int | None = None
    """Characters of values; an episode with more raises Malformed, as its text is in memory."""


class CharacterBudget:
    """The characters that an episode has left."""

    def __init__(self, cut: Cut) -> None:
        self._left = cut.longest

    def take(self, texts: Iterable[str | None]) -> None:
        """Count texts. Raises Malformed if they are too many."""
        if self._left is None:
            return
        self._left -= sum(len(text) for text in texts if text is not None)
        if self._left < 0:
            raise Malformed("its values are too long; --depth or --step-in shows fewer calls")


@dataclass(frozen=True, slots=True)
class EpisodeStep:
    """An event of an episode, with the frame's variables, which are valid until the next step."""

    event: Event
    variables: Variables
    depth: int
    """0 in the root frame."""


def steps(trace: Trace, cut: Cut) -> Iterator[EpisodeStep]:
    """Yield the steps of an episode, with flat memory. Raises Malformed."""
    playback, shown, budget = Playback(), _ChosenFrames(cut), CharacterBudget(cut)
    for event in StreamReader(trace.stream()).events():
        state = playback.apply(event)
        depth = shown.depth(event, state.stack)
        if depth is not None:
            budget.take((event.value, *(change.new for change in event.changes)))
            yield EpisodeStep(event, state.own, depth)
        playback.leave(event)
        if event.frame == cut.root and event.kind in ENDING and not cut.threads:
            return


class _ChosenFrames:
    """Decides for each frame, once and in order, whether it is shown."""

    def __init__(self, cut: Cut) -> None:
        self._cut, self._random = cut, Random(cut.seed)
        self._depths: dict[int, int | None] = {cut.root: 0}

    def depth(self, event: Event, stack: tuple[int, ...]) -> int | None:
        if event.frame not in self._depths:
            outermost = 0 if self._cut.threads else None
            below = self._depths.get(stack[-2]) if len(stack) > 1 else outermost
            enter = below is not None and below < self._cut.depth
            # The draw comes first, so that another depth does not change what follows.
            drawn = self._random.random() < self._cut.step_in
            self._depths[event.frame] = below + 1 if enter and drawn and below is not None else None
        return self._depths[event.frame]
