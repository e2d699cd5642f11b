"""A Hugging Face dataset with all that forager knows of an attempt: Parquet files and a card."""

from collections.abc import Iterable
from pathlib import Path

from forager.trajectories.export import AttemptOrigin
from forager.trajectories.export.dataset_files import DatasetFacts, write_data_set
from forager.trajectories.export.parquet import batches, schema
from forager.trajectories.record import Trajectory

_COLUMNS = """\
`messages` are OpenAI chat messages; `model_calls` and `tool_calls` hold usage, seconds, token ids
and exit codes. The prompt of a model call is the first `prompt_shared` ids of the call before it
(prompt and completion), then `prompt_token_ids`. `patch` is the answer, `tests` the outcome of each
deciding test."""


def write(attempts: Iterable[Trajectory], target: Path, origin: AttemptOrigin) -> int:
    """Write a directory; return the number of rows. Raises UsageError if pyarrow is missing."""
    facts = DatasetFacts(origin)
    rows = batches(facts.of(attempts))
    return write_data_set(target, rows, schema(), facts, "Attempts by forager", _COLUMNS)
