"""A model from nothing: a tokenizer trained on texts, and an untrained transformer.

The architecture is Llama with tied embeddings, in Hugging Face's layout, so that every trainer and
server accepts it. By default it starts with induction heads (`induction.py`), and heads are 64
wide, the fastest size on a CPU. The tokenizer separates the words of identifiers, digits, and line
breaks with their indentation, so that a word is the same token everywhere.
"""

import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from forager.errors import UsageError
from forager.learning import imports
from forager.learning.induction import THETA, set_heads
from forager.learning.saved import digest, load, save
from forager.learning.sources import Artifact, Sources
from forager.learning.sources import digest as digest_of_run
from forager.locks import claimed
from forager.records import Record
from forager.trajectories.show import text_of

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("system", "user", "assistant")
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
_HEAD = 64
_SMALLEST = 256 + 2 + len(ROLES)  # bytes and special tokens


class BaseSettings(Record):
    """The size of a model, and the seed of its weights."""

    vocabulary: int = Field(2048, ge=_SMALLEST, description="Maximum size of the vocabulary.")
    layers: int = Field(4, ge=1, description="Number of layers.")
    width: int = Field(256, ge=16, description="Size of the hidden states.")
    heads: int | None = Field(
        None, ge=1, description="Number of attention heads; one per 64 of the width by default."
    )
    context: int = Field(2048, ge=16, description="Tokens of the longest sequence.")
    copying: bool = Field(
        True, description="Set heads so that the untrained model can already copy."
    )
    seed: int = Field(0, description="Seed of the weights.")

    @model_validator(mode="after")
    def _has_room_to_copy(self) -> Self:
        if self.copying and (self.layers < 2 or self.width < 4 * _HEAD or self.heads):
            raise ValueError(
                "copying takes 2 layers or more, a width of 256 or more and heads 64 wide; "
                "give such sizes, or --no-copying"
            )
        return self

    @property
    def attention_heads(self) -> int:
        """Number of heads. Raises UsageError if the width is no multiple of twice their number."""
        heads = self.heads or max(1, self.width // _HEAD)
        if self.width % (2 * heads):
            raise UsageError(
                f"a width of {self.width} is no multiple of twice the {heads} heads; "
                f"take one such as {-(-self.width // (2 * heads)) * 2 * heads}"
            )
        return heads


class BaseManifest(Record):
    """Settings and sources of a base, in base.json next to the model."""

    settings: BaseSettings
    sources: list[Artifact] = Field(description="Texts and runs that the tokenizer was trained on.")
    vocabulary: int = Field(0, description="Size of the vocabulary.")
    parameters: int = 0
    digest: str = Field("", description="Digest of the model's files.")


def make_base(texts: Sequence[Path], output: Path, settings: BaseSettings) -> BaseManifest:
    """Make a Hugging Face model; the same texts and settings give the same model.

    A text is a file, a directory of files, or a run, whose messages are the text. An existing base
    of the same texts and settings is left as it is. Raises UsageError.
    """
    _ = settings.attention_heads
    request = BaseManifest(settings=settings, sources=[_source(path) for path in texts])
    with claimed(output):
        known = load(output / "base.json", BaseManifest)
        if known is None:
            return _made(texts, output, request)
    if (known.settings, known.sources) != (settings, request.sources):
        raise UsageError(f"{output} is a base of other texts or settings; name a new directory")
    return known


def _made(texts: Sequence[Path], output: Path, request: BaseManifest) -> BaseManifest:
    from transformers.utils import logging

    logging.disable_progress_bar()
    # A list, because the trainer reads in another thread, and an index is for one thread only.
    tokenizer = _tokenizer(list(_texts(texts)), request.settings)
    tokenizer.save_pretrained(output)
    model = _model(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, request.settings)
    model.save_pretrained(output)
    made = request.model_copy(
        update={
            "vocabulary": len(tokenizer),
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "digest": digest(output),
        }
    )
    save(output / "base.json", made)
    return made


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
        intermediate_size=max(_HEAD, settings.width * 8 // 3 // _HEAD * _HEAD),
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


def _texts(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        if _is_run(path):
            with Sources([path]) as sources:
                for attempt in sources.trajectories(0, sources.places()[0]):
                    yield from map(text_of, attempt.messages)
        else:
            yield from (file.read_bytes().decode("utf-8", "replace") for file in _files(path))


def _source(path: Path) -> Artifact:
    if _is_run(path):
        return Artifact(path=str(path), digest=digest_of_run(path))
    total = blake2b(digest_size=16)
    for file in _files(path):
        total.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        total.update(file.read_bytes())
    return Artifact(path=str(path), digest=total.hexdigest())


def _is_run(path: Path) -> bool:
    return (path / "settings.json").is_file()


def _files(path: Path) -> list[Path]:
    """The file, or the text files of a directory, except hidden ones. Raises UsageError."""
    if path.is_file():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__pycache__")
        found += [Path(folder) / name for name in sorted(names) if name[0] != "."]
    texts = [file for file in found if b"\0" not in file.read_bytes()]
    if not texts:
        raise UsageError(f"{path} has no text files")
    return texts
