"""A Hugging Face dataset with all that forager knows of an attempt: Parquet files and a card."""

from collections.abc import Iterable
from pathlib import Path

from forager.atomic import new_directory
from forager.trajectories.export import AttemptOrigin
from forager.trajectories.export.dataset_files import PARQUET_FILES, DatasetFacts, write_parquet
from forager.trajectories.export.parquet import batches, schema
from forager.trajectories.record import Trajectory

_COLUMNS = """\
`messages` are OpenAI chat messages; `model_calls` and `tool_calls` hold usage, seconds, token ids
and exit codes. The prompt of a model call is the first `prompt_shared` ids of the call before it
(prompt and completion), then `prompt_token_ids`. `patch` is the answer, `tests` the outcome of each
deciding test."""


def write(attempts: Iterable[Trajectory], target: Path, origin: AttemptOrigin) -> int:
    """Write a directory; return the number of rows. Raises UsageError if pyarrow is missing."""
    tally = DatasetFacts(origin)
    with new_directory(target) as part:
        count = write_parquet(batches(tally.of(attempts)), schema(), part)
        card = tally.card("Attempts by forager", PARQUET_FILES, _COLUMNS)
        (part / "README.md").write_text(card, encoding="utf-8")
    return count
