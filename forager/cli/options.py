"""Options that have the same letter and meaning in every verb."""

import os
from pathlib import Path

import click

workers = click.option(
    "-w",
    "--workers",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="processor cores",
    help="How many at a time.",
)
limit = click.option("--limit", type=click.IntRange(min=1), help="Stop after so many.")
seed = click.option("--seed", type=int, default=0, show_default=True, help="Seed of the choice.")
resolved = click.option("--resolved/--unresolved", default=None, help="Only these.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
output = click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Where the result is written.",
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="Print the resolved settings and counts; do nothing."
)
keep_contaminated = click.option(
    "--keep-contaminated",
    is_flag=True,
    help="Take what SWE-bench evaluates on, too; each such task says so in `contaminated`.",
)
url = click.option(
    "--url",
    "urls",
    multiple=True,
    help="OpenAI-compatible endpoint; $OPENAI_BASE_URL where not given. Can be repeated: "
    "attempts are spread over the endpoints, and what fails at one is asked at another.",
)
key_env = click.option(
    "--key-env",
    default="OPENAI_API_KEY",
    show_default=True,
    help="Environment variable that holds the endpoint's key.",
)
one_url = click.option(
    "--url", help="OpenAI-compatible endpoint; $OPENAI_BASE_URL where not given."
)
also_exclude = click.option(
    "--also-exclude",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TOML: more projects that are kept out of training sets (see docs/tasks.md).",
)
