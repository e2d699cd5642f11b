"""A table of findings: raw values, and the format of each column."""

from typing import Literal

from forager.records import Record
from forager.text import safe
from forager.trajectories.draw import short

Kind = Literal["text", "count", "share", "number", "money", "tokens"]
Cell = str | int | float | None


class GridColumn(Record):
    """A column's title, and the kind of its cells."""

    title: str
    kind: Kind = "count"


class Grid(Record):
    """A table with its title and a note for readers."""

    name: str
    title: str
    note: str = ""
    columns: list[GridColumn]
    rows: list[list[Cell]]

    def values(self) -> list[dict[str, Cell]]:
        """The rows as objects with column titles as keys."""
        titles = [column.title for column in self.columns]
        return [dict(zip(titles, row, strict=True)) for row in self.rows]


class Findings(Record):
    """All tables of a report."""

    runs: list[str]
    made_at: str
    version: str
    grids: list[Grid]

    def grid(self, name: str) -> Grid | None:
        """The table of this name; None if it has no rows."""
        return next((grid for grid in self.grids if grid.name == name and grid.rows), None)


def text(title: str) -> GridColumn:
    """A column of text."""
    return GridColumn(title=title, kind="text")


def share(title: str) -> GridColumn:
    """A column of shares."""
    return GridColumn(title=title, kind="share")


def number(title: str) -> GridColumn:
    """A column of decimal numbers."""
    return GridColumn(title=title, kind="number")


def written(cell: Cell, column: GridColumn) -> str:
    """Format a cell for people."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return safe(cell)
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
