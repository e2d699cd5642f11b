"""The progress of a batch, read from its run directory: while it runs, and afterwards.

Throughput and families count the attempts that were kept, by the time at which they ended; workers
and endpoints come from the status files of the batch's processes (`trajectories/live.py`), on a
cluster one per node.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel, Field

from forager.records import Record, read_records
from forager.trajectories import live
from forager.trajectories.index import Index
from forager.trajectories.live import EndpointState, UnderWay
from forager.trajectories.store import LostAttempt, Run
from forager.trajectories.summary import Summary

BUCKETS = 30  # into which the time is divided
_BIN = 10  # seconds; times are kept no finer
_GAP = 3600  # seconds without an attempt after which a new batch begins
_PACE = 300  # seconds over which the present pace is taken


class FamilyProgress(Record):
    """Attempts of a family. `shares` are resolved shares by bucket; None for an empty bucket."""

    name: str
    attempts: int
    resolved: int
    shares: list[float | None]


class ImageLosses(Record):
    """An image whose attempts were lost to infrastructure."""

    image: str
    lost: int
    error: str = Field(description="Of the last one.")


class BatchStatus(Record):
    """The progress of a batch."""

    run: str
    running: bool
    total: int
    done: int
    resolved: int
    lost: int
    tokens: int
    since: float = Field(description="Beginning of the buckets, in seconds since 1970.")
    bucket_seconds: float
    ended: list[int] = Field(description="Attempts that ended in each bucket.")
    per_minute: float
    families: list[FamilyProgress]
    workers: list[UnderWay]
    endpoints: list[EndpointState]
    images: list[ImageLosses]


class _TaskHead(BaseModel):
    instance_id: str
    image: str = ""


class BatchWatcher:
    """Reads a run repeatedly; each attempt is read once."""

    def __init__(self, path: Path) -> None:
        self._run = Run(path)
        self._index = self._run.index()
        self._known: set[int] = set()
        self._bins: defaultdict[str, Counter[tuple[int, bool]]] = defaultdict(Counter)
        self._resolved = self._tokens = 0
        self._images: dict[str, str] = {}
        self._tasks = _GrowingFile(path / "tasks.jsonl")
        self._infrastructure = _GrowingFile(path / "infrastructure.jsonl")
        self._lost: list[LostAttempt] = []
        self._total = 0
        self._listener = live.Listener(path)

    def read(self) -> BatchStatus:
        """The progress now."""
        self._index.update()
        self._count(self._index)
        if self._tasks.changed():
            self._total = self._planned()
        if self._infrastructure.changed():
            self._lost = list(self._run.lost())
        told = self._listener.statuses()
        now = datetime.now().timestamp() if told else self._last()
        since = self._since()
        size = max((now - since) / BUCKETS, 1.0)
        ended = self._ended_in_buckets(since, size)
        return BatchStatus(
            run=str(self._run.path),
            running=bool(told),
            total=self._total,
            done=len(self._known),
            resolved=self._resolved,
            lost=len(self._lost),
            tokens=self._tokens,
            since=since,
            bucket_seconds=size,
            ended=ended,
            per_minute=self._pace(now, since),
            families=self._families(since, size),
            workers=[attempt for status in told for attempt in status.attempts],
            endpoints=_together(endpoint for status in told for endpoint in status.endpoints),
            images=self._troubles(),
        )

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def _count(self, index: Index) -> None:
        places = index.places()
        new = type(places)("q", (place for place in places if place not in self._known))
        for summary in index.summaries(new):
            self._add(summary)
        self._known.update(new)

    def _add(self, summary: Summary) -> None:
        self._resolved += summary.resolved
        self._tokens += summary.tokens
        ended = datetime.fromisoformat(summary.ended_at).timestamp() if summary.ended_at else 0
        family = summary.family
        self._bins[family][int(ended // _BIN), summary.resolved] += 1

    def _planned(self) -> int:
        settings = self._run.settings()
        with (self._run.path / "tasks.jsonl").open("rb") as file:
            tasks = sum(1 for _ in file)
        return tasks * int(settings.get("attempts", 1)) * len(settings.get("models", [""]))

    def _times(self) -> list[int]:
        return sorted({bin for bins in self._bins.values() for bin, _ in bins if bin})

    def _last(self) -> float:
        return float((self._times() or [0])[-1] + 1) * _BIN

    def _since(self) -> float:
        """The beginning of the batch: the first attempt after the last long pause."""
        times = self._times()
        begun = times[0] if times else 0
        for before, after in pairwise(times):
            if (after - before) * _BIN > _GAP:
                begun = after
        return float(begun * _BIN)

    def _pace(self, now: float, since: float) -> float:
        """Attempts per minute over the last five minutes."""
        begun = max(now - _PACE, since)
        count = sum(
            number
            for bins in self._bins.values()
            for (bin, _), number in bins.items()
            if bin * _BIN >= begun
        )
        return count * 60 / max(now - begun, _BIN)

    def _ended_in_buckets(self, since: float, size: float) -> list[int]:
        ended = [0] * BUCKETS
        for bins in self._bins.values():
            for (bin, _), number in bins.items():
                if bin * _BIN >= since > 0:
                    ended[_bucket(bin, since, size)] += number
        return ended

    def _families(self, since: float, size: float) -> list[FamilyProgress]:
        return [_family(name, self._bins[name], since, size) for name in sorted(self._bins)]

    def _troubles(self) -> list[ImageLosses]:
        if not self._lost:
            return []
        if not self._images:
            tasks = read_records(self._run.path / "tasks.jsonl", _TaskHead)
            self._images = {task.instance_id: task.image for task in tasks}
        by_image: defaultdict[str, list[LostAttempt]] = defaultdict(list)
        for attempt in self._lost:
            by_image[self._images.get(attempt.id.rpartition(".")[0], "?")].append(attempt)
        found = [
            ImageLosses(image=image, lost=len(lost), error=lost[-1].error)
            for image, lost in by_image.items()
        ]
        return sorted(found, key=lambda losses: -losses.lost)


class _GrowingFile:
    """A file that only grows; tells whether it has grown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0

    def changed(self) -> bool:
        size = self._path.stat().st_size if self._path.exists() else 0
        before, self._size = self._size, size
        return size != before


