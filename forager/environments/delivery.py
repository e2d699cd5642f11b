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
from forager.environments.unpacked import stored_images, unpack, unpacked
from forager.errors import EngineError, ImageMissing, SandboxError

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
    if task.image not in available(sandbox):
        with locked(f"deliver-{task.image_digest.removeprefix('sha256:')[:24]}"):
            if task.image not in available(sandbox):  # no other process was quicker
                try:
                    _bring(task, place, sandbox)
                except _FAULTS as error:
                    raise ImageMissing(f"cannot get {task.image} from {place}: {error}") from error
    check_image(task, sandbox)


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


def check_image(task: Task, sandbox: str) -> None:
    """Raise ImageMissing where a sandbox would be of another image than the task was proven in.

    Nothing is said of a task that does not tell its image's id, nor of an image that is not here.
    """
    if not task.image_digest:
        return
    try:
        found = str(connect().images.get(task.image).id)
    except (EngineError, ImageNotFound):
        if sandbox == "docker":
            return
        try:
            found = unpacked(task.image).digest
        except ImageMissing:
            return
    except _FAULTS as error:
        raise SandboxError(f"cannot look at {task.image}: {error}") from error
    if found != task.image_digest:
        raise ImageMissing(
            f"{task.image} is {found} here, and the task is of {task.image_digest}: remove it and "
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
