"""The policy gradient: formulas in float64, and what rows and packing do to it."""

import random
from math import exp
from typing import TYPE_CHECKING

import pytest

from forager.learning.train.objective import (
    PolicyColumns,
    PolicyGradient,
    PolicyObjective,
    StepSize,
    advantages,
    count_ratios,
    divergence,
    surrogate,
)

if TYPE_CHECKING:
    from torch import Tensor

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore")]
CWM = PolicyObjective()


def drawn(count: int, seed: int = 0) -> tuple[list[float], list[float], list[float]]:
    """Log-probabilities, behaviour log-probabilities and advantages, on all sides of the clip."""
    source = random.Random(seed)
    behaviour = [-source.random() * 3 - 0.1 for _ in range(count)]
    shifts = [source.choice([-0.6, -0.1, 0.0, 0.1, 0.6]) + source.random() / 50 for _ in behaviour]
    now = [value + shift for value, shift in zip(behaviour, shifts, strict=True)]
    return now, behaviour, [source.choice([-1.3, -0.2, 0.4, 1.7]) for _ in range(count)]


def by_hand(now: float, then: float, advantage: float) -> float:
    """The derivative of -min(r A, clip(r) A) by log p, written out case by case."""
    ratio = exp(now - then)
    if advantage > 0 and ratio > 1.25:
        return 0.0
    if advantage < 0 and ratio < 0.8:
        return 0.0
    return -ratio * advantage


def test_the_gradient_is_that_of_the_formula_on_both_sides_of_the_clip() -> None:
    """In float64 the gradient equals the formula, written out by hand, to 1e-10."""
    import torch

    now, then, gains = drawn(400)
    logprobs = torch.tensor(now, dtype=torch.float64, requires_grad=True)
    losses = surrogate(logprobs, torch.tensor(then).double(), torch.tensor(gains).double(), CWM)
    (losses.sum() / CWM.constant).backward()
    then = torch.tensor(then).double().tolist()
    gains = torch.tensor(gains).double().tolist()
    wanted = [by_hand(*values) / 131_072 for values in zip(now, then, gains, strict=True)]
    assert logprobs.grad is not None
    pairs = zip(logprobs.grad.tolist(), wanted, strict=True)
    assert max(abs(found - want) for found, want in pairs) < 1e-10 / 131_072
    ratios = [exp(a - b) for a, b in zip(now, then, strict=True)]
    sides = {(a > 0, r > 1.25, r < 0.8) for a, r in zip(gains, ratios, strict=True)}
    assert len(sides) == 6  # each sign of the advantage, below, inside and above the clip


def test_advantages_are_rewards_without_their_mean_over_tokens() -> None:
    """A = R - sum(R L) / sum(L), without sigma; a group without variance has exactly none."""
    found = advantages([1, -1, -1], [10, 30, 60], CWM)
    assert found == pytest.approx([1 + 0.8, -1 + 0.8, -1 + 0.8], abs=1e-15)
    assert sum(a * length for a, length in zip(found, [10, 30, 60], strict=True)) == pytest.approx(
        0
    )
    assert advantages([0.1] * 3, [7, 11, 13], CWM) == [0.0, 0.0, 0.0]
    plain = advantages([1, -1, -1], [10, 30, 60], PolicyObjective(baseline="mean", sigma=True))
    assert sum(plain) == pytest.approx(0)
    assert plain[0] == pytest.approx((4 / 3) / (2 / 3**0.5 + 1e-4))


def grouped(seed: int = 3) -> tuple["Tensor", "Tensor", "Tensor", "Tensor", list[float], list[int]]:
    """A padded batch of a group, (4, 9): log-probabilities now and then, advantages, mask."""
    import torch

    rewards, lengths = [1.0, -1.0, -1.0, 1.0], [9, 4, 6, 2]
    torch.manual_seed(seed)
    then = -torch.rand(4, 9, dtype=torch.float64) * 3
    now = then + (torch.rand(4, 9, dtype=torch.float64) - 0.5)
    mask = torch.arange(9)[None] < torch.tensor(lengths)[:, None]
    gains = torch.tensor(advantages(rewards, lengths, CWM), dtype=torch.float64)[:, None].expand(
        4, 9
    )
    return now, then, gains, mask, rewards, lengths


def ours(settings: PolicyObjective) -> tuple[float, "Tensor"]:
    """The loss and its gradient on the batch of `grouped`, as a step computes it."""
    now, then, gains, mask, _, lengths = grouped()
    now = now.clone().requires_grad_()
    weights = mask.double() / mask.sum(1, keepdim=True)
    columns = PolicyColumns(then[mask], gains[mask], weights[mask], mask[mask])
    objective = PolicyGradient(settings)
    loss = objective.losses(now[mask], columns).sum()
    loss = loss * objective.factor(StepSize(sum(lengths), len(lengths)))
    loss.backward()
    assert now.grad is not None
    return float(loss), now.grad


