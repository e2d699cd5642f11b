"""`forager tasks next-observation`: questions about what a command leads to."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.console import echo
from forager.cli.runs import opened, runs_argument
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.environments.answer.observation import NextObservationTask


@click.command("next-observation", cls=Verb)
@runs_argument
@options.output("tasks.jsonl", "File of the tasks.")
@options.limit
@options.seed
@option(
    "--per-attempt",
    metavar="N",
    type=click.IntRange(min=1),
    default=2,
    shown_default="2",
    help="Number of questions about each attempt; half of them are about test runs.",
)
def next_observation(
    runs: tuple[Path, ...], output: Path, limit: int | None, seed: int, per_attempt: int
) -> None:
    """Make tasks of recorded attempts: predict what a command leads to.

    The model reads an attempt up to a command, and says its exit code and which tests fail.

    \b
    Example:
      forager tasks next-observation runs/repair -o questions.jsonl
      forager evaluate next-observation --data questions.jsonl -o evaluations/qwen -m qwen \\
          --url http://127.0.0.1:8000/v1
    """
    from collections import Counter
    from itertools import islice

    from forager.locks import claimed_file
    from forager.records import write_records
    from tasks.next_observation import questions

    known: Counter[str] = Counter()
    tests = 0

    def made() -> Iterator["NextObservationTask"]:
        nonlocal tests
        for index in opened(runs):
            for attempt in index.trajectories():
                for task in questions(attempt, per_attempt, seed):
                    known[task.instance_id] += 1
                    count = known[task.instance_id]
                    name = f"{task.instance_id}~{count}" if count > 1 else task.instance_id
                    tests += task.failed is not None
                    yield task.model_copy(update={"instance_id": name})

    with claimed_file(output):
        chosen = list(islice(made(), limit))
        if not chosen:
            raise UsageError("no attempt has a command whose output was kept whole")
        write_records(output, chosen)
    echo(f"{output}\t{len(chosen)} tasks, {tests} of them about test runs")
