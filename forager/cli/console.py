"""How verbs print: results to stdout, messages to stderr.

Nothing else in this package prints. Text from models, projects and other people's files could hold
escape sequences, which a terminal would obey, or markup. Here all of it becomes plain text.
"""

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from forager.logins import LOGINS
from forager.text import json_text, safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console(*, stderr: bool = False) -> "Console":
    """A console that prints plain text, with the styles of forager's own alone."""
    stream = sys.stderr if stderr else sys.stdout
    if hasattr(stream, "reconfigure"):  # a terminal without a character shows "?"
        stream.reconfigure(errors="replace")
    return _plain_console()(stderr=stderr, highlight=False, markup=False, emoji=False)


@cache
def _plain_console() -> "type[Console]":
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class PlainConsole(Console):
        """Makes text safe where it is rendered, before styles become escape sequences."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            """The segments of a renderable."""
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else safe(text), style, control)

    return PlainConsole


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
    click.echo(json_text(value))


def echo(text: str = "", *, stderr: bool = False, newline: bool = True) -> None:
    """Print plain text, without passwords."""
    click.echo(LOGINS.hide(safe(text)), err=stderr, nl=newline)


def echo_own(text: str) -> None:
    """Print text that is safe already, with the colours that it has."""
    click.echo(text)


def say(text: str) -> None:
    """Print a message to stderr."""
    echo(f"forager: {text}", stderr=True)
