"""`forager credit`: which turn of a failed attempt lost it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.again import TAKE_OVER
from forager.cli.batch import make_all, raise_failures, terminable
from forager.cli.console import echo, print_json, print_table
from forager.cli.runs import open_attempts
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from forager.cli.progress import Progress
    from forager.rollout.credit import AttemptCredit, Continuation
    from forager.rollout.settings import RunSettings
    from forager.trajectories.record import Trajectory


@click.command(cls=Verb, settings=TAKE_OVER)
@click.argument("run", metavar="RUN", type=options.PATH)
@options.output("OUT", "Run directory of the continuations, and credit.jsonl.")
@option(
    "-m",
    "--model",
    metavar="NAME",
    heading="Take over",
    help="Model that continues; by default the model of each attempt.",
)
@option(
    "--samples",
    metavar="N",
    type=click.IntRange(min=1),
    default=4,
    shown_default="4",
    help="Continuations from each turn.",
)
@option(
    "--points",
    metavar="N",
    type=click.IntRange(min=1),
    default=6,
    shown_default="6",
    help="Turns of each attempt to fork at: the first, the last, and others evenly between.",
)
@options.workers
@options.limit
@options.as_json
def credit(
    run: Path,
    output: Path,
    model: str | None,
    samples: int,
    points: int,
    workers: int,
    limit: int | None,
    as_json: bool,
    **params: Any,
) -> None:
    """Name the turn after which the success of a failed attempt became rare.

    The verb forks failed attempts. From each turn the model makes N continuations in fresh
    sandboxes. Their success estimates the value of the state before that turn. OUT/credit.jsonl
    holds values, advantages and weights of all turns; `forager export --format policy --credit OUT`
    writes the advantages into a data set. --limit counts the failed attempts.

    \b
    Example:
      forager credit runs/qwen -o credit --samples 8 --limit 20 --url http://localhost:8000/v1
      forager export runs/qwen -o dataset --format policy --tokenizer MODEL --credit credit
    """
    from forager.rollout.credit import CREDIT, continuations
    from forager.rollout.settings import Branch
    from forager.trajectories.choice import Choice
    from forager.trajectories.store import Run

    with open_attempts(run) as index:
        places = index.places(Choice(resolved=False), "id", limit=limit)
        failed = [attempt for attempt in index.trajectories(places) if attempt.turns]
    if not failed:
        raise UsageError(f"{run} has no failed attempt with a turn; `forager list {run}` shows all")
    branch = Branch(
        run=str(run.resolve()), turn=f"{points} turns, {samples} times each", resolved=False
    )
    saved = Run(run).settings() if run.is_dir() else {}
    given = {**TAKE_OVER.given(params), "attempts": points * samples, "branch": branch}
    settings = {attempt.id: _settings(attempt, model, saved, given) for attempt in failed}
    jobs = list(continuations(run.resolve().name, failed, points, samples))
    found = _continued(run, output, settings, failed, jobs, workers)
    if as_json:
        print_json([credit.model_dump() for credit in found])
    else:
        print_table(_table(found))
        echo(f"{output / CREDIT}\t{len(found):,} attempts")


def _settings(
    attempt: "Trajectory", model: str | None, saved: dict[str, Any], given: dict[str, Any]
) -> "RunSettings":
    """The settings of an attempt's continuations: its own, but for the model and what is given.

    `saved` are those of its run.
    """
    from forager.cli.models import endpoints
    from forager.rollout.execution import settings_of

    settings = settings_of(attempt, str(saved.get("sandbox", "docker")))
    names = [model or attempt.model]
    urls = endpoints(names, given.get("urls") or saved.get("urls") or [])
    return settings.model_copy(update={**given, "models": names, "urls": urls})


def _continued(
    run: Path,
    output: Path,
    settings: "dict[str, RunSettings]",
    failed: "list[Trajectory]",
    jobs: "list[Continuation]",
    workers: int,
) -> "list[AttemptCredit]":
    """Make the continuations that OUT lacks, and write what follows from all of them."""
    from forager.cli.models import MakeModel
    from forager.records import write_records
    from forager.rollout.attempt import make_attempt
    from forager.rollout.credit import CREDIT, credits_of
    from forager.rollout.meter import Meter
    from forager.rollout.sandboxes import Sandboxes
    from forager.rollout.settings import MAY_CHANGE
    from forager.rollout.worker import Job
    from forager.sandboxes.kinds import sandbox_kind
    from forager.trajectories.store import Run, tasks_of
    from tools import load_toolbox

    tasks, toolbox = tasks_of(run), load_toolbox()
    if missing := {attempt.instance_id for attempt in failed} - set(tasks):
        raise UsageError(f"{run} lacks the task {min(missing)}; add it to its tasks.jsonl")
    chosen = [tasks[id] for id in dict.fromkeys(attempt.instance_id for attempt in failed)]
    first = settings[failed[0].id]
    names = dict.fromkeys(own.models[0] for own in settings.values())
    of_run = first.model_copy(update={"models": list(names)})
    sandboxes, meter = Sandboxes(sandbox_kind(first.sandbox)), Meter(first.budget)
    with terminable(), Run.write(output, of_run, chosen, may_change=MAY_CHANGE) as store:
        by_id = {job.id: job for job in jobs}

        def continue_one(id: str, _: "Progress") -> None:
            number, parent = by_id[id]
            task, own = tasks[parent.trajectory.instance_id], settings[parent.trajectory.id]
            model = MakeModel(own, toolbox)(Job(task, number), meter)
            made = make_attempt(task, number, own, model, toolbox, sandboxes, parent=parent)
            store.append(made)

        with store.index() as index:
            done = {summary.id for summary in index.summaries()}
        try:
            todo = [id for id in by_id if id not in done]
            made = make_all("continuations", todo, continue_one, workers)
        finally:
            sandboxes.close()
        with store.index() as index:
            found = list(credits_of(failed, jobs, index.summaries()))
        write_records(output / CREDIT, found)
    raise_failures(made)
    return found


def _table(found: "list[AttemptCredit]") -> "Table":
    from rich.table import Table

    table = Table("attempt", "turns", "success from turn", "lost between turns")
    for credit in found:
        rates = "  ".join(f"{fork.turn}: {fork.rate:.0%}" for fork in credit.forks)
        lost = (
            "never likely" if credit.lost_from is None else f"{credit.lost_from}–{credit.lost_by}"
        )
        table.add_row(credit.id, str(credit.turns), rates, lost)
    return table
