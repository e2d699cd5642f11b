"""Where traces are kept: a directory that grows, and that the next start goes on with.

```
OUT/
  traces.jsonl     one trace a line (`Trace`)
  sources.jsonl    one source a line (`SourceText`), each once
  dropped.jsonl    what was tried and gave no trace, with the reason (`Dropped`)
```

A trace is on the disk once its sources are. A killed process leaves whole lines, or a torn one that
the next writer cuts off.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Self

from forager.errors import UsageError
from forager.records import Record, RecordWriter, locate_records, parse_record, read_records
from forager.text import known_words
from forager.tracing.record import SourceText, Trace

TRACES, SOURCES, DROPPED = "traces.jsonl", "sources.jsonl", "dropped.jsonl"


class Dropped(Record):
    """What gave no trace."""

    id: str
    """As the trace's would be; it is not tried again."""
    reason: str


@dataclass(frozen=True)
class TraceDirectory:
    """Traces and their sources, read with flat memory."""

    directory: Path

    def traces(self) -> Iterator[Trace]:
        """Yield the traces in the order in which they were made. Raises UsageError."""
        return read_records(traces_file(self.directory), Trace)

    def dropped(self) -> Iterator[Dropped]:
        """Yield what gave no trace."""
        path = self.directory / DROPPED
        return read_records(path, Dropped) if path.exists() else iter(())


class TraceSummary(NamedTuple):
    """What a list shows of a trace."""

    id: str
    outcome: str
    """The verdict; without one, how the execution ended."""
    events: int
    frames: int
    truncated: bool


class TraceIndex:
    """The traces of a directory, read one at a time; only their summaries are kept.

    Raises UsageError for a directory without traces.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.summaries: list[TraceSummary] = []
        self._path = traces_file(directory)
        self._places: list[tuple[int, int]] = []
        for offset, length, trace in locate_records(self._path, Trace):
            self._places.append((offset, length))
            self.summaries.append(_summary(trace))

    def trace(self, number: int) -> Trace:
        """The trace with a number, in the order in which they were made."""
        offset, length = self._places[number]
        with self._path.open("rb") as file:
            file.seek(offset)
            return parse_record(Trace, file.read(length))

    def find(self, name: str) -> int:
        """The number of the trace with an id, or a part of one. Raises UsageError."""
        ids = [summary.id for summary in self.summaries]
        if name in ids:
            return ids.index(name)
        for holds in (str.startswith, str.endswith, str.__contains__):
            found = [number for number, id in enumerate(ids) if holds(id, name)]
            if len(found) == 1:
                return found[0]
        few = [id for id in ids if name in id][:5]
        if not few:
            raise UsageError(
                f"{self.directory} has no trace {name!r}; {known_words(name, ids, most=5)}"
            )
        raise UsageError(f"{name!r} is in the ids of several traces: {', '.join(few)}, …")


def _summary(trace: Trace) -> TraceSummary:
    return TraceSummary(
        id=trace.id,
        outcome=trace.outcome.verdict or trace.outcome.kind,
        events=trace.counts.events,
        frames=trace.counts.frames,
        truncated=bool(trace.truncated),
    )


def holds_traces(path: Path) -> bool:
    """Whether a path is a directory of traces."""
    return (path / TRACES).is_file()


def traces_file(directory: Path) -> Path:
    """The file of a directory's traces. Raises UsageError if there is none."""
    if not holds_traces(directory):
        raise UsageError(
            f"{directory} holds no traces: `forager trace suites|functions|programs|tasks` "
            "makes some"
        )
    return directory / TRACES


class SourceTexts:
    """The sources of a directory of traces, looked up by digest; only their places are kept."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / SOURCES
        self._places = {
            source.digest: (offset, length)
            for offset, length, source in locate_records(self._path, SourceText)
        }

    def of(self, trace: Trace) -> dict[str, str]:
        """The text of each file of a trace, by its path."""
        return {file.path: self.text(file.source) for file in trace.files}

    def text(self, digest: str) -> str:
        """The text with a digest; empty if it is missing."""
        if digest not in self._places:
            return ""
        offset, length = self._places[digest]
        with self._path.open("rb") as file:
            file.seek(offset)
            return parse_record(SourceText, file.read(length)).text


class TraceWriter:
    """Adds traces to a directory, from several threads."""

    def __init__(self, directory: Path) -> None:
        self._stack = ExitStack()
        self._lock = Lock()
        self.ids: set[str] = set()
        """Of the traces that are there."""
        self.executions: set[str] = set()
        """`Trace.execution` of each of them."""
        self.kept = 0
        self.reasons: Counter[str] = Counter()
        """Why nothing was kept, by number, earlier starts included."""
        self.lost: list[str] = []
        """Why sandboxes were lost, and with them what another start records."""
        self._sources: set[str] = set()
        enter = self._stack.enter_context
        self._traces = enter(RecordWriter(directory / TRACES))
        try:
            self._texts = enter(RecordWriter(directory / SOURCES))
            self._dropped = enter(RecordWriter(directory / DROPPED))
            self._read(directory)
        except BaseException:
            self._stack.close()
            raise

    def _read(self, directory: Path) -> None:
        for trace in read_records(directory / TRACES, Trace):
            self.ids.add(trace.id)
            self.executions.add(trace.execution)
            self.kept += 1
        for drop in read_records(directory / DROPPED, Dropped):
            self.ids.add(drop.id)
            self.reasons[drop.reason] += 1
        for source in read_records(directory / SOURCES, SourceText):
            self._sources.add(source.digest)

    def add(self, trace: Trace, sources: dict[str, str]) -> bool:
        """Write a trace with its sources, by path; False if it is there already.

        Raises StoreError.
        """
        texts = [SourceText.of(sources[file.path]) for file in trace.files]
        with self._lock:
            if trace.id in self.ids:
                return False
            new = {text.digest: text for text in texts if text.digest not in self._sources}
            if new:
                self._texts.append(*new.values())
            self._traces.append(trace)
            self._sources |= set(new)
            self.ids.add(trace.id)
            self.executions.add(trace.execution)
            self.kept += 1
            return True

    def drop(self, name: str, reason: str) -> None:
        """Note what gave no trace. Raises StoreError."""
        with self._lock:
            if name not in self.ids:
                self._dropped.append(Dropped(id=name, reason=reason))
                self.ids.add(name)
                self.reasons[reason] += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
