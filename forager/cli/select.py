"""`forager select`: which of several attempts at a task to submit."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import echo, print_json, print_table, say
from forager.cli.derived import Derived, setting
from forager.cli.progress import Progress
from forager.cli.runs import open_attempts, runs_argument
from forager.cli.verb import Verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forager.evaluation.selection.pool import Pool
    from forager.evaluation.selection.selecting import SelectionResult, SelectionSettings
    from forager.trajectories.store import RunWriter

SELECTION = Derived(
    "forager.evaluation.selection.selecting:SelectionSettings",
    {
        "Choice": ["by", setting("k", "-k"), setting("rewards", metavar="FILE")],
        "Tests": ["own", setting("written", "--tests", metavar="RUN"), "counted", "sandbox"],
    },
)


@click.command(cls=Verb, settings=SELECTION)
@runs_argument
@options.output("CHOSEN", "Run that gets the chosen attempts.")
@options.workers
@options.accept_suspect
@options.as_json
def select(
    runs: tuple[Path, ...], output: Path, accept_suspect: bool, as_json: bool, **params: Any
) -> None:
    """Choose which of several attempts at a task to submit.

    By default the rule is CWM's: it runs the repository's own tests and the tests of --tests on
    each different patch; most passes win, then the most common patch, then the fewest tokens. The
    choice never sees a verdict. A table shows how good it is, next to the majority and to the best
    possible choice. CHOSEN is a run of its own, with the choices in choices.jsonl, the table in
    selection.json and a plot in selection.svg.

    \b
    Examples:
      forager select runs/qwen -o runs/chosen --by majority
      forager select runs/qwen -o runs/chosen --tests runs/tests -w 4
    """
    from forager.evaluation.selection.selecting import MAY_CHANGE, attempts_digest
    from forager.trajectories.store import Run

    pooled = pool_of(runs, accept_suspect)
    values = {
        **SELECTION.given(params),
        "runs": list(map(str, runs)),
        "workers": params["workers"],
        "attempts": attempts_digest(pooled),
    }
    settings: SelectionSettings = SELECTION.build(values)
    tasks = list(pooled.tasks.values())
    with terminable(), Run.write(output, settings, tasks, may_change=MAY_CHANGE) as store:
        result = _select(settings, pooled, runs, store)
    if as_json:
        print_json(result.model_dump())
        return
    _print(result, output)


def pool_of(runs: "Sequence[Path]", accept_suspect: bool = False) -> "Pool":
    """The attempts of runs as submissions. Raises UsageError."""
    from contextlib import ExitStack

    from forager.errors import UsageError
    from forager.evaluation.findings.gather import RunSource
    from forager.evaluation.selection.pool import pool
    from forager.trajectories.store import tasks_of

    with ExitStack() as stack:
        indexes = [
            stack.enter_context(open_attempts(run, accept_suspect=accept_suspect)) for run in runs
        ]
        sources = [RunSource(str(run), index) for run, index in zip(runs, indexes, strict=True)]
        found = pool(zip(sources, map(tasks_of, runs), strict=True))
    if not found.submissions:
        raise UsageError(f"{runs[0]} holds no attempts; `forager run` makes some")
    return found


def tests_written_in(runs: "Sequence[str]") -> "dict[str, list[str]]":
    """The tests that runs hold, by the task that they are about. Raises UsageError."""
    from forager.evaluation.selection.selecting import written_tests

    return written_tests(pool_of([Path(run) for run in runs])) if runs else {}


def _select(
    settings: "SelectionSettings", pooled: "Pool", runs: "Sequence[Path]", store: "RunWriter"
) -> "SelectionResult":
    """Choose, store the chosen attempts, then measure."""
    from forager.atomic import replace_text
    from forager.evaluation.selection import selecting
    from forager.learning.bootstrap.split import clusters
    from forager.records import write_records
    from forager.rollout.sandboxes import Sandboxes
    from forager.sandboxes.kinds import sandbox_kind
    from forager.text import json_text

    written = tests_written_in(settings.written)
    sandboxes = Sandboxes(sandbox_kind(settings.sandbox))
    try:
        with Progress("tasks", len(pooled.tasks)) as progress:
            given, rows = selecting.candidates(
                settings, pooled, written, sandboxes, store.path, progress.update
            )
    finally:
        sandboxes.close()
    made = selecting.choices(settings.by, given)
    _store(made, runs, store)
    write_records(store.path / selecting.CHOICES, made)
    alike = clusters(list(pooled.tasks.values()), "function")
    result = selecting.measured(settings.by, pooled, given, made, rows, alike)
    replace_text(store.path / selecting.RESULT, json_text(result.model_dump()) + "\n")
    _plot(result, store.path / selecting.PLOT)
    return result


def _store(made: "Sequence[Any]", runs: "Sequence[Path]", store: "RunWriter") -> None:
    """Copy the chosen attempts that the run lacks."""
    with store.index() as index:
        known = set(index.ids())
    for run in runs:
        with open_attempts(run) as index:
            for choice in made:
                if choice.run == str(run) and choice.id not in known:
                    store.append(index.get(choice.id))


def _plot(result: "SelectionResult", path: Path) -> None:
    from forager.atomic import replace_text
    from forager.evaluation.selection.show import plot

    try:
        drawn = plot([(result.by, result)])
    except ImportError:
        say("no plot: it needs matplotlib (pip install -e '.[report]')")
        return
    if drawn:
        replace_text(path, drawn.svg)


def _print(result: "SelectionResult", output: Path) -> None:
    from forager.evaluation.selection.show import lines, percent, table

    print_table(table(result))
    echo()
    for line in lines(result):
        echo(line)
    echo(f"{output}\t{result.chosen.tasks:,} attempts chosen, {percent(result.chosen)} resolved")
