"""Attention within each sample of a packed row.

Transformers would mask the whole row, tokens × tokens, most of it in vain. Here each sample
attends to itself only: on a GPU with one variable-length kernel, elsewhere sample by sample.
Positions restart at 0 with each sample, which shows where it begins. In layers with a sliding
window, a token attends to as many tokens as the window is wide, itself included.
"""

from typing import TYPE_CHECKING, Any

from forager.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "forager_packed"


def register() -> str:
    """Register the attention with Transformers; return its name."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    return NAME


def packed_attention(
    module: "nn.Module",
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    _mask: "Tensor | None",
    *,
    position_ids: "Tensor",
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    s_aux: "Tensor | None" = None,
    **_: Any,
) -> "tuple[Tensor, None]":
    """Attend within each sample of one row.

    query: (1, heads, tokens, size); key, value: the same, maybe with fewer heads;
    position_ids: (1, tokens). Returns (1, tokens, heads, size). Raises UsageError for attention
    with capped logits or sinks.
    """
    import torch

    if softcap or s_aux is not None:
        raise UsageError('this model\'s attention cannot be packed: attn_implementation = "eager"')
    starts = (position_ids[0] == 0).nonzero()[:, 0]
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (tensor.repeat_interleave(groups, dim=1) for tensor in (key, value))
    query, key = query.to(value.dtype), key.to(value.dtype)  # autocast leaves them in float32
    window = _window(module)
    if (
        query.is_cuda
        and query.element_size() == 2
        and not dropout
        and (window is None or _knows_windows())
    ):
        return _one_kernel(query, key, value, starts, scaling, window), None
    lengths = _lengths(starts, query.shape[2]).tolist()
    parts = zip(*(tensor.split(lengths, dim=2) for tensor in (query, key, value)), strict=True)
    attended = [
        _of_sample(queries, keys, values, scaling, dropout, window)
        for queries, keys, values in parts
    ]
    return torch.cat(attended, dim=2).transpose(1, 2), None


def _window(module: Any) -> int | None:
    """The width of a layer's window; None if a token attends to all tokens before it."""
    kinds = getattr(module.config, "layer_types", None)
    if not kinds or kinds[module.layer_idx] != "sliding_attention":
        return None
    width: int = module.config.sliding_window
    return width


def _of_sample(
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    scaling: float | None,
    dropout: float,
    window: int | None,
) -> "Tensor":
    """Attention within one sample, (1, heads, tokens, size)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    tokens = query.shape[2]
    mask = None
    if window is not None and tokens > window:
        mask = torch.ones(tokens, tokens, dtype=torch.bool, device=query.device)
        mask = mask.tril().triu(1 - window)
    return scaled_dot_product_attention(
        query, key, value, mask, dropout, mask is None, scale=scaling
    )


def _lengths(starts: "Tensor", tokens: int) -> "Tensor":
    return starts.diff(append=starts.new_tensor([tokens]))


def _knows_windows() -> bool:
    """Whether the kernel knows windows: since torch 2.11."""
    from inspect import signature

    from torch.nn.attention.varlen import varlen_attn

    return "window_size" in signature(varlen_attn).parameters


def _one_kernel(
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    starts: "Tensor",
    scaling: float | None,
    window: int | None,
) -> "Tensor":
    """PyTorch's variable-length flash attention, for NVIDIA GPUs."""
    from torch.nn.attention.varlen import varlen_attn
    from torch.nn.functional import pad

    tokens = query.shape[2]
    ends = pad(starts, (0, 1), value=tokens).int()
    longest = int(_lengths(starts, tokens).max())
    before = -1 if window is None else window - 1
    causal: dict[str, Any] = (
        {"window_size": (before, 0)} if _knows_windows() else {"is_causal": True}
    )
    attended = varlen_attn(
        *(tensor[0].transpose(0, 1) for tensor in (query, key, value)),
        *(ends, ends, longest, longest),
        scale=scaling,
        **causal,
    )
    assert not isinstance(attended, tuple)
    return attended[None]
