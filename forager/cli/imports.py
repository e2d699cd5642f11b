"""`forager tasks import`: tasks out of published data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import print_json, print_table, say

if TYPE_CHECKING:
    from collections import Counter

    from rich.table import Table

    from forager.images.image import Image

FORMATS = ("swe-bench", "swe-smith", "swe-gym", "swe-rebench", "r2e-gym", "nemotron")
_TOLD = 20  # refused rows that are told one by one


@click.command("import")
@click.argument("format", type=click.Choice(FORMATS), metavar="FORMAT")
@click.argument("where", metavar="FILE|NAME")
@options.output
@click.option("--split", help="Of a data set that has several.")
@options.limit
@click.option(
    "--images",
    "images_file",
    metavar="images.jsonl",
    type=click.Path(path_type=Path),
    help="Images built here, taken by commit or by repository instead of the rows' own.",
)
@options.keep_contaminated
@options.also_exclude
@options.dry_run
def import_tasks(
    format: str,
    where: str,
    output: Path,
    split: str | None,
    limit: int | None,
    images_file: Path | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Take the rows of a data set as tasks.

    FORMAT is swe-bench (also Lite, Verified, Live), swe-smith, swe-gym, swe-rebench, r2e-gym or
    nemotron (what NeMo Gym's SWE agents are given). FILE is JSON, JSON Lines or Parquet, NAME a
    data set on the Hugging Face Hub. Rows that cannot be mapped are refused, told and counted.
    """
    if dry_run:
        print_json(
            {
                "format": format,
                "rows": where,
                "output": str(output),
                "split": split,
                "limit": limit,
                "images": [image.reference for image in _images(images_file)],
                "keep_contaminated": given["keep_contaminated"],
                "also_exclude": given["also_exclude"] and str(given["also_exclude"]),
            }
        )
        return
    from tasks.importing import FORMATS, Wanted, import_rows
    from tasks.rows import read_rows

    told: list[str] = []
    wanted = Wanted(FORMATS[format], _images(images_file), limit, **given)
    counts = import_rows(read_rows(where, split), wanted, output, report=told.append)
    for line in told[:_TOLD]:
        say(line)
    if len(told) > _TOLD:
        say(f"and {len(told) - _TOLD:,} more rows refused")
    click.echo(f"{output}\t{counts.pop('tasks', 0)} tasks")
    if counts:
        print_table(_reasons(counts))


def _images(file: Path | None) -> "list[Image]":
    """The images of a file; none where there is no file."""
    from forager.images.image import Image
    from forager.records import read_records

    return list(read_records(file, Image)) if file else []


def _reasons(counts: "Counter[str]") -> "Table":
    from rich.table import Table

    table = Table("refused because", box=None, pad_edge=False)
    table.add_column("rows", justify="right")
    for reason, count in counts.most_common():
        table.add_row(reason, str(count))
    return table
