"""`forager filter`: the attempts that are worth training on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import print_json, print_table
from forager.cli.look import runs_argument
from forager.cli.progress import Progress
from forager.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from forager.learning.filters.kept import Filtering
    from forager.learning.filters.pipeline import FilterChoice, Surroundings


@click.command("filter")
@runs_argument
@options.output
@click.option(
    "--filter",
    "filters",
    metavar="NAME[=SETTING…]",
    multiple=True,
    help="A filter, such as `per-task=2` or `length=turns:20,tokens:32000`; repeatable, in their "
    "order. Without any the usual ones.",
)
@click.option("--without", metavar="NAME", multiple=True, help="Leave this filter out; repeatable.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TOML: a [[filters]] table for each filter, with its name and settings.",
)
@options.also_exclude
@options.as_json
def filter_attempts(
    runs: tuple[Path, ...],
    output: Path,
    filters: tuple[str, ...],
    without: tuple[str, ...],
    config: Path | None,
    also_exclude: Path | None,
    as_json: bool,
) -> None:
    """Keep the attempts of each RUN that filters leave, as a run of its own.

    KEPT/settings.json says which filters with which settings, and how many attempts each dropped.
    """
    from forager.learning.filters import load_filters
    from forager.learning.filters.kept import filter_runs

    choices = choices_of(filters, without, config)
    with Progress("attempts read") as progress:
        done = filter_runs(
            runs,
            output,
            choices,
            load_filters(),
            surroundings(also_exclude),
            lambda read, _: progress.update(read),
        )
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_table(_table(done))
        click.echo(f"{output}\t{done.attempts:,} attempts")


def choices_of(
    filters: tuple[str, ...], without: tuple[str, ...] = (), config: Path | None = None
) -> "list[FilterChoice]":
    """The filters that are wanted. Raises UsageError."""
    from forager.learning.filters import DEFAULT

    if filters and config:
        raise UsageError("--filter and --config both say which filters; give one of them")
    names = list(filters) or list(DEFAULT)
    choices = _read(config) if config else [_choice(text) for text in names]
    for name in without:
        if name not in [one.name for one in choices]:
            raise UsageError(f"--without {name}: it is not among the filters anyway")
    return [one for one in choices if one.name not in without]


def _choice(text: str) -> "FilterChoice":
    """A filter as it is typed; the name of its first setting may be left out."""
    from forager.learning.filters.pipeline import FilterChoice

    name, _, rest = text.partition("=")
    pairs = [one.rpartition(":") for one in rest.split(",")] if rest else []
    return FilterChoice(name=name, settings={key: value for key, _, value in pairs})


def _read(path: Path) -> "list[FilterChoice]":
    """The filters of a TOML file. Raises UsageError."""
    from pydantic import TypeAdapter, ValidationError

    from forager.config import load_toml
    from forager.learning.filters.pipeline import FilterChoice

    try:
        tables: list[dict[str, Any]] = load_toml(path)["filters"]
        choices = [{"name": one.pop("name"), "settings": one} for one in tables]
        return TypeAdapter(list[FilterChoice]).validate_python(choices)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f'{path} is no list of filters ([[filters]] with name = "NAME" and settings): '
            + str(error).split("\n")[0]
        ) from error


def surroundings(also_exclude: Path | None = None) -> "Surroundings":
    """What the filters do not know by themselves."""
    from forager.learning.filters.pipeline import Surroundings
    from tasks.contamination import contaminated
    from tools import load_toolbox

    return Surroundings(
        toolbox=load_toolbox(), contaminated=lambda name: contaminated(name, also=also_exclude)
    )


def _table(done: "Filtering") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("filter", "settings"):
        table.add_column(name)
    for name in ("in", "dropped", "changed", "kept"):
        table.add_column(name, justify="right")
    for choice, count in zip(done.filters, done.counts, strict=True):
        settings = ", ".join(f"{name} {value}" for name, value in choice.settings.items())
        numbers = (count.given, count.dropped, count.changed, count.kept)
        table.add_row(choice.name, settings, *(f"{number:,}" for number in numbers))
    return table
