"""Packed rows as tensors, and their log-probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forager.learning.train.samples import Samples

if TYPE_CHECKING:
    from torch import Tensor

NOT_TRAINED = -100


@dataclass(frozen=True)
class MicroBatch:
    """One packed row, or this process's share of it.

    ids, positions: (1, tokens); keep: (kept,), the places whose next token has loss, at least one;
    targets: (kept,), these next tokens, NOT_TRAINED where there is none.
    """

    ids: "Tensor"
    positions: "Tensor"
    keep: "Tensor"
    targets: "Tensor"

    def to(self, device: Any) -> "MicroBatch":
        """Copy it to a device."""
        parts = (self.ids, self.positions, self.keep, self.targets)
        return MicroBatch(*(tensor.to(device, non_blocking=True) for tensor in parts))


def make_batch(samples: Samples, row: Sequence[int], share: int = 0, shares: int = 1) -> MicroBatch:
    """The micro-batch of a row of sample numbers; see `row_of`."""
    return row_of([samples[number] for number in row], share, shares)


def row_of(samples: Sequence[tuple[Any, Any]], share: int = 0, shares: int = 1) -> MicroBatch:
    """Pack samples (ids, mask) into a row and take one of `shares` equal shares of it.

    Positions restart with each sample. An empty row becomes one token without loss.
    """
    import numpy
    import torch

    tokens = sum(len(ids) for ids, _ in samples)
    padded = -(-max(tokens, 1) // shares) * shares
    ids, positions = numpy.zeros(padded, numpy.int64), numpy.zeros(padded, numpy.int64)
    targets = numpy.full(padded, NOT_TRAINED, numpy.int64)
    begin = 0
    for of_sample, mask in samples:
        end = begin + len(of_sample)
        ids[begin:end] = of_sample
        positions[begin:end] = numpy.arange(len(of_sample))
        targets[begin : end - 1] = numpy.where(mask[1:], of_sample[1:], NOT_TRAINED)
        begin = end
    positions[begin:] = numpy.arange(padded - begin)  # the padding is its own sample
    size = padded // shares
    mine = slice(share * size, (share + 1) * size)
    keep = numpy.flatnonzero(targets[mine] != NOT_TRAINED)
    keep = keep if len(keep) else numpy.zeros(1, numpy.int64)
    return MicroBatch(
        torch.from_numpy(ids[None, mine]),
        torch.from_numpy(positions[None, mine]),
        torch.from_numpy(keep),
        torch.from_numpy(targets[mine][keep]),
    )


def log_probabilities(model: Any, batch: MicroBatch) -> "Tensor":
    """Log-probabilities of the targets by a causal model, (kept,), float32."""
    import torch

    logits = model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        logits_to_keep=batch.keep,
        use_cache=False,
    ).logits[0]
    if len(logits) != len(batch.keep):  # the model ignores `logits_to_keep`
        logits = logits[batch.keep]
    return -torch.nn.functional.cross_entropy(
        logits.float(), batch.targets, ignore_index=NOT_TRAINED, reduction="none"
    )
