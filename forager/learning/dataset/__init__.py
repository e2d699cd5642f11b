"""Data sets to train on: exact token ids, and of each whether it is predicted with loss.

    DATASET/dataset.json              what it is made of, and what was left out
    DATASET/samples-00000.parquet …   columns id, ids, trained, origin

`datasets.load_dataset("parquet", data_files="DATASET/*.parquet")` loads it too.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import AliasChoices, Field

from forager.errors import UsageError
from forager.learning.saved import load
from forager.learning.sources import Source
from forager.records import Record

if TYPE_CHECKING:
    import pyarrow

MANIFEST = "dataset.json"
_CACHED = 8  # groups of rows that are held, about 2 MB each

Kind = Literal["policy", "world"]


class DatasetSettings(Record):
    """How attempts become samples."""

    kind: Kind = Field(
        "policy",
        description="policy: train on what the agent writes; world: on observations as well.",
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
    resolved: bool | None = Field(None, description="Take only resolved or only failed attempts.")
    limit: int | None = Field(None, ge=1, description="Take only the first N attempts.")
    sample: int | None = Field(
        None,
        ge=1,
        validation_alias=AliasChoices("sample", "drawn"),
        description="Take only N attempts, drawn by the seed.",
    )


class DatasetManifest(Record):
    """What a data set is and what it was made of; dataset.json."""

    kind: Kind
    tokenizer: str = Field(description="Digest of the tokenizer.")
    chat_template: str = Field(description="Digest of its chat template.")
    context: int
    seed: int
    settings: DatasetSettings
    sources: list[Source]
    samples: int = 0
    tokens: int = 0
    trained: int = Field(0, description="Tokens that are predicted with loss.")
    attempts: int = Field(0, description="Attempts that were read.")
    stored: int = Field(0, description="Samples of stored token ids; the rest are of messages.")
    left_out: dict[str, int] = Field({}, description="Samples or attempts that are not in, by why.")
    notes: dict[str, int] = Field({}, description="What else is to be known, with how often.")
    digest: str = Field("", description="blake2b over ids and masks of all samples in their order.")


class Sample(NamedTuple):
    """Token ids, and of each whether it is predicted (from those before it) with loss."""

    id: str
    ids: list[int]
    trained: list[bool]


class Dataset:
    """A data set, read a group of samples at a time. Raises UsageError for what is none."""

    def __init__(self, path: Path) -> None:
        from pyarrow.parquet import ParquetFile

        manifest = load(path / MANIFEST, DatasetManifest)
        if manifest is None:
            raise UsageError(f"{path} is no data set; `forager export … -o {path}` makes one")
        self.path, self.manifest = path, manifest
        self._groups: list[tuple[int, ParquetFile, int]] = []  # first sample, file, its group
        self._count = 0
        for file in sorted(path.glob("samples-*.parquet")):
            opened = ParquetFile(file)
            for group in range(opened.num_row_groups):
                self._groups.append((self._count, opened, group))
                self._count += opened.metadata.row_group(group).num_rows
        self._table = lru_cache(_CACHED)(self._read)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Sample:
        from bisect import bisect_right

        place = place + self._count if place < 0 else place
        if not 0 <= place < self._count:
            raise IndexError(place)
        group = bisect_right(self._groups, place, key=lambda one: one[0]) - 1
        return _sample(self._table(group), place - self._groups[group][0])

    def __iter__(self) -> Iterator[Sample]:
        return (self[place] for place in range(self._count))

    def _read(self, group: int) -> "pyarrow.Table":
        _, file, number = self._groups[group]
        return file.read_row_group(number, columns=["id", "ids", "trained"])


def _sample(table: "pyarrow.Table", row: int) -> Sample:
    id, ids, trained = (table.column(name)[row].as_py() for name in ("id", "ids", "trained"))
    return Sample(id, ids, trained)
