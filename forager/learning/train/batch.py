"""Packed rows as tensors, and their log-probabilities."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from forager.learning.train.objective import PolicyColumns
from forager.learning.train.samples import Samples, SampleTokens

if TYPE_CHECKING:
    from torch import Tensor

NOT_TRAINED = -100
_LOGITS = 1 << 27  # logits in memory at a time; a row of 131,072 tokens would have 16 billion


@dataclass(frozen=True)
class MicroBatch:
    """One packed row, or this process's share of it.

    ids, positions: (1, tokens); keep: (kept,), the places whose next token has loss, at least one;
    targets: (kept,), these next tokens, NOT_TRAINED where there is none; policy: columns for a
    policy gradient, if the samples have them.
    """

    ids: "Tensor"
    positions: "Tensor"
    keep: "Tensor"
    targets: "Tensor"
    policy: PolicyColumns | None = None

    def to(self, device: Any) -> "MicroBatch":
        """Copy it to a device."""
        parts = (self.ids, self.positions, self.keep, self.targets)
        ids, positions, keep, targets = (tensor.to(device, non_blocking=True) for tensor in parts)
        policy = self.policy and PolicyColumns(
            *(tensor.to(device, non_blocking=True) for tensor in self.policy)
        )
        return MicroBatch(ids, positions, keep, targets, policy)


def make_batch(samples: Samples, row: Sequence[int], share: int = 0, shares: int = 1) -> MicroBatch:
    """The micro-batch of a row of sample numbers; see `row_of`."""
    return row_of([samples[number] for number in row], share, shares)


def row_of(samples: Sequence[SampleTokens], share: int = 0, shares: int = 1) -> MicroBatch:
    """Pack samples into a row and take one of `shares` equal shares of it.

    Positions restart with each sample. An empty row becomes one token without loss.
    """
    import numpy
    import torch

    tokens = sum(len(sample.ids) for sample in samples)
    padded = -(-max(tokens, 1) // shares) * shares
    ids, positions = numpy.zeros(padded, numpy.int64), numpy.zeros(padded, numpy.int64)
    targets = numpy.full(padded, NOT_TRAINED, numpy.int64)
    begin = 0
    for sample in samples:
        end = begin + len(sample.ids)
        ids[begin:end] = sample.ids
        positions[begin:end] = numpy.arange(len(sample.ids))
        targets[begin : end - 1] = numpy.where(sample.mask[1:], sample.ids[1:], NOT_TRAINED)
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
        _policy_columns(samples, padded, mine, keep),
    )


def _policy_columns(
    samples: Sequence[SampleTokens], padded: int, mine: slice, keep: Any
) -> PolicyColumns | None:
    """The columns at the kept places: each belongs to the token after its place."""
    import numpy
    import torch

    if any(sample.policy is None for sample in samples):
        return None
    columns = [numpy.zeros(padded, numpy.float32) for _ in PolicyColumns._fields]
    begin = 0
    for sample in samples:
        assert sample.policy
        size, trained = len(sample.ids) - 1, max(int(sample.mask[1:].sum()), 1)
        policy, weights = sample.policy, numpy.full(size + 1, 1 / trained)
        of_sample = (policy.behaviour, policy.advantages, weights, policy.current)
        for column, values in zip(columns, of_sample, strict=True):
            column[begin : begin + size] = values[1:]
        begin += size + 1
    behaviour, advantages, weights, current = (
        torch.from_numpy(column[mine][keep]) for column in columns
    )
    return PolicyColumns(behaviour, advantages, weights, current > 0)


def log_probabilities(model: Any, batch: MicroBatch) -> "Tensor":
    """Log-probabilities of the targets by a causal model, (kept,), float32.

    For long rows the output layer is applied to a part of the places at a time, and again in the
    backward pass, so that the logits of the whole row are never in memory together.
    """
    with _in_parts(model, batch) as parts:
        logits = model(
            input_ids=batch.ids,
            position_ids=batch.positions,
            logits_to_keep=batch.keep,
            use_cache=False,
        ).logits[0]
    if parts:
        found: Tensor = logits[:, 0]
        return found
    if len(logits) != len(batch.keep):  # the model ignores `logits_to_keep`
        logits = logits[batch.keep]
    return _scores(logits, batch.targets)


def _scores(logits: "Tensor", targets: "Tensor") -> "Tensor":
    import torch

    return -torch.nn.functional.cross_entropy(
        logits.float(), targets, ignore_index=NOT_TRAINED, reduction="none"
    )


@contextmanager
def _in_parts(model: Any, batch: MicroBatch) -> Iterator[bool]:
    """Let the output layer return log-probabilities, (1, kept, 1), if its logits are too many."""
    from torch import nn

    module = getattr(model, "module", model)
    head = module.get_output_embeddings()
    config = module.config.get_text_config()
    scaled = any(
        getattr(config, name, None)
        for name in ("final_logit_softcapping", "logits_scaling", "logit_scale")
    )
    few = len(batch.keep) * config.vocab_size <= _LOGITS
    if few or scaled or type(head) is not nn.Linear:
        yield False
        return
    head.forward = partial(_scored_in_parts, head, batch.targets)
    try:
        yield True
    finally:
        del head.forward


def _scored_in_parts(head: Any, targets: "Tensor", hidden: "Tensor") -> "Tensor":
    """Log-probabilities of targets, (1, kept, 1), from hidden states, (1, kept, width)."""
    import torch
    from torch.utils.checkpoint import checkpoint

    def score(part: "Tensor", wanted: "Tensor") -> "Tensor":
        return _scores(torch.nn.functional.linear(part, head.weight, head.bias), wanted)

    size = max(1, _LOGITS // head.out_features)
    parts = zip(hidden[0].split(size), targets.split(size), strict=True)
    scores = [checkpoint(score, *part, use_reentrant=False) for part in parts]
    return torch.cat(scores)[None, :, None]
