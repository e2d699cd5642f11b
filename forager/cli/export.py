"""`forager export`: attempts in the formats of other software."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from forager.cli import options
from forager.cli.derived import Derived, setting
from forager.cli.exporting import (
    ExportOptions,
    check,
    export_attempts,
    export_dataset,
    export_tasks,
    export_traces,
    refuse_options,
)
from forager.cli.runs import runs_argument
from forager.cli.verb import Verb, option
from forager.errors import UsageError
from forager.tracing import TRACE_FORMATS
from forager.trajectories.export import formats

_DATASETS = {
    "policy": "a data set of token ids for `forager train`, with loss on what the agent writes",
    "world": "the same, with loss also on what the agent reads",
    "trace": "the same of traces: CWM's texts, changes only, or outputs (--view)",
}
_TASKS = {"harbor": "a directory of Harbor task directories; give tasks.jsonl files as RUN"}
_ALL = {**formats(), **_DATASETS, **TRACE_FORMATS, **_TASKS}
_TABLE = "\n".join(f"  {name:<12}  {text}" for name, text in _ALL.items())
_HELP = f"""Write attempts, traces or tasks for other software, or as training data.

Attempts of several runs (or files of attempts) go into one export. An export is never changed:
give a new -o each time. Traces are what `forager trace` wrote: give its directories as RUN; each
trace becomes a line of JSON.

\b
Formats:
{_TABLE}

\b
Examples:
  forager export runs/repair -o attempts.parquet --format parquet --resolved
  forager export runs/qwen -o hub --format hf --resolved --push me/attempts
  forager export runs/qwen -o dataset --format policy --tokenizer Qwen/Qwen3-8B --resolved
  forager export traces/toolz -o toolz.jsonl --format cwm --step-in 0.5
  forager export tasks.jsonl -o harbor --format harbor --registry ghcr.io/me
"""
_TRACES = "Traces"
_DATASET = "Data sets (--format policy, world and trace)"
_OPTIONS = Derived(
    "forager.learning.dataset:DatasetSettings",
    {
        _DATASET: [
            *("max_length", "truncate", "mask_failed", "mask_exits", "observations"),
            setting("traces", metavar="DIR", type=options.PATH),
            setting("credit", metavar="DIR", type=options.PATH),
        ]
    },
)


@click.command(cls=Verb, settings=_OPTIONS, help=_HELP)
@runs_argument
@options.output("OUT", "File or directory to write, as the format needs.")
@option(
    "--format",
    "format",
    type=click.Choice(list(_ALL)),
    metavar="FORMAT",
    required=True,
    help="Format to write; see above.",
)
@options.resolved
@options.accept_suspect
@options.as_json
@options.limit
@option(
    "--sample",
    metavar="N",
    type=click.IntRange(min=1),
    help="Draw N attempts or traces at random; --seed decides which.",
)
@options.seed
@option(
    "--tokenizer",
    metavar="MODEL",
    type=options.PATH,
    heading=_DATASET,
    help="Model that provides the tokenizer and the chat template: a directory, or owner/name of "
    "the Hugging Face Hub.",
)
@option(
    "--show",
    metavar="N",
    type=click.IntRange(min=1),
    heading=_DATASET,
    help="Print the first N samples, and colour the tokens with loss.",
)
@option(
    "--step-in",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=1.0,
    heading=_TRACES,
    help="Probability that an inner call is shown, not only what it returns; --seed draws.",
)
@option(
    "--depth",
    metavar="N",
    type=click.IntRange(min=0),
    default=1000,
    heading=_TRACES,
    help="Show N calls within calls at most.",
)
@option(
    "--loss",
    type=click.Choice(["states", "actions", "both"]),
    default="both",
    heading=_TRACES,
    help="What a model is trained to write of CWM's texts (--format segments and trace): states, "
    "source lines, or both.",
)
@option(
    "--view",
    type=click.Choice(["cwm", "compact", "output"]),
    default="cwm",
    shown_default="cwm",
    heading=_TRACES,
    help="Texts of --format trace, and of parquet and hf for traces: CWM's, only what changes, or "
    "(trace) the code with input and output but without the trace.",
)
@option(
    "--push",
    metavar="OWNER/NAME",
    default="",
    heading="Upload",
    help="Upload the data set and its card to the Hugging Face Hub, as a private repository "
    "(--format hf, adp, swe-smith, open-swe-traces).",
)
@option("--public", is_flag=True, heading="Upload", help="Make a new repository public.")
@option(
    "--registry",
    metavar="PREFIX",
    default="",
    heading="Tasks (--format harbor)",
    help="Name images in task.toml as PREFIX/TASK, for software that does not build them.",
)
@option(
    "--from-recipe",
    is_flag=True,
    heading="Tasks (--format harbor)",
    help="Build images from the recipes of the projects, not from forager's images.",
)
def export(
    runs: tuple[Path, ...], output: Path, format: str, tokenizer: Path | None, **params: Any
) -> None:
    """Write attempts, traces or tasks for other software, or as training data."""
    from forager.tracing.store import holds_traces
    from forager.tracing.tables import TABLES

    names = [field.name for field in fields(ExportOptions)]
    asked = ExportOptions(**{name: params.pop(name) for name in names})
    check(format, asked)
    given = _OPTIONS.given(params)
    if format not in _DATASETS and (given or asked.show):
        name = min(given, default="show").replace("_", "-")
        raise UsageError(f"--{name} needs --format policy, world or trace")
    if format in _TASKS:
        refuse_options(asked, "tasks", "resolved", "accept_suspect", "sample")
        export_tasks(runs, output, asked)
    elif format in TRACE_FORMATS or (format in TABLES and holds_traces(runs[0])):
        refuse_options(asked, "traces", "resolved", "accept_suspect")
        export_traces(runs, output, format, asked)
    elif format in _DATASETS:
        if format == "trace":
            refuse_options(asked, "traces", "resolved", "accept_suspect")
        given |= {"kind": format, **_chosen_for(format, asked)}
        export_dataset(runs, output, tokenizer, _OPTIONS.build(given), asked)
    elif tokenizer:
        raise UsageError("--tokenizer needs --format policy, world or trace")
    else:
        export_attempts(runs, output, format, asked)


def _chosen_for(format: str, asked: ExportOptions) -> dict[str, Any]:
    """The settings of a data set that other options say, too."""
    if format == "trace":
        texts = {name: getattr(asked, name) for name in ("view", "loss", "step_in", "depth")}
        names: tuple[str, ...] = ("limit", "sample", "seed")
        return {**{name: getattr(asked, name) for name in names}, "texts": texts}
    names = ("resolved", "accept_suspect", "limit", "sample", "seed")
    return {name: getattr(asked, name) for name in names}
