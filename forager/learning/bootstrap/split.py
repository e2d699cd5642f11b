"""Tasks to learn from and tasks held out: nothing that is held out is ever trained on."""

import random
from collections.abc import Sequence
from typing import Literal

from forager.environments.task import Task
from forager.errors import UsageError
from forager.records import Record

By = Literal["function", "repository"]


class Split(Record):
    """The names of the tasks on both sides; `straddling` lie on both and are left out."""

    by: By
    training: list[str]
    held_out: list[str]
    straddling: list[str]


def split(tasks: Sequence[Task], *, by: By, held_out: int, seed: int) -> Split:
    """Hold out whole functions, or repositories, until they hold so many tasks.

    A task whose bugs lie in functions of both sides is left out. Raises UsageError where nothing
    would be left to learn from.
    """
    places = {task.instance_id: frozenset(places_of(task, by)) for task in tasks}
    names = sorted({place for each in places.values() for place in each})
    random.Random(seed).shuffle(names)
    apart: set[str] = set()
    out: list[str] = []
    for name in names:
        if len(out) >= held_out:
            break
        apart.add(name)
        out = [task for task, each in places.items() if each <= apart]
    training = [task for task, each in places.items() if not each & apart]
    if len(out) < held_out or not training:
        raise UsageError(
            f"{len(tasks)} tasks of {len(names)} {_PLURAL[by]} cannot be split so that {held_out} "
            "are held out and some are left to learn from; make more tasks, or hold out fewer"
        )
    straddling = [task for task, each in places.items() if each & apart and not each <= apart]
    return Split(by=by, training=training, held_out=out, straddling=straddling)


_PLURAL = {"function": "functions", "repository": "repositories"}


def clusters(tasks: Sequence[Task], by: By) -> dict[str, str]:
    """What each task belongs to, for intervals: where all are of one repository, its functions."""
    one = len({task.labels.repository for task in tasks}) == 1
    return {
        task.instance_id: " ".join(places_of(task, "function" if one else by)) for task in tasks
    }


def places_of(task: Task, by: By = "function") -> list[str]:
    """What a task is about: its repository, or what its labels name, such as functions."""
    if by == "repository":
        return [task.labels.repository]
    return task.labels.functions or [task.instance_id]
