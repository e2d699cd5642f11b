"""Runs and files of attempts as the arguments of verbs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.console import say
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from forager.trajectories.index import Index
    from forager.trajectories.record import Usage


def _once(_: click.Context, __: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Each path once: attempts that are counted twice make an interval too narrow."""
    found: dict[Path, Path] = {}
    for path in paths:
        if found.setdefault(path.resolve(), path) is not path:
            say(f"{path} is given twice, and counts once")
    return tuple(found.values())


run_argument = click.argument("run", metavar="RUN", type=options.PATH)
runs_argument = click.argument(
    "runs", metavar="RUN…", nargs=-1, required=True, type=options.PATH, callback=_once
)


def open_attempts(path: Path, *, accept_suspect: bool = False) -> "Index":
    """The attempts of a RUN or a FILE. Raises UsageError."""
    source, id = locate(path)
    if id:
        raise UsageError(f"{path} is not a run; give {path.parent}")
    return open_source(source, accept_suspect=accept_suspect)


def opened(paths: "Iterable[Path]", *, accept_suspect: bool = False) -> "Iterator[Index]":
    """The attempts of each path, opened one after the other."""
    for path in paths:
        with open_attempts(path, accept_suspect=accept_suspect) as index:
            yield index


def open_source(source: Path, *, accept_suspect: bool = False) -> "Index":
    """The attempts of a run or of a file; prints what is damaged in them."""
    from forager.trajectories.store import open_index

    def on_damage(path: Path, offset: int) -> None:
        say(f"left out an attempt that is damaged, at byte {offset:,} of {path}")

    index = open_index(source, accept_suspect=accept_suspect, on_damage=on_damage)
    if text := _damage(index, source):
        say(text)
    return index


def say_damage(paths: "Iterable[Path]") -> None:
    """Print what is damaged in runs that another part of forager opens."""
    for _ in opened(paths):
        pass


def _damage(index: "Index", source: Path) -> str:
    """What is damaged, and the remedy, in one line; nothing if all is well."""
    damaged, lost = index.damaged(), index.lost()
    skipped = [f"skipped {count:,} damaged bytes of {path}" for path, count in damaged]
    if lost:
        few = ", ".join(lost[:3]) + (", …" if len(lost) > 3 else "")
        skipped.append(f"{len(lost):,} attempts are lost ({few})")
    remedy = f"the command that made {source} makes the missing attempts again"
    return "; ".join([*skipped, remedy]) if skipped else ""


def locate(path: Path) -> tuple[Path, str]:
    """Split a path into the run (or file of attempts) and the id that may follow it."""
    from forager.trajectories.store import Run

    if path.is_dir():
        return Run(path).path, ""
    if path.exists():
        return path, ""
    parent = path.parent
    if parent.is_file() or (parent / "settings.json").is_file():
        return parent, path.name
    raise UsageError(f"{path} is not a run, an attempt of a run, or a file of attempts")


def cost_of(run: Path) -> "Callable[[str, Usage], float] | None":
    """The cost of a model's tokens by the prices of the run's budget; None without prices."""
    from forager.rollout.settings import Budget, Price
    from forager.trajectories.store import Run

    if not run.is_dir():
        return None
    prices = Budget.model_validate(Run(run).settings().get("budget", {})).prices
    return (lambda model, usage: prices.get(model, Price()).of(usage)) if prices else None
