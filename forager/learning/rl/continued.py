"""A run that goes on from a bootstrap: its last model, its split, and its rounds in the report.

continued(directory)   what the bootstrap gives the settings of the run
of_split(tasks, …)     the tasks that the bootstrap trained on, or held out
rounds_of(directory)   the pass rates of its models on the held-out tasks
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from forager.config import resolve_settings, saved_settings
from forager.environments.task import Task
from forager.errors import UsageError
from forager.learning.bootstrap.manifest import Evaluation, Round, success_by_task
from forager.learning.bootstrap.settings import BootstrapSettings
from forager.learning.bootstrap.split import SPLIT, Split
from forager.learning.saved import load
from forager.trajectories.store import Run, is_run

DECIDED = {"models", "urls", "api", "attempts", "token_ids", "stop_after", "branch"}
"""Settings of attempts that the run decides itself."""
_LEFT_OUT = DECIDED | {"executor", "address"}  # nodes of a cluster need servers of their own
_OF_THE_POLICY = ("temperature", "top_p", "seed", "extra_body")


def continued(directory: Path) -> dict[str, Any]:
    """Base, tasks, attempts, evaluation and servers as in the bootstrap. Raises UsageError."""
    known = resolve_settings(BootstrapSettings, saved_settings(directory), f"{directory}: ")
    evaluated = known.run_settings("evaluate", "policy", [])
    return {
        "base": _current(directory),
        "tasks": known.tasks,
        "rollout": _attempts(known.rollout),
        "evaluate": {
            "tasks": known.tasks,
            "attempts": evaluated.attempts,
            "temperature": evaluated.sampling.temperature,
            "rollout": _attempts(known.evaluate),
        },
        "serve": known.serve.model_dump(exclude_defaults=True),
    }


def _current(directory: Path) -> str:
    """The model that the last round left. Raises UsageError."""
    last = load(_manifest(directory, _rounds(directory) - 1), Round)
    found = last.current if last else load(directory / "base" / "evaluated.json", Evaluation)
    if found is None:
        raise UsageError(f"{directory} is no bootstrap whose base was evaluated; run it first")
    return found.model.path


def _attempts(given: dict[str, Any]) -> dict[str, Any]:
    """Settings of attempts, without what the run decides."""
    kept = {name: value for name, value in given.items() if name not in _LEFT_OUT}
    sampling: dict[str, Any] = kept.pop("sampling", {})
    sampling = {name: value for name, value in sampling.items() if name not in _OF_THE_POLICY}
    return kept | ({"sampling": sampling} if sampling else {})


def of_split(
    tasks: Sequence[Task], directory: Path, part: Literal["training", "held_out"]
) -> list[Task]:
    """The tasks of one part of a bootstrap's split. Raises UsageError."""
    path = directory / SPLIT
    split = load(path, Split)
    if split is None:
        raise UsageError(f"there is no {path}; `after` names the directory of a bootstrap")
    named = {task.instance_id: task for task in tasks}
    names: list[str] = getattr(split, part)
    if missing := set(names) - named.keys():
        raise UsageError(f"the tasks lack {min(missing)}, which {path} names")
    return [named[name] for name in names]


def rounds_of(directory: Path) -> dict[str, dict[str, float]]:
    """The pass rate of each held-out task, by the name of the model: base, round-0, …"""
    found = {}
    for name in ("base", *(f"round-{number}" for number in range(_rounds(directory)))):
        run = directory / name / "evaluation"
        if is_run(run) and (rates := success_by_task(Run(run))):
            found[name] = rates
    return found


def _rounds(directory: Path) -> int:
    """How many rounds are over."""
    number = 0
    while _manifest(directory, number).is_file():
        number += 1
    return number


def _manifest(directory: Path, number: int) -> Path:
    return directory / f"round-{number}" / "manifest.json"
