"""The kinds of sandboxes that a run can choose from."""

from forager.sandboxes.bubblewrap_sandbox import bubblewrap_sandbox
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import SandboxKind

SANDBOXES: dict[str, SandboxKind] = {
    "docker": docker_sandbox,
    "bubblewrap": bubblewrap_sandbox,
}
"""By the name that `--sandbox` takes."""
