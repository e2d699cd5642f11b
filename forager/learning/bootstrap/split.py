"""Splits tasks into training and held-out tasks."""

import random
from collections.abc import Sequence
from typing import Literal

from forager.environments.task import Task
from forager.errors import UsageError
from forager.records import Record

By = Literal["function", "repository"]

SPLIT = "split.json"
"""The file of the split in the directory of a bootstrap."""


class Split(Record):
    """Ids of training and held-out tasks; `straddling` tasks have bugs on both sides."""

    by: By
    training: list[str]
    held_out: list[str]
    straddling: list[str]


def split(tasks: Sequence[Task], *, by: By, held_out: int, seed: int) -> Split:
    """Hold out whole functions or repositories until they have `held_out` tasks.

    A task with bugs in functions of both sides is in neither. Raises UsageError if no training
    task would be left.
    """
    places = {task.instance_id: frozenset(places_of(task, by)) for task in tasks}
    names = sorted({place for of_task in places.values() for place in of_task})
    random.Random(seed).shuffle(names)
    apart: set[str] = set()
    out: list[str] = []
    for name in names:
        if len(out) >= held_out:
            break
        apart.add(name)
        out = [task for task, at in places.items() if at <= apart]
    training = [task for task, at in places.items() if not at & apart]
    if len(out) < held_out or not training:
        raise UsageError(
            f"cannot hold out {held_out} of {len(tasks)} tasks of {len(names)} {_PLURAL[by]} and "
            "keep some for training; make more tasks, or hold out fewer"
        )
    straddling = [task for task, at in places.items() if at & apart and not at <= apart]
    return Split(by=by, training=training, held_out=out, straddling=straddling)


_PLURAL = {"function": "functions", "repository": "repositories"}


def clusters(tasks: Sequence[Task], by: By) -> dict[str, str]:
    """The cluster of each task, for intervals; within a single repository, its functions."""
    alone = len({task.labels.repository for task in tasks}) == 1
    return {
        task.instance_id: " ".join(places_of(task, "function" if alone else by)) for task in tasks
    }


def places_of(task: Task, by: By = "function") -> list[str]:
    """The places of a task: its repository, or the functions that its labels name."""
    if by == "repository":
        return [task.labels.repository]
    return task.labels.functions or [task.instance_id]
