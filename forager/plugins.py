"""What other installed packages add: the objects of their entry points."""

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from forager.errors import UsageError


class Plugin(NamedTuple):
    """A loaded entry point; `origin` names it in messages."""

    name: str
    origin: str
    object: Any


def plugins(group: str, name: str = "") -> Iterator[Plugin]:
    """Load the entry points of a group, sorted by name, or only those of one name.

    Raises UsageError if one does not load.
    """
    entries = entry_points(group=group, name=name) if name else entry_points(group=group)
    for entry in sorted(entries, key=lambda entry: (entry.name, entry.value)):
        origin = f"entry point {group}:{entry.name} ({entry.value})"
        try:
            yield Plugin(entry.name, origin, entry.load())
        except Exception as error:  # another package's import may raise anything
            raise UsageError(f"{origin} does not load: {error}") from error
