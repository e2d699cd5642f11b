"""A base from a pretrained model, whose vocabulary is cut to what some texts use.

Small models are mostly vocabulary: of Gemma 3 270M, 168 million parameters are embeddings. The cut
model tokenizes the texts as before, and can still read and write any other text.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from forager.errors import UsageError
from forager.learning.base import ROLES, BaseFigures, BaseManifest, once
from forager.learning.hub import model_directory
from forager.learning.pretrained import PretrainedModel
from forager.learning.saved import digest, file_digest
from forager.learning.sources import Artifact
from forager.learning.texts import all_texts, source_of
from forager.learning.trimming import Vocabulary

_MEASURED, _LENGTH = 32, 128  # texts that the loss is measured on, and how many tokens of each
_BATCH = 1000
_TEMPLATE = """\
{{- BOS -}}
{%- for message in messages -%}
{%- if message.role not in ['system', 'user', 'assistant'] or message.tool_calls -%}
{{- raise_exception('this model writes its calls as text: --syntax text') -}}
{%- endif -%}
{{- message.role + '\\n' + message.content + eos_token -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'assistant\\n' -}}{%- endif -%}
"""
"""For models without a template; each message ends with the token that ends a text."""


def cut_base(model: Path, texts: Sequence[Path], output: Path) -> BaseManifest:
    """Write a Hugging Face directory of the model with the vocabulary of the texts.

    `model` is a directory, `owner/name` of the Hub or a file in GGUF, whose weights are
    dequantized. An existing base of the same model and texts is left as it is. Raises UsageError
    for a model that cannot be cut.
    """
    place = model if model.suffix == ".gguf" else model_directory(model)
    if not place.exists():
        raise UsageError(
            f"{model} is neither a directory, a file in GGUF nor owner/name of the Hub"
        )
    request = BaseManifest(
        pretrained=Artifact(
            path=str(model), digest=file_digest(place) if place.is_file() else digest(place)
        ),
        sources=[source_of(path) for path in texts],
    )
    return once(output, request, lambda: _made(place, texts, output))


def _made(place: Path, texts: Sequence[Path], output: Path) -> dict[str, Any]:
    base = PretrainedModel(place)
    try:
        before, after = _cut(base, all_texts(texts))
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error
    base.loaded.save_pretrained(output)
    base.model.to("cpu", dtype=base.stored).save_pretrained(output)
    figures = {"vocabulary": after.vocabulary, "parameters": after.parameters}
    return {**figures, "before": before, "after": after}


def _cut(base: PretrainedModel, texts: Sequence[str]) -> tuple[BaseFigures, BaseFigures]:
    """Cut tokenizer and model; return figures before and after. Raises UsageError."""
    vocabulary = Vocabulary(base.tokenizer)
    template = base.loaded.chat_template or _template(base)
    words = [*texts, *_frame(base.loaded, template)]
    old = _encoded(base.loaded, words)
    before = _figures(base, old, len(base.loaded))
    rows = base.model.get_input_embeddings().weight.shape[0]
    if (last := max(max(ids, default=0) for ids in old)) >= rows:
        raise UsageError(f"the texts have a token {last}, and its embeddings end at {rows - 1}")
    kept = vocabulary.closed(id for ids in old for id in ids)
    base.loaded = _wrapped(vocabulary.cut(kept), base.loaded, template)
    _cut_embeddings(base.model, kept)
    new = _encoded(base.loaded, words)
    differing = sum([kept[id] for id in ids] != was for was, ids in zip(old, new, strict=True))
    if differing:
        raise UsageError(f"{differing} of {len(words)} texts would get other tokens")
    return before, _figures(base, new, len(kept))


def _template(base: PretrainedModel) -> str:
    """The chat template of a model that has none. Raises UsageError without an end of texts."""
    if not base.loaded.eos_token:
        raise UsageError("it has neither a chat template nor a token that ends a text")
    return _TEMPLATE.replace("BOS", "bos_token" if base.bos else "''")


def _frame(tokenizer: Any, template: str) -> Iterator[str]:
    """What the template puts around messages; nothing if it refuses such a conversation."""
    conversation = [{"role": role, "content": "\n"} for role in ROLES]
    try:
        yield tokenizer.apply_chat_template(conversation, chat_template=template, tokenize=False)
    except Exception:  # templates raise anything
        return


def _encoded(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The ids of texts, without special tokens around them."""
    found: list[list[int]] = []
    for start in range(0, len(texts), _BATCH):
        batch = list(texts[start : start + _BATCH])
        found += tokenizer(batch, add_special_tokens=False, verbose=False).input_ids
    return found


def _wrapped(cut: dict[str, Any], before: Any, template: str) -> Any:
    """The cut tokenizer for Transformers, with the same special tokens."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(cut)),
        model_max_length=before.model_max_length,
        clean_up_tokenization_spaces=False,
        **before.special_tokens_map,
    )
    tokenizer.chat_template = template
    return tokenizer


def _cut_embeddings(model: Any, kept: Sequence[int]) -> None:
    """Keep these rows of the embeddings; tied layers stay tied. Raises UsageError."""
    import torch

    size = model.get_input_embeddings().weight.shape[0]
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for weight in dict.fromkeys(weight for layer in layers for weight in layer.parameters()):
            weight[: len(kept)] = weight[list(kept)]
    model.resize_token_embeddings(len(kept), mean_resizing=False)
    others = [name for name, weight in model.named_parameters() if size in weight.shape]
    if others:
        raise UsageError(f"{others[0]} has the size of the vocabulary too, and cannot be cut")
    new = {old: place for place, old in enumerate(kept)}
    configs = [model.config, model.config.get_text_config(), model.generation_config]
    for config in {id(config): config for config in configs}.values():  # two may be one
        _renumber(config, new)


def _renumber(config: Any, new: Mapping[int, int]) -> None:
    """Give the special tokens that a configuration names their new ids."""
    for name, value in list(config.to_dict().items()):
        if name.endswith("_token_id") and isinstance(value, int):
            setattr(config, name, new.get(value))
        elif name.endswith(("_token_id", "_tokens")) and isinstance(value, list):
            setattr(config, name, [new[id] for id in value if id in new])


def _figures(base: PretrainedModel, encoded: Sequence[list[int]], vocabulary: int) -> BaseFigures:
    first = [base.loaded.bos_token_id] if base.bos else []
    return BaseFigures(
        vocabulary=vocabulary,
        parameters=sum(weight.numel() for weight in base.model.parameters()),
        tokens_per_text=round(sum(map(len, encoded)) / max(len(encoded), 1), 2),
        loss=round(_loss(base.model, [first + ids for ids in encoded]), 4),
    )


def _loss(model: Any, texts: Sequence[list[int]]) -> float:
    """Mean loss over the first tokens of some texts, in nats a token."""
    import torch

    spread = texts[:: max(1, len(texts) // _MEASURED)][:_MEASURED]
    total, count = 0.0, 0
    for ids in (text[:_LENGTH] for text in spread if len(text) > 1):
        row = torch.tensor([ids], device=model.device)
        with torch.no_grad():
            logits = model(input_ids=row, use_cache=False).logits[0, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum"))
        count += len(ids) - 1
    return total / max(count, 1)
