"""SWE-bench's predictions: TARGET/<attempt>.jsonl, which `swebench` evaluates.

Its harness takes one prediction per instance, so each attempt number gets its own file. Evaluate
each file under its own run id.
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
    """Write a directory with one file per attempt number; return the number of predictions.

    Raises UsageError if two attempts share instance and number, as those of two runs can.
    """
    files: dict[int, TextIO] = {}
    written: set[tuple[int, str]] = set()
    with new_directory(target) as part, ExitStack() as stack:
        for attempt in attempts:
            if (attempt.attempt, attempt.instance_id) in written:
                raise UsageError(
                    f"{attempt.instance_id} has two attempts {attempt.attempt}; "
                    "export the runs one by one"
                )
            written.add((attempt.attempt, attempt.instance_id))
            if attempt.attempt not in files:
                path = part / f"{attempt.attempt}.jsonl"
                files[attempt.attempt] = stack.enter_context(path.open("w", encoding="utf-8"))
            print(json.dumps(prediction(attempt), ensure_ascii=False), file=files[attempt.attempt])
    return len(written)


def prediction(attempt: Trajectory) -> dict[str, str]:
    """Return the fields of an attempt that SWE-bench's evaluation reads."""
    return {
        "instance_id": attempt.instance_id,
        "model_name_or_path": attempt.model,
        "model_patch": attempt.outcome.answer,
    }
