"""Many images in one go: what was built and what failed is on the disk before the next begins.

The records of images go to one file, the failures to another next to it; a source in either is not
tried again. So a killed harvest goes on where it was.
"""

import hashlib
import os
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import docker
from pydantic import Field

from forager.errors import ForagerError, StoreError, UsageError
from forager.images.builder import diagnosis_of
from forager.images.image import Image
from forager.images.reasons import reason_of
from forager.records import Record, RecordWriter, read_records, write_records

R = TypeVar("R", bound=Record)
_MOST_PACKAGES = 20  # of a monorepo


class FailedBuild(Record):
    """A source that gave no image."""

    source: str = Field(description="The SOURCE as it was typed.")
    reason: str = Field(description="One of the kinds in images.reasons.")
    message: str
    log: str = Field("", description="The lines of the log that say why.")
    packages: list[str] = Field([], description="Folders of a monorepo that are projects.")
    seconds: float = Field(0, description="Seconds that the attempt took.")
    files: str = Field("", description="Digest of a directory's file names, sizes and times.")


class Harvest:
    """The images and failures of many sources, in files; several threads may add to it."""

    def __init__(self, output: Path, *, retry: bool = False) -> None:
        self.output = output
        self.failures = output.with_suffix(".failed.jsonl")
        self._lock = threading.Lock()
        self.images = {image.source.given: image for image in _read(output, Image)}
        self.failed = {failure.source: failure for failure in _read(self.failures, FailedBuild)}
        self._retry = retry

    def left(self, sources: Iterable[str], is_there: Callable[[str], bool]) -> list[str]:
        """The sources to build, each once: those without a result, or whose image is gone.

        `is_there` says whether the engine has the image of an id. The files of a directory may
        have changed: one that gave an image is looked at again, one that failed only if they have.
        """

        def is_done(source: str) -> bool:
            if not self._retry and source in self.failed:
                return self.failed[source].files == _files_of(source)
            image = self.images.get(source)
            return bool(image and not Path(source).is_dir() and is_there(image.digest))

        return [source for source in dict.fromkeys(sources) if not is_done(source)]

    def built(self, image: Image) -> None:
        """Keep an image, instead of another one of its source."""
        with self._lock:
            self.failed.pop(image.source.given, None)
            _keep(self.output, self.images, image.source.given, image)

    def refused(self, source: str, error: ForagerError, seconds: float) -> None:
        """Keep a failure, instead of another one of its source."""
        diagnosis = diagnosis_of(error)
        failure = FailedBuild(
            source=source,
            reason=_reason(error),
            packages=diagnosis.packages if diagnosis else [],
            message=str(error),
            log=getattr(error, "log", ""),
            seconds=round(seconds, 1),
            files=_files_of(source),
        )
        with self._lock:
            _keep(self.failures, self.failed, source, failure)

    def packages(self, sources: Iterable[str]) -> list[str]:
        """The packages of monorepos among the sources that failed, as sources."""
        return [
            f"{source}#subdirectory={folder}"
            for source in dict.fromkeys(sources)
            if source in self.failed
            for folder in self.failed[source].packages[:_MOST_PACKAGES]
        ]

    def funnel(self, sources: Sequence[str]) -> list[tuple[str, int]]:
        """How many of the sources gave an image, and for which reasons the others did not.

        The packages of a monorepo count instead of it.
        """
        known = {source: self.packages([source]) or [source] for source in sources}
        wanted = dict.fromkeys(name for names in known.values() for name in names)
        failed = [
            self.failed[source]
            for source in wanted
            if source not in self.images and source in self.failed
        ]
        images = sum(source in self.images for source in wanted)
        return [("image", images), *Counter(entry.reason for entry in failed).most_common()]


def sources_of(arguments: Iterable[str]) -> list[str]:
    """The sources, in which a text file stands for its lines. Raises UsageError."""
    found = []
    for argument in arguments:
        if not argument.endswith(".txt") or not Path(argument).is_file():
            found.append(argument)
            continue
        lines = Path(argument).read_text(errors="replace").splitlines()
        found += [text for line in lines if (text := re.sub(r"(^|\s)#.*", "", line).strip())]
    if not found:
        raise UsageError("the files name no source: write one SOURCE in a line")
    return found


def check_space(client: docker.DockerClient, least: int) -> None:
    """Raise StoreError if the engine's disk has fewer free bytes, as far as this host sees it."""
    root = str(client.info().get("DockerRootDir", ""))
    if least and root and Path(root).is_dir():
        free = shutil.disk_usage(root).free
        if free < least:
            raise StoreError(
                f"{root} has {free >> 30} GiB left, less than --keep-free: remove images "
                "(`docker image prune`), then type the same command again"
            )


def _files_of(source: str) -> str:
    """A digest that differs once a file of a directory has changed; empty for other sources."""
    if not Path(source).is_dir():
        return ""
    found = hashlib.sha256()
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(names):
            with suppress(OSError):  # it went away in the meantime
                facts = (Path(folder) / name).lstat()
                line = f"{folder}/{name}\t{facts.st_size}\t{facts.st_mtime_ns}\n"
                found.update(line.encode(errors="surrogateescape"))
    return found.hexdigest()


def _reason(error: ForagerError) -> str:
    if diagnosis := diagnosis_of(error):
        return reason_of(diagnosis).name
    if isinstance(error, UsageError):
        return "no tests" if "no tests found" in str(error) else "source"
    return "machine"


def _keep(path: Path, known: dict[str, R], source: str, record: R) -> None:
    """Add a record to a file, or replace that of the same source."""
    before = known.get(source)
    known[source] = record
    if before is None:
        with RecordWriter(path) as file:
            file.append(record)
    elif before != record:
        write_records(path, list(known.values()))


def _read(path: Path, kind: type[R]) -> list[R]:
    return list(read_records(path, kind)) if path.is_file() else []
