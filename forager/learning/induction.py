"""Induction heads, set in an untrained Llama, so that it can copy from the start.

Most of a bug fix is copied: a line with one token changed. Transformers copy with two layers of
heads (Olsson et al. 2022, arXiv 2209.11895): heads of the first attend to the preceding tokens,
heads of the second to earlier places with the same preceding tokens, and copy what follows there.
A model of a few million parameters needs more tokens to learn this than a CPU trains in an hour.
So these heads are set by hand; the other weights are random, and training changes all of them.

The directions of the hidden states are divided into equal parts: the current token (`now`), the
tokens 1, 2 and 3 places before (`past`), and one more (`other`). Rotary positions turn some pairs
of a head's dimensions quickly, which distinguishes neighbours, and others slowly, which finds a
token at any distance.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator, Tensor

BEFORE = 3
"""Number of preceding tokens that must match; as many heads of the first layer find them."""

THETA = 500_000.0
"""Base of the rotary positions; it makes enough pairs of dimensions turn slowly."""

_QUICK, _SLOW = 0.02, 0.004  # radians per token: pairs that turn faster, or slower
_REACH = 24.0  # logits by which a preceding token exceeds its neighbours
_PAST = 0.12  # weight of the preceding tokens; an embedding has a norm of 0.3
_SHARP, _LATEST, _FADING = 6.0, 2.0, 0.8  # weight of a match, by its distance
_COPY, _LOUD = 2.0, 4.0  # weight of the copied token; scale of the output


def set_heads(model: Any, seed: int) -> None:
    """Set induction heads in the first two layers of a LlamaForCausalLM.

    The model needs at least two layers and four heads of 64 dimensions, attention biases, and
    rotary positions with base THETA.
    """
    import torch

    drawn = torch.Generator().manual_seed(seed)
    config = model.config
    parts = _parts(config.hidden_size, config.head_dim, drawn)
    turns = THETA ** (-torch.arange(0, config.head_dim, 2).float() / config.head_dim)
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    with torch.no_grad():
        for number in range(BEFORE):
            _attend_before(first, number, parts, turns)
        for number in range(config.num_attention_heads):
            _attend_after_same(second, number, parts, turns, drawn)
        model.model.norm.weight.fill_(_LOUD)


def _parts(width: int, head: int, drawn: "Generator") -> "list[Tensor]":
    """Orthogonal directions, (size, width) per part: now, past …, other."""
    import torch

    directions = torch.linalg.qr(torch.randn(width, width, generator=drawn))[0].T
    size = min(head, width // (BEFORE + 2))
    return [directions[start * size : (start + 1) * size] for start in range(BEFORE + 2)]


def _attend_before(layer: Any, number: int, parts: "list[Tensor]", turns: "Tensor") -> None:
    """Head `number` attends to the token `number` + 1 places before and writes it to its past.

    It ignores what the tokens are: queries and keys are biases, turned against each other so that
    they point the same way at that distance.
    """
    import torch

    quick, half = turns > _QUICK, len(turns)
    long = (_REACH * (2 * half) ** 0.5 / (1 - torch.cos(turns[quick])).sum()) ** 0.5
    query, key = torch.zeros(2, 2 * half)
    key[:half][quick] = long
    query[:half][quick] = long * torch.cos((number + 1) * turns[quick])
    query[half:][quick] = -long * torch.sin((number + 1) * turns[quick])
    nothing = torch.zeros(2 * half, parts[0].shape[1])
    _set(layer, number, (nothing, query), (nothing, key))
    _carry(layer, number, parts[0], parts[1 + number] * _PAST)


def _attend_after_same(
    layer: Any, number: int, parts: "list[Tensor]", turns: "Tensor", drawn: "Generator"
) -> None:
    """Head `number` attends to what follows the same tokens, and writes it to the output."""
    import torch

    now, *past, other = parts
    half = len(turns)
    slow = [place for pair in range(half) if turns[pair] < _SLOW for place in (pair, pair + half)]
    share = len(slow) // BEFORE
    nothing = torch.zeros(2 * half)
    query, key = torch.zeros(2, 2 * half, now.shape[1])
    for distance, (here, there) in enumerate(zip(parts, past, strict=False)):
        places = slow[distance * share : (distance + 1) * share]
        mixed = torch.linalg.qr(torch.randn(len(now), len(now), generator=drawn))[0][: len(places)]
        counts = _FADING**distance if distance else _LATEST
        query[places] = mixed @ here * _SHARP * counts
        key[places] = mixed @ there
    _set(layer, number, (query, nothing), (key, nothing))
    source = (other, now)[number % 2]
    _carry(layer, number, source, source * _COPY)


def _set(
    layer: Any, number: int, query: "tuple[Tensor, Tensor]", key: "tuple[Tensor, Tensor]"
) -> None:
    """Set weights and biases of a head's queries and keys."""
    for projection, (weight, bias) in ((layer.q_proj, query), (layer.k_proj, key)):
        rows = slice(number * len(bias), (number + 1) * len(bias))
        projection.weight[rows] = weight
        projection.bias[rows] = bias


def _carry(layer: Any, number: int, read: "Tensor", written: "Tensor") -> None:
    """Let a head read the directions `read` where it attends to, and write `written`."""
    size = layer.head_dim
    rows = slice(number * size, (number + 1) * size)
    layer.v_proj.weight[rows] = 0
    layer.v_proj.weight[rows][: len(read)] = read
    layer.o_proj.weight[:, rows] = 0
    layer.o_proj.weight[:, rows][:, : len(written)] = written.T
