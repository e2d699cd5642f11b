"""What `forager export` does with each kind of format."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.cli.console import console, echo, print_json, say
from forager.cli.progress import Progress
from forager.cli.runs import open_attempts, say_damage
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forager.learning.dataset import DatasetSettings
    from forager.trajectories.choice import Choice
    from forager.trajectories.export import AttemptOrigin
    from forager.trajectories.index import Index, Places
    from forager.trajectories.record import Trajectory


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of the verb; formats take those that concern them."""

    resolved: bool | None
    accept_suspect: bool
    limit: int | None
    sample: int | None
    seed: int
    show: int | None
    as_json: bool
    step_in: float
    depth: int
    loss: Any
    view: str
    registry: str
    from_recipe: bool
    push: str
    public: bool


def check(format: str, asked: ExportOptions) -> None:
    """Raise UsageError for options that do not go together."""
    from forager.trajectories.export import DATA_SETS
    from forager.trajectories.export.pushing import check_name

    if asked.push and format not in DATA_SETS:
        raise UsageError(f"--push needs --format {', '.join(DATA_SETS)}")
    if asked.push:
        check_name(asked.push)
    if asked.public and not asked.push:
        raise UsageError("--public needs --push")
    if (asked.registry or asked.from_recipe) and format != "harbor":
        raise UsageError("--registry and --from-recipe need --format harbor")
    if asked.limit is not None and asked.sample is not None:
        raise UsageError("--limit takes the first attempts, --sample any; give one of them")


def refuse_options(asked: ExportOptions, what: str, *names: str) -> None:
    """Raise UsageError if one of these options is given, which tasks or traces have not."""
    for name in names:
        value = getattr(asked, name)
        option = "unresolved" if name == "resolved" and value is False else name.replace("_", "-")
        if value or option == "unresolved":
            raise UsageError(f"--{option} chooses among attempts, not {what}; leave it out")


def export_attempts(
    runs: tuple[Path, ...], output: Path, format: str, asked: ExportOptions
) -> None:
    """Write attempts, and upload them if asked to."""
    from forager.trajectories.choice import Choice
    from forager.trajectories.export import writer
    from forager.trajectories.export.pushing import push

    write = writer(format, _origin(runs, asked))
    with ExitStack() as stack:
        indexes = [
            stack.enter_context(open_attempts(run, accept_suspect=asked.accept_suspect))
            for run in runs
        ]
        chosen = _chosen(indexes, Choice(resolved=asked.resolved), asked)
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
    pushed = push(output, asked.push, public=asked.public) if asked.push else ""
    text = f"{count:,} attempts" + (f"\t{pushed}" if pushed else "")
    _print(output, text, asked, attempts=count, pushed=pushed)


def _origin(runs: tuple[Path, ...], asked: ExportOptions) -> "AttemptOrigin":
    """The tasks of the runs, and how their attempts were chosen: by filters, then by options."""
    from forager.trajectories.export import AttemptOrigin
    from forager.trajectories.store import Run, tasks_of

    tasks, choices = {}, []
    for run in runs:
        tasks.update(tasks_of(run))
        filters = Run(run).settings().get("filters") if run.is_dir() else None
        choices += [f"filter `{_worded(choice)}` of {run.name}" for choice in filters or ()]
    options = {
        "resolved": asked.resolved,
        "limit": asked.limit,
        "sample": asked.sample,
        "seed": asked.sample and asked.seed,
        "accept_suspect": asked.accept_suspect,
    }
    named = [f"{name} = {value}" for name, value in options.items() if value not in (None, False)]
    return AttemptOrigin(tasks, [*dict.fromkeys(choices), *named])


def _worded(choice: Any) -> str:
    """A filter with its settings, as `--filter` takes it."""
    given = choice.get("settings") or {}
    settings = ",".join(f"{name}:{value}" for name, value in given.items())
    return f"{choice.get('name')}={settings}" if settings else str(choice.get("name"))


