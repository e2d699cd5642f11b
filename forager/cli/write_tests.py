"""`forager tasks write-tests`: tasks whose answer is a test."""

from pathlib import Path

import click

from forager.cli import options
from forager.cli.attempts import read_tasks
from forager.cli.console import echo
from forager.cli.verb import Verb, option
from forager.errors import UsageError


@click.command("write-tests", cls=Verb)
@click.argument("file", metavar="tasks.jsonl", type=options.PATH)
@options.output("writing.jsonl", "File of the new tasks.")
@options.limit
@option(
    "--in-message",
    is_flag=True,
    help="The test is the model's first message; without it, an agent with tools leaves a file.",
)
def write_tests(file: Path, output: Path, limit: int | None, in_message: bool) -> None:
    """Make a task of each repository task: to write a test that shows its fault.

    The test is a program that prints `Issue reproduced` or `Issue resolved`. It resolves its task
    if it shows the fault and finds none in the reference. `forager select --tests RUN` chooses
    among attempts with the tests of a run.

    \b
    Example:
      forager tasks write-tests tasks.jsonl -o writing.jsonl
      forager run writing.jsonl -o runs/tests -m qwen --url http://127.0.0.1:8000/v1 --attempts 5
    """
    from forager.environments.repository.task import RepositoryTask
    from forager.environments.repository.writing import FILE, TestWritingTask
    from forager.locks import claimed_file
    from forager.records import write_records

    made = []
    for task in read_tasks(file, limit):
        if not isinstance(task, RepositoryTask):
            raise UsageError(f"{task.instance_id} is not about a repository; leave it out")
        made.append(TestWritingTask.of(task, file="" if in_message else FILE))
    with claimed_file(output):
        write_records(output, made)
    echo(f"{output}\t{len(made)} tasks")
