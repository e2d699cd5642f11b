"""Texts that a vocabulary is made from or cut to: files, directories of files, runs."""

import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from forager.errors import UsageError
from forager.learning.sources import Artifact, Sources
from forager.learning.sources import digest as digest_of_run
from forager.records import LONGEST_LINE
from forager.trajectories.show import text_of
from forager.trajectories.store import is_run
from forager.untrusted import Malformed, json_value


def texts_of(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the messages of runs, the strings in the records of JSON Lines files, and other files.

    Raises UsageError for a directory without text files.
    """
    for path in paths:
        if is_run(path):
            with Sources([path]) as sources:
                for attempt in sources.trajectories(0, sources.places()[0]):
                    for message in attempt.messages:
                        yield text_of(message)
                        yield from _strings(message.get("tool_calls"))
        else:
            for file in _files(path):
                yield from _records(file) if file.suffix == ".jsonl" else [_decoded(file)]


def all_texts(paths: Sequence[Path]) -> list[str]:
    """All texts but empty ones. Raises UsageError if there are none."""
    found = [text for text in texts_of(paths) if text]
    if not found:
        raise UsageError(f"there is no text in {', '.join(map(str, paths))}")
    return found


def source_of(path: Path) -> Artifact:
    """A text, directory or run with its digest."""
    if is_run(path):
        return Artifact(path=str(path), digest=digest_of_run(path))
    total = blake2b(digest_size=16)
    for file in _files(path):
        total.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        total.update(file.read_bytes())
    return Artifact(path=str(path), digest=total.hexdigest())


def _records(file: Path) -> Iterator[str]:
    """Yield texts of records without JSON's escapes, and other lines as they are."""
    for line in _decoded(file).split("\n"):
        try:
            yield from _strings(json_value(line, LONGEST_LINE))
        except Malformed:
            yield line


def _strings(value: Any) -> Iterator[str]:
    """Strings of a value of JSON, names of fields left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _decoded(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")


def _files(path: Path) -> list[Path]:
    """The file, or the text files of a directory, except hidden ones. Raises UsageError."""
    found = [path] if path.is_file() else []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__pycache__")
        found += [Path(folder) / name for name in sorted(names) if name[0] != "."]
    texts = [file for file in found if b"\0" not in file.read_bytes()]
    if not texts:
        problem = "is no text file" if path.is_file() else "has no text files"
        raise UsageError(f"{path} {problem}")
    return texts
