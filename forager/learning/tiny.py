"""A model from nothing: a tokenizer trained on texts, and an untrained transformer.

The architecture is Llama with tied embeddings, in Hugging Face's layout, so that every trainer and
server accepts it. By default it starts with induction heads (`induction.py`), and heads are 64
wide, the fastest size on a CPU. The tokenizer separates the words of identifiers, digits, and line
breaks with their indentation, so that a word is the same token everywhere.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forager.learning import imports
from forager.learning.base import HEAD, ROLES, BaseManifest, BaseSettings, once
from forager.learning.induction import THETA, set_heads
from forager.learning.texts import all_texts, source_of
from forager.tracing.views.cwm import TOKENS

PAD, END = "<|pad|>", "<|end|>"
TEMPLATE = """\
{%- for message in messages -%}
{%- if message.role not in ['system', 'user', 'assistant'] or message.tool_calls -%}
{{- raise_exception('this model writes its calls as text: --syntax text') -}}
{%- endif -%}
{{- '<|' + message.role + '|>' + message.content + '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""
_WORDS = r"\n *| ?\p{L}+|\d| ?[^\s\p{L}\d_]+|_|[^\S\n]+|\s"


def make_base(texts: Sequence[Path], output: Path, settings: BaseSettings) -> BaseManifest:
    """Make a Hugging Face model; the same texts and settings give the same model.

    A text is a file, a directory of files, or a run, whose messages are the text. An existing base
    of the same texts and settings is left as it is. Raises UsageError.
    """
    _ = settings.attention_heads
    request = BaseManifest(settings=settings, sources=[source_of(path) for path in texts])
    return once(output, request, lambda: _made(texts, output, settings))


def _made(texts: Sequence[Path], output: Path, settings: BaseSettings) -> dict[str, Any]:
    from transformers.utils import logging

    logging.disable_progress_bar()
    # A list, because the trainer reads in another thread, and an index is for one thread only.
    tokenizer = _tokenizer(all_texts(texts), settings)
    tokenizer.save_pretrained(output)
    model = _model(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, settings)
    model.save_pretrained(output)
    return {
        "vocabulary": len(tokenizer),
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }


def _tokenizer(texts: Sequence[str], settings: BaseSettings) -> Any:
    """A byte-level BPE tokenizer, which can encode any text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(_WORDS), "isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bare.pre_tokenizer = pre_tokenizers.Sequence([pieces, letters])
    bare.decoder = decoders.ByteLevel()
    special = [PAD, END, *(f"<|{role}|>" for role in ROLES)]
    special += TOKENS if settings.trace_tokens else ()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=special[2:],
        model_max_length=settings.context,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _model(vocabulary: int, end: int, pad: int, settings: BaseSettings) -> Any:
    imports.load("torch", "transformers.modeling_utils")
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = settings.attention_heads
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=settings.width,
        intermediate_size=max(HEAD, settings.width * 8 // 3 // HEAD * HEAD),
        num_hidden_layers=settings.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        attention_bias=settings.copying,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(config)
    if settings.copying:
        set_heads(model, settings.seed)
    return model
