"""GitHub workflows as plain values, read within bounds.

Every scalar stays text, so that no tag makes an object and 3.10 stays a version. Workflows of
strangers are parsed in this process, so their size, depth and expanded aliases are bounded.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from forager.errors import UsageError
from forager.inside import is_inside
from forager.text import ending

LARGEST = 512 << 10  # bytes of a file
_MOST_FILES = 40
_MOST_VALUES = 60_000  # with each use of an alias counted
_DEEPEST = 40
_NAME = re.compile(r"[A-Za-z_][\w-]{0,99}", re.ASCII)  # of a job
_WORKFLOWS = ".github/workflows"


class BadWorkflow(UsageError):
    """A file is no workflow; the message is one line and names the file."""


class Workflow(NamedTuple):
    """One file of `.github/workflows`."""

    name: str
    """Path in the project."""
    content: dict[str, Any]

    @property
    def events(self) -> dict[str, Any]:
        """What starts it, with the settings of each event."""
        stated = self.content.get("on")
        if isinstance(stated, str):
            return {stated: {}}
        if isinstance(stated, list):
            return {str(event): {} for event in stated}
        return stated if isinstance(stated, dict) else {}

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """The jobs by their ids."""
        stated = self.content.get("jobs")
        jobs = stated if isinstance(stated, dict) else {}
        return {
            name: job
            for name, job in jobs.items()
            if isinstance(job, dict) and _NAME.fullmatch(name)
        }


def workflows(tree: Path) -> Iterator[Workflow | BadWorkflow]:
    """Yield the project's workflows, and what is wrong with those that cannot be read."""
    folder = tree / _WORKFLOWS
    found = sorted(folder.glob("*.y*ml")) if folder.is_dir() and is_inside(folder, tree) else []
    for path in found[:_MOST_FILES]:
        try:
            name = str(path.relative_to(tree))
            yield Workflow(name, mapping(tree, name))
        except BadWorkflow as error:
            yield error


def mapping(tree: Path, name: str) -> dict[str, Any]:
    """Return the mapping that a YAML file of the project holds. Raises BadWorkflow."""
    path = tree / name
    try:
        if not path.is_file() or not is_inside(path, tree):
            raise BadWorkflow(f"{name} is not a file of the project")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadWorkflow(f"{name} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise BadWorkflow(f"{name} has more than {LARGEST >> 10} KiB")
    return parsed(content.decode(errors="replace"), name)


def parsed(text: str, name: str) -> dict[str, Any]:
    """Return the mapping of a YAML text, as dicts, lists and strings. Raises BadWorkflow."""
    import yaml

    if len(text) > LARGEST:
        raise BadWorkflow(f"{name} has more than {LARGEST >> 10} KiB")
    try:
        # BaseLoader makes strings of all scalars, and no objects.
        value = yaml.load(text, yaml.BaseLoader)  # nosec B506
        plain = _Copy(name).of(value, 0)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        problem = " ".join(ending(str(error)).split())
        raise BadWorkflow(f"{name} is not YAML: {problem[:200]}") from None
    if not isinstance(plain, dict):
        raise BadWorkflow(f"{name} is not a workflow: it holds no mapping")
    return plain


class _Copy:
    """Copies values without shared parts, up to a number of them."""

    def __init__(self, name: str) -> None:
        self._name, self._left = name, _MOST_VALUES

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise BadWorkflow(f"{self._name} expands to more than {_MOST_VALUES:,} values")
        if depth > _DEEPEST:
            raise BadWorkflow(f"{self._name} is nested more than {_DEEPEST} deep")
        if isinstance(value, dict):
            return {str(key): self.of(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of(item, depth + 1) for item in value]
        return str(value)
