"""Data sets to train on: token ids, each with a mask that says whether it has loss.

    DATASET/dataset.json              settings, sources, counts, what was left out and why
    DATASET/samples-00000.parquet …   samples; see `columns` for the columns

Other trainers load the Parquet files as they are. For TRL's SFTTrainer:

    from datasets import load_dataset
    rows = load_dataset("parquet", data_files="DATASET/*.parquet", split="train")
    rows = rows.rename_column("loss_mask", "assistant_masks")
"""

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import AliasChoices, Field

from forager.errors import UsageError
from forager.learning.dataset.columns import read_columns
from forager.learning.saved import load
from forager.learning.sources import Artifact
from forager.records import Record

if TYPE_CHECKING:
    import pyarrow

MANIFEST = "dataset.json"
_CACHED = 8  # row groups in memory, about 2 MB each

Kind = Literal["policy", "world", "trace"]


class TraceTexts(Record):
    """How traces become texts."""

    view: Literal["cwm", "compact", "output"] = Field(
        "cwm",
        description="cwm: CWM's text; compact: only what changes; output: the code, what goes in "
        "and what comes out, without the trace.",
    )
    loss: Literal["states", "actions", "both"] = Field(
        "both", description="cwm: train on states, source lines, or both."
    )
    step_in: float = Field(1.0, ge=0, le=1, description="Probability that an inner call is shown.")
    depth: int = Field(1000, ge=0, description="Show N calls within calls at most.")


class DatasetSettings(Record):
    """How attempts become samples. Names that earlier versions used still work in files."""

    kind: Kind = Field(
        "policy",
        description="policy: train on what the agent writes; world: on observations as well; "
        "trace: on traces.",
    )
    max_length: int = Field(
        32_768,
        gt=1,
        validation_alias=AliasChoices("max_length", "context"),
        description="Maximum number of tokens of a sample; longer ones are left out.",
    )
    seed: int = Field(0, description="Seed of the observations and attempts that are drawn.")
    truncate: bool = Field(
        False,
        validation_alias=AliasChoices("truncate", "cut"),
        description="Truncate longer samples instead of leaving them out.",
    )
    mask_failed: bool = Field(
        False, description="Mask steps whose call was malformed, refused or stopped."
    )
    mask_exits: bool = Field(False, description="Mask commands with a non-zero exit code.")
    observations: float = Field(
        0.5, ge=0, le=1, description="world: share of the observations to train on."
    )
    traces: Path | None = Field(
        None,
        description="world: directory of `forager trace tasks`; what happens inside the failing "
        "tests follows each attempt.",
    )
    texts: TraceTexts = Field(TraceTexts(), description="trace: how traces become texts.")
    credit: Path | None = Field(
        None,
        description="policy: directory of `forager credit`; what a turn was worth becomes the "
        "advantage of its tokens, and attempts without credit are left out.",
    )
    resolved: bool | None = Field(None, description="Take only resolved or only failed attempts.")
    accept_suspect: bool = Field(
        False,
        description="Count suspect attempts as resolved; else only those that a person accepted.",
    )
    limit: int | None = Field(None, ge=1, description="Take only the first N attempts.")
    sample: int | None = Field(
        None,
        ge=1,
        validation_alias=AliasChoices("sample", "drawn"),
        description="Take only N attempts, drawn by the seed.",
    )


class DatasetManifest(Record):
    """What a data set contains and what it was made from; dataset.json."""

    schema_version: int = Field(1, description="Version of the columns; see `columns`.")
    kind: Kind
    tokenizer: str = Field(description="Digest of the tokenizer.")
    chat_template: str = Field(description="Digest of its chat template.")
    context: int = Field(description="Maximum number of tokens of a sample.")
    seed: int
    settings: DatasetSettings
    sources: list[Artifact]
    samples: int = 0
    tokens: int = 0
    trained: int = Field(0, description="Tokens with loss.")
    attempts: int = Field(0, description="Attempts that were read.")
    stored: int = Field(0, description="Samples of stored token ids; the rest were rendered.")
    left_out: dict[str, int] = Field({}, description="Samples or attempts left out, by reason.")
    notes: dict[str, int] = Field({}, description="Other observations, with their counts.")
    digest: str = Field("", description="blake2b over ids and masks of all samples in order.")


class Sample(NamedTuple):
    """A row of a data set; see `columns`. Its lists have one entry per token."""

    id: str
    input_ids: list[int]
    loss_mask: list[int]
    logprobs: list[float] | None = None
    advantages: list[float] | None = None
    versions: list[int] | None = None
    origin: str = "messages"


class Dataset:
    """A data set, read one row group at a time. Raises UsageError for other directories."""

    def __init__(self, path: Path) -> None:
        from pyarrow.parquet import ParquetFile

        manifest = load(path / MANIFEST, DatasetManifest)
        if manifest is None:
            raise UsageError(f"{path} is no data set; `forager export … -o {path}` makes one")
        self.path, self.manifest = path, manifest
        self._groups: list[tuple[int, Path, ParquetFile, int]] = []  # first sample, file, group
        self._count = 0
        for file in sorted(path.glob("samples-*.parquet")):
            opened = ParquetFile(file)
            for group in range(opened.num_row_groups):
                self._groups.append((self._count, file, opened, group))
                self._count += opened.metadata.row_group(group).num_rows
        self._table = lru_cache(_CACHED)(self._read)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Sample:
        place = place + self._count if place < 0 else place
        if not 0 <= place < self._count:
            raise IndexError(place)
        group = bisect_right(self._groups, place, key=lambda entry: entry[0]) - 1
        row = self._table(group).slice(place - self._groups[group][0], 1).to_pylist()[0]
        return Sample(**row)

    def __iter__(self) -> Iterator[Sample]:
        return (self[place] for place in range(self._count))

    def _read(self, number: int) -> "pyarrow.Table":
        _, path, file, group = self._groups[number]
        return read_columns(path, file, Sample._fields, group)
