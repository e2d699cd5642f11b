"""Samples of data sets as arrays: token ids, loss masks, and what a policy gradient needs."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from forager.errors import UsageError
from forager.learning.dataset import MANIFEST, Dataset, DatasetManifest
from forager.learning.dataset.columns import read_columns
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.saved import load
from forager.learning.sources import Artifact

if TYPE_CHECKING:
    import numpy
    import pyarrow

    Ids = numpy.ndarray[tuple[int], numpy.dtype[numpy.int32]]
    Mask = numpy.ndarray[tuple[int], numpy.dtype[numpy.bool_]]
    Numbers = numpy.ndarray[tuple[int], numpy.dtype[numpy.float32]]
    Offsets = numpy.ndarray[tuple[int], numpy.dtype[numpy.int64]]


@dataclass(frozen=True, slots=True)
class SamplePolicy:
    """For each token, (tokens,): its log-probability when sampled, its advantage, and whether the
    weights that the step starts from sampled it."""

    behaviour: "Numbers"
    advantages: "Numbers"
    current: "Mask"

    def __getitem__(self, part: slice) -> "SamplePolicy":
        return SamplePolicy(self.behaviour[part], self.advantages[part], self.current[part])


class SampleTokens(NamedTuple):
    """Token ids and loss mask of a sample, both (tokens,)."""

    ids: "Ids"
    mask: "Mask"
    policy: SamplePolicy | None = None


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

    `lengths` and `trained` hold each sample's number of tokens, and of tokens with loss. With
    `policy`, samples without log-probabilities or advantages, or with advantages of 0 only, have no
    tokens with loss; `version` is the policy version whose tokens count as current.
    """

    def __init__(
        self, datasets: Sequence[Path], *, policy: bool = False, version: int | None = None
    ) -> None:
        import numpy

        self._shards = [
            _read(shard, policy, version)
            for dataset in datasets
            for shard in sorted(dataset.glob("samples-*.parquet"))
        ]
        counts = [len(shard.offsets) - 1 for shard in self._shards]
        self._starts = numpy.cumsum([0, *counts]).tolist()
        self.lengths: list[int] = []
        self.trained: list[int] = []
        for shard in self._shards:
            offsets = shard.offsets
            self.lengths += numpy.diff(offsets).tolist()
            sums = numpy.concatenate([[0], numpy.cumsum(shard.mask, dtype=numpy.int64)])
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

    def __getitem__(self, number: int) -> SampleTokens:
        """A sample's arrays."""
        found = bisect_right(self._starts, number) - 1
        shard = self._shards[found]
        place = number - self._starts[found]
        part = slice(shard.offsets[place], shard.offsets[place + 1])
        return SampleTokens(shard.ids[part], shard.mask[part], shard.policy and shard.policy[part])

    def __iter__(self) -> Iterator[SampleTokens]:
        return (self[number] for number in range(len(self)))


class _Shard(NamedTuple):
    """The tokens of a file, all (tokens,), and the offsets of its samples."""

    ids: "Ids"
    mask: "Mask"
    offsets: "Offsets"
    policy: SamplePolicy | None


def _read(shard: Path, policy: bool, version: int | None) -> _Shard:
    import numpy
    from pyarrow.parquet import ParquetFile

    names = ["input_ids", "loss_mask"]
    with ParquetFile(shard) as file:
        table = read_columns(shard, file, names + list(_POLICY) * policy)
    columns = [table.column(name).combine_chunks() for name in table.column_names]
    # Through DLPack, as Arrow's own conversions import pandas, which takes half a second.
    offsets = numpy.from_dlpack(columns[0].offsets).astype(numpy.int64)
    offsets, lengths = offsets - offsets[0], numpy.diff(offsets)
    ids: Ids = numpy.from_dlpack(columns[0].flatten())  # type: ignore[assignment]
    mask: Mask = numpy.from_dlpack(columns[1].flatten()).astype(bool)
    mask[offsets[:-1][lengths > 0]] = False  # nothing predicts a sample's first token
    if not policy:
        return _Shard(ids, mask, offsets, None)
    behaviour, advantages, versions = (_filled(column, lengths) for column in columns[2:])
    for number, (start, end) in enumerate(pairwise(offsets)):
        known = columns[2][number].is_valid and columns[3][number].is_valid
        if not known or not advantages[start:end].any():
            mask[start:end] = False
    current = mask & (versions == (-2 if version is None else version))
    return _Shard(ids, mask, offsets, SamplePolicy(behaviour, advantages, current))


_POLICY = ("logprobs", "advantages", "versions")


def _filled(column: "pyarrow.Array", lengths: "Offsets") -> "Numbers":
    """The values of lists, (tokens,), in which a list that is null has as many -1."""
    import numpy

    values = numpy.full(int(lengths.sum()), -1, numpy.float32)
    valid = numpy.repeat(column.is_valid().to_numpy(zero_copy_only=False), lengths)
    values[valid] = column.flatten().to_numpy(zero_copy_only=False)
    return values


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
