"""The kinds of sandboxes that a run can choose from."""

from importlib.metadata import entry_points

from forager.errors import UsageError
from forager.plugins import plugins
from forager.sandboxes.bubblewrap_sandbox import bubblewrap_sandbox
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import SandboxKind
from forager.text import known_words

_GROUP = "forager.sandboxes"
SANDBOXES: dict[str, SandboxKind] = {
    "docker": docker_sandbox,
    "bubblewrap": bubblewrap_sandbox,
}
"""Forager's own, by the name that `--sandbox` takes."""


def sandbox_kind(name: str) -> SandboxKind:
    """A kind by its name: forager's own, or an entry point of `forager.sandboxes`.

    Raises UsageError if there is none.
    """
    if name in SANDBOXES:
        return SANDBOXES[name]
    for plugin in plugins(_GROUP, name):
        found: SandboxKind = plugin.object
        return found
    known = known_words(name, (*SANDBOXES, *entry_points(group=_GROUP).names))
    raise UsageError(f"--sandbox: no package provides {name!r}; {known}")
