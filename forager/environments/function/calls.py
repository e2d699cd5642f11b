"""What a call in a sandbox returned, read within bounds."""

from typing import Any, NamedTuple

from pydantic import TypeAdapter

from forager.environments.environment import CauseKind
from forager.environments.function.running import CaseResult
from forager.programs.cases.values import Unreadable, decode, encode, size
from forager.untrusted import Malformed, Report, json_value, record

_LONGEST = 64 << 20  # characters
_SPARE = 1000  # items that a value may have beyond four times those of the truth


class CallAnswer(Report):
    """The answer of the child that made a call."""

    value: str | None = None
    raised: str = ""


class Returned(NamedTuple):
    """What a call returned, or why it returned nothing that can be compared."""

    value: Any = None
    problem: str = ""
    kind: CauseKind = "policy"
    raised: bool = False


_ANSWER = TypeAdapter(CallAnswer)
CAUSES: dict[str, tuple[str, CauseKind]] = {
    "time": ("it exceeds the time limit", "time"),
    "memory": ("it exceeds the memory limit", "policy"),
    "output": ("it prints or returns too much", "policy"),
    "crash": ("it ends with an error", "policy"),
    "compile": ("it cannot be compiled", "policy"),
    "missing": ("an earlier case did not end well", "policy"),
}
"""Why a case that did not end well failed, and what kind of cause that is."""


def size_of(value: Any) -> int:
    """The number of items that a value to be compared with this one may have."""
    try:
        return 4 * size(encode(value)) + _SPARE
    except Unreadable:
        return _SPARE


def returned_by(result: CaseResult, most: int) -> Returned:
    """Read the value that a call returned, of at most `most` items.

    The bound keeps a value small whose items were made to collide in sets and dicts, or to hold
    each other so often that a comparison never ends.
    """
    if result.how != "ended":
        problem, kind = CAUSES[result.how]
        return Returned(problem=problem, kind=kind)
    try:
        answer = record(_ANSWER, result.output, _LONGEST)
        if answer.value is None:
            return Returned(problem=f"it raises {answer.raised[:300]}", raised=True)
        return Returned(decode(answer.value, most=most, unfolded=True, parse=_parse))
    except (Malformed, Unreadable) as error:
        return Returned(problem=f"what it returns cannot be compared: {error}")


def _parse(text: str) -> Any:
    return json_value(text, _LONGEST)
