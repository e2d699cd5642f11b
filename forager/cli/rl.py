"""`forager rl`: train a model on rewards, while it makes attempts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import echo, print_json, say
from forager.cli.progress import Progress
from forager.cli.train import warn_of_bf16
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from forager.environments.task import Task
    from forager.learning.rl.layout import RlLayout
    from forager.learning.rl.sampler import GatedModels, Sampler
    from forager.learning.rl.settings import RlSettings
    from forager.learning.rl.tracked import TrackedLedger


@click.command(cls=Verb)
@click.argument("config", metavar="[CONFIG.toml]", type=options.PATH, required=False)
@options.output("RUN", "Directory of the run; by default `output` in CONFIG.", required=False)
@option(
    "--steps", metavar="N", type=click.IntRange(1), help="Number of steps, instead of CONFIG's."
)
@option(
    "--url",
    "urls",
    metavar="URL",
    multiple=True,
    help="Your own vLLM server, which samples instead of CONFIG's sampler. Can be repeated.",
)
@option(
    "--replay",
    metavar="RUN",
    type=options.PATH,
    help="Train the steps of this run again, from its ledger and attempts, and compare losses.",
)
@options.trackers
@options.dry_run
def rl(
    config: Path | None,
    output: Path | None,
    steps: int | None,
    urls: tuple[str, ...],
    replay: Path | None,
    trackers: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Train a model on rewards, while it makes attempts (GRPO as in CWM).

    The model makes groups of attempts at tasks, tests decide their rewards, and each step of the
    training makes the better attempts of a group more likely. CONFIG is a TOML file (see
    docs/rl.md). RUN keeps everything, and the same command resumes an interrupted run. At the end
    it prints the report.

    \b
    Examples:
      forager rl examples/rl/arithmetic.toml -o runs/rl --dry-run
      forager rl --replay runs/rl -o runs/again
    """
    if replay:
        if config or steps or urls or trackers or dry_run or output is None:
            raise UsageError(
                "--replay takes its settings from RUN; give only -o and a new directory"
            )
        _replay(replay, output)
        return
    settings, output = _settings(config, output, steps, urls)
    tasks = _training_tasks(settings)
    if dry_run:
        _check(settings, tasks)
        rollout = settings.run_settings().model_dump(mode="json")
        print_json({**settings.model_dump(mode="json"), "rollout": rollout})
        return
    with terminable():
        _run(settings, tasks, output, trackers)
    echo((output / "report.md").read_text(), newline=False)


def _settings(
    config: Path | None, output: Path | None, steps: int | None, urls: tuple[str, ...]
) -> "tuple[RlSettings, Path]":
    """The settings and the output directory. Raises UsageError."""
    from forager.learning.rl.settings import RlSettings

    if config is None:
        raise UsageError("name a CONFIG.toml (docs/rl.md shows one), or --replay RUN")
    given: dict[str, Any] = {"steps": steps} if steps else {}
    if urls:
        given |= {"urls": urls, "sampler": "vllm"}
    settings = RlSettings.read(config, given)
    output = output or (Path(settings.output) if settings.output else None)
    if output is None:
        raise UsageError(f"there is no output directory: give -o RUN, or `output` in {config}")
    return settings, output


def _training_tasks(settings: "RlSettings") -> "list[Task]":
    """The tasks that attempts are made at. Raises UsageError."""
    return _tasks(settings, settings.tasks, "training")


def _held_out(settings: "RlSettings") -> "list[Task]":
    """The tasks of the evaluations. Raises UsageError."""
    return _tasks(settings, settings.evaluate.tasks, "held_out")


def _tasks(
    settings: "RlSettings", paths: list[str], part: Literal["training", "held_out"]
) -> "list[Task]":
    """The tasks of files, each once; after a bootstrap, those of one part of its split."""
    from forager.cli.attempts import read_tasks
    from forager.learning.rl.continued import of_split
    from forager.rollout.plan import distinct

    tasks = list(distinct(task for path in paths for task in read_tasks(Path(path), None)))
    return of_split(tasks, Path(settings.after), part) if settings.after else tasks


