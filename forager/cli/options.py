"""Options that have the same letter and meaning in every verb."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from forager.cli.values import SandboxName
from forager.cli.verb import option
from forager.tracking.tracker import OPTIONAL, check_installed


class _InputPath(click.Path):
    """A path to read, which an unset variable of a shell is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if not str(value):
            self.fail("the name is empty.", param, ctx)
        return super().convert(value, param, ctx)


PATH = _InputPath(path_type=Path)


class _OutputPath(click.ParamType[Path]):
    """A path to write to; `.` and `..` get their names, which locks and messages need."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        if not str(value):
            self.fail("the name is empty.", param, ctx)
        path = Path(value)
        named = path if path.name not in ("", "..") else path.resolve()
        if not named.name:
            self.fail(f"{path} cannot be written; name a file or a directory.", param, ctx)
        return named


def _installed(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    names: tuple[str, ...],
) -> tuple[str, ...]:
    check_installed(names)
    return names


workers = option(
    "-w",
    "--workers",
    metavar="N",
    type=click.IntRange(min=1, max=100_000),
    default=lambda: os.cpu_count() or 1,
    shown_default="number of processor cores",
    help="Number of items to work on at the same time.",
)
limit = option("--limit", metavar="N", type=click.IntRange(min=1), help="Stop after N items.")
seed = option(
    "--seed",
    metavar="N",
    type=int,
    default=0,
    shown_default="0",
    help="Seed of the random choices; the same seed gives the same result.",
)
resolved = option("--resolved/--unresolved", default=None, help="Take only these attempts.")
accept_suspect = option(
    "--accept-suspect",
    is_flag=True,
    help="Count suspect attempts as resolved; without it, only those that a person accepted.",
)
as_json = option("--json", "as_json", is_flag=True, help="Print JSON.")
dry_run = option(
    "--dry-run", is_flag=True, help="Print the resolved settings and counts, and do nothing."
)
preflight = option(
    "--preflight/--no-preflight",
    default=True,
    shown_default="preflight",
    heading="Model",
    help="Before the first attempt, list the models of each endpoint and make one tool call.",
)
trackers = option(
    "--to",
    "trackers",
    multiple=True,
    type=click.Choice(OPTIONAL),
    callback=_installed,
    help="Also record it with Weights & Biases, MLflow or OpenTelemetry, offline (see "
    "docs/tracking.md). Can be repeated.",
)
keep_contaminated = option(
    "--keep-contaminated",
    is_flag=True,
    help="Take projects that SWE-bench evaluates on, too, and mark their tasks as `contaminated`.",
)
also_exclude = option(
    "--also-exclude",
    metavar="FILE",
    type=PATH,
    help="TOML file of further projects to keep out of training sets (see docs/contamination.md).",
)
AUTHOR = "Model that writes"
author_url = option(
    "--url",
    metavar="URL",
    heading=AUTHOR,
    help="OpenAI-compatible endpoint; $OPENAI_BASE_URL by default.",
)
author_key_env = option(
    "--key-env",
    metavar="NAME",
    default="OPENAI_API_KEY",
    shown_default="OPENAI_API_KEY",
    heading=AUTHOR,
    help="Environment variable that holds the key of the endpoint.",
)


def sandbox(text: str) -> Callable[[Any], Any]:
    """`--sandbox`: the kind of sandboxes, by default Docker's."""
    return option(
        "--sandbox", type=SandboxName(), default="docker", shown_default="docker", help=text
    )


def output(metavar: str, text: str, *, required: bool = True) -> Callable[[Any], Any]:
    """`-o`: where a verb writes its result."""
    return option(
        "-o",
        "--output",
        metavar=metavar,
        required=required,
        type=_OutputPath(),
        help=text,
    )
