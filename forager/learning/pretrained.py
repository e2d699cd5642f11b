"""Pretrained models as Transformers loads them: Hugging Face directories, and files in GGUF."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forager.errors import UsageError
from forager.learning import imports


class PretrainedModel:
    """A model with its tokenizer. Raises UsageError if Transformers cannot load it.

    `tokenizer` is the JSON of the package `tokenizers`, `loaded` what Transformers made of it;
    `stored` is the precision of the weights in their file, `bos` the token that each text begins
    with, empty without one.
    """

    def __init__(self, source: Path) -> None:
        imports.load("torch", "transformers.modeling_utils")
        from transformers import AutoConfig, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        place, given = _place(source)
        try:
            self.loaded: Any = AutoTokenizer.from_pretrained(place, **given)
            config = AutoConfig.from_pretrained(place, **given)
            self.stored = _stored(config)
            self.model: Any = _opened(place, given, self.stored)
        except (ImportError, OSError, ValueError, KeyError) as error:
            line = str(error).strip().split("\n")[0]
            raise UsageError(f"{source} is no model that Transformers can load: {line}") from error
        if not getattr(self.loaded, "is_fast", False):
            raise UsageError(f"{source} has no tokenizer.json")
        self.tokenizer: dict[str, Any] = json.loads(self.loaded.backend_tokenizer.to_str())
        rows = self.model.get_input_embeddings().weight.shape[0]
        added = self.tokenizer["added_tokens"]  # Transformers adds some of its own to GGUF's
        self.tokenizer["added_tokens"] = [token for token in added if token["id"] < rows]
        name = str(self.loaded.bos_token or "")
        adds = self.loaded("a").input_ids[:1] == [self.loaded.bos_token_id]
        self.bos = name if name and (adds or _wants_bos(source)) else ""
        if self.bos and not adds:
            self.tokenizer["post_processor"] = _putting_first(name, self.loaded.bos_token_id)


def _place(source: Path) -> tuple[Path, dict[str, str]]:
    """Directory and arguments of Transformers for a model."""
    if source.suffix == ".gguf" and source.is_file():
        return source.absolute().parent, {"gguf_file": source.name}
    return source, {}


def _stored(config: Any) -> Any:
    """The precision of the stored weights; bfloat16 for quantized ones, which lose more."""
    import torch

    return config.dtype or torch.bfloat16


def _opened(place: Path, given: Mapping[str, str], stored: Any) -> Any:
    """The model, for a CPU in float32, in which every processor computes fast."""
    import torch
    from transformers import AutoModelForCausalLM

    gpu = torch.cuda.is_available()
    dtype = stored if gpu else torch.float32
    if given:
        model = _dequantized(place, given, dtype)
    else:
        model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype)
    return model.to("cuda" if gpu else "cpu").eval()


def _dequantized(place: Path, given: Mapping[str, str], dtype: Any) -> Any:
    """A model from GGUF; as it is loaded, it would refuse to be saved."""
    from transformers import AutoModelForCausalLM, GgufConfig

    loaded = AutoModelForCausalLM.from_pretrained(
        place, dtype=dtype, quantization_config=GgufConfig(dequantize=True), **given
    )
    vars(loaded.config).pop("quantization_config", None)
    plain = AutoModelForCausalLM.from_config(loaded.config, dtype=dtype)
    plain.load_state_dict(loaded.state_dict())
    plain.tie_weights()
    plain.generation_config = loaded.generation_config
    return plain


def _wants_bos(source: Path) -> bool:
    """Whether a file in GGUF says that texts begin with a token, which Transformers overlooks."""
    if source.suffix != ".gguf":
        return False
    from gguf import GGUFReader

    field = GGUFReader(source).get_field("tokenizer.ggml.add_bos_token")
    return bool(field and field.contents())


def _putting_first(name: str, id: int) -> dict[str, Any]:
    """A post-processor that begins each text with a token."""
    first = {"SpecialToken": {"id": name, "type_id": 0}}
    texts = [{"Sequence": {"id": part, "type_id": type}} for type, part in enumerate("AB")]
    return {
        "type": "TemplateProcessing",
        "single": [first, texts[0]],
        "pair": [first, *texts],
        "special_tokens": {name: {"id": name, "ids": [id], "tokens": [name]}},
    }
