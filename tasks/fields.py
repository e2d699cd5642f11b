"""The fields of rows. A row is untrusted: a field may be missing, or hold anything.

Lists may be lists, JSON, or text that Python or numpy printed; what pandas could not fill is NaN.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from unidiff.errors import UnidiffParseError

from forager.environments.repository.patches import parsed
from forager.environments.task import Labels
from forager.literals import read_literal
from forager.untrusted import Malformed
from tasks.rows import Row, UnusableRow

_LARGEST_PATCH, _MOST_LINES = 16 << 20, 200_000  # characters and lines of a patch
_DECODED = 3  # times that a list may be text within text
_CONTEXT = 3  # lines
_HUNK = re.compile(r"^@@", re.MULTILINE)
_WITHOUT_HUNKS = re.compile(
    r"^(?:new file|deleted file|old mode|rename|copy|GIT binary|Binary files) ", re.MULTILINE
)
_CARRIAGE = re.compile(r"(?:diff --git|--- ).*\r$", re.MULTILINE)


def without_nan(row: Row) -> Row:
    """The row with None for NaN, which pandas writes for what is missing."""
    return {name: None if _is_nan(value) else value for name, value in row.items()}


def text(row: Row, *names: str, required: bool = True) -> str:
    """The first non-empty field of these. Raises UnusableRow if a required text is missing."""
    for name in names:
        value = _plain(row.get(name))
        if value is None and required:
            raise UnusableRow(f"{name} is not a text")
        if value and value.strip():
            return value
    if required:
        raise UnusableRow(f"{names[0]} is missing or empty")
    return ""


def instance_id(*parts: str) -> str:
    """A task's name made of these parts, fit to be the name of a file: `humaneval.12`."""
    return re.sub(r"[^\w.-]+", "-", ".".join(parts))


def question_labels(family: str, origin: str, name: str, more: Mapping[str, str]) -> Labels:
    """The labels of a task that is not a repository; empty texts in `more` are left out.

    The data set stands for the repository, and the problem for the function.
    """
    return Labels(
        family=family,
        repository=origin,
        functions=[f"{origin}:{name}"],
        more={label: value for label, value in more.items() if value},
    )


def _plain(value: Any) -> str | None:
    """A text, a number or a date as text; empty for a missing value, None for anything else."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return None if isinstance(value, list | tuple | dict | set) else str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def nested(row: Row, name: str) -> Any:
    """A field that is an object or a list, or the text of either; None if it is missing.

    Raises UnusableRow.
    """
    value = row.get(name)
    for _ in range(_DECODED):
        if not isinstance(value, str):
            break
        try:
            value = read_literal(value) if value.strip() else None
        except Malformed as error:
            raise UnusableRow(f"{name}: {error}") from None
    if isinstance(value, str):
        raise UnusableRow(f"{name} is text")
    return value


def commands(given: Any, name: str) -> list[str]:
    """Shell commands: a text, or a list of texts in any form. Raises UnusableRow."""
    try:
        return names({name: given}, name)
    except UnusableRow:
        if isinstance(given, str):
            return [given]
        raise


def names(row: Row, *fields: str, may_be_empty: bool = False) -> list[str]:
    """The list of tests in the first of these fields that has one. Raises UnusableRow."""
    for field in fields:
        value = nested(row, field)
        if value is not None:
            whole = isinstance(value, list | tuple)
            if not whole or not all(isinstance(name, str) and name.strip() for name in value):
                raise UnusableRow(f"{field} is no list of tests")
            return list(value)
    if may_be_empty and not row.keys().isdisjoint(fields):
        return []
    raise UnusableRow(f"{fields[0]} is missing or empty")


def patch(row: Row, name: str, *, required: bool = True) -> str:
    """A field that is a patch, fit for `git apply`. Raises UnusableRow."""
    given = text(row, name, required=required)
    return fit(given, name) if given else ""


def fit(given: str, name: str) -> str:
    """A patch with the line ends and the last lines that it lost on its way here.

    Conversions end all lines with a carriage return, or strip the last newline, and with it empty
    lines of context. Raises UnusableRow for what is no patch.
    """
    if _CARRIAGE.match(given):
        given = given.replace("\r\n", "\n")
    given = given if given.endswith("\n") else f"{given}\n"
    if len(given) > _LARGEST_PATCH or given.count("\n") > _MOST_LINES:
        raise UnusableRow(f"{name} is larger than {_LARGEST_PATCH >> 20} MiB or too many lines")
    problem = ""
    for lost in range(_CONTEXT + 1):
        whole = given + lost * " \n"
        found = _problem(whole)
        if not found:
            return whole
        problem = problem or found
    raise UnusableRow(f"{name} is malformed: {problem}")


def _problem(patch: str) -> str:
    """Why a text is no patch, or ""; unidiff skips what it does not know."""
    try:
        files = parsed(patch)
    except UnidiffParseError as error:
        return str(error)
    if not files:
        return "it changes no file"
    if sum(map(len, files)) != len(_HUNK.findall(patch)):
        return "the head of a hunk is broken"
    idle = [
        file.path
        for file in files
        if not (len(file) or file.is_binary_file or _WITHOUT_HUNKS.search(str(file.patch_info)))
    ]
    return f"it changes nothing of {idle[0]}" if idle else ""
