"""Images for machines that did not build them: from a registry, or from archives.

Nothing is fetched from a place that was not named: a public registry may hold anything under the
names of images that were built here.
"""

import json
import tarfile
from pathlib import Path

import requests
from docker.errors import DockerException, ImageNotFound

from forager.environments.base import locked
from forager.environments.engine import connect
from forager.environments.task import Task
from forager.environments.unpacked import stored_images, unpack
from forager.errors import EngineError, ImageMissing

_FAULTS = (DockerException, requests.RequestException, OSError, tarfile.TarError)


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


def deliver(task: Task, place: str, sandbox: str) -> None:
    """Bring the task's image here where it is not.

    `place` is a directory of archives of `docker save`, or a registry (HOST:PORT, or
    HOST/PREFIX). Raises ImageMissing where it has no such image, or another one of that name.
    """
    if task.image in available(sandbox):
        return
    with locked(f"deliver-{task.image_digest.removeprefix('sha256:')[:24]}"):
        if task.image in available(sandbox):
            return  # another process was quicker
        try:
            _bring(task, place, sandbox)
        except _FAULTS as error:
            raise ImageMissing(f"cannot get {task.image} from {place}: {error}") from error


def _bring(task: Task, place: str, sandbox: str) -> None:
    if Path(place).is_dir():
        archive = _archive(Path(place), task.image)
        if sandbox == "bubblewrap":
            unpack(archive)
            return
        with archive.open("rb") as file:
            connect().images.load(file)
    else:
        repository, _, tag = task.image.rpartition(":")
        pulled = connect().images.pull(f"{place}/{repository}", tag=tag)
        pulled.tag(repository, tag)
    _check(task)


def _check(task: Task) -> None:
    """The tests were proven in this image and no other."""
    try:
        found = connect().images.get(task.image).id
    except ImageNotFound:
        found = "nothing"
    if task.image_digest and found != task.image_digest:
        raise ImageMissing(f"{task.image} came as {found}, and the task is of {task.image_digest}")


def _archive(directory: Path, image: str) -> Path:
    """The archive in a directory that holds an image."""
    for path in sorted(directory.glob("*.tar")):
        with tarfile.open(path) as file:
            manifest = file.extractfile("manifest.json")
            entries = json.load(manifest) if manifest else []
        if any(image in (one.get("RepoTags") or ()) for one in entries):
            return path
    raise ImageMissing(f"no archive (*.tar) in {directory} holds {image}")
