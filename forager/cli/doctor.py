"""`forager doctor`: what this machine has, what is missing, and what to type."""

from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import console, echo, print_json, print_table, say
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.cli.checks import Check

MARKS = {"ok": ("ok", "green"), "missing": ("missing", "bold red"), "absent": ("–", "dim")}


@click.command(cls=Verb)
@option("--url", metavar="URL", help="Model endpoint to check; $OPENAI_BASE_URL by default.")
@option("-m", "--model", metavar="NAME", help="Model of the endpoint to ask for a tool call.")
@option(
    "--api",
    type=click.Choice(["chat", "responses", "messages"]),
    default="chat",
    shown_default="chat",
    help="How the endpoint is asked; see `forager run`.",
)
@option(
    "--key-env",
    metavar="NAME",
    default="OPENAI_API_KEY",
    shown_default="OPENAI_API_KEY",
    help="Environment variable that holds the key of the endpoint.",
)
@option(
    "--clean",
    is_flag=True,
    help="Remove what killed processes left: containers, images without a name, control groups "
    "and temporary directories.",
)
@options.as_json
def doctor(
    url: str | None, model: str | None, api: Any, key_env: str, clean: bool, as_json: bool
) -> None:
    """Check this machine, and print what to type for what is missing.

    The exit code is 1 if something is missing that `forager run -m repair` needs, or if the
    endpoint of --url does not answer.
    """
    from forager.cli import checks

    if clean:
        _clean()
    found = [
        check
        for group in checks.all_checks(checks.EndpointToCheck(url or "", key_env, model or "", api))
        for check in group
    ]
    if as_json:
        print_json([check.model_dump() for check in found])
    else:
        _print(found)
    if any(check.state == "missing" for check in found):
        raise SystemExit(1)


@click.command(cls=Verb)
@click.argument("words", metavar="VERB", nargs=-1)
def schema(words: tuple[str, ...]) -> None:
    """Print the JSON schema of what a verb prints with --json.

    Without VERB it lists the verbs that have one.

    \b
    Example:
      forager schema tasks stats
    """
    from forager.cli.outputs import OUTPUTS, schema_of
    from forager.text import known_words

    verb = " ".join(words)
    if not verb:
        echo("\n".join(OUTPUTS))
        return
    if verb not in OUTPUTS:
        raise UsageError(f"there is no schema of {verb!r}; {known_words(verb, OUTPUTS)}")
    print_json(schema_of(verb))


def _clean() -> None:
    """Remove what killed processes left; what needs no engine first."""
    from forager import scratch
    from forager.sandboxes import cgroups
    from forager.sandboxes.leftovers import remove_leftovers

    say(f"removed {cgroups.sweep()} control groups")
    say(f"removed {scratch.sweep()} temporary directories")
    containers, images = remove_leftovers()
    say(f"removed {containers} containers and {images} images without a name")


def _print(found: "list[Check]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in found:
        table.add_row(Text(check.name), Text(*MARKS[check.state]), Text(check.found))
    print_table(table)
    for check in found:
        if check.advice:
            console().print(f"\n{check.name}: {check.advice}", soft_wrap=True)
