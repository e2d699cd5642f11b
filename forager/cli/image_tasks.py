"""`forager tasks image`: tasks to find the recipe of a project."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.batch import make_all, raise_failures, succeeded
from forager.cli.console import echo
from forager.cli.verb import Verb

if TYPE_CHECKING:
    from forager.cli.progress import Progress
    from tasks.image import ImageTask


@click.command("image", cls=Verb)
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@options.output("tasks.jsonl", "File of the tasks.")
@options.workers
@options.keep_contaminated
@options.also_exclude
def image_tasks(
    sources: tuple[str, ...],
    output: Path,
    workers: int,
    keep_contaminated: bool,
    also_exclude: Path | None,
) -> None:
    """Make a task of each project: to find the recipe of its image.

    SOURCE is as in `forager image build`. The recipe is empty at first; projects whose tests run
    with it give no task. `forager run` lets a model look for recipes: the reward is the share of
    tests that pass, times the share of the project's test functions that pytest collects.

    \b
    Example:
      forager tasks image pypi:toolz projects.txt -o tasks.jsonl
    """
    from forager.images.harvest import sources_of
    from forager.locks import claimed_file
    from forager.records import write_records
    from tasks.image import task_from_nothing

    def make(source: str, progress: "Progress") -> "ImageTask | None":
        task = task_from_nothing(
            source,
            keep_contaminated=keep_contaminated,
            also=also_exclude,
            report=lambda step: progress.note(f"{source}: {step}"),
        )
        echo(f"{source}\t{task.instance_id if task else 'its tests run with an empty recipe'}")
        return task

    with claimed_file(output):
        made = make_all("projects", sources_of(sources), make, workers)
        write_records(output, filter(None, succeeded(made)))
    raise_failures(made)
