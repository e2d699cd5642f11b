"""The connection to the Docker engine."""

import os
import shutil
import socket
from functools import cache
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from docker.utils import parse_host

from forager.errors import EngineError, SandboxError

_SOCKET, _LOCAL = "http+unix://", "http+docker://"  # an address, and what docker makes of it


@cache
def connect() -> docker.DockerClient:
    """Return this process's client of the Docker engine (DOCKER_HOST or the local socket).

    Raises EngineError, which says what to type, if no engine answers.
    """
    try:
        _reach_socket()
        client = docker.from_env(timeout=300, max_pool_size=64)
        client.ping()
        # `requests` would look for proxies and passwords at each request, which takes time.
        client.api.trust_env = not client.api.base_url.startswith(_LOCAL)
    except (DockerException, OSError) as error:
        raise EngineError(
            "no Docker engine answers; install one with `sudo apt-get install docker.io`, start it "
            "with `sudo systemctl start docker` (or `sudo dockerd &` where there is no systemd), "
            f"then try `docker info` ({_reason(error)})"
        ) from error
    return client


@cache
def is_podman() -> bool:
    """Whether the engine is Podman, which serves Docker's protocol; asked once."""
    parts = connect().version().get("Components") or []
    return any(part.get("Name") == "Podman Engine" for part in parts)


def check_disk(needed: int = 64 << 20) -> None:
    """Raise SandboxError if the engine's disk has less than `needed` bytes left.

    A command that fails on a full disk is not the agent's failure. The disk of an engine on another
    machine is unknown and counts as free.
    """
    try:
        root = _data_root()
        free = shutil.disk_usage(root).free
    except (OSError, DockerException):
        return
    if free < needed:
        raise SandboxError(f"the disk of the Docker engine is full: {free >> 20} MiB in {root}")


@cache
def _data_root() -> Path:
    """Where the engine keeps its files; asked once, as the engine starts two programs to answer."""
    return Path(connect().info()["DockerRootDir"])


def _reach_socket() -> None:
    """Raise OSError where nobody listens: docker's client would leave a socket open."""
    address: Any = parse_host(os.environ.get("DOCKER_HOST", ""))
    if address.startswith(_SOCKET):
        with socket.socket(socket.AF_UNIX) as reached:
            reached.connect(address.removeprefix(_SOCKET))


def _reason(error: Exception) -> str:
    """The innermost cause, on one line."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
