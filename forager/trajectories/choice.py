"""Conditions that select attempts, for `forager list` and for the browser."""

import json
import re
from typing import Any

from pydantic import Field

from forager.errors import UsageError
from forager.records import Record

WORDS = ("id", "model", "family", "operator", "kind", "repo", "exit_reason")
"""The fields that a search for words covers."""


class Choice(Record):
    """Conditions that attempts must all meet; an empty field sets no condition."""

    resolved: bool | None = None
    suspect: bool | None = Field(None, description="With or without reasons, accepted or not.")
    instance_id: str = ""
    family: str = Field("", description="The beginning of it.")
    exit_reason: str = Field("", description="The beginning of it.")
    turns: tuple[int | None, int | None] = Field((None, None), description="At least, at most.")
    words: tuple[str, ...] = Field((), description=f"Each in one of {', '.join(WORDS)}.")
    ids: frozenset[str] | None = Field(None, description="Only these: those marked, say.")

    def condition(self) -> tuple[str, list[Any]]:
        """Return an SQL condition over the index, and the values of its placeholders."""
        parts: list[str] = ["1"]
        values: list[Any] = []

        def also(part: str, *more: Any) -> None:
            parts.append(part)
            values.extend(more)

        if self.resolved is not None:
            also("resolved = ?", self.resolved)
        if self.suspect is not None:
            also("(suspect <> '') = ?", self.suspect)
        if self.instance_id:
            also("instance_id = ?", self.instance_id)
        if self.family:
            also("family LIKE ? ESCAPE '\\'", _like(self.family) + "%")
        if self.exit_reason:
            also("exit_reason LIKE ? ESCAPE '\\'", _like(self.exit_reason) + "%")
        low, high = self.turns
        if low is not None:
            also("turns >= ?", low)
        if high is not None:
            also("turns <= ?", high)
        for word in self.words:
            fields = " || char(10) || ".join(WORDS)
            also(f"{fields} LIKE ? ESCAPE '\\'", f"%{_like(word)}%")
        if self.ids is not None:
            also("id IN (SELECT value FROM json_each(?))", json.dumps(sorted(self.ids)))
        return " AND ".join(parts), values


def turns_between(text: str) -> tuple[int | None, int | None]:
    """Parse "5", "5..", "..5" or "2..5" as (least, most). Raises UsageError for other texts."""
    found = re.fullmatch(r"(\d{1,9})?(\.\.)?(\d{1,9})?", text)
    if not found or not (found[1] or found[3]):
        raise UsageError(f"turns are given as 5, 5.., ..5 or 2..5, not {text!r}")
    low = int(found[1]) if found[1] else None
    high = int(found[3]) if found[3] else None
    return (low, high) if found[2] else (low, low)


def _like(text: str) -> str:
    return re.sub(r"([%_\\])", r"\\\1", text)
