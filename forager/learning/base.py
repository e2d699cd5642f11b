"""Bases: models to begin a training with, their settings and what they were made from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from forager.errors import UsageError
from forager.learning.saved import digest, load, save
from forager.learning.sources import Artifact
from forager.locks import claimed
from forager.records import Record

ROLES = ("system", "user", "assistant")
HEAD = 64  # width of a head
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
    trace_tokens: bool = Field(
        False, description="Add the special tokens of CWM's traces to the vocabulary."
    )
    seed: int = Field(0, description="Seed of the weights.")

    @model_validator(mode="after")
    def _has_room_to_copy(self) -> Self:
        if self.copying and (self.layers < 2 or self.width < 4 * HEAD or self.heads):
            raise ValueError(
                "copying takes 2 layers or more, a width of 256 or more and heads 64 wide; "
                "give such sizes, or --no-copying"
            )
        return self

    @property
    def attention_heads(self) -> int:
        """Number of heads. Raises UsageError if the width is no multiple of twice their number."""
        heads = self.heads or max(1, self.width // HEAD)
        if self.width % (2 * heads):
            raise UsageError(
                f"a width of {self.width} is no multiple of twice the {heads} heads; "
                f"take one such as {-(-self.width // (2 * heads)) * 2 * heads}"
            )
        return heads


class BaseFigures(Record):
    """Size and quality of a pretrained model on the texts."""

    vocabulary: int
    parameters: int
    tokens_per_text: float = Field(description="Mean number of tokens of a text.")
    loss: float = Field(description="Nats a token, on the first tokens of some of the texts.")


class BaseManifest(Record):
    """Settings and sources of a base, in base.json next to the model."""

    settings: BaseSettings | None = Field(None, description="Of a model from nothing.")
    pretrained: Artifact | None = Field(None, description="The model whose vocabulary was cut.")
    sources: list[Artifact] = Field(description="Texts and runs that decide the vocabulary.")
    vocabulary: int = Field(0, description="Size of the vocabulary.")
    parameters: int = 0
    before: BaseFigures | None = Field(None, description="Of the pretrained model.")
    after: BaseFigures | None = Field(None, description="Of the cut one.")
    digest: str = Field("", description="Digest of the model's files.")


def once(output: Path, request: BaseManifest, make: Callable[[], dict[str, Any]]) -> BaseManifest:
    """Make a base in a directory, unless the same request was met there before.

    `make` writes the model and returns fields of the manifest, which is written last. Raises
    UsageError for a directory that holds another base.
    """
    with claimed(output):
        known = load(output / "base.json", BaseManifest)
        if known is None:
            made = request.model_copy(update={**make(), "digest": digest(output)})
            save(output / "base.json", made)
            return made
    if _asked(known) != _asked(request):
        raise UsageError(f"{output} is a base of other texts or settings; name a new directory")
    return known


def _asked(manifest: BaseManifest) -> list[object]:
    """What was asked for, wherever the texts and the pretrained model lie."""
    pretrained = manifest.pretrained and manifest.pretrained.digest
    return [manifest.settings, pretrained, *(source.digest for source in manifest.sources)]
