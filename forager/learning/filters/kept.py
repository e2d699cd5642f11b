"""Filters runs into a new run directory: `forager filter`."""

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from forager.atomic import new_directory, sync_directory
from forager.errors import StoreError, UsageError
from forager.learning.filters.pipeline import (
    FilterChoice,
    FilterContext,
    FilterCount,
    Maker,
    OnRead,
    Pipeline,
    Setting,
)
from forager.learning.saved import load, save
from forager.learning.sources import Artifact, Sources
from forager.records import Record, write_records
from forager.text import known_words
from forager.trajectories.record import Trajectory
from forager.trajectories.shards import SHARD_BYTES, SUFFIX, encode
from forager.trajectories.summary import Summary

_FINITE = ConfigDict(allow_inf_nan=False)  # settings are read again as JSON


class Filtering(Record):
    """The sources, the filters and their counts: settings.json of a KEPT."""

    sources: list[Artifact]
    filters: list[FilterChoice]
    accept_suspect: bool = Field(
        False, description="Whether all suspect attempts count as resolved, and are kept as such."
    )
    counts: list[FilterCount] = []
    attempts: int = 0


def filter_runs(
    runs: Sequence[Path],
    kept: Path,
    choices: Sequence[FilterChoice],
    filters: Mapping[str, Maker],
    context: FilterContext,
    on_read: OnRead = lambda *_: None,
    *,
    accept_suspect: bool = False,
) -> Filtering:
    """Write the attempts that filters keep into a new run directory.

    The directory appears whole or not at all. A directory that the same filters made from the same
    attempts stays as it is. Suspect attempts that count as resolved are written as resolved, with
    their reasons. Raises UsageError, StoreError.
    """
    wanted = settled(choices, filters)
    with Sources(runs, accept_suspect=accept_suspect) as sources:
        request = Filtering(
            sources=sources.records(), filters=wanted, accept_suspect=accept_suspect
        )
        if done := _done(kept, request):
            return done
        with new_directory(kept) as part:
            return _filtered(part, sources, request, filters, context, on_read)


def _filtered(
    part: Path,
    sources: Sources,
    request: Filtering,
    filters: Mapping[str, Maker],
    context: FilterContext,
    on_read: OnRead,
) -> Filtering:
    pipeline = Pipeline(sources, context, on_read)
    for choice in request.filters:
        pipeline.add(choice.name, filters[choice.name], choice.settings)
    tasks: set[str] = set()
    with _Shards(part / "trajectories") as shards:

        def keep(attempt: Trajectory) -> None:
            tasks.add(attempt.instance_id)
            shards.append(attempt)

        pipeline.finish(keep)
    write_records(
        part / "tasks.jsonl", (task for task in sources.tasks() if task.instance_id in tasks)
    )
    done = request.model_copy(update={"counts": pipeline.counts, "attempts": shards.count})
    save(part / "settings.json", done)
    return done


def _done(kept: Path, request: Filtering) -> Filtering | None:
    """The settings of a directory that these filters made before. Raises UsageError for another."""
    if not (kept / "settings.json").exists():
        return None
    done = load(kept / "settings.json", Filtering)
    asked = ("sources", "filters", "accept_suspect")
    if done is None or any(getattr(done, name) != getattr(request, name) for name in asked):
        raise UsageError(
            f"{kept} holds what other filters left, or what was left of other attempts; "
            "name a new directory, or delete it"
        )
    return done


def settled(choices: Sequence[FilterChoice], filters: Mapping[str, Maker]) -> list[FilterChoice]:
    """The choices with all settings, validated and with defaults. Raises UsageError."""
    return [_settled(choice, filters) for choice in choices]


def _settled(choice: FilterChoice, filters: Mapping[str, Maker]) -> FilterChoice:
    """The choice with all settings of the filter."""
    if choice.name not in filters:
        raise UsageError(f"there is no filter {choice.name!r}; {known_words(choice.name, filters)}")
    _, *parameters = inspect.signature(filters[choice.name], eval_str=True).parameters.values()
    names = [parameter.name for parameter in parameters]
    given = {names[0] if not name and names else name: v for name, v in choice.settings.items()}
    if unknown := [name for name in given if name not in names]:
        known = f"it has {', '.join(names)}" if names else "it has none"
        raise UsageError(f"the filter {choice.name} has no setting {unknown[0]!r}; {known}")
    settings: dict[str, Setting] = {}
    for parameter in parameters:
        try:
            settings[parameter.name] = TypeAdapter(
                parameter.annotation, config=_FINITE
            ).validate_python(given.get(parameter.name, parameter.default))
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise UsageError(f"the filter {choice.name}, {parameter.name}: {problem}") from error
    return FilterChoice(name=choice.name, settings=settings)


class _Shards:
    """Writes attempts into shards, and flushes them to the disk on exit. Raises StoreError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None
        self._files = 0
        self.count = 0

    def append(self, attempt: Trajectory) -> None:
        """Write an attempt."""
        head = Summary.of(attempt).model_dump_json(exclude={"tokens"}).encode()
        data = encode(head, attempt.model_dump_json().encode() + b"\n")
        try:
            if self._file is None or self._file.tell() >= SHARD_BYTES:
                self._next()
            assert self._file
            self._file.write(data)
        except OSError as error:
            raise StoreError(f"cannot write {self._directory}: {error.strerror}") from error
        self.count += 1

    def _next(self) -> None:
        self._close()
        path = self._directory / f"kept-{self._files:05}{SUFFIX}"
        self._file = path.open("wb")
        self._files += 1

    def _close(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file)
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True)
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._close()
            sync_directory(self._directory)
        except OSError as error:
            raise StoreError(f"cannot write {self._directory}: {error.strerror}") from error
