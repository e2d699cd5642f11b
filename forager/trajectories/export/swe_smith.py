"""The columns of SWE-smith's trajectories on the Hub, with its text form of calls.

`messages` hold a role and a text. A call is text, as in SWE-agent's `xml_function_calling`:
`<function=bash>` with `<parameter=command>`; an observation is a message of the user. Reasoning is
left out, because the form has no place for it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.trajectories.export import AttemptOrigin, needed
from forager.trajectories.export.dataset_files import DatasetFacts, write_data_set
from forager.trajectories.export.parquet import grouped
from forager.trajectories.record import Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import opening, steps

if TYPE_CHECKING:
    import pyarrow

_COLUMNS = """\
Those of SWE-bench/SWE-smith-trajectories: `messages` (role and content; calls are text),
`instance_id`, `resolved`, `model`, `traj_id` and `patch`."""


def write(attempts: Iterable[Trajectory], target: Path, origin: AttemptOrigin) -> int:
    """Write a directory; return the number of rows. Raises UsageError if pyarrow is missing."""
    facts, schema = DatasetFacts(origin), _schema()
    rows = grouped(map(_row, facts.of(attempts)), schema)
    return write_data_set(target, rows, schema, facts, "Attempts in SWE-smith's columns", _COLUMNS)


def _schema() -> "pyarrow.Schema":
    with needed("pyarrow"):
        import pyarrow as pa
    message = pa.struct({"content": pa.string(), "role": pa.string()})
    texts = dict.fromkeys(("model", "traj_id", "patch"), pa.string())
    return pa.schema(
        {
            "messages": pa.list_(message),
            "instance_id": pa.string(),
            "resolved": pa.bool_(),
            **texts,
        }
    )


def _row(attempt: Trajectory) -> dict[str, Any]:
    return {
        "messages": list(_messages(attempt)),
        "instance_id": attempt.instance_id,
        "resolved": attempt.outcome.resolved,
        "model": attempt.model,
        "traj_id": attempt.id,
        "patch": attempt.outcome.answer,
    }


def _messages(attempt: Trajectory) -> Iterable[dict[str, str]]:
    for message in opening(attempt):
        yield {"role": str(message["role"]), "content": text_of(message)}
    for step in steps(attempt):
        text = text_of(step.message)
        if step.call and step.call.tool and step.message.get("tool_calls"):
            text = f"{text}\n\n{_call(step.call.tool, step.call.arguments)}".strip()
        yield {"role": "assistant", "content": text}
        for observation in step.observations:
            yield {"role": "user", "content": text_of(observation)}


def _call(tool: str, arguments: dict[str, str]) -> str:
    lines = [f"<parameter={name}>{value}</parameter>" for name, value in arguments.items()]
    return "\n".join([f"<function={tool}>", *lines, "</function>"])
