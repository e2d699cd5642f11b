"""`forager export`: attempts in the formats of other software."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import console, echo, print_json, say
from forager.cli.derived import Derived, setting
from forager.cli.progress import Progress
from forager.cli.runs import open_attempts, runs_argument, say_damage
from forager.cli.verb import Verb, option
from forager.errors import UsageError
from forager.tracing import TRACE_FORMATS
from forager.trajectories.export import formats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forager.learning.dataset import DatasetSettings
    from forager.trajectories.choice import Choice
    from forager.trajectories.export import AttemptOrigin
    from forager.trajectories.index import Index, Places
    from forager.trajectories.record import Trajectory

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
    help="Draw N attempts at random; --seed decides which.",
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
    runs: tuple[Path, ...],
    output: Path,
    format: str,
    resolved: bool | None,
    accept_suspect: bool,
    limit: int | None,
    sample: int | None,
    seed: int,
    tokenizer: Path | None,
    show: int | None,
    as_json: bool,
    step_in: float,
    depth: int,
    loss: str,
    view: str,
    registry: str,
    from_recipe: bool,
    push: str,
    public: bool,
    **params: Any,
) -> None:
    """Write attempts, traces or tasks for other software, or as training data."""
    from forager.cli.outputs import ExportedAttempts
    from forager.tracing.store import holds_traces
    from forager.tracing.tables import TABLES
    from forager.trajectories.choice import Choice
    from forager.trajectories.export import DATA_SETS, writer
    from forager.trajectories.export.pushing import check_name
    from forager.trajectories.export.pushing import push as upload

    if push and format not in DATA_SETS:
        raise UsageError(f"--push needs --format {', '.join(DATA_SETS)}")
    if push:
        check_name(push)
    if limit is not None and sample is not None:
        raise UsageError("--limit takes the first attempts, --sample any; give one of them")
    if format in _TASKS:
        _export_tasks(runs, output, registry, limit, from_recipe=from_recipe, as_json=as_json)
        return
    if format in TRACE_FORMATS or (format in TABLES and holds_traces(runs[0])):
        cut = {"step_in": step_in, "depth": depth, "seed": seed}
        _export_traces(runs, output, format, cut, loss, view, limit, as_json=as_json)
        return
    if format == "trace":
        texts = {"view": view, "loss": loss, "step_in": step_in, "depth": depth}
        given = {"kind": format, "limit": limit, "seed": seed, "texts": texts}
        settings = _OPTIONS.build({**_OPTIONS.given(params), **given})
        _export_dataset(runs, output, tokenizer, show, settings, as_json=as_json)
        return
    if format in _DATASETS:
        which = {"resolved": resolved, "accept_suspect": accept_suspect}
        some = {"limit": limit, "sample": sample, "seed": seed}
        given = _OPTIONS.given(params)
        settings = _OPTIONS.build({**given, "kind": format, **which, **some})
        _export_dataset(runs, output, tokenizer, show, settings, as_json=as_json)
        return
    if tokenizer or show:
        raise UsageError("--tokenizer and --show need --format policy, world or trace")
    some = {"resolved": resolved, "limit": limit, "sample": sample, "seed": sample and seed}
    write = writer(format, _origin(runs, {**some, "accept_suspect": accept_suspect}))
    with ExitStack() as stack:
        indexes = [
            stack.enter_context(open_attempts(run, accept_suspect=accept_suspect)) for run in runs
        ]
        chosen = _chosen(indexes, Choice(resolved=resolved), limit, sample, seed)
        total = sum(map(len, chosen))
        if not total:
            raise UsageError("there are no such attempts to export; `forager list RUN` shows all")
        attempts = (
            attempt
            for index, places in zip(indexes, chosen, strict=True)
            for attempt in index.trajectories(places)
        )
        with Progress("attempts", total) as progress:
            count = write(_counted(attempts, progress), output)
    pushed = upload(output, push, public=public) if push else ""
    if as_json:
        found = ExportedAttempts(output=str(output), attempts=count, pushed=pushed)
        print_json(found.model_dump())
    else:
        echo(f"{output}\t{count:,} attempts" + (f"\t{pushed}" if pushed else ""))


def _origin(runs: tuple[Path, ...], options: dict[str, Any]) -> "AttemptOrigin":
    """The tasks of the runs, and how their attempts were chosen: by filters, then by options."""
    from forager.cli.runs import tasks_of
    from forager.trajectories.export import AttemptOrigin
    from forager.trajectories.store import Run

    tasks, choices = {}, []
    for run in runs:
        tasks.update(tasks_of(run))
        filters = Run(run).settings().get("filters") if run.is_dir() else None
        choices += [f"filter `{_worded(choice)}` of {run.name}" for choice in filters or ()]
    named = [f"{name} = {value}" for name, value in options.items() if value not in (None, False)]
    return AttemptOrigin(tasks, [*dict.fromkeys(choices), *named])


def _worded(choice: Any) -> str:
    """A filter with its settings, as `--filter` takes it."""
    given = choice.get("settings") or {}
    settings = ",".join(f"{name}:{value}" for name, value in given.items())
    return f"{choice.get('name')}={settings}" if settings else str(choice.get("name"))


def _export_tasks(
    files: tuple[Path, ...],
    output: Path,
    registry: str,
    limit: int | None,
    *,
    from_recipe: bool,
    as_json: bool,
) -> None:
    from itertools import chain, islice

    from forager.cli.outputs import ExportedAttempts
    from forager.environments.task import Task
    from forager.records import read_records
    from tasks.harbor import export_harbor

    chosen = islice(chain.from_iterable(read_records(file, Task) for file in files), limit)
    done = export_harbor(chosen, output, registry, from_recipe=from_recipe)
    for reason, count in done.left_out.items():
        say(f"left out: {count:,} · {reason}")
    if as_json:
        found = ExportedAttempts(output=str(output), tasks=done.tasks, left_out=done.left_out)
        print_json(found.model_dump())
    else:
        echo(f"{output}\t{done.tasks:,} tasks")


def _export_traces(
    directories: tuple[Path, ...],
    output: Path,
    format: str,
    cut: dict[str, Any],
    loss: Any,
    view: str,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    from forager.cli.outputs import ExportedAttempts
    from forager.tracing.cutting import Cut
    from forager.tracing.export import TraceExport, export_traces
    from forager.tracing.tables import TABLES, write_table

    chosen = TraceExport(Cut(**cut), loss)
    if format in TABLES:
        if view == "output":
            raise UsageError("--view output is of --format trace; give cwm or compact")
        done = write_table(directories, output, format, view, chosen, limit)
    else:
        done = export_traces(directories, output, format, chosen, limit)
    for reason, count in done.left_out.items():
        say(f"left out: {count:,} · {reason}")
    if as_json:
        found = ExportedAttempts(output=str(output), traces=done.written, left_out=done.left_out)
        print_json(found.model_dump())
    else:
        echo(f"{output}\t{done.written:,} traces")


def _export_dataset(
    runs: tuple[Path, ...],
    output: Path,
    tokenizer: Path | None,
    show: int | None,
    settings: "DatasetSettings",
    *,
    as_json: bool,
) -> None:
    from forager.cli.outputs import ExportedAttempts
    from forager.learning.dataset.write import export_dataset
    from forager.learning.hub import model_directory

    if tokenizer is None:
        raise UsageError("--format policy, world and trace need --tokenizer MODEL")
    tokenizer = model_directory(tokenizer)
    if settings.kind == "trace":
        from forager.learning.dataset.traces import export_traces_as_dataset

        with Progress("traces") as progress:
            done = export_traces_as_dataset(runs, output, tokenizer, settings, progress.update)
    else:
        say_damage(runs)
        with Progress("attempts") as progress:
            done = export_dataset(
                runs, output, tokenizer, settings, lambda read, _: progress.update(read)
            )
    for reason, count in done.left_out.items():
        say(f"left out: {count:,} · {reason}")
    for note, count in done.notes.items():
        say(f"{count:,} {note}")
    if as_json:
        counts = {name: getattr(done, name) for name in ("samples", "tokens", "trained")}
        found = ExportedAttempts(output=str(output), **counts, left_out=done.left_out)
        print_json(found.model_dump())
        return
    if show:
        from forager.learning.dataset.show import shown

        for text in shown(output, tokenizer, show, colours=console().is_terminal):
            console().print(text, soft_wrap=True)
    share = done.trained / done.tokens
    echo(f"{output}\t{done.samples:,} samples\t{done.tokens:,} tokens\t{share:.1%} trained")


def _chosen(
    indexes: "list[Index]",
    choice: "Choice",
    limit: int | None,
    sample: int | None,
    seed: int,
) -> "list[Places[int]]":
    """The places of the chosen attempts in each run."""
    from forager.trajectories.index import sample as draw

    if sample is not None:
        return draw(indexes, sample, seed, choice)
    chosen = []
    for index in indexes:
        chosen.append(index.places(choice, limit=limit))
        limit = None if limit is None else limit - len(chosen[-1])
    return chosen


def _counted(attempts: "Iterable[Trajectory]", progress: Progress) -> "Iterator[Trajectory]":
    for done, attempt in enumerate(attempts, 1):
        yield attempt
        progress.update(done)
