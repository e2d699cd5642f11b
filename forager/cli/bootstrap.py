"""`forager bootstrap`: train a model on its own attempts, round after round."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.attempts import make_attempts
from forager.cli.batch import terminable
from forager.cli.console import echo, print_json, say
from forager.cli.progress import Progress
from forager.cli.train import warn_of_bf16
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forager.environments.task import Task
    from forager.learning.bootstrap.manifest import Evaluation, Round
    from forager.learning.bootstrap.settings import BootstrapSettings
    from forager.learning.filters.kept import Filtering
    from forager.learning.filters.pipeline import FilterChoice
    from forager.learning.train.settings import TrainingResult
    from forager.rollout.settings import RunSettings


@click.command(cls=Verb)
@click.argument("config", metavar="CONFIG.toml", type=options.PATH)
@options.output("OUT", "Directory of the bootstrap; by default `output` in CONFIG.", required=False)
@option(
    "--rounds",
    metavar="N",
    type=click.IntRange(1),
    help="Number of rounds, instead of `rounds` in CONFIG.",
)
@options.dry_run
def bootstrap(config: Path, output: Path | None, rounds: int | None, dry_run: bool) -> None:
    """Train a model on its own attempts, round after round.

    Each round makes attempts, filters them, trains a candidate, serves it, evaluates it on held-out
    tasks, and accepts it or rolls back. CONFIG is a TOML file (see docs/bootstrap.md). OUT keeps
    everything, and the same command resumes an interrupted bootstrap. At the end it prints the
    rounds side by side.

    \b
    Example:
      forager bootstrap examples/kata/bootstrap.toml -o out --dry-run
    """
    from forager.learning.bootstrap.settings import BootstrapSettings
    from forager.learning.bootstrap.split import split

    settings = BootstrapSettings.read(config)
    if rounds:
        settings = settings.model_copy(update={"rounds": rounds})
    output = output or (Path(settings.output) if settings.output else None)
    if output is None:
        raise UsageError(f"there is no output directory: give -o OUT, or `output` in {config}")
    _choices(settings)  # finds mistakes before the first attempts are made
    if dry_run:
        _check_files(settings)
        by, held_out = settings.split.by, settings.split.held_out
        split(_tasks(settings), by=by, held_out=held_out, seed=settings.seed)
        print_json(settings.model_dump(mode="json"))
        return
    with terminable():
        _run(settings, output)
    echo((output / "report.md").read_text(), newline=False)


def _check_files(settings: "BootstrapSettings") -> None:
    """Raise UsageError if a file or a directory that the settings name is missing."""
    from forager.learning.hub import check_model

    named = {"tasks": settings.tasks, "mix_in": settings.mix_in}
    for key, paths in named.items():
        for path in paths:
            if not Path(path).exists():
                raise UsageError(f"{key}: {path} does not exist; make it, or correct the settings")
    check_model(Path(settings.base))


def _tasks(settings: "BootstrapSettings") -> "list[Task]":
    from forager.environments.task import Task
    from forager.records import read_records

    return [task for path in settings.tasks for task in read_records(Path(path), Task)]


def _run(settings: "BootstrapSettings", output: Path) -> None:
    from forager.config import save_settings
    from forager.learning.bootstrap.layout import MAY_CHANGE
    from forager.learning.bootstrap.loop import Bootstrap
    from forager.learning.bootstrap.split import SPLIT
    from forager.locks import claimed

    with claimed(output):
        _check_files(settings)
        tasks = _tasks(settings)
        save_settings(output, settings, MAY_CHANGE, resume=(output / SPLIT).exists())
        for base, rounds in Bootstrap(settings, tasks, output, _Actions(settings), say).run():
            _report(output, base, rounds)


def _choices(settings: "BootstrapSettings") -> "list[FilterChoice]":
    """The filters with their settings. Raises UsageError."""
    from forager.cli.filter import choices_of
    from forager.learning.filters import load_filters
    from forager.learning.filters.kept import settled

    return settled(choices_of(tuple(settings.filters)), load_filters())


class _Actions:
    """The steps of a round that need mutators, tools or filters."""

    def __init__(self, settings: "BootstrapSettings") -> None:
        self._settings = settings

    def attempt(self, settings: "RunSettings", tasks: "Sequence[Task]", run: Path) -> None:
        """Make the missing attempts of a run."""
        make_attempts(settings, tasks, run)

    def filter(self, runs: "Sequence[Path]", kept: Path) -> "Filtering":
        """Keep the attempts that are worth training on."""
        from forager.cli.filter import filter_context
        from forager.learning.filters import load_filters
        from forager.learning.filters.kept import filter_runs

        return filter_runs(runs, kept, _choices(self._settings), load_filters(), filter_context())

    def train(self, datasets: "Sequence[Path]", init: Path, training: Path) -> "TrainingResult":
        """Train a model on data sets."""
        from forager.learning.train.run import count_steps, train

        settings = self._settings.train
        warn_of_bf16(settings)
        with Progress("steps", count_steps(settings, datasets), start=None) as progress:
            return train(settings, datasets, init, training, progress.update, on_note=progress.note)


def _report(output: Path, base: "Evaluation", rounds: "list[Round]") -> None:
    """Write the report of the rounds so far."""
    from forager.atomic import replace_text, replacing
    from forager.evaluation.findings.writers import as_json, markdown
    from forager.learning.bootstrap.report import draw_curve, rounds_report
    from forager.learning.bootstrap.stages import read_stages

    found = rounds_report(output, base, rounds, read_stages(output / "stages.jsonl"))
    for name, text in (("report.md", markdown(found)), ("report.json", as_json(found))):
        replace_text(output / name, text)
    try:
        with replacing(output / "curve.svg") as part:
            draw_curve(part, base, rounds)
    except ImportError:
        say("cannot draw curve.svg without matplotlib: pip install -e '.[report]'")
