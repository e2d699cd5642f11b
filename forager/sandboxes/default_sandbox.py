"""The sandbox where nobody names one: a Docker container."""

from collections.abc import Mapping

from forager.sandboxes.sandbox import Limits, Sandbox


def default_sandbox(
    image: str, *, limits: Limits | None = None, environment: Mapping[str, str] = {}
) -> Sandbox:
    """Start a container of `image`; implements SandboxFactory.

    The client of Docker is imported now: code that brings its own sandbox, such as the verifier
    inside a Harbor container, works without it.
    """
    from forager.sandboxes.docker_sandbox import docker_sandbox

    return docker_sandbox(image, limits=limits, environment=environment)
