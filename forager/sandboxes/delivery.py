"""Images for machines that did not build them: from a registry, or from archives.

Nothing is fetched from a place that was not named: a public registry may hold anything under the
names of images that were built here.
"""

import json
import tarfile
from pathlib import Path

import requests
from docker.errors import DockerException, ImageNotFound

from forager.errors import EngineError, ImageMissing, SandboxError, StoreError
from forager.locks import locked
from forager.sandboxes.engine import connect
from forager.sandboxes.unpacked import stored_images, unpack, unpacked

_FAULTS = (DockerException, requests.RequestException, StoreError, OSError, tarfile.TarError)


def available(sandbox: str) -> set[str]:
    """The images that this machine can start such a sandbox of. Raises EngineError."""
    found = stored_images() if sandbox == "bubblewrap" else set()
    try:
        listed = connect().api.images()
    except EngineError:
        if sandbox == "docker":
            raise
        return found
    return found | {tag for one in listed for tag in one["RepoTags"] or []}


def deliver(image: str, digest: str, place: str, sandbox: str) -> None:
    """Bring an image here where it is not.

    `place` is a directory of archives of `docker save`, or a registry (HOST:PORT, or
    HOST/PREFIX). Raises ImageMissing where it has no such image, or another one of that name.
    """
    if image not in available(sandbox):
        with locked(f"deliver-{digest.removeprefix('sha256:')[:24]}"):
            if image not in available(sandbox):  # no other process was quicker
                try:
                    _bring(image, place, sandbox)
                except _FAULTS as error:
                    raise ImageMissing(f"cannot get {image} from {place}: {error}") from error
    check_image(image, digest, sandbox)


def _bring(image: str, place: str, sandbox: str) -> None:
    if Path(place).is_dir():
        archive = _archive(Path(place), image)
        if sandbox == "bubblewrap":
            unpack(archive)
            return
        with archive.open("rb") as file:
            connect().images.load(file)
    else:
        repository, _, tag = image.rpartition(":")
        pulled = connect().images.pull(f"{place}/{repository}", tag=tag)
        pulled.tag(repository, tag)


def check_image(image: str, digest: str, sandbox: str) -> None:
    """Raise ImageMissing where a sandbox would be of another image than the one of this digest.

    Nothing is said without a digest, nor of an image that is not here.
    """
    if not digest:
        return
    try:
        found = str(connect().images.get(image).id)
    except (EngineError, ImageNotFound):
        if sandbox == "docker":
            return
        try:
            found = unpacked(image).digest
        except ImageMissing:
            return
    except _FAULTS as error:
        raise SandboxError(f"cannot look at {image}: {error}") from error
    if found != digest:
        raise ImageMissing(
            f"{image} is {found} here, and the task is of {digest}: remove it and "
            "bring the task's own (--images, `forager image import`), or make the tasks again"
        )


def _archive(directory: Path, image: str) -> Path:
    """The archive in a directory that holds an image."""
    for path in sorted(directory.glob("*.tar")):
        with tarfile.open(path) as file:
            manifest = file.extractfile("manifest.json")
            entries = json.load(manifest) if manifest else []
        if any(image in (one.get("RepoTags") or ()) for one in entries):
            return path
    raise ImageMissing(f"no archive (*.tar) in {directory} holds {image}")
