"""How verbs print: results to stdout, messages to stderr."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console() -> "Console":
    """A console on stdout that prints text as it is, without markup."""
    from rich.console import Console

    if hasattr(sys.stdout, "reconfigure"):  # a terminal without a character shows "?"
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, markup=False, emoji=False)


def print_table(table: "Table") -> None:
    """Print a table; a terminal's width cuts it, a pipe gets all of it."""
    from rich.measure import Measurement

    output = console()
    if not output.is_terminal:
        wide = output.options.update(width=100_000)
        output.width = max(output.width, Measurement.get(output, wide, table).maximum)
    output.print(table)


def print_json(value: Any) -> None:
    """Print a JSON value."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Print a message to stderr."""
    click.echo(f"forager: {text}", err=True)
