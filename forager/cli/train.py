"""`forager train`: train a model on data sets with DeepSpeed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import echo, print_json, say
from forager.cli.derived import Derived, setting
from forager.cli.progress import Progress
from forager.cli.verb import Verb, option

if TYPE_CHECKING:
    from forager.learning.train import TrainingResult, TrainSettings

TRAIN = Derived(
    "forager.learning.train.settings:TrainSettings",
    {
        "Training": [
            "epochs",
            "max_steps",
            "batch_size",
            "pack_length",
            "packing",
            "learning_rate",
            "lr_scheduler_type",
            "warmup_ratio",
            setting("lora.rank", "--lora", metavar="RANK"),
            "seed",
            "checkpoint_every",
            "evaluate_every",
        ],
        "Memory and machines": [
            "precision",
            "autocast",
            "freeze_layers",
            "freeze_embeddings",
            "gradient_checkpointing",
            "zero_stage",
            "sequence_parallel_size",
            "processes",
            "executor",
            setting("hostfile", metavar="FILE"),
            setting("address", metavar="HOST:PORT"),
        ],
    },
)


@click.command(cls=Verb, settings=TRAIN)
@click.argument("datasets", metavar="DATASET…", nargs=-1, required=True, type=options.PATH)
@options.output("TRAINING", "Directory of the training; TRAINING/model is the trained model.")
@option(
    "--base",
    metavar="MODEL",
    required=True,
    type=options.PATH,
    help="Model to train: a Hugging Face directory, or owner/name of the Hub.",
)
@option(
    "--evaluation",
    metavar="DATASET",
    type=options.PATH,
    help="Data set on which to measure the loss during the training.",
)
@option(
    "--config",
    metavar="FILE",
    type=options.PATH,
    help="TOML file of settings; options take precedence over it.",
)
@options.trackers
@options.dry_run
@options.as_json
def train(
    datasets: tuple[Path, ...],
    output: Path,
    base: Path,
    config: Path | None,
    evaluation: Path | None,
    trackers: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    **params: Any,
) -> None:
    """Train a model on data sets.

    DATASET is a directory that `forager export --format policy` wrote. The trained model is a
    Hugging Face directory, for `forager serve` and for other software. The same command resumes an
    interrupted training from its last checkpoint.

    \b
    Example:
      forager train dataset -o training --base Qwen/Qwen3-8B --learning-rate 1e-5
    """
    from forager.learning.hub import model_directory
    from forager.learning.train import count_steps, finished
    from forager.learning.train import train as run_training
    from forager.tracking.tracker import TENSORBOARD

    settings = train_settings(config, params)
    steps = count_steps(settings, datasets)
    if dry_run:
        print_json({"settings": settings.model_dump(mode="json"), "steps": steps})
        return
    if finished(output):
        say(f"{output} is finished already")
    warn_of_bf16(settings)
    with terminable(), Progress("steps", steps, start=None) as progress:
        init = model_directory(base)
        result = run_training(
            settings,
            datasets,
            init,
            output,
            progress.update,
            evaluation=evaluation,
            trackers=(TENSORBOARD, *trackers),
            on_note=progress.note,
        )
    print_json(result.model_dump(mode="json")) if as_json else _print(result)


def warn_of_bf16(
    settings: "TrainSettings", processor: Path | None = None, gpu: Path | None = None
) -> None:
    """Say if this machine computes in bfloat16 more slowly than in float32."""
    from forager.learning.processor import prefers_bf16

    if settings.executor != "local" or prefers_bf16(processor, gpu):
        return
    if settings.precision == "bf16":
        say("bf16 is slow on this processor, which has no units for it: give --precision fp32")
    elif settings.autocast:
        say("autocast is off: this processor computes in float32 faster than in bfloat16")


def train_settings(config: Path | None, params: dict[str, Any]) -> "TrainSettings":
    """The settings of the options and of the file; options take precedence. Raises UsageError."""
    from forager.learning.train import TrainSettings

    chosen = TRAIN.given(params)
    if "lora" in chosen:
        chosen["lora"]["alpha"] = 2.0 * chosen["lora"]["rank"]
    if "hostfile" in chosen:
        chosen["executor"] = "hosts"
    return TrainSettings.read(config, chosen) if config else TrainSettings.build(chosen)


def _print(result: "TrainingResult") -> None:
    """Such as: TRAINING/model, 300 steps, loss 2.31 → 0.42, 1,228,800 tokens at 5,100 a second."""
    evaluated = result.evaluation_loss
    echo(
        f"{result.model.path}\t{result.steps:,} steps, loss {result.first_loss:.4g} → "
        f"{result.last_loss:.4g}"
        + (f" (evaluation {evaluated:.4g})" if evaluated is not None else "")
        + f", {result.tokens:,} tokens at {result.tokens_per_second:,.0f} a second"
    )
