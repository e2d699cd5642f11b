"""The kinds of sandboxes that a run can choose from."""

from forager.sandboxes.bubblewrap_sandbox import BubblewrapSandbox
from forager.sandboxes.docker_sandbox import DockerSandbox
from forager.sandboxes.sandbox import SandboxFactory

SANDBOXES: dict[str, SandboxFactory] = {
    "docker": DockerSandbox,
    "bubblewrap": BubblewrapSandbox,
}
"""By the name that `--sandbox` takes."""
