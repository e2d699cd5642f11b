"""`forager audit`: which successes of a run are false."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import echo, print_json, print_table
from forager.cli.derived import Derived, setting
from forager.cli.progress import Stages
from forager.cli.runs import say_damage
from forager.cli.select import tests_written_in
from forager.cli.verb import Verb

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.audited import AuditSettings, RunAudit

_TOLD = 3  # failed tests of an attempt that a line names
AUDIT = Derived(
    "tasks.audit:AuditSettings",
    {
        "Stronger tests": [setting("written", "--tests", metavar="RUN"), "cases", "mutants"],
        "Audit": ["sample", "seed", "sandbox"],
    },
)


@click.command(cls=Verb, settings=AUDIT)
@click.argument("run", metavar="RUN", type=options.PATH)
@options.output("AUDIT", "Directory of the stronger tests and the audited attempts.")
@options.workers
@options.as_json
def audit(run: Path, output: Path, workers: int, as_json: bool, **params: Any) -> None:
    """Grade successes again with stronger tests, and say how many are false.

    RUN is any run, also one of `forager rl`. Coding tasks get further cases, and repository tasks
    further calls of the functions that the reference changes; the known solution gives what is
    expected. Tests of --tests count if they find no fault in the reference, and one in the broken
    code or in a mutant that the task's own tests miss. A success that fails a stronger test twice
    is false. The same command resumes.

    \b
    Examples:
      forager audit runs/rl -o audit
      forager audit runs/qwen -o audit --tests runs/tests --sample 200
    """
    from forager.resumed import check_lost
    from mutators import load_families
    from tasks.audit import attempts_of, audit_run

    written = tests_written_in(params["tests"])
    values = {**AUDIT.given(params), "run": str(run), "workers": workers}
    settings: AuditSettings = AUDIT.build(values)
    say_damage([attempts_of(run)])
    with terminable(), Stages() as show:
        result = audit_run(settings, output, load_families(), written, show)
    if as_json:
        print_json(result.model_dump())
    else:
        for attempt in result.false:
            echo(f"{attempt.id}\tfalse: {'; '.join(attempt.failed[:_TOLD])}")
        print_table(_table(result))
    check_lost("tasks and attempts", result.lost)


def _table(result: "RunAudit") -> "Table":
    """The share of false successes by environment, with 95 % intervals."""
    from rich.table import Table

    from forager.evaluation.selection.show import percent

    table = Table("environment", "successes", "audited", "false", "missed mutants", "not audited")
    for found in result.environments:
        reasons = "; ".join(f"{count:,}: {why}" for why, count in found.not_audited.items())
        table.add_row(
            found.environment,
            f"{found.successes:,}",
            f"{found.audited:,}",
            f"{found.false:,}: {percent(found.share)}" if found.share else "",
            f"{found.missed:,} of {found.mutants:,}, {found.killed:,} killed",
            reasons,
        )
    return table
