"""A Hugging Face dataset: Parquet files and a card, as the Hub lays them out.

`datasets.load_dataset(DIRECTORY)` loads it, and `hf upload NAME DIRECTORY --repo-type dataset`
publishes it.
"""

from collections.abc import Iterable
from pathlib import Path

from forager.atomic import new_directory
from forager.trajectories.export import needed
from forager.trajectories.export.parquet import batches, schema
from forager.trajectories.record import Trajectory

FILE_SIZE = 400 << 20  # bytes per file, about what the Hub's own tools write

_CARD = """\
---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
tags: [agent, trajectories]
---

{count:,} graded attempts at software engineering tasks, written by forager. A row is an attempt:
`messages` as OpenAI chat messages, `resolved` a fact and not a filter. `suspect` says why an answer
that passes all tests may forge its result; it is not resolved unless someone accepted it. The
prompt of a model call is the first `prompt_shared` ids of the call before it (prompt and
completion), then `prompt_token_ids`. The licences of the projects that the attempts were made at
hold for the code in them.
"""


def write(attempts: Iterable[Trajectory], target: Path) -> int:
    """Write a directory; return the number of rows. Raises UsageError if pyarrow is missing."""
    with needed("pyarrow"):
        from pyarrow.parquet import ParquetWriter
    count = files = 0
    file = None
    with new_directory(target) as part:
        data = part / "data"
        data.mkdir()
        for batch in batches(attempts):
            if file is None:
                path = data / f"train-{files:05}.parquet"
                file = ParquetWriter(path, schema(), compression="zstd")
                files += 1
            file.write_batch(batch)
            count += batch.num_rows
            if path.stat().st_size >= FILE_SIZE:
                file.close()
                file = None
        if file is not None:
            file.close()
        (part / "README.md").write_text(_CARD.format(count=count), encoding="utf-8")
    return count
