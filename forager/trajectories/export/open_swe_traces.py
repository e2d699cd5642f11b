"""The columns of Open-SWE-Traces on the Hub: one row per attempt, with its project's licence.

`resolved` is 1 or 0. `metadata` holds what else is known: the model, the answer, the reference
patch where the run has the task, how the attempt ended, and what makes it suspect.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.trajectories.export import AttemptOrigin, needed
from forager.trajectories.export.dataset_files import DatasetFacts, write_data_set
from forager.trajectories.export.parquet import grouped, message_row, message_type
from forager.trajectories.record import Trajectory

if TYPE_CHECKING:
    import pyarrow

_COLUMNS = """\
Those of nvidia/Open-SWE-Traces: `instance_id`, `repo`, `license`, `language`, `trajectory_id`,
`messages`, `tools` (each as JSON), `resolved` (1 or 0), `metadata` and `hf_dataset_name`."""
_TEXTS = ("category", "environment", "teacher_model", "model_patch", "reference_patch")
_MORE = ("exit_reason", "cause", "suspect", "sampling", "version")


def write(attempts: Iterable[Trajectory], target: Path, origin: AttemptOrigin) -> int:
    """Write a directory; return the number of rows. Raises UsageError if pyarrow is missing."""
    facts, schema = DatasetFacts(origin), _schema()
    rows = grouped(_rows(facts.of(attempts), origin), schema)
    title = "Attempts in the columns of Open-SWE-Traces"
    return write_data_set(target, rows, schema, facts, title, _COLUMNS)


def _schema() -> "pyarrow.Schema":
    with needed("pyarrow"):
        import pyarrow as pa
    names = ("instance_id", "repo", "license", "language", "trajectory_id")
    metadata = {**dict.fromkeys((*_TEXTS, *_MORE), pa.string()), "reward": pa.float64()}
    return pa.schema(
        {
            **dict.fromkeys(names, pa.string()),
            "messages": pa.list_(message_type()),
            "tools": pa.list_(pa.string()),
            "resolved": pa.int32(),
            "metadata": pa.struct(metadata),
            "hf_dataset_name": pa.string(),
        }
    )


def _rows(attempts: Iterable[Trajectory], origin: AttemptOrigin) -> Iterator[dict[str, Any]]:
    for attempt in attempts:
        task = origin.tasks.get(attempt.instance_id)
        outcome = attempt.outcome
        yield {
            "instance_id": attempt.instance_id,
            "repo": attempt.repo,
            "license": task.licence if task else "",
            "language": "python",
            "trajectory_id": attempt.id,
            "messages": [message_row(message) for message in attempt.messages],
            "tools": list(map(json.dumps, attempt.tools)),
            "resolved": int(outcome.resolved),
            "metadata": {
                "category": attempt.kind,
                "environment": attempt.environment,
                "teacher_model": attempt.model,
                "model_patch": outcome.answer,
                "reference_patch": str(getattr(task, "patch", "")),
                "exit_reason": outcome.exit_reason,
                "cause": outcome.cause,
                "suspect": "; ".join(outcome.suspect),
                "sampling": attempt.sampling.model_dump_json(),
                "version": attempt.version,
                "reward": outcome.reward,
            },
            "hf_dataset_name": "",
        }