def export_tasks(files: tuple[Path, ...], output: Path, asked: ExportOptions) -> None:
    """Write tasks as Harbor's directories."""
    from itertools import chain, islice

    from forager.environments.task import Task
    from forager.records import read_records
    from tasks.harbor import export_harbor

    chosen = islice(chain.from_iterable(read_records(file, Task) for file in files), asked.limit)
    done = export_harbor(chosen, output, asked.registry, from_recipe=asked.from_recipe)
    _say_left_out(done.left_out)
    text = f"{done.tasks:,} tasks"
    _print(output, text, asked, tasks=done.tasks, left_out=done.left_out)


def export_traces(
    directories: tuple[Path, ...], output: Path, format: str, asked: ExportOptions
) -> None:
    """Write traces, as texts or as a table."""
    from forager.tracing.cutting import LONGEST, Cut
    from forager.tracing.export import TraceExport
    from forager.tracing.export import export_traces as write_traces
    from forager.tracing.tables import TABLES, write_table

    cut = Cut(step_in=asked.step_in, depth=asked.depth, seed=asked.seed, longest=LONGEST)
    chosen = TraceExport(cut, asked.loss, asked.limit, asked.sample)
    if format in TABLES:
        if asked.view == "output":
            raise UsageError("--view output is of --format trace; give cwm or compact")
        done = write_table(directories, output, format, asked.view, chosen)
    else:
        done = write_traces(directories, output, format, chosen)
    _say_left_out(done.left_out)
    text = f"{done.written:,} traces"
    _print(output, text, asked, traces=done.written, left_out=done.left_out)


def export_dataset(
    runs: tuple[Path, ...],
    output: Path,
    tokenizer: Path | None,
    settings: "DatasetSettings",
    asked: ExportOptions,
) -> None:
    """Write a data set of token ids."""
    from forager.learning.dataset.write import export_dataset as write_dataset
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
            done = write_dataset(
                runs, output, tokenizer, settings, lambda read, _: progress.update(read)
            )
    _say_left_out(done.left_out)
    for note, count in done.notes.items():
        say(f"{count:,} {note}")
    if asked.show and not asked.as_json:
        _show(output, tokenizer, asked.show)
    counts = {name: getattr(done, name) for name in ("samples", "tokens", "trained")}
    share = f"{done.trained / max(done.tokens, 1):.1%} trained"
    text = f"{done.samples:,} samples\t{done.tokens:,} tokens\t{share}"
    _print(output, text, asked, left_out=done.left_out, **counts)


def _show(output: Path, tokenizer: Path, count: int) -> None:
    """Print the first samples, with colours for the tokens with loss."""
    from forager.learning.dataset.show import shown

    for text in shown(output, tokenizer, count, colours=console().is_terminal):
        console().print(text, soft_wrap=True)


def _say_left_out(left_out: Mapping[str, int]) -> None:
    for reason, count in left_out.items():
        say(f"left out: {count:,} · {reason}")


def _print(output: Path, text: str, asked: ExportOptions, **found: Any) -> None:
    """Print what was written, in words or as JSON."""
    from forager.cli.outputs import ExportedAttempts

    if asked.as_json:
        print_json(ExportedAttempts(output=str(output), **found).model_dump())
    else:
        echo(f"{output}\t{text}")


def _chosen(indexes: "list[Index]", choice: "Choice", asked: ExportOptions) -> "list[Places[int]]":
    """The places of the chosen attempts in each run."""
    from forager.trajectories.index import sample as draw

    if asked.sample is not None:
        return draw(indexes, asked.sample, asked.seed, choice)
    chosen, limit = [], asked.limit
    for index in indexes:
        chosen.append(index.places(choice, limit=limit))
        limit = None if limit is None else limit - len(chosen[-1])
    return chosen


def _counted(attempts: "Iterable[Trajectory]", progress: Progress) -> "Iterator[Trajectory]":
    for done, attempt in enumerate(attempts, 1):
        yield attempt
        progress.update(done)
