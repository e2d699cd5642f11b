"""The connection to the Docker engine."""

import shutil
from functools import cache
from pathlib import Path

import docker
from docker.errors import DockerException

from forager.errors import EngineError, SandboxError


@cache
def connect() -> docker.DockerClient:
    """Return the process's client of the Docker engine (DOCKER_HOST or the local socket).

    Raises EngineError, saying what to type, where none answers.
    """
    try:
        client = docker.from_env(timeout=300, max_pool_size=64)
        client.ping()
    except DockerException as error:
        raise EngineError(
            "no Docker engine answers; install one with `sudo apt-get install docker.io`, start it "
            "with `sudo systemctl start docker` (or `sudo dockerd &` where there is no systemd), "
            f"then try `docker info` ({_reason(error)})"
        ) from error
    return client


def check_disk(needed: int = 64 << 20) -> None:
    """Raise SandboxError where the engine's disk has not so many bytes left.

    A command that fails for want of room is not the agent's failure. Nothing is known of the disk
    of an engine on another machine.
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
    """Where the engine keeps its files; asked once, for it starts two programs to answer."""
    return Path(connect().info()["DockerRootDir"])


def _reason(error: Exception) -> str:
    """The innermost cause, on one line."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
