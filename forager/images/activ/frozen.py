"""What a frozen job reports, read as a stranger's word: bounded, and parsed strictly."""

import re
from typing import Literal

from pydantic import TypeAdapter

from forager.images.activ.looking import Frozen
from forager.untrusted import Items, Report, record

_LONGEST = 8 << 20  # characters
_FIELD = re.compile(r"^(Package|Status|Auto-Installed): (.{1,200})$", re.M)


class FrozenPackage(Report):
    """A distribution that the interpreter of the tests finds."""

    name: str | None
    version: str | None
    url: str
    """The text of its direct_url.json."""
    place: str


class FrozenTests(Report):
    """The report of the hook, when tests were about to start."""

    runner: Literal["pytest", "unittest"]
    python: str
    directory: str
    workspace: str
    arguments: Items[str] = []
    paths: Items[str] = []
    """Where pytest looks for tests."""
    addopts: Items[str] = []
    files: dict[str, int]
    doctests: dict[str, int] = {}
    path: Items[str]
    packages: Items[FrozenPackage]
    variables: dict[str, str]


_TESTS = TypeAdapter(FrozenTests)


def parsed(frozen: Frozen) -> FrozenTests:
    """Return the report of a frozen job. Raises Malformed."""
    return record(_TESTS, frozen.report, _LONGEST)


def asked_for(packages: str, automatic: str) -> set[str]:
    """Return the Debian packages that are installed and that nobody but a person asked for.

    The texts are dpkg's status file and apt's extended states.
    """
    installed = {
        name
        for name, fields in _paragraphs(packages)
        if fields.get("Status", "").endswith(" installed")
    }
    others = {
        name for name, fields in _paragraphs(automatic) if fields.get("Auto-Installed") == "1"
    }
    return installed - others


def _paragraphs(text: str) -> list[tuple[str, dict[str, str]]]:
    found = [dict(_FIELD.findall(paragraph)) for paragraph in text.split("\n\n")]
    return [(fields["Package"], fields) for fields in found if "Package" in fields]
