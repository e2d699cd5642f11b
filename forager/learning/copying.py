"""Heads that copy, set in an untrained Llama: otherwise a tiny model learns to copy last, or never.

What mends a bug is mostly copied: a line as it stands, but for one token. Transformers copy by two
layers of heads (Olsson et al. 2022, arXiv 2209.11895): heads of one attend to the tokens just
before, heads of the next to where the same tokens stood earlier, and write what came behind them.
A model of a few million parameters needs more tokens to find this than a processor trains in an
hour, so the heads are set so; other weights stay as they are drawn, and all are trained as usual.

The directions of the hidden states are split into equal parts: what stands here (`now`), what
stood 1, 2 and 3 tokens before (`past`), and one more (`other`). Rotary positions turn some pairs
of a head's numbers by much from token to token, which tells neighbours apart, and others by
little, which lets a token be found again wherever it stands.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator, Tensor

BEFORE = 3
"""Tokens before a place that must be the same; as many heads of the first layer attend to them."""

THETA = 500_000.0
"""Base of the rotary positions, with which enough pairs of numbers turn slowly."""

_QUICK, _SLOW = 0.02, 0.004  # radians a token: pairs that turn more, or less
_REACH = 24.0  # how much more a token before is attended to than its neighbours, in logits
_PAST = 0.12  # what is written of the tokens before; an embedding has a norm of 0.3
_SHARP, _LATEST, _FADING = 6.0, 2.0, 0.8  # how much a match of a token counts, by its distance
_COPY, _LOUD = 2.0, 4.0  # what is written of the token that was found; the scale of the output


def set_heads(model: Any, seed: int) -> None:
    """Set heads of the first two layers of a LlamaForCausalLM, whose attention has biases.

    It must have two layers, four heads or more, each 64 wide, and rotary positions of THETA.
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
            _attend_behind_same(second, number, parts, turns, drawn)
        model.model.norm.weight.fill_(_LOUD)


def _parts(width: int, head: int, drawn: "Generator") -> "list[Tensor]":
    """Directions (rows) that are orthogonal: now, past …, other."""
    import torch

    directions = torch.linalg.qr(torch.randn(width, width, generator=drawn))[0].T
    size = min(head, width // (BEFORE + 2))
    return [directions[start * size : (start + 1) * size] for start in range(BEFORE + 2)]


def _attend_before(layer: Any, number: int, parts: "list[Tensor]", turns: "Tensor") -> None:
    """Head `number` attends to the token `number` + 1 before and writes it into its past.

    Whatever the tokens are: queries and keys are biases, turned against each other so that they
    point the same way at that distance.
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


def _attend_behind_same(
    layer: Any, number: int, parts: "list[Tensor]", turns: "Tensor", drawn: "Generator"
) -> None:
    """Head `number` attends to what stands behind the same tokens, and writes it to the output."""
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
    told = (other, now)[number % 2]
    _carry(layer, number, told, told * _COPY)


def _set(
    layer: Any, number: int, query: "tuple[Tensor, Tensor]", key: "tuple[Tensor, Tensor]"
) -> None:
    """Set weights and biases of a head's queries and keys."""
    for projection, (weight, bias) in ((layer.q_proj, query), (layer.k_proj, key)):
        rows = slice(number * len(bias), (number + 1) * len(bias))
        projection.weight[rows] = weight
        projection.bias[rows] = bias


def _carry(layer: Any, number: int, read: "Tensor", written: "Tensor") -> None:
    """A head reads these directions (rows) where it attends to, and writes those."""
    size = layer.head_dim
    rows = slice(number * size, (number + 1) * size)
    layer.v_proj.weight[rows] = 0
    layer.v_proj.weight[rows][: len(read)] = read
    layer.o_proj.weight[:, rows] = 0
    layer.o_proj.weight[:, rows][:, : len(written)] = written.T
