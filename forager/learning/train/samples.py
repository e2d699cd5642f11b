"""Samples of data sets as arrays: token ids and loss masks."""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forager.errors import UsageError
from forager.learning.dataset import MANIFEST, Dataset, DatasetManifest
from forager.learning.dataset.columns import read_columns
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.saved import load
from forager.learning.sources import Artifact

if TYPE_CHECKING:
    import numpy

    Ids = numpy.ndarray[tuple[int], numpy.dtype[numpy.int32]]
    Mask = numpy.ndarray[tuple[int], numpy.dtype[numpy.bool_]]
    Offsets = numpy.ndarray[tuple[int], numpy.dtype[numpy.int64]]


def manifest(dataset: Path) -> DatasetManifest:
    """The manifest of a data set. Raises UsageError for other directories."""
    found = load(dataset / MANIFEST, DatasetManifest)
    if found is None:
        raise UsageError(f"{dataset} is no data set; `forager export … -o {dataset}` makes one")
    return found


def source(dataset: Path) -> Artifact:
    """A data set with its digest. Raises UsageError for other directories."""
    return Artifact(path=str(dataset.absolute()), digest=manifest(dataset).digest)


class Samples:
    """All samples of several data sets, in order. Raises UsageError if files are missing.

    `lengths` and `trained` hold each sample's number of tokens, and of tokens with loss.
    """

    def __init__(self, datasets: Sequence[Path]) -> None:
        import numpy

        self._shards = [
            _read(shard)
            for dataset in datasets
            for shard in sorted(dataset.glob("samples-*.parquet"))
        ]
        counts = [len(offsets) - 1 for _, _, offsets in self._shards]
        self._starts = numpy.cumsum([0, *counts]).tolist()
        self.lengths: list[int] = []
        self.trained: list[int] = []
        for _, mask, offsets in self._shards:
            self.lengths += numpy.diff(offsets).tolist()
            sums = numpy.concatenate([[0], numpy.cumsum(mask, dtype=numpy.int64)])
            self.trained += (sums[offsets[1:]] - sums[offsets[:-1]]).tolist()
        self._check_complete(datasets)

    def _check_complete(self, datasets: Sequence[Path]) -> None:
        manifests = [manifest(dataset) for dataset in datasets]
        samples = sum(known.samples for known in manifests)
        tokens = sum(known.tokens for known in manifests)
        found = len(self.lengths), sum(self.lengths)
        if found != (samples, tokens):
            raise UsageError(
                f"{', '.join(map(str, datasets))}: expected {samples:,} samples of {tokens:,} "
                f"tokens, found {found[0]:,} of {found[1]:,}; copy or export them again"
            )

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> "tuple[Ids, Mask]":
        """Token ids and loss mask of a sample, both (tokens,)."""
        shard = bisect_right(self._starts, number) - 1
        ids, mask, offsets = self._shards[shard]
        place = number - self._starts[shard]
        part = slice(offsets[place], offsets[place + 1])
        return ids[part], mask[part]


def _read(shard: Path) -> "tuple[Ids, Mask, Offsets]":
    """Token ids and loss mask of a file, both (tokens,), and the offsets of its samples."""
    import numpy
    from pyarrow.parquet import ParquetFile

    with ParquetFile(shard) as file:
        table = read_columns(shard, file, ["input_ids", "loss_mask"])
    ids, masks = (table.column(name).combine_chunks() for name in table.column_names)
    lengths = ids.value_lengths().to_numpy(zero_copy_only=False)
    offsets = numpy.concatenate([[0], numpy.cumsum(lengths, dtype=numpy.int64)])
    mask = masks.flatten().to_numpy(zero_copy_only=False).astype(bool)
    mask[offsets[:-1][lengths > 0]] = False  # nothing predicts a sample's first token
    return ids.flatten().to_numpy(zero_copy_only=False), mask, offsets


def check_tokenizer(base: Path, datasets: Sequence[Path]) -> None:
    """Raise UsageError if a data set does not suit the base model's tokenizer.

    It was made with another one, or its samples begin otherwise than the prompts of a server of the
    trained model, which has the base's chat template: with <bos> or without.
    """
    tokenizer = Tokenizer(base)
    for dataset in datasets:
        if manifest(dataset).tokenizer != tokenizer.digest:
            raise UsageError(f"{dataset} was made with another tokenizer than that of {base}")
        samples = Dataset(dataset)
        if len(samples) and not tokenizer.begins(samples[0].input_ids):
            raise UsageError(
                f"{dataset} and the chat template of {base} differ in whether texts begin with "
                f"<bos>; export the attempts again with --tokenizer {base}"
            )
