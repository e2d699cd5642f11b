"""Attention within each sample of a packed row.

Transformers would mask the whole row, tokens × tokens, most of it in vain. Here each sample
attends to itself only: on a GPU with one variable-length kernel, elsewhere sample by sample.
Positions restart at 0 with each sample, which shows where it begins.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "forager_packed"


def register() -> str:
    """Register the attention with Transformers; return its name."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    return NAME


def packed_attention(
    _module: "nn.Module",
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    _mask: "Tensor | None",
    *,
    position_ids: "Tensor",
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> "tuple[Tensor, None]":
    """Attend within each sample of one row.

    query: (1, heads, tokens, size); key, value: the same, maybe with fewer heads;
    position_ids: (1, tokens). Returns (1, tokens, heads, size).
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    starts = (position_ids[0] == 0).nonzero()[:, 0]
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (tensor.repeat_interleave(groups, dim=1) for tensor in (key, value))
    if query.is_cuda and query.element_size() == 2 and not dropout:
        return _one_kernel(query, key, value, starts, scaling), None
    lengths = _lengths(starts, query.shape[2]).tolist()
    parts = zip(*(tensor.split(lengths, dim=2) for tensor in (query, key, value)), strict=True)
    attended = [
        scaled_dot_product_attention(queries, keys, values, None, dropout, True, scale=scaling)
        for queries, keys, values in parts
    ]
    return torch.cat(attended, dim=2).transpose(1, 2), None


def _lengths(starts: "Tensor", tokens: int) -> "Tensor":
    return starts.diff(append=starts.new_tensor([tokens]))


def _one_kernel(
    query: "Tensor", key: "Tensor", value: "Tensor", starts: "Tensor", scaling: float | None
) -> "Tensor":
    """PyTorch's variable-length flash attention, for NVIDIA GPUs."""
    from inspect import signature

    from torch.nn.attention.varlen import varlen_attn
    from torch.nn.functional import pad

    tokens = query.shape[2]
    ends = pad(starts, (0, 1), value=tokens).int()
    longest = int(_lengths(starts, tokens).max())
    windows = "window_size" in signature(varlen_attn).parameters  # since torch 2.11
    causal: dict[str, Any] = {"window_size": (-1, 0)} if windows else {"is_causal": True}
    attended = varlen_attn(
        *(tensor[0].transpose(0, 1) for tensor in (query, key, value)),
        *(ends, ends, longest, longest),
        scale=scaling,
        **causal,
    )
    assert not isinstance(attended, tuple)
    return attended[None]
