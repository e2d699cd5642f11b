"""`forager bootstrap`: attempts in, a better model out, round after round."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.attempts import make_attempts
from forager.cli.batch import terminable
from forager.cli.console import print_json, say
from forager.cli.progress import Progress
from forager.cli.train import warn_of_bf16
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forager.environments.task import Task
    from forager.learning.bootstrap.lineage import Evaluated, Round
    from forager.learning.bootstrap.settings import BootstrapSettings
    from forager.learning.filters.kept import Filtering
    from forager.learning.filters.pipeline import FilterChoice
    from forager.learning.train.settings import TrainingResult
    from forager.rollout.settings import RunSettings


@click.command()
@click.argument("config", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The directory; without it `output` in CONFIG.",
)
@click.option("--rounds", type=click.IntRange(1), help="So many rounds, whatever CONFIG says.")
@options.dry_run
def bootstrap(config: Path, output: Path | None, rounds: int | None, dry_run: bool) -> None:
    """Roll out, filter, train, serve, evaluate, accept or roll back, and again.

    CONFIG is a TOML file of settings (see docs/learning.md). Everything lies in the output
    directory; killed anywhere, the same command goes on. At the end the rounds are told side by
    side.
    """
    from forager.learning.bootstrap.settings import BootstrapSettings

    settings = BootstrapSettings.read(config)
    if rounds:
        settings = settings.model_copy(update={"rounds": rounds})
    output = output or (Path(settings.output) if settings.output else None)
    if output is None:
        raise UsageError(f"where to? Give -o OUT, or `output` in {config}")
    _choices(settings)  # a mistake there is not to be found when the attempts are made
    if dry_run:
        print_json(settings.model_dump(mode="json"))
        return
    with terminable():
        _run(settings, output)
    click.echo((output / "report.md").read_text(), nl=False)


def _run(settings: "BootstrapSettings", output: Path) -> None:
    from forager.config import save_settings
    from forager.environments.task import Task
    from forager.learning.bootstrap.loop import Bootstrap
    from forager.learning.bootstrap.place import MAY_CHANGE
    from forager.locks import claimed
    from forager.records import read_records

    tasks = [task for path in settings.tasks for task in read_records(Path(path), Task)]
    with claimed(output):
        save_settings(output, settings, MAY_CHANGE)
        for base, rounds in Bootstrap(settings, tasks, output, _Steps(settings), say).run():
            _report(output, base, rounds)


def _choices(settings: "BootstrapSettings") -> "list[FilterChoice]":
    """The filters with their settings. Raises UsageError."""
    from forager.cli.filter import choices_of
    from forager.learning.filters import load_filters
    from forager.learning.filters.kept import settled

    return settled(choices_of(tuple(settings.filters)), load_filters())


class _Steps:
    """The steps that need the catalogues."""

    def __init__(self, settings: "BootstrapSettings") -> None:
        self._settings = settings

    def attempt(self, settings: "RunSettings", tasks: "Sequence[Task]", run: Path) -> None:
        """Make the attempts that a run lacks."""
        make_attempts(settings, tasks, run)

    def filter(self, runs: "Sequence[Path]", kept: Path) -> "Filtering":
        """Keep the attempts that are worth training on."""
        from forager.cli.filter import surroundings
        from forager.learning.filters import load_filters
        from forager.learning.filters.kept import filter_runs

        return filter_runs(runs, kept, _choices(self._settings), load_filters(), surroundings())

    def train(self, datasets: "Sequence[Path]", init: Path, training: Path) -> "TrainingResult":
        """Train a model on data sets."""
        from forager.learning.train.run import count_steps, train

        settings = self._settings.train
        warn_of_bf16(settings)
        with Progress("steps", count_steps(settings, datasets)) as progress:
            return train(settings, datasets, init, training, progress.update)


def _report(output: Path, base: "Evaluated", rounds: "list[Round]") -> None:
    """Write the rounds so far side by side."""
    from forager.atomic import replace_text, replacing
    from forager.evaluation.findings.written import as_json, markdown
    from forager.learning.bootstrap.report import draw_curve, rounds_report
    from forager.learning.bootstrap.stages import read_stages

    found = rounds_report(output, base, rounds, read_stages(output / "stages.jsonl"))
    for name, text in (("report.md", markdown(found)), ("report.json", as_json(found))):
        replace_text(output / name, text)
    try:
        with replacing(output / "curve.svg") as part:
            draw_curve(part, base, rounds)
    except ImportError:
        say("no curve is drawn without matplotlib: pip install 'forager-agent[report]'")
