"""Containers and images that outlive their makers: how to recognise and how to remove them.

The label of a sandbox names the process that made it (see `makers.py`). A container in which an
image is built has it in its name instead, because its labels would become those of the image. An
image that is not proven yet has no name, and a label. A killed maker removes nothing, so the next
process that starts a container removes what it left, as does `forager doctor --clean`.
"""

import contextlib
import secrets
from collections.abc import Iterator
from functools import cache
from threading import Lock
from typing import Any

import requests
from docker.errors import DockerException, NotFound

from forager.errors import EngineError
from forager.makers import dotted, from_dotted, is_gone
from forager.sandboxes.engine import connect

SANDBOX_LABEL = "forager.sandbox"  # on every sandbox; its value is `maker()`
IMAGE_LABEL = "forager.maker"  # on every image; its value and the image's comment are `maker()`
_BUILD = "forager-build."  # begins the name of a container in which an image is built
_FAULTS = (DockerException, requests.RequestException, OSError)


def build_name() -> str:
    """A name for a container in which an image is built."""
    return f"{_BUILD}{dotted()}.{secrets.token_hex(4)}"


def leftovers() -> list[str]:
    """The ids of containers whose makers are gone. Raises what docker raises."""
    return [id for id, label, state in _containers() if _is_left(label, state)]


def left_images() -> list[str]:
    """The ids of images without a name whose makers are gone. Raises what docker raises.

    Images that people build upon ours have our label too, but another comment.
    """
    api: Any = connect().api
    filters = {"dangling": True, "label": IMAGE_LABEL}
    return [
        image["Id"]
        for image in api.images(filters=filters)
        if is_gone(label := image["Labels"][IMAGE_LABEL])
        and api.inspect_image(image["Id"])["Comment"] == label
    ]


def remove_leftovers() -> tuple[int, int]:
    """Remove the containers and images whose makers are gone; return how many of each.

    Raises EngineError.
    """
    containers, images = leftovers(), left_images()
    for container in containers:
        remove(container)
    for image in images:
        with contextlib.suppress(*_FAULTS):  # a container may use it
            connect().api.remove_image(image)
    return len(containers), len(images)


def _containers() -> Iterator[tuple[str, str, str]]:
    """Yield id, maker's label and state of the containers that were made here."""
    api = connect().api
    for container in api.containers(all=True, filters={"label": SANDBOX_LABEL}):
        yield container["Id"], container["Labels"][SANDBOX_LABEL], container["State"]
    for container in api.containers(all=True, filters={"name": _BUILD}):
        for name in container["Names"]:
            if (named := name.removeprefix("/")).startswith(_BUILD):
                made = named.removeprefix(_BUILD).rpartition(".")[0]
                yield container["Id"], from_dotted(made), container["State"]


def remove(container: str) -> None:
    """Remove a container by id or name: now, or at the next `sweep` if the engine fails."""
    try:
        connect().api.remove_container(container, force=True, v=True)
    except NotFound:
        pass
    except _FAULTS as error:
        if "already in progress" not in str(error):
            with _LOCK:
                _UNREMOVED.add(container)


def sweep() -> None:
    """Remove the containers that `remove` could not, and once those that killed processes left.

    Raises nothing: whoever starts a container next reports what is wrong with the engine.
    """
    with _LOCK:
        late = set(_UNREMOVED)
        _UNREMOVED.clear()
    for container in late:
        remove(container)
    with contextlib.suppress(*_FAULTS, EngineError):
        _swept()


_LOCK = Lock()
_UNREMOVED: set[str] = set()


@cache
def _swept() -> tuple[int, int]:
    return remove_leftovers()


def _is_left(label: str, state: str) -> bool:
    """Whether the maker is gone; if it cannot be looked up, whether the container has ended."""
    gone = is_gone(label)
    return state in ("exited", "dead") if gone is None else gone
