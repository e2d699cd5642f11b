"""Aligns two attempts at one task, turn by turn."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from forager.trajectories.show import Turn

_Key = tuple[str, tuple[tuple[str, str], ...]]


class TurnPair(NamedTuple):
    """Turns shown next to each other. `same` says that they made the same call."""

    left: Turn | None
    right: Turn | None
    same: bool


def align(left: list[Turn], right: list[Turn]) -> list[TurnPair]:
    """Pair turns that made the same call, and the turns between them in order.

    The common beginning is paired turn by turn; the matching of the rest never reaches into it.
    """
    keys, others = [*map(_key, left)], [*map(_key, right)]
    start = next(
        (n for n, (key, other) in enumerate(zip(keys, others, strict=False)) if key != other),
        min(len(keys), len(others)),
    )
    pairs = [TurnPair(*both, True) for both in zip(left[:start], right[:start], strict=True)]
    matcher = SequenceMatcher(None, keys[start:], others[start:], autojunk=False)
    for name, a, b, c, d in matcher.get_opcodes():
        pairs += _beside(left[start + a : start + b], right[start + c : start + d], name == "equal")
    return pairs


def divergence(pairs: list[TurnPair]) -> int:
    """Index of the first pair whose calls differ; the number of pairs if none do."""
    return next((number for number, pair in enumerate(pairs) if not pair.same), len(pairs))


def _beside(left: list[Turn], right: list[Turn], same: bool) -> Iterator[TurnPair]:
    for number in range(max(len(left), len(right))):
        yield TurnPair(
            left[number] if number < len(left) else None,
            right[number] if number < len(right) else None,
            same,
        )


def _key(turn: Turn) -> _Key:
    """The call; for a call that could not be read, the text of the message."""
    if turn.call is None or not turn.call.tool:
        return "", (("", turn.thought),)
    return turn.call.tool, tuple(sorted(turn.call.arguments.items()))
