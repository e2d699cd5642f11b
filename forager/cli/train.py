"""`forager train`: a better model from data sets, by DeepSpeed."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import print_json, say
from forager.cli.progress import Progress

if TYPE_CHECKING:
    from forager.learning.train import TrainingResult, TrainSettings

C = TypeVar("C", bound=Callable[..., Any])
_COUNT = click.IntRange(min=1)
_DIRECTORY = click.Path(path_type=Path)
_BF16 = {"amx_bf16", "avx512_bf16", "bf16"}  # what /proc/cpuinfo says of processors with units
_SETTINGS: dict[str, tuple[Any, str]] = {  # name: (type, help); defaults are TrainSettings'
    "epochs": (_COUNT, "Passes over the data. [1]"),
    "steps": (_COUNT, "So many steps instead, however many passes."),
    "row_tokens": (_COUNT, "Samples are packed into rows of so many tokens. [4096]"),
    "rows": (_COUNT, "Rows of a step, over all processes. [8]"),
    "learning_rate": (float, "The highest. [2e-5]"),
    "schedule": (click.Choice(["cosine", "linear", "constant"]), "How it falls. [cosine]"),
    "warmup": (float, "Share of the steps in which it rises. [0.03]"),
    "precision": (click.Choice(["auto", "bf16", "fp32"]), "auto: bf16 on a GPU, else fp32."),
    "zero": (click.IntRange(0, 3), "ZeRO stage: what is spread over the processes. [0]"),
    "sequence_parallel": (_COUNT, "So many processes share each row (Ulysses). [1]"),
    "processes": (_COUNT, "Processes, one a GPU where there are any. [1]"),
    "hostfile": (str, "Machines that these are started on, by DeepSpeed's launcher."),
    "executor": (click.Choice(["local", "hosts", "ray"]), "Where they are started. [local]"),
    "address": (str, "Of the Ray cluster; else the one of this machine."),
    "checkpoint_every": (_COUNT, "Steps between checkpoints. [200]"),
    "evaluate_every": (_COUNT, "Steps between evaluation losses. [100]"),
    "seed": (int, "Decides the order of the data. [0]"),
}


def _setting_options(command: C) -> C:
    for name, (kind, text) in reversed(_SETTINGS.items()):
        command = click.option(f"--{name.replace('_', '-')}", type=kind, help=text)(command)
    return command


@click.command()
@click.argument("datasets", metavar="DATASET…", nargs=-1, required=True, type=_DIRECTORY)
@options.output
@click.option(
    "--base",
    metavar="MODEL",
    required=True,
    type=_DIRECTORY,
    help="A Hugging Face directory to train, or owner/name of the Hub.",
)
@click.option("--config", type=_DIRECTORY, help="TOML of settings; options win over it.")
@_setting_options
@click.option("--no-pack", is_flag=True, help="Each sample in a row of its own.")
@click.option("--lora", metavar="RANK", type=_COUNT, help="Train adapters, merged at the end.")
@click.option("--gradient-checkpointing", is_flag=True, help="Less memory for a third more time.")
@click.option("--evaluation", type=_DIRECTORY, help="A data set whose loss is told now and then.")
@options.dry_run
@options.as_json
def train(
    datasets: tuple[Path, ...],
    output: Path,
    base: Path,
    config: Path | None,
    evaluation: Path | None,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train the model --base on each DATASET; TRAINING/model is the result.

    Run again, it goes on from the last checkpoint. The result is a Hugging Face directory that
    `forager serve` takes.
    """
    from forager.learning.hub import model_directory
    from forager.learning.train import count_steps, finished
    from forager.learning.train import train as run_training

    settings = _settings(config, given)
    steps = count_steps(settings, datasets)
    if dry_run:
        print_json({"settings": settings.model_dump(mode="json"), "steps": steps})
        return
    if finished(output):
        say(f"{output} is finished already")
    warn_of_bf16(settings)
    with terminable(), Progress("steps", steps) as progress:
        init = model_directory(base)
        result = run_training(
            settings, datasets, init, output, progress.update, evaluation=evaluation
        )
    print_json(result.model_dump(mode="json")) if as_json else _print(result)


def warn_of_bf16(
    settings: "TrainSettings",
    processor: Path = Path("/proc/cpuinfo"),
    gpu: Path = Path("/proc/driver/nvidia/version"),
) -> None:
    """Say where this machine computes in bfloat16 many times more slowly than in float32."""
    asked = settings.precision == "bf16" and settings.executor == "local"
    if asked and not gpu.exists() and not _BF16 & set(processor.read_text().split()):
        say("this processor has no units for bf16; fp32 is many times faster (--precision)")


def _settings(config: Path | None, given: dict[str, Any]) -> "TrainSettings":
    from forager.learning.train import TrainSettings

    chosen = {name: given[name] for name in _SETTINGS if given[name] is not None}
    if given["lora"]:
        chosen["lora"] = {"rank": given["lora"], "alpha": 2.0 * given["lora"]}
    if given["no_pack"]:
        chosen["pack"] = False
    if given["gradient_checkpointing"]:
        chosen["gradient_checkpointing"] = True
    if given["hostfile"]:
        chosen["executor"] = "hosts"
    return TrainSettings.read(config, chosen) if config else TrainSettings.build(chosen)


def _print(result: "TrainingResult") -> None:
    """Such as: TRAINING/model, 300 steps, loss 2.31 → 0.42, 1,228,800 tokens at 5,100 a second."""
    evaluated = result.evaluation_loss
    click.echo(
        f"{result.model.path}\t{result.steps:,} steps, loss {result.first_loss:.4g} → "
        f"{result.last_loss:.4g}"
        + (f" (evaluation {evaluated:.4g})" if evaluated is not None else "")
        + f", {result.tokens:,} tokens at {result.tokens_per_second:,.0f} a second"
    )