def test_it_agrees_with_verl() -> None:
    """verl's `opo` advantage and `token-sum` loss, divided by N; formulas transcribed from 0.9.

    verl/trainer/ppo/core_algos.py: compute_opo_outcome_advantage, compute_policy_loss_vanilla,
    agg_loss(loss_agg_mode="token-sum"); its dual clip (3.0) is out of reach here.
    benchmarks/rl_losses calls verl's own code.
    """
    import torch

    now, then, _, mask, rewards, lengths = grouped()
    score, length = torch.tensor(rewards).double(), torch.tensor(lengths).double()
    baseline = (length * score).sum() / length.sum()
    gains = (score - baseline)[:, None] * mask
    now = now.clone().requires_grad_()
    ratio = torch.exp(torch.clamp(now - then, -20.0, 20.0))
    first, second = -gains * ratio, -gains * torch.clamp(ratio, 1 - 0.2, 1 + 0.25)
    losses = torch.maximum(first, second)
    losses = torch.where(gains < 0, torch.minimum(-gains * 3.0, losses), losses)
    loss = (losses * mask).sum() / 131_072
    loss.backward()
    assert now.grad is not None
    value, gradient = ours(CWM)
    assert value == pytest.approx(float(loss), abs=1e-15)
    assert torch.allclose(gradient, now.grad, atol=1e-15, rtol=1e-10)


@pytest.mark.parametrize("loss_type", ["dr_grpo", "bnpo", "grpo"])
def test_it_agrees_with_trl(loss_type: str) -> None:
    """TRL's `dr_grpo` up to its constant, and its two means; formulas transcribed from 1.16.

    trl/trainer/grpo_trainer.py, `_compute_loss`; benchmarks/rl_losses calls TRL's own code.
    """
    import torch

    now, then, gains, mask, _, _ = grouped()
    now = now.clone().requires_grad_()
    ratio = torch.exp(now - then)
    clipped = torch.clamp(ratio, 1 - 0.2, 1 + 0.25)
    losses = -torch.min(ratio * gains, clipped * gains)
    by_type = {
        "dr_grpo": (losses * mask).sum() / (losses.size(0) * 9),
        "bnpo": (losses * mask).sum() / mask.sum().clamp(min=1.0),
        "grpo": ((losses * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean(),
    }
    by_type[loss_type].backward()
    names = {"dr_grpo": "constant", "bnpo": "token_mean", "grpo": "sequence_mean"}
    given = {"normalise": names[loss_type], "constant": 4 * 9}
    value, gradient = ours(PolicyObjective.model_validate(given))
    assert now.grad is not None
    assert value == pytest.approx(float(by_type[loss_type].detach()), abs=1e-12)
    assert torch.allclose(gradient, now.grad, atol=1e-12)


def test_departures_are_what_they_say() -> None:
    """Truncation weights by min(r, C), without a gradient through r; KL is 0 only at equality."""
    import torch

    now, then, gains = (torch.tensor(values).double() for values in drawn(50))
    now.requires_grad_()
    truncated = PolicyObjective(ratio="truncate", truncation=1.5)
    surrogate(now, then, gains, truncated).sum().backward()
    wanted = -(now - then).exp().clamp(max=1.5).detach() * gains
    assert now.grad is not None
    assert torch.allclose(now.grad, wanted, atol=1e-12)
    assert float(divergence(now, then).detach().min()) >= 0
    assert not divergence(then, then).any()


def test_an_overflowing_ratio_without_advantage_is_no_nan() -> None:
    """A token that has become certain, but has no advantage, adds 0 and not 0 times infinity."""
    import torch

    now, then = torch.tensor([0.0]), torch.tensor([-1e6])
    assert float(surrogate(now, then, torch.tensor([0.0]), CWM)) == 0


def test_ratios_are_counted() -> None:
    """Clipped tokens are those without a gradient; only current tokens count as deviations."""
    import torch

    then = torch.tensor([-1.0, -1.0, -1.0])
    now = then + torch.tensor([1.0, -1.0, 0.1])
    columns = PolicyColumns(
        then, torch.tensor([1.0, 1.0, -1.0]), torch.ones(3), torch.tensor([False, False, True])
    )
    seen = count_ratios(now, columns, CWM)
    assert (seen.tokens, seen.clipped, seen.current) == (3, 1, 1)
    assert seen.largest == seen.deviation == pytest.approx(exp(0.1) - 1, abs=1e-6)
