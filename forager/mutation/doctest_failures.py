"""Reads how pytest prints the failure of a doctest."""

import re
from typing import NamedTuple

_STATEMENT = re.compile(r"^\d{3,} +(>>> |\.\.\. ?)(.*)$", re.MULTILINE)
_RESULTS = re.compile(
    r"^Expected(?: nothing|:\n(?P<expected>.*?))\nGot(?: nothing|:\n(?P<got>.*?))\s*\n\S*:\d+: ",
    re.MULTILINE | re.DOTALL,
)
_ERROR = re.compile(r"^UNEXPECTED EXCEPTION: .*\n(?:.*\n)*?(?P<error>\w[\w.]*(?:: .*)?)\n\S*:\d+: ",
                    re.MULTILINE)  # fmt: skip
_TRACEBACK = "Traceback (most recent call last):"


class DoctestFailure(NamedTuple):
    """The statements that pytest shows, the last of which fails; values on one line each."""

    ran: str
    call: str
    """The last statement; empty if it has more lines than pytest shows."""
    expected: str
    got: str
    is_error: bool


def doctest_failure(text: str) -> DoctestFailure | None:
    """What failed, or None if this is no doctest."""
    statements = [found[2] for found in _STATEMENT.finditer(text)]
    if not statements:
        return None
    call = "" if statements[-1].rstrip().endswith(":") else statements[-1]
    if not call:  # pytest shows the first line of the failing statement alone
        statements[-1] += " ..."
    ran = "\n".join(statements)
    if found := _RESULTS.search(text):
        return DoctestFailure(ran, call, _value(found["expected"]), _value(found["got"]), False)
    if found := _ERROR.search(text):
        return DoctestFailure(ran, call, "", found["error"], True)
    return None


def _value(text: str | None) -> str:
    """A value on one line; of a traceback the error."""
    words = " ".join((text or "nothing").split())
    return words.removeprefix(_TRACEBACK).strip()
