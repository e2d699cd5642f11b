"""The policy gradient: what a training on attempts with advantages minimises.

It is CWM's variant of GRPO (arXiv 2510.02387). For a group of attempts i with
rewards R and L tokens of the agent each, the advantage is

    A_i = R_i - sum_j R_j L_j / sum_j L_j

and the loss of a step, over the agent's tokens t of all its attempts,

    - 1/N sum_i sum_t min(r_t A_i, clip(r_t, 1 - 0.2, 1 + 0.25) A_i),  r_t = pi(t) / behaviour(t)

where `behaviour` is the policy that sampled the token, as its server returned it. N is a constant.
Each setting of `PolicyObjective` has CWM's value as its default, and the other values are the
common departures.
"""

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from forager.records import Record

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST_LOG = 20.0  # of a ratio: beyond it, infinity times an advantage of 0 would be no number


class PolicyObjective(Record):
    """Settings of the policy gradient."""

    baseline: Literal["length_weighted", "mean"] = Field(
        "length_weighted", description="Mean reward of the group: over tokens, or over attempts."
    )
    sigma: bool = Field(
        False, description="Divide advantages by the group's standard deviation, as GRPO does."
    )
    ratio: Literal["clip", "truncate"] = Field(
        "clip",
        description="clip: PPO's minimum with the clipped ratio; truncate: the ratio, cut off at "
        "`truncation`, weights the gradient (truncated importance sampling).",
    )
    clip_low: float = Field(0.2, ge=0, lt=1, description="Ratios are clipped below 1 - clip_low.")
    clip_high: float = Field(0.25, ge=0, description="Ratios are clipped above 1 + clip_high.")
    truncation: float = Field(2.0, gt=0, description="Largest weight with ratio = truncate.")
    normalise: Literal["constant", "token_mean", "sequence_mean"] = Field(
        "constant",
        description="What the sum over tokens is divided by: a constant, the step's tokens, or "
        "each sequence's tokens and the number of sequences.",
    )
    constant: float = Field(
        131_072, gt=0, description="The constant; about as many tokens as a batch has is usual."
    )
    kl: float = Field(
        0.0, ge=0, description="Weight of the KL divergence from the base model; CWM has none."
    )


def advantages(
    rewards: Sequence[float], lengths: Sequence[int], settings: PolicyObjective
) -> list[float]:
    """The advantage of each attempt of a group; all exactly 0 if the rewards are equal.

    lengths: tokens of the agent in each attempt.
    """
    if len(set(rewards)) < 2:
        return [0.0] * len(rewards)
    weights = lengths if settings.baseline == "length_weighted" else [1] * len(rewards)
    total = sum(weights)
    mean = sum(reward * weight for reward, weight in zip(rewards, weights, strict=True)) / total
    centred = [reward - mean for reward in rewards]
    if not settings.sigma:
        return centred
    plain = sum(rewards) / len(rewards)
    sigma = sqrt(sum((reward - plain) ** 2 for reward in rewards) / (len(rewards) - 1))
    return [advantage / (sigma + 1e-4) for advantage in centred]  # TRL's and verl's 1e-4


class PolicyColumns(NamedTuple):
    """What a policy gradient needs for each kept token, all (kept,).

    behaviour: log-probabilities under the policy that sampled; advantages; weights: 1 / trained
    tokens of the token's sequence; current: whether the weights before this step sampled the token.
    """

    behaviour: "Tensor"
    advantages: "Tensor"
    weights: "Tensor"
    current: "Tensor"


class StepSize(NamedTuple):
    """Numbers of the tokens with loss and of the sequences of a whole step."""

    tokens: int
    sequences: int


class PolicyGradient:
    """The policy gradient of a step."""

    def __init__(self, settings: PolicyObjective) -> None:
        self.settings = settings

    def losses(
        self, logprobs: "Tensor", columns: PolicyColumns, reference: "Tensor | None" = None
    ) -> "Tensor":
        """The loss of each kept token, (kept,), before the step's factor.

        reference: (kept,), log-probabilities of the base model, for the KL divergence.
        """
        losses = surrogate(logprobs, columns.behaviour, columns.advantages, self.settings)
        if reference is not None:
            losses = losses + self.settings.kl * divergence(logprobs, reference)
        return losses * columns.weights if self._by_sequence else losses

    def factor(self, size: StepSize) -> float:
        """What the sum of a step's losses is multiplied by."""
        if self.settings.normalise == "constant":
            return 1 / self.settings.constant
        return 1 / max(size.sequences if self._by_sequence else size.tokens, 1)

    @property
    def _by_sequence(self) -> bool:
        return self.settings.normalise == "sequence_mean"


def ratios(logprobs: "Tensor", behaviour: "Tensor") -> "Tensor":
    """The probability of each token now over that when it was sampled, in the shape given."""
    return (logprobs - behaviour).clamp(-_LARGEST_LOG, _LARGEST_LOG).exp()


def surrogate(
    logprobs: "Tensor", behaviour: "Tensor", advantages: "Tensor", settings: PolicyObjective
) -> "Tensor":
    """The loss of each token whose gradient is the policy gradient; all in one shape."""
    import torch

    ratio = ratios(logprobs, behaviour)
    if settings.ratio == "truncate":
        return -ratio.detach().clamp(max=settings.truncation) * advantages * logprobs
    clipped = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def divergence(logprobs: "Tensor", reference: "Tensor") -> "Tensor":
    """An unbiased, positive estimate of KL(policy, reference) at each token (Schulman's k3)."""
    log_ratio = (reference - logprobs).clamp(-_LARGEST_LOG, _LARGEST_LOG)
    return log_ratio.exp() - log_ratio - 1


class RatioCount(NamedTuple):
    """How far ratios are from 1 in some tokens; `deviation` and `largest` for current tokens."""

    tokens: int = 0
    clipped: int = 0
    current: int = 0
    deviation: float = 0.0
    largest: float = 0.0

    def __add__(self, other: "RatioCount") -> "RatioCount":  # type: ignore[override]
        sums = [mine + its for mine, its in zip(self[:4], other[:4], strict=True)]
        return RatioCount(
            int(sums[0]), int(sums[1]), int(sums[2]), sums[3], max(self.largest, other.largest)
        )


def count_ratios(
    logprobs: "Tensor", columns: PolicyColumns, settings: PolicyObjective
) -> RatioCount:
    """Compare log-probabilities with those of the policies that sampled."""
    ratio = ratios(logprobs.detach(), columns.behaviour)
    up, down = columns.advantages > 0, columns.advantages < 0
    clipped = (up & (ratio > 1 + settings.clip_high)) | (down & (ratio < 1 - settings.clip_low))
    away = ((ratio - 1).abs() * columns.current).double()
    return RatioCount(
        tokens=int((up | down).sum()),
        clipped=int(clipped.sum()) if settings.ratio == "clip" else 0,
        current=int(columns.current.sum()),
        deviation=float(away.sum()),
        largest=float(away.max()) if len(away) else 0.0,
    )
