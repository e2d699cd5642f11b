"""The calls of tools: how many, and why some were refused."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from forager.evaluation.findings.grid import Grid, GridColumn, number, text
from forager.trajectories.record import ToolCall

_REASONS = 40  # that are listed
_UNREADABLE = "(unreadable)"
_UNKNOWN = "(not told)"


class CallCount:
    """Counts calls attempt by attempt."""

    def __init__(self) -> None:
        self._facts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._attempts: Counter[tuple[str, str]] = Counter()

    def add(self, calls: Sequence[ToolCall]) -> None:
        """Count the calls of an attempt."""
        for call in calls:
            facts = self._facts[call.tool or _UNREADABLE]
            facts.update(["calls", *_facts(call)])
            self._seconds[call.tool or _UNREADABLE] += call.seconds
        reasons = [
            (call.tool or _UNREADABLE, call.reason or _UNKNOWN) for call in calls if call.error
        ]
        self._reasons.update(reasons)
        self._attempts.update(set(reasons))

    def grids(self) -> list[Grid]:
        """The calls by tool, and the refused ones by reason."""
        return [self._tools(), self._errors()]

    def _tools(self) -> Grid:
        facts = ["calls", "refused", "exit code not 0", "timed out", "output cut"]
        tools = sorted(self._facts, key=lambda tool: -self._facts[tool]["calls"])
        return Grid(
            name="tools",
            title="Calls of tools",
            note="Refused calls did nothing: the tool or the syntax said what was wrong.",
            columns=[text("tool"), *(GridColumn(title=fact) for fact in facts), number("seconds")],
            rows=[
                [tool, *(self._facts[tool][fact] for fact in facts), self._seconds[tool]]
                for tool in tools
            ],
        )

    def _errors(self) -> Grid:
        note = "Why tools refused calls, and why calls could not be read."
        if len(self._reasons) > _REASONS:
            note += f" The {_REASONS} most frequent of {len(self._reasons)}."
        return Grid(
            name="tool_errors",
            title="Errors of tools by kind",
            note=note,
            columns=[
                text("tool"),
                text("kind"),
                GridColumn(title="calls"),
                GridColumn(title="attempts"),
            ],
            rows=[
                [tool, reason, count, self._attempts[tool, reason]]
                for (tool, reason), count in self._reasons.most_common(_REASONS)
            ],
        )


def _facts(call: ToolCall) -> list[str]:
    facts = {
        "refused": call.error,
        "exit code not 0": bool(call.exit_code) and not call.timed_out,
        "timed out": call.timed_out,
        "output cut": call.omitted > 0,
    }
    return [name for name, holds in facts.items() if holds]
