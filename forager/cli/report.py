"""`forager report`: the results of runs."""

from pathlib import Path

import click

from forager.cli import options
from forager.cli.console import echo, print_json, print_table, say
from forager.cli.runs import cost_of, open_attempts, opened, runs_argument
from forager.cli.verb import Verb, option


@click.command(cls=Verb)
@runs_argument
@options.output(
    "FILE", "Write a full report instead: FILE ends in .html, .md or .json.", required=False
)
@option(
    "--sample",
    metavar="N",
    type=click.IntRange(0),
    default=30,
    shown_default="30",
    help="Number of attempts that the page shows turn by turn.",
)
@options.accept_suspect
@options.as_json
def report(
    runs: tuple[Path, ...],
    output: Path | None,
    sample: int,
    accept_suspect: bool,
    as_json: bool,
) -> None:
    """Count attempts by family and by exit reason, and list suspect attempts.

    Several runs are counted together. The full report of -o adds counts by operator, repository,
    difficulty and model, compares the runs, and shows costs and failed tool calls. Its page has
    plots and needs no network.

    \b
    Examples:
      forager report runs/repair
      forager report runs/old runs/new -o report.html
    """
    from forager.evaluation import report as reports

    if output:
        _write_report(runs, output, sample, accept_suspect=accept_suspect)
        return
    indexes = opened(runs, accept_suspect=accept_suspect)
    counted = reports.report(summary for index in indexes for summary in index.summaries())
    if as_json:
        print_json(counted.model_dump())
        return
    print_table(reports.family_table(counted))
    echo()
    print_table(reports.reason_table(counted))
    if counted.causes:
        echo()
        print_table(reports.cause_table(counted))
    if counted.suspects:
        echo()
        print_table(reports.suspect_table(counted))


def _write_report(
    runs: tuple[Path, ...], output: Path, sample: int, *, accept_suspect: bool
) -> None:
    from contextlib import ExitStack

    from forager.evaluation.findings.gather import RunSource
    from forager.evaluation.findings.writers import lacking_for_page, write_report
    from forager.locks import claimed_file

    if output.suffix == ".html" and (package := lacking_for_page()):
        output = output.with_suffix(".md")
        say(f"a page needs {package}: pip install -e '.[report]'; writing {output} instead")
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    with ExitStack() as stack:
        stack.enter_context(claimed_file(output))
        indexes = [
            stack.enter_context(open_attempts(run, accept_suspect=accept_suspect)) for run in runs
        ]
        parts = zip(names, indexes, map(cost_of, runs), strict=True)
        sources = [RunSource(*part) for part in parts]
        write_report(sources, output, sample)