def _check(settings: "RlSettings", tasks: "list[Task]") -> None:
    """Raise UsageError for what would end the run later."""
    from forager.learning.hub import check_model
    from forager.learning.rl.curriculum import Curriculum
    from forager.learning.rl.rewards import reward_named

    reward_named(settings.reward.function)
    Curriculum(tasks, settings.curriculum, settings.stages, settings.seed)
    check_model(Path(settings.base))
    held_out = {task.instance_id for task in _held_out(settings)}
    if both := held_out.intersection(task.instance_id for task in tasks):
        raise UsageError(f"{min(both)} is both in `tasks` and in `evaluate.tasks`; leave it out")
    if settings.sampler == "transformers" and settings.run_settings().syntax == "functions":
        _check_syntax(tasks)


def _check_syntax(tasks: "list[Task]") -> None:
    from forager.environments.environment import has_tools
    from forager.environments.registry import environment_of

    if with_tools := [task for task in tasks if has_tools(environment_of(task), task)]:
        raise UsageError(
            f"{with_tools[0].instance_id} allows tools, and the sampler `transformers` reads no "
            'function calls: set rollout.syntax = "text", or sampler = "vllm"'
        )


def _run(
    settings: "RlSettings", tasks: "list[Task]", output: Path, trackers: tuple[str, ...]
) -> None:
    from forager.config import save_settings
    from forager.learning import imports
    from forager.learning.hub import model_directory
    from forager.learning.rl.layout import RlLayout
    from forager.learning.rl.run import reinforce
    from forager.learning.rl.samplers import overlaps, sampler_of
    from forager.learning.rl.settings import may_change
    from forager.learning.rl.tracked import TrackedLedger
    from forager.locks import claimed
    from forager.tracking.tracker import TENSORBOARD
    from forager.tracking.tracking import Tracking
    from tools import load_toolbox

    layout = RlLayout(output)
    with claimed(output):
        _check(settings, tasks)
        save_settings(output, settings, may_change(settings), resume=layout.ledger.exists())
        warn_of_bf16(settings.train)
        base = model_directory(Path(settings.base))
        imports.load("torch", "transformers.modeling_utils")
        with (
            sampler_of(settings, base, layout.logs) as sampler,
            Progress("steps", settings.steps, start=None) as progress,
            Tracking(
                output,
                "rl",
                (TENSORBOARD, *trackers),
                settings.model_dump(mode="json"),
                progress.note,
            ) as tracking,
        ):
            tracked = TrackedLedger(layout, tracking)
            reinforce(
                settings,
                tasks,
                layout,
                base,
                sampler,
                load_toolbox(),
                overlap=overlaps(settings),
                on_progress=progress.update,
                on_note=progress.note,
                on_entry=tracked.take,
                evaluate=_evaluation(settings, layout, sampler, tracked, progress.note),
            )
        _report(settings, layout)


def _evaluation(
    settings: "RlSettings",
    layout: "RlLayout",
    sampler: "Sampler",
    tracked: "TrackedLedger",
    note: "Callable[[str], None]",
) -> "Callable[[int, GatedModels], None]":
    """What evaluates the weights after a step, where one is due, and writes the report so far."""
    from forager.learning.rl.evaluation import evaluate, is_due
    from tools import load_toolbox

    held_out, toolbox = _held_out(settings), load_toolbox()

    def evaluated(step: int, models: "GatedModels") -> None:
        if is_due(settings, step) and held_out:
            urls = sampler.urls
            success = evaluate(settings, layout, held_out, step, models, urls, toolbox)
            tracked.evaluated(step, success)
            note(f"step {step}: {success:.1%} on {len(held_out)} held-out tasks".replace("%", " %"))
        if step and is_due(settings, step):
            _report(settings, layout)

    return evaluated


def _report(settings: "RlSettings", layout: "RlLayout") -> None:
    """Write the report of the run so far."""
    from forager.learning.rl.report import write_reports

    if lacking := write_reports(settings, layout):
        say(f"no curves without {lacking}: pip install -e '.[report]'")


def _replay(run: Path, output: Path) -> None:
    from forager.config import resolve_settings, saved_settings
    from forager.learning.hub import model_directory
    from forager.learning.rl.layout import RlLayout
    from forager.learning.rl.replaying import replay
    from forager.learning.rl.settings import RlSettings
    from forager.locks import claimed

    settings: Any = resolve_settings(RlSettings, saved_settings(run), f"{run}: ")
    base = model_directory(Path(settings.base))
    with terminable(), claimed(output), Progress("steps", settings.steps, start=None) as progress:
        count = replay(
            settings,
            _training_tasks(settings),
            RlLayout(run),
            RlLayout(output),
            base,
            progress.update,
        )
    echo(f"{output}\t{count} steps: the same batches, losses and weights as in {run}")
