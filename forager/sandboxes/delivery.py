"""Images for machines that did not build them: from a registry, or from archives.

Images come only from a place that the user names: a public registry may hold anything under the
names of our images.
"""

import json
import re
import tarfile
from pathlib import Path

import requests
from docker.errors import DockerException, ImageNotFound

from forager.atomic import replacing
from forager.errors import EngineError, ImageMissing, SandboxError, StoreError
from forager.locks import locked
from forager.sandboxes.engine import connect
from forager.sandboxes.unpacked import stored_images, unpack, unpacked

_FAULTS = (DockerException, requests.RequestException, StoreError, OSError, tarfile.TarError)


def available(sandbox: str) -> set[str]:
    """The images from which this machine can start such sandboxes. Raises EngineError."""
    found = stored_images() if sandbox == "bubblewrap" else set()
    try:
        listed = connect().api.images()
    except EngineError:
        if sandbox == "docker":
            raise
        return found
    return found | {tag for image in listed for tag in image["RepoTags"] or []}


def deliver(image: str, digest: str, place: str, sandbox: str) -> None:
    """Bring an image to this machine unless it is here.

    `place` is a directory of archives made by `docker save`, or a registry (HOST:PORT, or
    HOST/PREFIX). Raises ImageMissing if it lacks the image, or has another one under that name.
    """
    if image not in available(sandbox):
        with locked(f"deliver-{digest.removeprefix('sha256:')[:24]}"):
            if image not in available(sandbox):  # another process may have been faster
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


def publish(image: str, place: str) -> None:
    """Put an image of this machine's engine where `deliver` finds it. Raises StoreError.

    `place` is a directory, where an archive of the image appears when it is whole, or a registry.
    """
    repository, _, tag = image.rpartition(":")
    try:
        found = connect().images.get(image)
        if Path(place).is_dir():
            name = re.sub(r"[^\w.-]", "_", image)
            with replacing(Path(place) / f"{name}.tar") as part, part.open("wb") as file:
                for chunk in found.save(named=image):
                    file.write(chunk)
            return
        found.tag(f"{place}/{repository}", tag)
        for line in connect().images.push(f"{place}/{repository}", tag, stream=True, decode=True):
            if "error" in line:
                raise StoreError(f"cannot put {image} into {place}: {line['error']}")
    except _FAULTS as error:
        raise StoreError(f"cannot put {image} into {place}: {error}") from error


def check_image(image: str, digest: str, sandbox: str) -> None:
    """Raise ImageMissing if the image of this name here has another digest.

    Does nothing without a digest, or if the image is not here.
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
            f"{image} is {found} here, but the task needs {digest}: remove the image and "
            "bring the task's own (--images, `forager image import`), or make the tasks again"
        )


def _archive(directory: Path, image: str) -> Path:
    """Find the archive in a directory that holds an image."""
    for path in sorted(directory.glob("*.tar")):
        with tarfile.open(path) as file:
            manifest = file.extractfile("manifest.json")
            entries = json.load(manifest) if manifest else []
        if any(image in (entry.get("RepoTags") or ()) for entry in entries):
            return path
    raise ImageMissing(f"no archive (*.tar) in {directory} holds {image}")
