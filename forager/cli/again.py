"""Attempts made again: `forager replay --execute`, `--take-over`; `forager run --branch-from`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli.batch import make_all, raise_failures, terminable
from forager.cli.console import console, print_json, print_table, say
from forager.cli.screens import interactive
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.agent.model import Model
    from forager.agent.tool import Toolbox
    from forager.cli.progress import Progress
    from forager.environments.task import Task
    from forager.rollout.sandboxes import Watched
    from forager.rollout.settings import Branch, RunSettings
    from forager.rollout.worker import Job
    from forager.trajectories.index import Index
    from forager.trajectories.record import Trajectory

PERSON = "person"
"""The name of the model that is the person at the keyboard."""


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
    """Run the attempts again that were not yet (`anew`: all), and print what came of them."""
    from forager.rollout.execution import Results, execute
    from forager.rollout.sandboxes import Sandboxes
    from forager.sandboxes.kinds import SANDBOXES
    from forager.trajectories.reproduction import compare, result_tables
    from tools import load_toolbox

    results, toolbox = Results(source), load_toolbox()
    kind = _sandbox_of(source)
    sandboxes = Sandboxes(SANDBOXES[kind])

    def one(id: str, _: "Progress") -> None:
        with opened() as index:
            recorded = index.get(id)
        task = _task_of(recorded, tasks, source)
        results.keep(compare(recorded, execute(recorded, task, kind, toolbox, sandboxes)))

    known = results.read()
    todo = [id for id in ids if anew or id not in known]
    try:
        with terminable():
            made = make_all("executions", todo, one, workers)
    finally:
        sandboxes.close()
        known = results.read()
        found = [known[id] for id in ids if id in known]
        if as_json:
            print_json([one.model_dump() for one in found])
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
    given: dict[str, Any],
) -> None:
    """Make an attempt that goes on from a turn of another, grade it and keep it in `output`."""
    from forager.rollout.again import parent_of
    from forager.rollout.attempt import make_attempt
    from forager.rollout.sandboxes import Watched
    from forager.rollout.settings import MAY_CHANGE
    from forager.rollout.worker import Job
    from forager.sandboxes.kinds import SANDBOXES
    from forager.trajectories.choice import Choice
    from forager.trajectories.store import Run
    from tools import load_toolbox

    parent = parent_of(source, recorded, turn)
    task, toolbox = _task_of(recorded, tasks, source), load_toolbox()
    settings = _settings(source, recorded, given)
    opened = Watched(SANDBOXES[settings.sandbox])
    with terminable(), Run.write(output, settings, [task], may_change=MAY_CHANGE) as store:
        with store.index() as index:
            places = index.places(Choice(instance_id=task.instance_id))
            number = max((one.attempt for one in index.summaries(places)), default=-1) + 1
        model = _model(settings, toolbox, Job(task, number), opened)
        say(f"making {turn - 1} turns of {recorded.id} again")
        made = make_attempt(task, number, settings, model, toolbox, opened, parent=parent)
        store.append(made)
    word = "resolved" if made.outcome.resolved else "not resolved"
    click.echo(f"{word}, ended by {made.outcome.exit_reason}: {output / made.id}")


def read_branch(given: dict[str, Any]) -> "Branch | None":
    """What a run goes on from; the other run has to be of the same syntax. Raises UsageError."""
    from forager.rollout.settings import FAILURE, MIDDLE, Branch
    from forager.trajectories.store import Run

    turn, path = given["branch_turn"], given["branch_from"]
    if path is None:
        if given["tags"] or given["resolved"] is not None:
            raise UsageError("--tag, --resolved and --unresolved choose attempts of --branch-from")
        return None
    if turn not in (MIDDLE, FAILURE) and not (turn.isdecimal() and int(turn)):
        raise UsageError(f"--branch-turn is a number from 1, middle or failure, not {turn!r}")
    syntax = Run(path).settings().get("syntax", given["syntax"])
    if syntax != given["syntax"]:
        raise UsageError(f"{path} writes calls as {syntax}: give --syntax {syntax}")
    chosen = {"resolved": given["resolved"], "tags": given["tags"]}
    return Branch(run=str(path.resolve()), turn=turn, **chosen)


def with_parents(tasks: "list[Task]", branch: "Branch") -> "list[Task]":
    """The tasks at which there is an attempt to go on from. Raises UsageError."""
    from forager.rollout.again import Parents

    there = Parents(branch).tasks()
    chosen = [task for task in tasks if task.instance_id in there]
    if len(chosen) < len(tasks):
        say(f"{len(tasks) - len(chosen)} tasks have no such attempt in {branch.run}: left out")
    if not chosen:
        raise UsageError(f"{branch.run} holds no such attempt at any of the tasks")
    return chosen


def _settings(source: Path, recorded: "Trajectory", given: dict[str, Any]) -> "RunSettings":
    """Those of the attempt, with who goes on."""
    from forager.cli.models import endpoints
    from forager.rollout.execution import settings_of
    from forager.rollout.settings import Branch
    from forager.trajectories.record import Sampling

    name = given["model"] or PERSON
    if name == PERSON and not interactive():
        raise UsageError("there is no terminal to type calls in; -m MODEL lets a model take over")
    return settings_of(recorded, _sandbox_of(source)).model_copy(
        update={
            "models": [name],
            "urls": [] if name == PERSON else endpoints([name], given["urls"]),
            "key_env": given["key_env"],
            "sampling": Sampling(),
            "branch": Branch(run=str(source.resolve())),
        }
    )


def _model(settings: "RunSettings", toolbox: "Toolbox", job: "Job", opened: "Watched") -> "Model":
    if settings.models == [PERSON]:
        from forager.agent.person import Person
        from forager.agent.syntax import SYNTAXES

        syntax = SYNTAXES[settings.syntax]
        return Person(syntax, toolbox, opened.paths, click.edit, console())
    from forager.cli.models import MakeModel
    from forager.rollout.meter import Meter

    make = MakeModel(settings, toolbox, os.environ.get(settings.key_env, ""))
    return make(job, Meter(settings.budget))


def _sandbox_of(source: Path) -> str:
    """Where the commands of a run ran; those of a file of attempts run in Docker."""
    from forager.trajectories.store import Run

    return str(Run(source).settings().get("sandbox", "docker")) if source.is_dir() else "docker"


def _task_of(recorded: "Trajectory", tasks: "Mapping[str, Task]", source: Path) -> "Task":
    task = tasks.get(recorded.instance_id)
    if task is None:
        place = (source if source.is_dir() else source.parent) / "tasks.jsonl"
        raise UsageError(f"the task {recorded.instance_id} is not in {place}, which is needed")
    return task
