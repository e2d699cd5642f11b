"""The columns of the browser: as many as fit the width."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.text import Text

from forager.trajectories import draw
from forager.trajectories.draw import short
from forager.trajectories.marks import Mark
from forager.trajectories.summary import Summary


class Column(NamedTuple):
    """A column: the field that it sorts by (if any), its title, its width, what it shows."""

    field: str
    title: str
    width: int
    cell: Callable[[Summary, Mark], str | Text]
    right: bool = False


def _resolved(summary: Summary, _: Mark) -> Text:
    return Text("yes", "green") if summary.resolved else Text("no", "red")


def _said(_: Summary, mark: Mark) -> Text:
    return Text(" ".join([*(f"#{tag}" for tag in mark.tags), draw.safe(mark.note)]), "cyan")


def _marked(_: Summary, mark: Mark) -> Text:
    """A star, else a sign that there are tags or a note."""
    return Text("★" if mark.marked else "#" if mark.tags else '"' if mark.note else " ", "yellow")


_MARK = Column("", "", 1, _marked)
_ID = Column("id", "attempt", 20, lambda one, _: draw.safe(one.id))
_ALWAYS = [
    Column("resolved", "resolved", 9, _resolved),
    Column("exit_reason", "exit reason", 12, lambda one, _: draw.safe(one.exit_reason)),
    Column("turns", "turns", 6, lambda one, _: f"{one.turns:,}", True),
]
_WHERE_ROOM = [  # the first that still fits is taken first
    Column("seconds", "seconds", 8, lambda one, _: f"{one.seconds:,.1f}", True),
    Column("tokens", "tokens", 7, lambda one, _: short(one.tokens), True),
    Column("", "tags, note", 16, _said),
    Column("family", "family", 10, lambda one, _: draw.safe(one.family)),
    Column("operator", "operator", 16, lambda one, _: draw.safe(one.operator)),
    Column("model", "model", 16, lambda one, _: draw.safe(one.model)),
    Column("repo", "repository", 16, lambda one, _: draw.safe(one.repo)),
    Column("reward", "reward", 7, lambda one, _: f"{one.reward:+g}", True),
    Column("similarity", "alike", 6, lambda one, _: f"{one.similarity:.2f}", True),
]


def fitting(width: int, longest_id: int) -> list[Column]:
    """The columns for a width; the id takes what is left, up to its longest."""
    chosen = [_MARK, _ID, *_ALWAYS]
    room = width - _total(chosen) - max(0, min(longest_id, 60) - _ID.width)
    for column in _WHERE_ROOM:
        if room >= column.width + 1:
            chosen.append(column)
            room -= column.width + 1
    wide = max(_ID.width, min(longest_id, _ID.width + width - _total(chosen)))
    said = next((one for one in chosen if one.title.startswith("tags")), None)
    if said:  # notes take what is left, at the end
        chosen.remove(said)
    chosen[1] = _ID._replace(width=wide)
    if said:
        chosen.append(said._replace(width=max(said.width, width - _total(chosen) - 1)))
    return chosen


def heading(columns: Sequence[Column], sort: str) -> Text:
    """The titles; an arrow at the one that is sorted by."""
    name, arrow = sort.removeprefix("-"), "↓" if sort.startswith("-") else "↑"
    parts = []
    for one in columns:
        title = one.title + (arrow if one.field and one.field == name else "")
        parts.append(_fitted(Text(title), one))
    return Text(" ").join(parts)


def row(columns: Sequence[Column], summary: Summary, mark: Mark) -> Text:
    """An attempt's line."""
    cells = (one.cell(summary, mark) for one in columns)
    return Text(" ").join(
        _fitted(Text(cell) if isinstance(cell, str) else cell, column)
        for column, cell in zip(columns, cells, strict=True)
    )


def at(columns: Sequence[Column], x: int) -> Column | None:
    """The column at an offset from the left."""
    for one in columns:
        if x <= one.width:
            return one
        x -= one.width + 1
    return None


def _fitted(text: Text, column: Column) -> Text:
    text.truncate(column.width, overflow="ellipsis")
    text.align("right" if column.right else "left", column.width)
    return text


def _total(columns: Sequence[Column]) -> int:
    return sum(one.width + 1 for one in columns) - 1
