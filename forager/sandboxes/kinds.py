"""The kinds of sandboxes that a run can choose from."""

from forager.errors import UsageError
from forager.plugins import plugins
from forager.sandboxes.bubblewrap_sandbox import bubblewrap_sandbox
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import SandboxKind
from forager.text import known_words

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
    others: dict[str, SandboxKind] = {
        plugin.name: plugin.object for plugin in plugins("forager.sandboxes")
    }
    if name not in others:
        known = known_words(name, (*SANDBOXES, *others))
        raise UsageError(f"--sandbox: no package provides {name!r}; {known}")
    return others[name]
