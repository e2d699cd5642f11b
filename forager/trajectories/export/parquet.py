"""Parquet: one row per attempt, messages and calls as nested columns.

Nothing is lost: what fits no column (keys of a message that few servers use, arguments and changes
of calls, results by test) becomes JSON text. As in the record, prompt ids continue those of the
call before.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from forager.atomic import new_file
from forager.trajectories.export import needed
from forager.trajectories.record import Message, ToolCall, Trajectory
from forager.trajectories.steps import reasoning
from forager.trajectories.summary import Summary

if TYPE_CHECKING:
    import pyarrow

GROUP_SIZE = 8 << 20  # characters and token ids of the rows held in memory at a time

_KNOWN = {"role", "content", "reasoning_content", "tool_calls", "tool_call_id"}


def write(attempts: Iterable[Trajectory], target: Path) -> int:
    """Write one file; return the number of rows. Raises UsageError if pyarrow is missing."""
    with needed("pyarrow"):
        from pyarrow.parquet import ParquetWriter
    count = 0
    with new_file(target) as part, ParquetWriter(part, schema(), compression="zstd") as file:
        for batch in batches(attempts):
            file.write_batch(batch)
            count += batch.num_rows
    return count


def schema() -> "pyarrow.Schema":
    """Return the columns: a Summary's fields, the texts in `_TEXTS`, and three nested lists."""
    with needed("pyarrow"):
        import pyarrow as pa
    model_call = {
        **dict.fromkeys(("message", "opens", "prompt_tokens", "completion_tokens"), pa.int64()),
        **dict.fromkeys(("seconds", "waited"), pa.float64()),
        "finish_reason": pa.string(),
        "prompt_shared": pa.int64(),
        "prompt_token_ids": pa.list_(pa.int32()),
        "completion_token_ids": pa.list_(pa.int32()),
        "logprobs": pa.list_(pa.float64()),
        "policy_version": pa.int64(),
    }
    tool_call = {
        "message": pa.int64(),
        **dict.fromkeys(("tool", "arguments", "reason", "change"), pa.string()),
        **dict.fromkeys(("exit_code", "omitted", "output_length"), pa.int64()),
        **dict.fromkeys(("turns_left", "tokens_left"), pa.int64()),
        "seconds": pa.float64(),
        **dict.fromkeys(("timed_out", "error"), pa.bool_()),
    }
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    return pa.schema(
        {
            **{
                name: kinds[kind] for name, kind in get_type_hints(Summary).items() if kind in kinds
            },
            **dict.fromkeys(_TEXTS, pa.string()),
            "messages": pa.list_(message_type()),
            "model_calls": pa.list_(pa.struct(model_call)),
            "tool_calls": pa.list_(pa.struct(tool_call)),
        }
    )


def message_type() -> "pyarrow.DataType":
    """The type of a chat message; `other` holds the fields of single servers as JSON."""
    import pyarrow as pa

    function = pa.struct({"name": pa.string(), "arguments": pa.string()})
    call = pa.struct({"id": pa.string(), "type": pa.string(), "function": function})
    texts = dict.fromkeys(("role", "content", "reasoning_content", "tool_call_id"), pa.string())
    return pa.struct({**texts, "tool_calls": pa.list_(call), "other": pa.string()})


_TEXTS = [
    *("syntax", "image", "image_digest", "started_at", "version", "patch", "note", "tests"),
    *("ignored_files", "labels", "sampling", "limits", "sandbox_limits", "timings", "tools"),
    *("transforms", "caveat", "left_out", "log", "foreign"),
]


def batches(attempts: Iterable[Trajectory]) -> "Iterator[pyarrow.RecordBatch]":
    """Yield the attempts as batches of rows."""
    return grouped(map(_row, attempts), schema())


def grouped(
    rows: Iterable[dict[str, Any]], schema: "pyarrow.Schema"
) -> "Iterator[pyarrow.RecordBatch]":
    """Yield rows as batches; a batch ends once it reaches GROUP_SIZE."""
    with needed("pyarrow"):
        import pyarrow
    held: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        held.append(row)
        size += _size(row)
        if size >= GROUP_SIZE:
            yield pyarrow.RecordBatch.from_pylist(held, schema)
            held, size = [], 0
    if held:
        yield pyarrow.RecordBatch.from_pylist(held, schema)


def _size(row: dict[str, Any]) -> int:
    """Characters and token ids of a row, without the short texts."""
    texts = sum(len(str(message.get("content"))) for message in row["messages"])
    ids = sum(len(call["prompt_token_ids"] or ()) for call in row.get("model_calls", ()))
    return texts + ids + len(row.get("tests", "")) + len(row.get("patch") or "")


def _row(attempt: Trajectory) -> dict[str, Any]:
    outcome = attempt.outcome
    return {
        **Summary.of(attempt).model_dump(exclude={"tokens", "ended_at"}),
        **attempt.model_dump(include={"syntax", "image", "image_digest", "started_at", "version"}),
        "patch": outcome.answer,
        "note": outcome.cause,
        "caveat": outcome.caveat,
        "tests": json.dumps(outcome.tests),
        "log": outcome.log,
        "left_out": json.dumps(outcome.left_out),
        "ignored_files": json.dumps(outcome.ignored_files),
        "labels": attempt.labels.model_dump_json(),
        "sampling": attempt.sampling.model_dump_json(),
        "limits": attempt.limits.model_dump_json(),
        "sandbox_limits": attempt.sandbox_limits.model_dump_json(),
        "timings": attempt.timings.model_dump_json(),
        "tools": json.dumps(attempt.tools),
        "foreign": attempt.foreign.model_dump_json() if attempt.foreign else None,
        "transforms": json.dumps(attempt.transforms),
        "messages": [message_row(message) for message in attempt.messages],
        "model_calls": [
            {**call.model_dump(exclude={"usage"}), **call.usage.model_dump()}
            for call in attempt.model_calls
        ],
        "tool_calls": list(map(_tool_call, attempt.tool_calls)),
    }


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {
        **call.model_dump(exclude={"change"}),
        "arguments": json.dumps(call.arguments),
        "change": call.change.model_dump_json() if call.change else None,
    }


def message_row(message: Message) -> dict[str, Any]:
    """A chat message as a value of `message_type`."""
    content = message.get("content")
    other = {name: value for name, value in message.items() if name not in _KNOWN}
    return {
        **message,
        "content": content if isinstance(content, str | None) else json.dumps(content),
        "reasoning_content": reasoning(message) or None,
        "other": json.dumps(other) if other else None,
    }
