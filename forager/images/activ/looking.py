"""Files of a job's container, as the engine hands them out: nothing runs in it."""

import tarfile
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

import docker
from docker.errors import DockerException

from forager.images.activ.runner import APT, DPKG, HOME
from forager.makers import maker
from forager.sandboxes.leftovers import SANDBOX_LABEL, remove

RUN_LABEL = "forager.activ"  # on the containers of one run
_REPORT = f"{HOME}/report.json"
_LARGEST_REPORT, _LARGEST_LIST = 8 << 20, 32 << 20  # bytes


class Frozen(NamedTuple):
    """What was in a container whose tests were about to start: a stranger's word."""

    report: str
    packages: str
    """Of dpkg: its status file."""
    automatic: str
    """Of apt: which packages others asked for."""


def containers(client: docker.DockerClient, run: str) -> list[dict[str, Any]]:
    """Return a run's containers. Raises what docker raises."""
    api: Any = client.api
    found: list[dict[str, Any]] = api.containers(all=True, filters={"label": f"{RUN_LABEL}={run}"})
    return found


def look(client: docker.DockerClient, run: str) -> Frozen | None:
    """Return what a run's containers hold, if tests are about to start in one."""
    try:
        for container in containers(client, run):
            report = _file(client, container["Id"], _REPORT, _LARGEST_REPORT)
            if report:
                packages = _file(client, container["Id"], DPKG, _LARGEST_LIST)
                automatic = _file(client, container["Id"], APT, _LARGEST_LIST)
                return Frozen(report, packages, automatic)
    except (DockerException, OSError):  # the container has just ended
        return None
    return None


@cache
def files_of(client: docker.DockerClient, image: str) -> tuple[str, str]:
    """Return the same two lists of packages for an image of ours."""
    made = client.api.create_container(image, labels={SANDBOX_LABEL: maker()})["Id"]
    try:
        packages = _file(client, made, DPKG, _LARGEST_LIST)
        return packages, _file(client, made, APT, _LARGEST_LIST)
    finally:
        remove(made)


def _file(client: docker.DockerClient, container: str, path: str, most: int) -> str:
    """Return the text of a regular file in a container; empty if there is none so short."""
    try:
        stream, about = client.api.get_archive(container, path)
    except DockerException:
        return ""
    content = bytearray()
    try:
        if about.get("mode", 0) >> 28 or about.get("size", 0) > most:  # Go's bits of no plain file
            return ""
        for chunk in stream:
            content += chunk
            if len(content) > most + (64 << 10):
                return ""
    finally:
        stream.close()
    with suppress(tarfile.TarError), tarfile.open(fileobj=BytesIO(bytes(content))) as tar:
        entry = tar.next()
        file = tar.extractfile(entry) if entry is not None and entry.isreg() else None
        return file.read(most).decode(errors="replace") if file else ""
    return ""
