"""SWE-bench's predictions: TARGET/<attempt>.jsonl, which `swebench` evaluates.

Its harness takes one prediction an instance, so each attempt number is a file of its own, to be
evaluated under a run id of its own.
"""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from forager.atomic import new_directory
from forager.errors import UsageError
from forager.trajectories.record import Trajectory


def write(attempts: Iterable[Trajectory], target: Path) -> int:
    """Write a directory with a file an attempt number."""
    files: dict[int, TextIO] = {}
    written: set[tuple[int, str]] = set()
    with new_directory(target) as part, ExitStack() as stack:
        for one in attempts:
            if (one.attempt, one.instance_id) in written:
                raise UsageError(
                    f"{one.instance_id} has two attempts {one.attempt}; export the runs one by one"
                )
            written.add((one.attempt, one.instance_id))
            if one.attempt not in files:
                path = part / f"{one.attempt}.jsonl"
                files[one.attempt] = stack.enter_context(path.open("w", encoding="utf-8"))
            print(json.dumps(prediction(one), ensure_ascii=False), file=files[one.attempt])
    return len(written)


def prediction(one: Trajectory) -> dict[str, str]:
    """What SWE-bench's evaluation reads of an attempt."""
    return {
        "instance_id": one.instance_id,
        "model_name_or_path": one.model,
        "model_patch": one.outcome.answer,
    }
