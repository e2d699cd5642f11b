"""The calls of tools: how many, and what was wrong with those that were refused."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from forager.evaluation.findings.grid import Column, Grid, number, text
from forager.trajectories.record import ToolCall
from forager.trajectories.show import text_of

_KINDS = 40  # that are listed
_UNREADABLE = "(unreadable)"
_VARYING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`|[^\s,]*/[^\s,]*|\b\w+\.\w+\b|\d+")


class CallCount:
    """Counts calls attempt by attempt."""

    def __init__(self) -> None:
        self._facts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._kinds: Counter[tuple[str, str]] = Counter()
        self._attempts: Counter[tuple[str, str]] = Counter()

    def add(self, calls: Sequence[ToolCall], line: bytes) -> None:
        """Count the calls of an attempt; `line` is its record."""
        for call in calls:
            facts = self._facts[call.tool or _UNREADABLE]
            facts.update(["calls", *_facts(call)])
            self._seconds[call.tool or _UNREADABLE] += call.seconds
        if refused := [call for call in calls if call.error]:
            messages = _Messages.model_validate_json(line).messages
            kinds = [_kind(messages, call) for call in refused]
            self._kinds.update(kinds)
            self._attempts.update(set(kinds))

    def grids(self) -> list[Grid]:
        """The calls by tool, and those that were refused by kind."""
        return [self._tools(), self._errors()]

    def _tools(self) -> Grid:
        facts = ["calls", "refused", "exit code not 0", "timed out", "output cut"]
        tools = sorted(self._facts, key=lambda tool: -self._facts[tool]["calls"])
        return Grid(
            name="tools",
            title="Calls of tools",
            note="Refused calls did nothing: the tool or the syntax said what was wrong.",
            columns=[text("tool"), *(Column(title=fact) for fact in facts), number("seconds")],
            rows=[
                [tool, *(self._facts[tool][fact] for fact in facts), self._seconds[tool]]
                for tool in tools
            ],
        )

    def _errors(self) -> Grid:
        note = "What the model was told first, with names, paths and numbers left out."
        if len(self._kinds) > _KINDS:
            note += f" The {_KINDS} most frequent kinds of {len(self._kinds)}."
        return Grid(
            name="tool_errors",
            title="Errors of tools by kind",
            note=note,
            columns=[text("tool"), text("kind"), Column(title="calls"), Column(title="attempts")],
            rows=[
                [tool, kind, count, self._attempts[tool, kind]]
                for (tool, kind), count in self._kinds.most_common(_KINDS)
            ],
        )


def error_kind(told: str) -> str:
    """The first sentence of what the model was told, without what varies."""
    sentence = re.split(r"(?<=[.:!?])\s|\n", told.strip(), maxsplit=1)[0]
    return re.sub("…(,? …)+", "…", _VARYING.sub("…", sentence)).rstrip(" .:")[:120]


def _facts(call: ToolCall) -> list[str]:
    facts = {
        "refused": call.error,
        "exit code not 0": bool(call.exit_code) and not call.timed_out,
        "timed out": call.timed_out,
        "output cut": call.omitted > 0,
    }
    return [name for name, holds in facts.items() if holds]


def _kind(messages: list[dict[str, Any]], call: ToolCall) -> tuple[str, str]:
    told = text_of(messages[call.message]) if call.message < len(messages) else ""
    return call.tool or _UNREADABLE, error_kind(told)


class _Messages(BaseModel):
    messages: list[dict[str, Any]]
