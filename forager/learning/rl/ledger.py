"""The ledger: what happened to each group and attempt, and the state that follows from it.

    drawn ─▶ started ─▶ graded ─▶ closed ─▶ batched (step n) ─▶ trained (step n)
                 ╰─▶ lost            ╰─▶ dropped, with the reason

Entries are lines of JSON, appended and on the disk before anything follows from them. A `Book`
applies them and refuses any that would count something twice.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, RootModel

from forager.errors import StoreError
from forager.learning.rl.curriculum import Curriculum
from forager.records import Record, RecordWriter, read_records

LOSSES = 3  # after as many, an attempt leaves its group


class DrawnEntry(Record):
    """A task was drawn: a new group. Groups are numbered by their draws, from 0."""

    event: Literal["drawn"] = "drawn"
    group: int
    task: str
    attempts: list[str]
    hint: bool = Field(False, description="Whether the statement names the tests that decide.")


class StartedEntry(Record):
    """An attempt began to run."""

    event: Literal["started"] = "started"
    group: int
    attempt: str


class GradedEntry(Record):
    """An attempt is stored, with its reward."""

    event: Literal["graded"] = "graded"
    group: int
    attempt: str
    reward: float
    resolved: bool
    tokens: int = Field(description="Tokens that the model wrote.")
    oldest: int = Field(description="Version of the weights that wrote its first tokens.")
    newest: int = Field(description="Version of the weights that wrote its last tokens.")


class LostEntry(Record):
    """Infrastructure ended an attempt, which says nothing about it."""

    event: Literal["lost"] = "lost"
    group: int
    attempt: str
    reason: str
    counts: bool = Field(True, description="Whether it counts against the attempt's tries.")


class ClosedEntry(Record):
    """A group is complete: the advantages of its graded attempts."""

    event: Literal["closed"] = "closed"
    group: int
    advantages: dict[str, float]


class DroppedEntry(Record):
    """A group, or one of its attempts, is not trained on."""

    event: Literal["dropped"] = "dropped"
    group: int
    attempt: str = Field("", description="Empty for the whole group.")
    reason: str


class BatchedEntry(Record):
    """The groups of a step were chosen; steps are counted from 1."""

    event: Literal["batched"] = "batched"
    step: int
    groups: list[int]


class TrainedEntry(Record):
    """A step is done, and its weights are on the disk."""

    event: Literal["trained"] = "trained"
    step: int
    loss: float
    batch: str = Field(description="Digest of the batch.")
    model: str = Field(description="Digest of the weights.")


Entry = (
    DrawnEntry
    | StartedEntry
    | GradedEntry
    | LostEntry
    | ClosedEntry
    | DroppedEntry
    | BatchedEntry
    | TrainedEntry
)


class _Line(RootModel[Entry]):
    """A line of the ledger."""


@dataclass
class AttemptState:
    """An attempt of a group that is not trained yet."""

    status: Literal["drawn", "running", "graded", "lost", "dropped"] = "drawn"
    losses: int = 0
    graded: GradedEntry | None = None


@dataclass
class GroupState:
    """A group that is not trained or dropped yet; `advantages` once it is closed."""

    number: int
    task: str
    attempts: dict[str, AttemptState]
    hint: bool = False
    advantages: dict[str, float] | None = None

    @property
    def graded(self) -> list[GradedEntry]:
        """The graded attempts, in their order."""
        return [state.graded for state in self.attempts.values() if state.graded]

    @property
    def over(self) -> bool:
        """Whether no attempt is missing any more."""
        return all(state.status in ("graded", "dropped") for state in self.attempts.values())


@dataclass
class Book:
    """The state after some entries."""

    curriculum: Curriculum
    groups: dict[int, GroupState] = field(default_factory=dict)
    draws: int = 0
    step: int = 0
    pending: BatchedEntry | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    model: str = ""
    """Digest of the weights after the last step."""
    lag: int = 0
    """Steps by which the oldest tokens of the last batch were older than the weights."""
    _results: list[tuple[int, str, list[bool]]] = field(default_factory=list)

    def apply(self, entry: Entry) -> None:
        """Take an entry into account. Raises StoreError if it contradicts earlier ones."""
        try:
            getattr(self, f"_{entry.event}")(entry)
        except (AssertionError, KeyError) as error:
            raise StoreError(f"the ledger contradicts itself at {entry!r}") from error

    @property
    def queue(self) -> list[GroupState]:
        """Closed groups that wait for a step, oldest first."""
        batched = self.pending.groups if self.pending else []
        waiting = (group for group in self.groups.values() if group.advantages is not None)
        return [group for group in waiting if group.number not in batched]

    @property
    def open(self) -> list[GroupState]:
        """Groups that are not closed, oldest first."""
        return [group for group in self.groups.values() if group.advantages is None]

    def _drawn(self, entry: DrawnEntry) -> None:
        assert entry.group == self.draws
        first = self.curriculum.times[entry.task] * len(entry.attempts)
        numbers = range(first, first + len(entry.attempts))
        assert entry.attempts == [f"{entry.task}.{number}" for number in numbers]
        states = {attempt: AttemptState() for attempt in entry.attempts}
        self.groups[entry.group] = GroupState(entry.group, entry.task, states, entry.hint)
        self.draws += 1
        self.curriculum.drawn(entry.task)

    def _started(self, entry: StartedEntry) -> None:
        state = self.groups[entry.group].attempts[entry.attempt]
        assert state.status in ("drawn", "running", "lost")
        state.status = "running"

    def _graded(self, entry: GradedEntry) -> None:
        state = self.groups[entry.group].attempts[entry.attempt]
        assert state.status in ("running", "lost", "drawn")
        state.status, state.graded = "graded", entry

    def _lost(self, entry: LostEntry) -> None:
        state = self.groups[entry.group].attempts[entry.attempt]
        assert state.status == "running"
        state.status, state.losses = "lost", state.losses + entry.counts

    def _closed(self, entry: ClosedEntry) -> None:
        group = self.groups[entry.group]
        assert group.advantages is None and group.over
        assert list(entry.advantages) == [graded.attempt for graded in group.graded]
        group.advantages = dict(entry.advantages)
        self._note_results(group)

    def _note_results(self, group: GroupState) -> None:
        resolved = [graded.resolved for graded in group.graded]
        self._results.append((group.number, group.task, resolved))

    def _dropped(self, entry: DroppedEntry) -> None:
        group = self.groups[entry.group]
        self.dropped[entry.reason] += 1
        if entry.attempt:
            state = group.attempts[entry.attempt]
            assert state.status != "dropped"
            state.status, state.graded = "dropped", None
            return
        assert self.pending is None or entry.group not in self.pending.groups
        if group.advantages is None:
            self._note_results(group)
        del self.groups[entry.group]

    def _batched(self, entry: BatchedEntry) -> None:
        assert self.pending is None and entry.step == self.step + 1
        assert all(self.groups[number].advantages is not None for number in entry.groups)
        self.pending = entry
        batch = [graded for number in entry.groups for graded in self.groups[number].graded]
        self.lag = self.step - min((graded.oldest for graded in batch), default=self.step)
        for _, task, resolved in sorted(self._results):
            self.curriculum.learn(task, resolved, self.draws)
        self._results = []

    def _trained(self, entry: TrainedEntry) -> None:
        assert self.pending is not None and entry.step == self.pending.step
        for number in self.pending.groups:
            del self.groups[number]
        self.pending, self.step, self.model = None, entry.step, entry.model


class RlLedger:
    """The ledger of a run, opened for writing: appends entries and applies them to its book.

    `on_entry` gets each entry, those that earlier starts wrote included.
    """

    def __init__(
        self,
        path: Path,
        curriculum: Curriculum,
        on_entry: Callable[[Entry], None] = lambda _: None,
    ) -> None:
        self.book, self._on_entry = Book(curriculum), on_entry
        self._writer = RecordWriter(path)
        try:
            for entry in entries(path):
                self._apply(entry)
        except BaseException:
            self._writer.close()
            raise

    def append(self, *records: Entry) -> None:
        """Bring entries to the disk, then apply them. Raises StoreError."""
        self._writer.append(*records)
        for record in records:
            self._apply(record)

    def _apply(self, entry: Entry) -> None:
        self.book.apply(entry)
        self._on_entry(entry)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of a ledger. Raises UsageError."""
    return (line.root for line in read_records(path, _Line))