def read_batch(path: Path) -> BatchStatus:
    """The progress of a batch; takes 1.5 s while one runs. Raises UsageError if it is not a run."""
    watched = BatchWatcher(path)
    try:
        batch = watched.read()
        if live.directory(path).exists():  # whether a process tells anew is seen by a second look
            time.sleep(1.5 * live.SECONDS)
            batch = watched.read()
        return batch
    finally:
        watched.close()


def seconds_left(batch: BatchStatus) -> float | None:
    """Seconds that the rest takes at the present pace; None if that is unknown."""
    left = batch.total - batch.done
    if not batch.running or left <= 0 or not batch.per_minute:
        return None
    return left / batch.per_minute * 60


def slow(batch: BatchStatus) -> set[str]:
    """Endpoints whose requests take more than twice as long as those of the fastest."""
    means = {
        endpoint.url: endpoint.seconds / endpoint.answered
        for endpoint in batch.endpoints
        if endpoint.answered
    }
    quickest = min(means.values(), default=0.0)
    return {url for url, mean in means.items() if mean > 2 * quickest}


def _family(
    name: str, bins: Counter[tuple[int, bool]], since: float, size: float
) -> FamilyProgress:
    totals, good = [0] * BUCKETS, [0] * BUCKETS
    for (bin, resolved), number in bins.items():
        if bin * _BIN >= since > 0:
            bucket = _bucket(bin, since, size)
            totals[bucket] += number
            good[bucket] += number * resolved
    return FamilyProgress(
        name=name,
        attempts=bins.total(),
        resolved=sum(number for (_, resolved), number in bins.items() if resolved),
        shares=[count / all if all else None for count, all in zip(good, totals, strict=True)],
    )


def _bucket(bin: int, since: float, size: float) -> int:
    return min(int((bin * _BIN - since) / size), BUCKETS - 1)


def _together(endpoints: Iterable[EndpointState]) -> list[EndpointState]:
    """The endpoints, with the sums over all processes."""
    merged: dict[str, EndpointState] = {}
    for endpoint in endpoints:
        other = merged.get(endpoint.url)
        merged[endpoint.url] = endpoint if other is None else EndpointState(
            url=endpoint.url,
            under_way=endpoint.under_way + other.under_way,
            answered=endpoint.answered + other.answered,
            failed=endpoint.failed + other.failed,
            seconds=endpoint.seconds + other.seconds,
            rests_for=max(endpoint.rests_for, other.rests_for),
        )  # fmt: skip
    return sorted(merged.values(), key=lambda endpoint: endpoint.url)
