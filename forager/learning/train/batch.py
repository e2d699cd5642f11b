"""Rows as tensors, and the loss of a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forager.learning.train.samples import Samples

if TYPE_CHECKING:
    from torch import Tensor

NOT_TRAINED = -100


@dataclass(frozen=True)
class Batch:
    """One row, or this process's share of it.

    ids, positions: (1, tokens); keep: the places whose next token is trained, at least one;
    targets: the next token of each of these, NOT_TRAINED where there is none.
    """

    ids: "Tensor"
    positions: "Tensor"
    keep: "Tensor"
    targets: "Tensor"

    def to(self, device: Any) -> "Batch":
        """The same on a device."""
        parts = (self.ids, self.positions, self.keep, self.targets)
        return Batch(*(one.to(device, non_blocking=True) for one in parts))


def make_batch(samples: Samples, row: Sequence[int], share: int = 0, shares: int = 1) -> Batch:
    """A row by its samples' numbers; the rest is as `row_of` says."""
    return row_of([samples[one] for one in row], share, shares)


def row_of(samples: Sequence[tuple[Any, Any]], share: int = 0, shares: int = 1) -> Batch:
    """A row of samples (ids, marks), of which this process has one of `shares` equal shares.

    Positions begin again at each sample. A row of no samples is a token that is not trained.
    """
    import numpy
    import torch

    tokens = sum(len(ids) for ids, _ in samples)
    padded = -(-max(tokens, 1) // shares) * shares
    ids, positions = numpy.zeros(padded, numpy.int64), numpy.zeros(padded, numpy.int64)
    targets = numpy.full(padded, NOT_TRAINED, numpy.int64)
    begin = 0
    for of_sample, marks in samples:
        end = begin + len(of_sample)
        ids[begin:end] = of_sample
        positions[begin:end] = numpy.arange(len(of_sample))
        targets[begin : end - 1] = numpy.where(marks[1:], of_sample[1:], NOT_TRAINED)
        begin = end
    positions[begin:] = numpy.arange(padded - begin)  # what fills up is a sample of its own
    size = padded // shares
    mine = slice(share * size, (share + 1) * size)
    keep = numpy.flatnonzero(targets[mine] != NOT_TRAINED)
    keep = keep if len(keep) else numpy.zeros(1, numpy.int64)
    return Batch(
        torch.from_numpy(ids[None, mine]),
        torch.from_numpy(positions[None, mine]),
        torch.from_numpy(keep),
        torch.from_numpy(targets[mine][keep]),
    )


def log_probabilities(model: Any, batch: Batch) -> "Tensor":
    """The log-probability of each target, (kept,), in float32, by a causal model."""
    import torch

    logits = model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        logits_to_keep=batch.keep,
        use_cache=False,
    ).logits[0]
    if len(logits) != len(batch.keep):  # a model that does not know `logits_to_keep`
        logits = logits[batch.keep]
    return -torch.nn.functional.cross_entropy(
        logits.float(), batch.targets, ignore_index=NOT_TRAINED, reduction="none"
    )
