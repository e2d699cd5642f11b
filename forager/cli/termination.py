"""`forager tasks termination`: questions about whether a call ends."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.attempts import read_tasks
from forager.cli.console import echo, say
from forager.cli.imports import image_for_programs
from forager.cli.progress import Progress
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.sandboxes.sandbox import Sandbox


@click.command("termination", cls=Verb)
@click.argument("file", metavar="tasks.jsonl", type=options.PATH)
@options.output("termination.jsonl", "File of the new tasks.")
@options.workers
@options.limit
@options.seed
@option(
    "--per-program",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    shown_default="1",
    help="Questions about a program that end, and as many that do not.",
)
@option(
    "--mutants",
    metavar="N",
    type=click.IntRange(min=1),
    default=24,
    shown_default="24",
    help="Mutants of each program that are tried.",
)
@option(
    "--image",
    metavar="REFERENCE",
    help="Image in which programs run; forager's base by default.",
)
def termination(
    file: Path,
    output: Path,
    workers: int,
    limit: int | None,
    seed: int,
    per_program: int,
    mutants: int,
    image: str | None,
) -> None:
    """Make questions about whether calls end.

    FILE holds tasks of output or input prediction, from a data set or from traces. Mutants make
    calls that never end. A question is asked only if its answer is proven: the call ended, or a
    complete state of a deterministic program occurred twice. Half of the answers are `yes`. The
    same command goes on with the programs that have no question yet.

    \b
    Example:
      forager tasks import cruxeval-o cruxeval.jsonl -o outputs.jsonl
      forager tasks termination outputs.jsonl -o questions.jsonl
    """
    from collections import Counter
    from concurrent.futures import ThreadPoolExecutor

    from forager.environments.answer.prediction import PredictionTask
    from forager.environments.answer.termination import TERMINATION, TerminationTask
    from forager.records import RecordWriter, read_records
    from forager.resumed import Lost, check_lost, made_or_lost
    from forager.sandboxes.docker_sandbox import docker_sandbox
    from forager.sandboxes.sandbox import Limits
    from forager.threads import in_order
    from mutators import FAMILIES
    from tasks.termination import MadeQuestions, termination_tasks

    sources = [task for task in read_tasks(file, None) if isinstance(task, PredictionTask)]
    if not sources:
        raise UsageError(f"{file} holds no tasks of output or input prediction")
    place = image_for_programs(image)
    limits = Limits().with_memory((1 << 30) + (256 << 20))
    dropped: Counter[str] = Counter()
    lost: dict[str, str] = {}

    def opened() -> "Sandbox":
        return docker_sandbox(place, limits=limits)

    def asked(source: PredictionTask) -> MadeQuestions | Lost:
        return made_or_lost(
            lambda: termination_tasks(
                source, FAMILIES, opened, most=per_program, tried=mutants, seed=seed
            )
        )

    with (
        RecordWriter(output) as writer,
        Progress("programs", len(sources)) as progress,
        ThreadPoolExecutor(workers) as pool,
    ):
        names = [task.instance_id for task in read_records(output, TerminationTask)]
        known = {name.rpartition(".")[0] for name in names}
        count = len(names)
        waiting = [task for task in sources if f"{TERMINATION}.{task.instance_id}" not in known]
        done = len(sources) - len(waiting)
        for source, found in in_order(pool, asked, waiting, 2 * workers):
            if limit is not None and count >= limit:
                break
            if isinstance(found, Lost):
                lost[source.instance_id] = found.why
                continue
            writer.append(*found.tasks)
            dropped += found.dropped
            count, done = count + len(found.tasks), done + 1
            progress.update(done, questions=count)
    for reason, number in dropped.most_common():
        say(f"{number:,}\t{reason}")
    echo(f"{output}\t{count} tasks")
    check_lost("programs", lost)
