"""The connection to the Docker engine."""

from functools import cache

import docker
from docker.errors import DockerException

from forager.errors import EngineError


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


def _reason(error: Exception) -> str:
    """The innermost cause, on one line."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
