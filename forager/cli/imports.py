"""`forager tasks import`: tasks from published data sets."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import echo, print_json, print_table, say
from forager.cli.verb import Verb, option
from forager.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections import Counter

    from rich.table import Table

    from forager.images.image import Image

QUESTIONS = (
    *("humaneval", "humaneval-x", "mbpp", "mbxp", "leetcode", "code-contests", "apps"),
    *("livecodebench", "math", "math-500", "gsm8k", "aime", "problems"),
    *("traces", "cruxeval-o", "cruxeval-i", "bigobench-time", "bigobench-space"),
)
FORMATS = ("swe-bench", "swe-smith", "swe-gym", "swe-rebench", "r2e-gym", "nemotron")
_SHOWN = 20  # refused rows to print; the others are counted


@click.command("import", cls=Verb)
@click.argument("format", type=click.Choice([*FORMATS, *QUESTIONS]), metavar="FORMAT")
@click.argument("where", metavar="FILE|NAME")
@options.output("tasks.jsonl", "File of the tasks.")
@option("--split", metavar="NAME", help="Split of the data set, if it has several.")
@options.limit
@option(
    "--images",
    "images_file",
    metavar="images.jsonl",
    type=options.PATH,
    help="Take images built here, by commit or by repository, instead of the images of the rows.",
)
@option(
    "--image",
    metavar="REFERENCE",
    help="Image in which programs run, for tasks that are not repositories; forager's base by "
    "default.",
)
@option(
    "--with-python",
    is_flag=True,
    help="Let models compute with Python, in problems of mathematics (math, gsm8k, aime).",
)
@options.keep_contaminated
@options.also_exclude
@options.dry_run
@options.as_json
def import_tasks(
    format: str,
    where: str,
    output: Path,
    split: str | None,
    limit: int | None,
    images_file: Path | None,
    image: str | None,
    with_python: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Import the rows of a published data set as tasks.

    FORMAT is swe-bench (also Lite, Verified and Live), swe-smith, swe-gym, swe-rebench, r2e-gym or
    nemotron (the rows of NeMo Gym's SWE agents). Other problems are those of humaneval,
    humaneval-x (C++), mbpp, mbxp, leetcode, code-contests, apps, livecodebench, math, math-500,
    gsm8k, aime, cruxeval-o, cruxeval-i, bigobench-time, bigobench-space, and problems, your own (a
    file or a directory).

    FILE is JSON, JSON Lines or Parquet; NAME is a data set of the Hugging Face Hub. The verb counts
    and prints the rows that it refuses.

    \b
    Example:
      forager tasks import swe-bench SWE-bench/SWE-bench_Lite --split dev -o tasks.jsonl
    """
    from tasks.problems import problem_rows
    from tasks.rows import read_rows

    is_folder = format == "problems" and Path(where).is_dir()
    rows = problem_rows(Path(where)) if is_folder else read_rows(where, split)
    if dry_run:
        print_json(
            {
                "format": format,
                "rows": where,
                "output": str(output),
                "split": split,
                "limit": limit,
                "images": [found.reference for found in _images(images_file)],
                "image": image,
                "with_python": with_python,
                "keep_contaminated": given["keep_contaminated"],
                "also_exclude": given["also_exclude"] and str(given["also_exclude"]),
            }
        )
        return
    from forager.cli.outputs import ImportedTasks
    from tasks.importing import FORMATS, ImportRequest, import_rows
    from tasks.questions import QUESTIONS, allows_python, runs_programs

    if with_python and not allows_python(format):
        raise UsageError(f"--with-python is for problems of mathematics, and {format} has none")
    refused: list[str] = []
    known: dict[str, Any] = {**FORMATS, **QUESTIONS}
    place = image_for_programs(image) if with_python or runs_programs(format) else ""
    digest = _digest_here(place) if place else ""
    wanted = ImportRequest(
        known[format], _images(images_file), place, digest, with_python, limit, **given
    )
    counts = import_rows(rows, wanted, output, report=refused.append)
    for line in refused[:_SHOWN]:
        say(line)
    if len(refused) > _SHOWN:
        say(f"and {len(refused) - _SHOWN:,} more rows refused")
    if counts.known:
        say(f"{counts.known:,} rows whose task is in the file already")
    if counts.untried:
        say(
            f"the patches of {counts.untried:,} tasks could not be tried, as their images are not "
            "on this machine; `forager tasks check` proves tasks"
        )
    if as_json:
        found = {**asdict(counts), "refused": dict(counts.refused)}
        print_json(ImportedTasks(output=str(output), **found).model_dump())
    else:
        echo(f"{output}\t{counts.tasks} tasks")
        if counts.refused:
            print_table(_reasons(counts.refused))
    if not counts.tasks and not counts.known:
        why = "the reasons are above" if counts.refused else "it has no rows"
        raise UsageError(f"{where} gave no task of the format {format}: {why}")


def _images(file: Path | None) -> "list[Image]":
    """The images of a file, if there is one."""
    from forager.images.image import Image
    from forager.records import read_records

    return list(read_records(file, Image)) if file else []


def image_for_programs(given: str | None) -> str:
    """The image that is given; else forager's base, which is made if it is missing."""
    from forager.images.base import ensure_base
    from forager.sandboxes.engine import connect

    return given or ensure_base(connect(), report=say)


def _digest_here(image: str) -> str:
    """The digest of an image, if it is on this machine; else an empty text."""
    from forager.images.unproven import identity
    from forager.sandboxes.engine import connect

    try:
        return identity(connect(), image)
    except EngineError:
        return ""


def _reasons(counts: "Counter[str]") -> "Table":
    from rich.table import Table

    table = Table("refused because", box=None, pad_edge=False)
    table.add_column("rows", justify="right")
    for reason, count in counts.most_common():
        table.add_row(reason, str(count))
    return table
