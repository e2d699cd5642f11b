"""Where the verbs print to."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console() -> "Console":
    """The console of results: stdout, read as text and never as markup."""
    from rich.console import Console

    if hasattr(sys.stdout, "reconfigure"):  # a terminal that lacks a character shows "?"
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, markup=False, emoji=False)


def print_table(table: "Table") -> None:
    """Print a table: in a terminal fitted to its width, in a pipe with nothing cut."""
    from rich.measure import Measurement

    output = console()
    if not output.is_terminal:
        wide = output.options.update(width=100_000)
        output.width = max(output.width, Measurement.get(output, wide, table).maximum)
    output.print(table)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Tell the person at the keyboard something that is no result."""
    click.echo(f"forager: {text}", err=True)
