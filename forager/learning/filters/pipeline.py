"""A list of filters over the attempts of several runs, in as few readings as they need.

Filters are made in their order. One that asks its survey what is left makes those before it judge
all attempts first; all others judge together, in one reading. What is remembered between readings
are the places of the attempts that are left (8 bytes each), and what the filters themselves keep.
An attempt that was changed is changed again in each reading.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

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
Told = Callable[[int, int], None]  # attempts read, of how many


class FilterChoice(Record):
    """A filter that is wanted, with its settings."""

    name: str
    settings: dict[str, Setting] = {}


class FilterCount(Record):
    """What became of the attempts that came to a filter; those changed are kept too."""

    name: str
    given: int = 0
    kept: int = 0
    changed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class BySummary:
    """A filter that needs an attempt's summary only; the attempt itself need not be read."""

    keeps: Callable[[Summary], bool]

    def __call__(self, attempt: Trajectory) -> Trajectory | None:
        """The attempt, or None."""
        return attempt if self.keeps(Summary.of(attempt)) else None

    def judge(self, summary: Summary) -> Summary | None:
        """The same of a summary."""
        return summary if self.keeps(summary) else None


@dataclass(frozen=True, slots=True)
class FilterContext:
    """What the engine does not know by itself: the tools, and what is kept out of training."""

    toolbox: Toolbox = field(default_factory=dict)
    contaminated: Callable[[str], str] = lambda _: ""  # a repository's name → why, or ""


class Survey:
    """What a filter that is being made may look at."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self._pipeline = pipeline
        self._sources = pipeline.sources
        self.toolbox = pipeline.surroundings.toolbox
        self.contaminated = pipeline.surroundings.contaminated

    def summaries(self) -> Iterator[Summary]:
        """The attempts that the filters before this one have left, in one line each."""
        return self._pipeline.summaries()

    def trajectories(self) -> Iterator[Trajectory]:
        """The attempts that the filters before this one have left."""
        return self._pipeline.trajectories()

    def by_repository(self) -> Iterator[Iterator[Trajectory]]:
        """The same, those of each repository by themselves."""
        return self._pipeline.by_repository()

    def everything(self) -> Iterator[Summary]:
        """All attempts of the runs, whatever other filters drop, in one line each."""
        for number, places in enumerate(self._sources.places()):
            yield from self._sources.summaries(number, places)

    def tasks(self) -> Iterator[Task]:
        """The tasks, as far as they are at hand."""
        return self._sources.tasks()

    def task(self, id: str) -> Task | None:
        """The task of this name, where it is at hand."""
        return self._sources.task(id)

    def reproductions(self) -> Iterator[Reproduction]:
        """What came of running attempts again."""
        return self._sources.reproductions()


class Pipeline:
    """Filters over attempts: `add` them in their order, then `finish`.

    `told` is called for each attempt that is read, with how many are read and are to be.
    """

    def __init__(
        self, sources: Sources, surroundings: FilterContext, told: Told = lambda *_: None
    ) -> None:
        self.sources, self.surroundings, self._told = sources, surroundings, told
        self.counts: list[FilterCount] = []
        self._left = sources.places()
        self._pending: dict[int, Filter] = {}  # by their number
        self._changing: list[Filter] = []

    def add(self, name: str, maker: Maker, settings: Mapping[str, Setting]) -> None:
        """Make a filter and put it behind the others."""
        self._pending[len(self.counts)] = maker(Survey(self), **settings)
        self.counts.append(FilterCount(name=name))

    def finish(self, keep: Callable[[Trajectory], None]) -> None:
        """Let the last filters judge, and hand over what is left."""
        self._settle_quickly()
        self._judge(self._pending, self._read, keep)

    def summaries(self) -> Iterator[Summary]:
        """What is left, in one line each."""
        self._settle()
        if self._changing:
            yield from map(Summary.of, self.trajectories())
        else:
            for number, places in enumerate(self._left):
                yield from self.sources.summaries(number, places)

    def trajectories(self) -> Iterator[Trajectory]:
        """What is left, changed as the filters so far have changed it."""
        self._settle()
        for number, places in enumerate(self._left):
            yield from self._read(number, places)

    def by_repository(self) -> Iterator[Iterator[Trajectory]]:
        """What is left, by repository."""
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
        """Let the filters judge that have not done so."""
        self._settle_quickly()
        if self._pending:
            self._judge(self._pending, self._read, lambda _: None)

    def _settle_quickly(self) -> None:
        """Of the filters that have not judged, the first may do so by summaries alone."""
        pending = iter(() if self._changing else self._pending.items())
        quick: dict[int, Judge[Summary]] = {}
        for number, filter in pending:
            if not isinstance(filter, BySummary):
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
        """Let filters judge what is left, and remember what is left then."""
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
                self._told(done, total)
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
    """What the filters make of an attempt, in turn, counted: given, changed, dropped."""
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
