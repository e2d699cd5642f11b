"""The trained model: loading, adapters, attention, writing."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.errors import UsageError
from forager.learning.train.attention import register
from forager.learning.train.settings import TrainSettings

if TYPE_CHECKING:
    import torch

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".gguf", ".onnx")


def precision(settings: TrainSettings) -> str:
    """The precision of the weights: `bf16` or `fp32`."""
    import torch

    if settings.precision != "auto":
        return settings.precision
    return "bf16" if torch.cuda.is_available() and not settings.autocast else "fp32"


def open_model(base: Path, settings: TrainSettings) -> Any:
    """The base model, with adapters if `lora` is set, and frozen parts.

    Raises UsageError if it cannot be packed, or has fewer layers than are frozen.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = torch.bfloat16 if precision(settings) == "bf16" else torch.float32
    config = AutoConfig.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(
        base, dtype=dtype, attn_implementation=_attention(config, settings)
    )
    model.config.use_cache = False
    if settings.packing and _carries_state(model):
        raise UsageError(
            f"{base} has recurrent layers or convolutions, through which samples that share a row "
            "would see each other; give each sample its own row (--no-packing)"
        )
    model = with_adapters(model, settings) if settings.lora else model
    freeze(model, settings)
    return model


def freeze(model: Any, settings: TrainSettings) -> None:
    """Stop the training of embeddings and lower layers, as the settings ask.

    No gradients are computed below the lowest trained weight. Raises UsageError.
    """
    if settings.freeze_embeddings:
        model.get_input_embeddings().requires_grad_(False)
    layers = _layers(model)
    if settings.freeze_layers > len(layers):
        raise UsageError(f"freeze_layers is {settings.freeze_layers}; there are {len(layers)}")
    for layer in layers[: settings.freeze_layers]:
        layer.requires_grad_(False)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UsageError("everything is frozen: lower freeze_layers")


def _layers(model: Any) -> Any:
    """The layers of the decoder, in order."""
    from torch.nn import ModuleList

    count = model.config.get_text_config().num_hidden_layers
    lists = (module for module in model.modules() if isinstance(module, ModuleList))
    return next(found for found in lists if len(found) == count)


def _carries_state(model: Any) -> bool:
    """Whether a layer carries state along the row, which no attention mask limits."""
    from torch.nn import Conv1d

    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ()
    recurrent = {"linear_attention", "conv", "mamba", "hybrid"} & set(kinds)
    return bool(recurrent) or any(isinstance(layer, Conv1d) for layer in model.modules())


def with_adapters(model: Any, settings: TrainSettings) -> Any:
    """The model with low-rank adapters, its only trainable weights."""
    from peft import LoraConfig, get_peft_model

    lora = settings.lora
    assert lora
    targets = (
        lora.target_modules[0] if lora.target_modules == ["all-linear"] else lora.target_modules
    )
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config, autocast_adapter_dtype=False)


def _attention(config: Any, settings: TrainSettings) -> str:
    """The attention's name in Transformers. Raises UsageError if it cannot share rows."""
    text = config.get_text_config()
    known = getattr(text, "layer_types", None)
    windows = getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True)
    plain = {*known} <= {"full_attention", "sliding_attention"} if known else not windows
    chosen = settings.attn_implementation
    if chosen == "auto":
        chosen = "packed" if plain and not getattr(text, "attn_logit_softcapping", None) else "sdpa"
    if settings.sequence_parallel_size > 1 and chosen != "packed":
        raise UsageError(
            f"sequence_parallel_size needs attn_implementation `packed`; this model uses {chosen}"
        )
    return register() if chosen == "packed" else chosen


def parameter_groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: matrices with weight decay, biases and norms without."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {
            "params": [weight for weight in trained if weight.ndim >= 2],
            "weight_decay": weight_decay,
        },
        {"params": [weight for weight in trained if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def write_model(
    state: "dict[str, torch.Tensor]", base: Path, settings: TrainSettings, output: Path
) -> None:
    """Write a Hugging Face directory with the base's tokenizer and chat template.

    `state` is the trained model's state; adapters are merged. A freshly opened model loads it, so
    that tied weights are tied again and names are those that Transformers writes.
    """
    model = open_model(base, settings)
    missing, unknown = model.load_state_dict(state, strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    lost = [name for name in missing if not any(name.endswith(end) for end in tied)]
    if lost or unknown:
        raise RuntimeError(f"weights do not fit the model: {(lost + unknown)[:3]}")
    if settings.lora:
        model = model.merge_and_unload()
    model.tie_weights()
    model.config.use_cache = True
    for path in base.iterdir():
        if path.is_file() and path.suffix not in _WEIGHTS and ".index." not in path.name:
            shutil.copy(path, output / path.name)
    model.save_pretrained(output)
