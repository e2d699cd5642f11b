"""Runs made for tests of filters, and helpers that filter them."""

import shutil
from pathlib import Path
from typing import Any

from attempts import Settings, make_task

from forager.learning.filters import FILTERS
from forager.learning.filters.kept import Filtering, filter_runs
from forager.learning.filters.pipeline import FilterChoice, FilterContext
from forager.trajectories.record import Outcome, Trajectory
from forager.trajectories.store import Run
from tools import TOOLBOX

RECORDED = Path(__file__).parent / "data" / "replay" / "run"  # real attempts of `repair`


def recorded(tmp_path: Path) -> Path:
    """Copy the recorded attempts, because reading a run writes an index next to it."""
    return Path(shutil.copytree(RECORDED, tmp_path / "recorded", dirs_exist_ok=True))


def write_run(path: Path, attempts: list[Trajectory], **task: Any) -> Path:
    """Write a run of these attempts."""
    names = dict.fromkeys(attempt.instance_id for attempt in attempts)
    with Run.write(path, Settings(), [make_task(name, **task) for name in names]) as writer:
        for attempt in attempts:
            writer.append(attempt)
    return path


def filtered(
    runs: Path | list[Path], kept: Path, *filters: str | FilterChoice, contaminated: str = "-"
) -> Filtering:
    """Filter runs into `kept`; return the counts."""
    chosen = [FilterChoice(name=name) if isinstance(name, str) else name for name in filters]
    context = FilterContext(
        toolbox=TOOLBOX, contaminated=lambda name: "listed" * (name == contaminated)
    )
    sources = runs if isinstance(runs, list) else [runs]
    return filter_runs(sources, kept, chosen, FILTERS, context)


def choice(name: str, **settings: Any) -> FilterChoice:
    """Return a filter with settings."""
    return FilterChoice(name=name, settings=settings)


def ids(run: Path) -> list[str]:
    """Return the ids of a run's attempts."""
    return [attempt.id for attempt in Run(run).trajectories()]


def changed(attempt: Trajectory, **update: Any) -> Trajectory:
    """Return the attempt with other fields."""
    return attempt.model_copy(update=update)


def with_outcome(attempt: Trajectory, **update: Any) -> Trajectory:
    """Return the attempt with another outcome."""
    return changed(attempt, outcome=Outcome(**{**dict(attempt.outcome), **update}))
