"""The record of an image, and the images that were built here."""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from forager.atomic import replace_text
from forager.environments.repository.task import TestSetup
from forager.errors import UsageError
from forager.images.recipe import Recipe
from forager.images.source import Source
from forager.paths import data_directory
from forager.records import Record


class Image(Record):
    """A Docker image of a project whose tests were run in it."""

    reference: str = Field(description="Docker name of the image.")
    digest: str = Field(description="Id that the Docker engine gives it.")
    key: str = Field(description="Digest of source, recipe and base: the same key, the same image.")
    base: str = Field(description="Docker name of the base that it is a layer upon.")
    commit: str = Field(description="The one commit of the repository in /testbed.")
    source: Source
    recipe: Recipe = Field(description="The recipe as it worked.")
    setup: TestSetup
    passing: list[str] = Field(description="Tests that passed in both runs.")
    flaky: list[str] = Field(
        [], description="Tests that fail in another order, or on little processor time."
    )
    failing: list[str] = Field([], description="Tests that failed in both runs.")
    skipped: int = 0
    dropped: list[str] = Field([], description="What could not be installed and was left out.")
    notes: list[str] = Field([], description="What a person should know about this image.")
    test_seconds: float = Field(description="Seconds of one run of the whole suite.")
    build_seconds: float = 0
    created_at: str
    python_version: str = ""
    package_count: int = Field(0, description="Installed distributions.")
    size: int = Field(0, description="Bytes of the image, base included.")
    layer_size: int = Field(0, description="Bytes that the image adds to its base.")

    @property
    def share(self) -> float:
        """The share of passing tests among all that were not skipped."""
        run = len(self.passing) + len(self.flaky) + len(self.failing)
        return len(self.passing) / run if run else 0.0


def stored_images() -> Iterator[Image]:
    """Yield the records of the images built here, newest first."""
    records = [image for path in _directory().glob("*.json") if (image := _read(path))]
    yield from sorted(records, key=lambda image: image.created_at, reverse=True)


def find_image(reference: str) -> Image:
    """Return the record of an image by its name, its id, its key or its source."""
    for image in stored_images():
        names = (image.reference, image.key, image.digest, image.source.given, image.source.name)
        short = re.fullmatch(r"(sha256:)?[0-9a-f]{6,64}", reference)
        if reference in names or (
            short
            and (
                image.digest.removeprefix("sha256:").startswith(reference.removeprefix("sha256:"))
                or image.key.startswith(reference)
            )
        ):
            return image
    raise UsageError(f"no image '{reference}' was built here: see `forager image list`")


def record_path(key: str) -> Path:
    """Return the file of the record with this key."""
    return _directory() / f"{key}.json"


def stored(key: str) -> Image | None:
    """Return the record with this key; None if there is none, or it cannot be read."""
    return _read(record_path(key))


def store(image: Image) -> None:
    """Write the record of an image in one step."""
    replace_text(record_path(image.key), image.model_dump_json(indent=1))


def _read(path: Path) -> Image | None:
    """Read a record; one of another version of forager is ignored, so the image is rebuilt."""
    try:
        return Image.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _directory() -> Path:
    path = data_directory() / "images"
    path.mkdir(exist_ok=True)
    return path
