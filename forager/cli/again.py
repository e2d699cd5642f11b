"""Attempts repeated and continued: `replay --execute` and `--take-over`, `run --branch-from`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli.batch import make_all, raise_failures, terminable
from forager.cli.console import console, echo, print_json, print_table, say
from forager.cli.derived import Derived, setting
from forager.cli.screens import interactive
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.agent.model import Model
    from forager.agent.tool import Toolbox
    from forager.cli.progress import Progress
    from forager.environments.task import Task
    from forager.rollout.sandboxes import SandboxWatcher
    from forager.rollout.settings import Branch, RunSettings
    from forager.rollout.worker import Job
    from forager.trajectories.index import Index
    from forager.trajectories.record import Trajectory

TAKE_OVER = Derived(
    "forager.rollout.settings:RunSettings",
    {
        "Take over": [
            setting("urls", "--url", metavar="URL"),
            "api",
            setting("key_env", metavar="NAME"),
        ]
    },
)
"""The options that say where a model answers that takes over an attempt."""

PERSON = "person"
"""The model name of the person at the keyboard."""


def execute_attempts(
    source: Path,
    ids: list[str],
    tasks: "Mapping[str, Task]",
    opened: "Callable[[], Index]",
    workers: int,
    *,
    anew: bool,
    as_json: bool,
) -> None:
    """Execute recorded attempts again and print how they compare.

    An attempt that was executed before is left out, unless `anew`.
    """
    from forager.rollout.execution import ReproductionLog, execute
    from forager.rollout.sandboxes import Sandboxes
    from forager.sandboxes.kinds import sandbox_kind
    from forager.trajectories.reproduction import compare, result_tables
    from tools import load_toolbox

    results, toolbox = ReproductionLog(source), load_toolbox()
    kind = _sandbox_of(source)
    sandboxes = Sandboxes(sandbox_kind(kind))

    def execute_one(id: str, _: "Progress") -> None:
        with opened() as index:
            recorded = index.get(id)
        task = _task_of(recorded, tasks, source)
        results.keep(compare(recorded, execute(recorded, task, kind, toolbox, sandboxes)))

    known = results.read()
    todo = [id for id in ids if anew or id not in known]
    try:
        with terminable():
            made = make_all("executions", todo, execute_one, workers)
    finally:
        sandboxes.close()
        known = results.read()
        found = [known[id] for id in ids if id in known]
        if as_json:
            print_json([result.model_dump() for result in found])
        else:
            for table in result_tables(found):
                print_table(table)
    raise_failures(made)


def take_over(
    source: Path,
    recorded: "Trajectory",
    tasks: "Mapping[str, Task]",
    turn: int,
    output: Path,
    params: Mapping[str, Any],
) -> None:
    """Continue a recorded attempt from a turn, grade the new attempt, and add it to `output`."""
    from forager.rollout.again import parent_of
    from forager.rollout.attempt import make_attempt
    from forager.rollout.sandboxes import SandboxWatcher
    from forager.rollout.settings import MAY_CHANGE
    from forager.rollout.worker import Job
    from forager.sandboxes.kinds import sandbox_kind
    from forager.trajectories.choice import Choice
    from forager.trajectories.store import Run
    from tools import load_toolbox

    parent = parent_of(source, recorded, turn)
    task, toolbox = _task_of(recorded, tasks, source), load_toolbox()
    settings = _settings(source, recorded, params)
    opened = SandboxWatcher(sandbox_kind(settings.sandbox))
    with terminable(), Run.write(output, settings, [task], may_change=MAY_CHANGE) as store:
        with store.index() as index:
            places = index.places(Choice(instance_id=task.instance_id))
            number = max((made.attempt for made in index.summaries(places)), default=-1) + 1
        model = _model(settings, toolbox, Job(task, number), opened)
        say(f"repeating {turn - 1} turns of {recorded.id}")
        made = make_attempt(task, number, settings, model, toolbox, opened, parent=parent)
        store.append(made)
    echo(f"{made.outcome.verdict}, ended by {made.outcome.exit_reason}: {output / made.id}")


def read_branch(params: Mapping[str, Any], syntax: str) -> "Branch | None":
    """The attempts that a run continues; they must be of the same syntax. Raises UsageError."""
    from forager.rollout.settings import FAILURE, MIDDLE, Branch
    from forager.trajectories.store import Run

    turn, path = params["branch_turn"], params["branch_from"]
    if path is None:
        if params["tags"] or params["resolved"] is not None or turn != MIDDLE:
            raise UsageError(
                "--branch-turn, --tag, --resolved and --unresolved need --branch-from RUN"
            )
        return None
    if turn not in (MIDDLE, FAILURE) and not (turn.isdecimal() and int(turn)):
        raise UsageError(f"--branch-turn is a number from 1, middle or failure, not {turn!r}")
    written = Run(path).settings().get("syntax", syntax)
    if written != syntax:
        raise UsageError(f"{path} writes calls as {written}: give --syntax {written}")
    chosen = {"resolved": params["resolved"], "tags": params["tags"]}
    return Branch(run=str(path.resolve()), turn=turn, **chosen)


def with_parents(tasks: "list[Task]", branch: "Branch") -> "list[Task]":
    """The tasks that have an attempt to continue. Raises UsageError."""
    from forager.rollout.again import Parents

    there = Parents(branch).tasks()
    chosen = [task for task in tasks if task.instance_id in there]
    if len(chosen) < len(tasks):
        say(f"leaving out {len(tasks) - len(chosen)} tasks without such an attempt in {branch.run}")
    if not chosen:
        raise UsageError(
            f"{branch.run} has no such attempt at any of the tasks; give another --branch-from"
        )
    return chosen


def _settings(source: Path, recorded: "Trajectory", params: Mapping[str, Any]) -> "RunSettings":
    """The settings of the recorded attempt, with the model that takes over."""
    from forager.cli.models import endpoints
    from forager.rollout.execution import settings_of
    from forager.rollout.settings import Branch
    from forager.trajectories.record import Sampling

    name = params["model"] or PERSON
    if name == PERSON and not interactive():
        raise UsageError("there is no terminal to type calls in; give -m MODEL to take over")
    given = TAKE_OVER.given(params)
    return settings_of(recorded, _sandbox_of(source)).model_copy(
        update={
            **given,
            "models": [name],
            "urls": [] if name == PERSON else endpoints([name], given.get("urls", [])),
            "sampling": Sampling(),
            "branch": Branch(run=str(source.resolve())),
        }
    )


def _model(
    settings: "RunSettings", toolbox: "Toolbox", job: "Job", opened: "SandboxWatcher"
) -> "Model":
    if settings.models == [PERSON]:
        from forager.agent.person import Person
        from forager.agent.syntax import SYNTAXES

        syntax = SYNTAXES[settings.syntax]
        return Person(syntax, toolbox, opened.paths, click.edit, console())
    from forager.cli.models import MakeModel
    from forager.rollout.meter import Meter

    make = MakeModel(settings, toolbox)
    return make(job, Meter(settings.budget))


def _sandbox_of(source: Path) -> str:
    """The sandbox of a run; a file of attempts has none and uses Docker."""
    from forager.trajectories.store import Run

    return str(Run(source).settings().get("sandbox", "docker")) if source.is_dir() else "docker"


def _task_of(recorded: "Trajectory", tasks: "Mapping[str, Task]", source: Path) -> "Task":
    task = tasks.get(recorded.instance_id)
    if task is None:
        place = (source if source.is_dir() else source.parent) / "tasks.jsonl"
        raise UsageError(f"{place} lacks the task {recorded.instance_id}; add it to that file")
    return task
