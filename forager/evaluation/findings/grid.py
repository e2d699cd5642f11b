"""A table of findings: its values as they are, and how each column is written."""

from typing import Literal

from forager.records import Record
from forager.trajectories.draw import short

Kind = Literal["text", "count", "share", "number", "money", "tokens"]
Cell = str | int | float | None


class Column(Record):
    """A column: its title, and what its cells are."""

    title: str
    kind: Kind = "count"


class Grid(Record):
    """A table with its title and what has to be known to read it."""

    name: str
    title: str
    note: str = ""
    columns: list[Column]
    rows: list[list[Cell]]

    def values(self) -> list[dict[str, Cell]]:
        """The rows by the titles of their columns."""
        titles = [column.title for column in self.columns]
        return [dict(zip(titles, row, strict=True)) for row in self.rows]


class Findings(Record):
    """All tables of a report."""

    runs: list[str]
    made_at: str
    version: str
    grids: list[Grid]

    def grid(self, name: str) -> Grid | None:
        """The table of this name, where there was something to put into it."""
        return next((one for one in self.grids if one.name == name and one.rows), None)


def text(title: str) -> Column:
    """A column of words."""
    return Column(title=title, kind="text")


def share(title: str) -> Column:
    """A column of shares."""
    return Column(title=title, kind="share")


def number(title: str) -> Column:
    """A column of numbers that need not be whole."""
    return Column(title=title, kind="number")


def written(cell: Cell, column: Column) -> str:
    """A cell as a person reads it."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    match column.kind:
        case "share":
            return f"{cell:.1%}".replace("%", " %")
        case "money":
            return f"{cell:,.2f}"
        case "tokens":
            return short(int(cell))
        case "number":
            return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
        case _:
            return f"{cell:,}"
