"""The columns of the browser: as many as fit into the width."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.text import Text

from forager.trajectories import draw
from forager.trajectories.draw import short
from forager.trajectories.marks import Mark
from forager.trajectories.summary import Summary


class TableColumn(NamedTuple):
    """A column: the field to sort by (if any), title, width in characters, and its cells."""

    field: str
    title: str
    width: int
    cell: Callable[[Summary, Mark], str | Text]
    right: bool = False


def _resolved(summary: Summary, _: Mark) -> Text:
    if summary.resolved:
        return Text("yes", "green")
    return Text("suspect", "yellow") if summary.suspect else Text("no", "red")


def _said(_: Summary, mark: Mark) -> Text:
    return Text(" ".join([*(f"#{tag}" for tag in mark.tags), draw.safe(mark.note)]), "cyan")


def _marked(_: Summary, mark: Mark) -> Text:
    """A star for a mark, else a sign for tags or a note."""
    return Text("★" if mark.marked else "#" if mark.tags else '"' if mark.note else " ", "yellow")


_MARK = TableColumn("", "", 1, _marked)
_ID = TableColumn("id", "attempt", 20, lambda summary, _: draw.safe(summary.id))
_ALWAYS = [
    TableColumn("resolved", "resolved", 9, _resolved),
    TableColumn(
        "exit_reason", "exit reason", 12, lambda summary, _: draw.safe(summary.exit_reason)
    ),
    TableColumn("turns", "turns", 6, lambda summary, _: f"{summary.turns:,}", True),
]
_WHERE_ROOM = [  # in order of priority
    TableColumn("seconds", "seconds", 8, lambda summary, _: f"{summary.seconds:,.1f}", True),
    TableColumn("tokens", "tokens", 7, lambda summary, _: short(summary.tokens), True),
    TableColumn("", "tags, note", 16, _said),
    TableColumn("family", "family", 10, lambda summary, _: draw.safe(summary.family)),
    TableColumn("operator", "operator", 16, lambda summary, _: draw.safe(summary.operator)),
    TableColumn("model", "model", 16, lambda summary, _: draw.safe(summary.model)),
    TableColumn("repo", "repository", 16, lambda summary, _: draw.safe(summary.repo)),
    TableColumn("reward", "reward", 7, lambda summary, _: f"{summary.reward:+g}", True),
    TableColumn("similarity", "alike", 6, lambda summary, _: f"{summary.similarity:.2f}", True),
]


def fitting(width: int, longest_id: int) -> list[TableColumn]:
    """The columns for a width; the id gets the rest, up to `longest_id`."""
    chosen = [_MARK, _ID, *_ALWAYS]
    room = width - _total(chosen) - max(0, min(longest_id, 60) - _ID.width)
    for column in _WHERE_ROOM:
        if room >= column.width + 1:
            chosen.append(column)
            room -= column.width + 1
    wide = max(_ID.width, min(longest_id, _ID.width + width - _total(chosen)))
    said = next((column for column in chosen if column.title.startswith("tags")), None)
    if said:  # tags and notes come last and get the rest
        chosen.remove(said)
    chosen[1] = _ID._replace(width=wide)
    if said:
        chosen.append(said._replace(width=max(said.width, width - _total(chosen) - 1)))
    return chosen


def heading(columns: Sequence[TableColumn], sort: str) -> Text:
    """The titles, with an arrow at the sorted column."""
    name, arrow = sort.removeprefix("-"), "↓" if sort.startswith("-") else "↑"
    parts = []
    for column in columns:
        title = column.title + (arrow if column.field and column.field == name else "")
        parts.append(_fitted(Text(title), column))
    return Text(" ").join(parts)


def row(columns: Sequence[TableColumn], summary: Summary, mark: Mark) -> Text:
    """An attempt's line."""
    cells = (column.cell(summary, mark) for column in columns)
    return Text(" ").join(
        _fitted(Text(cell) if isinstance(cell, str) else cell, column)
        for column, cell in zip(columns, cells, strict=True)
    )


def at(columns: Sequence[TableColumn], x: int) -> TableColumn | None:
    """The column at an offset from the left; None to the right of all."""
    for column in columns:
        if x <= column.width:
            return column
        x -= column.width + 1
    return None


def _fitted(text: Text, column: TableColumn) -> Text:
    text.truncate(column.width, overflow="ellipsis")
    text.align("right" if column.right else "left", column.width)
    return text


def _total(columns: Sequence[TableColumn]) -> int:
    return sum(column.width + 1 for column in columns) - 1
