"""Samples of data sets as arrays: token ids, which of them are trained, and how long each is."""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forager.errors import UsageError
from forager.learning.dataset import MANIFEST, DatasetManifest
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.saved import load
from forager.learning.sources import Source

if TYPE_CHECKING:
    import numpy

    Ids = numpy.ndarray[tuple[int], numpy.dtype[numpy.int32]]
    Marks = numpy.ndarray[tuple[int], numpy.dtype[numpy.bool_]]
    Offsets = numpy.ndarray[tuple[int], numpy.dtype[numpy.int64]]


def manifest(dataset: Path) -> DatasetManifest:
    """What a data set says of itself. Raises UsageError where it is none."""
    found = load(dataset / MANIFEST, DatasetManifest)
    if found is None:
        raise UsageError(f"{dataset} is no data set; `forager export … -o {dataset}` makes one")
    return found


def source(dataset: Path) -> Source:
    """A data set by its digest. Raises UsageError where it is none."""
    return Source(path=str(dataset.absolute()), digest=manifest(dataset).digest)


class Samples:
    """All samples of several data sets, in order. Raises UsageError where some are missing."""

    def __init__(self, datasets: Sequence[Path]) -> None:
        import numpy

        self._shards = [
            _read(shard) for one in datasets for shard in sorted(one.glob("samples-*.parquet"))
        ]
        counts = [len(offsets) - 1 for _, _, offsets in self._shards]
        self._starts = numpy.cumsum([0, *counts]).tolist()
        self.lengths: list[int] = []
        self.trained: list[int] = []
        for _, marks, offsets in self._shards:
            self.lengths += numpy.diff(offsets).tolist()
            sums = numpy.concatenate([[0], numpy.cumsum(marks, dtype=numpy.int64)])
            self.trained += (sums[offsets[1:]] - sums[offsets[:-1]]).tolist()
        said = [manifest(one) for one in datasets]
        wanted = sum(one.samples for one in said), sum(one.tokens for one in said)
        if wanted != (found := (len(self.lengths), sum(self.lengths))):
            raise UsageError(
                f"{', '.join(map(str, datasets))}: {wanted[0]:,} samples of {wanted[1]:,} tokens "
                f"are said and {found[0]:,} of {found[1]:,} are there; copy or export them again"
            )

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> "tuple[Ids, Marks]":
        """Token ids and marks of a sample, each of its length."""
        shard = bisect_right(self._starts, number) - 1
        ids, marks, offsets = self._shards[shard]
        place = number - self._starts[shard]
        part = slice(offsets[place], offsets[place + 1])
        return ids[part], marks[part]


def _read(shard: Path) -> "tuple[Ids, Marks, Offsets]":
    """A file's token ids and marks, all samples behind one another, and where each begins."""
    import numpy
    from pyarrow import parquet

    table = parquet.read_table(shard, columns=["ids", "trained"])
    ids, trained = (table.column(name).combine_chunks() for name in ("ids", "trained"))
    lengths = ids.value_lengths().to_numpy(zero_copy_only=False)
    offsets = numpy.concatenate([[0], numpy.cumsum(lengths, dtype=numpy.int64)])
    marks = trained.flatten().to_numpy(zero_copy_only=False).copy()
    marks[offsets[:-1][lengths > 0]] = False  # nothing precedes it that could predict it
    return ids.flatten().to_numpy(zero_copy_only=False), marks, offsets


def check_tokenizer(base: Path, datasets: Sequence[Path]) -> None:
    """Raise UsageError where data are token ids of another tokenizer than the base model's."""
    found = Tokenizer(base).digest
    for one in datasets:
        if manifest(one).tokenizer != found:
            raise UsageError(f"{one} was made with another tokenizer than that of {base}")
