"""Whether trainer and sampler agree on what the sampler sampled.

Tokens that the current weights sampled have a ratio of 1, up to rounding. Another ratio means that
the sampler had other weights, answered from stale key-value blocks, or computes otherwise.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from forager.errors import TrainingError
from forager.learning.train.objective import ratios

if TYPE_CHECKING:
    from torch import Tensor

    from forager.learning.train.batch import MicroBatch


def check_ratios(
    logprobs: "Tensor",
    batch: "MicroBatch",
    lengths: Sequence[int],
    tolerance: float | None,
) -> None:
    """Raise TrainingError that names the worst token if a current one's ratio is too far from 1.

    logprobs: (kept,), of the tokens of a row, or of a share of it; lengths: tokens of its samples.
    """
    if tolerance is None or batch.policy is None:
        return
    away = (ratios(logprobs.detach(), batch.policy.behaviour) - 1).abs() * batch.policy.current
    worst = int(away.argmax())
    if float(away[worst]) <= tolerance:
        return
    wrong = int((away > tolerance).sum())
    position = int(batch.positions[0, batch.keep[worst]]) + 1
    of_row = ", ".join(map(str, lengths[:8]))
    raise TrainingError(
        f"trainer and sampler disagree on {wrong} of {int(batch.policy.current.sum())} tokens that "
        f"the current weights sampled: worst at token {position} of a sequence, log-probability "
        f"{float(logprobs[worst]):.4f} here and {float(batch.policy.behaviour[worst]):.4f} there; "
        "either the sampler has other weights, or its prefix cache was not reset, or it computes "
        f"in another precision (tokens of the row's sequences: {of_row})"
    )
