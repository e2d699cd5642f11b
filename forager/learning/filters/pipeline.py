"""Applies a list of filters to the attempts of several runs, in as few passes as they need.

Filters are made in order. If a filter asks its survey which attempts are left, the filters before
it judge all attempts first; all others judge together, in one pass. Between passes memory holds the
places of the attempts that are left (8 bytes each) and the state of the filters. Each pass changes
changed attempts again.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from pydantic import Field

from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.learning.sources import Sources
from forager.records import Record
from forager.trajectories.index import Places
from forager.trajectories.record import Trajectory
from forager.trajectories.reproduction import Reproduction
from forager.trajectories.summary import Summary

T = TypeVar("T")
Judge = Callable[[T], T | None]
Filter = Judge[Trajectory]
Maker = Callable[..., Filter]  # of a Survey, and of settings by name
Setting = bool | int | float | str | None
Share = Annotated[float, Field(ge=0, le=1)]
"""A setting between 0 and 1."""
OnRead = Callable[[int, int], None]  # attempts read, of how many


class FilterChoice(Record):
    """A chosen filter with its settings."""

    name: str
    settings: dict[str, Setting] = {}


class FilterCount(Record):
    """How many attempts a filter was given, kept, changed and dropped; `kept` includes changed."""

    name: str
    given: int = 0
    kept: int = 0
    changed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class SummaryFilter:
    """A filter that judges by the summary alone, without reading the attempt."""

    keeps: Callable[[Summary], bool]

    def __call__(self, attempt: Trajectory) -> Trajectory | None:
        """The attempt, or None."""
        return attempt if self.keeps(Summary.of(attempt)) else None

    def judge(self, summary: Summary) -> Summary | None:
        """The summary, or None."""
        return summary if self.keeps(summary) else None


@dataclass(frozen=True, slots=True)
class FilterContext:
    """What filters take from the catalogues: the tools, and the list of contaminated projects."""

    toolbox: Toolbox = field(default_factory=dict)
    contaminated: Callable[[str], str] = lambda _: ""  # a repository's name → why, or ""


class Survey:
    """The attempts and tasks that a function may look at while it makes a filter."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self._pipeline = pipeline
        self._sources = pipeline.sources
        self.toolbox = pipeline.context.toolbox
        self.contaminated = pipeline.context.contaminated

    def summaries(self) -> Iterator[Summary]:
        """Summaries of the attempts that the filters before this one left."""
        return self._pipeline.summaries()

    def trajectories(self) -> Iterator[Trajectory]:
        """The attempts that the filters before this one left."""
        return self._pipeline.trajectories()

    def by_repository(self) -> Iterator[Iterator[Trajectory]]:
        """The same, grouped by repository."""
        return self._pipeline.by_repository()

    def everything(self) -> Iterator[Summary]:
        """Summaries of all attempts of the runs, whatever other filters drop."""
        for number, places in enumerate(self._sources.places()):
            yield from self._sources.summaries(number, places)

    def tasks(self) -> Iterator[Task]:
        """The tasks of the runs that hold their tasks."""
        return self._sources.tasks()

    def task(self, id: str) -> Task | None:
        """The task with this id; None if no run holds it."""
        return self._sources.task(id)

    def reproductions(self) -> Iterator[Reproduction]:
        """The results of running attempts again."""
        return self._sources.reproductions()


class Pipeline:
    """Filters over attempts: `add` them in order, then `finish`.

    `on_read` is called for each attempt, with the number read and the total of this pass.
    """

    def __init__(
        self, sources: Sources, context: FilterContext, on_read: OnRead = lambda *_: None
    ) -> None:
        self.sources, self.context, self._on_read = sources, context, on_read
        self.counts: list[FilterCount] = []
        self._left = sources.places()
        self._pending: dict[int, Filter] = {}  # by their number
        self._changing: list[Filter] = []

    def add(self, name: str, maker: Maker, settings: Mapping[str, Setting]) -> None:
        """Make a filter and append it."""
        self._pending[len(self.counts)] = maker(Survey(self), **settings)
        self.counts.append(FilterCount(name=name))

    def finish(self, keep: Callable[[Trajectory], None]) -> None:
        """Let the last filters judge, and pass the attempts that are left to `keep`."""
        self._settle_quickly()
        self._judge(self._pending, self._read, keep)

    def summaries(self) -> Iterator[Summary]:
        """Summaries of the attempts that are left."""
        self._settle()
        if self._changing:
            yield from map(Summary.of, self.trajectories())
        else:
            for number, places in enumerate(self._left):
                yield from self.sources.summaries(number, places)

    def trajectories(self) -> Iterator[Trajectory]:
        """The attempts that are left, as the filters so far changed them."""
        self._settle()
        for number, places in enumerate(self._left):
            yield from self._read(number, places)

    def by_repository(self) -> Iterator[Iterator[Trajectory]]:
        """The attempts that are left, grouped by repository."""
        self._settle()
        repositories: dict[str, list[Places[int]]] = {}
        for number, places in enumerate(self._left):
            for place, attempt in zip(places, self.sources.summaries(number, places), strict=True):
                mine = repositories.setdefault(attempt.repo, [array("q") for _ in self._left])
                mine[number].append(place)
        for mine in repositories.values():
            yield (
                attempt
                for number, places in enumerate(mine)
                for attempt in self._read(number, places)
            )

    def _settle(self) -> None:
        """Let all filters judge that have not judged yet."""
        self._settle_quickly()
        if self._pending:
            self._judge(self._pending, self._read, lambda _: None)

    def _settle_quickly(self) -> None:
        """Let the first of the waiting filters judge by summaries, if they need no attempts."""
        pending = iter(() if self._changing else self._pending.items())
        quick: dict[int, Judge[Summary]] = {}
        for number, filter in pending:
            if not isinstance(filter, SummaryFilter):
                break
            quick[number] = filter.judge
        if quick:
            self._judge(quick, self.sources.summaries, lambda _: None)

    def _judge(
        self,
        filters: "Mapping[int, Judge[T]]",
        read: "Callable[[int, Places[int]], Iterator[T]]",
        keep: "Callable[[T], None]",
    ) -> None:
        """Let filters judge the attempts that are left, and remember which remain."""
        total, done = sum(map(len, self._left)), 0
        tallies = {number: [0, 0, 0] for number in filters}
        for number, places in enumerate(self._left):
            left: Places[int] = array("q")
            for place, item in zip(places, read(number, places), strict=True):
                result = _judged(item, filters, tallies)
                if result is not None:
                    keep(result)
                    left.append(place)
                done += 1
                self._on_read(done, total)
            self._left[number] = left
        for number, (given, changed, dropped) in tallies.items():
            if changed:
                self._changing.append(self._pending[number])
            del self._pending[number]
            name, kept = self.counts[number].name, given - dropped
            self.counts[number] = FilterCount(
                name=name, given=given, kept=kept, changed=changed, dropped=dropped
            )

    def _read(self, number: int, places: "Places[int]") -> Iterator[Trajectory]:
        for attempt in self.sources.trajectories(number, places):
            for filter in self._changing:
                attempt = filter(attempt) or attempt
            yield attempt


def _judged(item: T, filters: "Mapping[int, Judge[T]]", tallies: dict[int, list[int]]) -> T | None:
    """The attempt after all filters; tallies count attempts given, changed and dropped."""
    for number, filter in filters.items():
        result = filter(item)
        tally = tallies[number]
        tally[0] += 1
        tally[1] += result is not None and result is not item
        tally[2] += result is None
        if result is None:
            return None
        item = result
    return item
