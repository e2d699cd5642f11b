"""Many images in one go: what was built and what failed is on the disk before the next begins.

The records of images go to one file, the failures to another next to it; a source in either is not
tried again. So a killed harvest goes on where it was.
"""

import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import docker
from pydantic import Field

from forager.errors import ForagerError, StoreError, UsageError
from forager.images.builder import RecipeFailed
from forager.images.image import Image
from forager.images.reasons import reason_of
from forager.records import Record, RecordWriter, read_records

R = TypeVar("R", bound=Record)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class FailedBuild(Record):
    """A source that gave no image."""

    source: str = Field(description="The SOURCE as it was typed.")
    reason: str = Field(description="One of the kinds in images.reasons.")
    message: str
    log: str = Field("", description="The lines of the log that say why.")
    seconds: float = Field(0, description="Seconds that the attempt took.")


class Harvest:
    """The images and failures of many sources, in files; several threads may add to it."""

    def __init__(self, output: Path, *, retry: bool = False) -> None:
        self.output = output
        self.failures = output.with_suffix(".failed.jsonl")
        self._lock = threading.Lock()
        self.images = {image.source.given: image for image in _read(output, Image)}
        known = [] if retry else _read(self.failures, FailedBuild)
        self.failed = {failure.source: failure for failure in known}

    def left(self, sources: Iterable[str]) -> list[str]:
        """The sources without a result, each once."""
        done = {*self.images, *self.failed}
        return [source for source in dict.fromkeys(sources) if source not in done]

    def built(self, image: Image) -> None:
        """Keep an image."""
        self.images[image.source.given] = image
        self._append(self.output, image)

    def refused(self, source: str, error: ForagerError, seconds: float) -> None:
        """Keep a failure."""
        failure = FailedBuild(
            source=source,
            reason=_reason(error),
            message=str(error),
            log=getattr(error, "log", ""),
            seconds=round(seconds, 1),
        )
        self.failed[source] = failure
        self._append(self.failures, failure)

    def funnel(self, sources: Sequence[str]) -> list[tuple[str, int]]:
        """How many of the sources gave an image, and for which reasons the others did not."""
        reasons = Counter(
            self.failed[source].reason for source in dict.fromkeys(sources) if source in self.failed
        )
        images = sum(source in self.images for source in dict.fromkeys(sources))
        return [("image", images), *reasons.most_common()]

    def _append(self, path: Path, record: Record) -> None:
        with self._lock, RecordWriter(path) as file:
            file.append(record)


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


def bytes_of(text: str) -> int:
    """Read a size such as 20GB or 512m. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)i?b?", text.strip().lower())
    if not found:
        raise UsageError(f"'{text}' is not a size: write it as in 20GB")
    return int(float(found[1]) * _UNITS[found[2]])


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


def _reason(error: ForagerError) -> str:
    cause = error if isinstance(error, RecipeFailed) else error.__cause__
    if isinstance(cause, RecipeFailed):
        return reason_of(cause.failure).name
    if isinstance(error, UsageError):
        return "no tests" if "no tests found" in str(error) else "source"
    return "machine"


def _read(path: Path, kind: type[R]) -> list[R]:
    return list(read_records(path, kind)) if path.is_file() else []
