"""A tokenizer with a part of its vocabulary, which encodes given texts as the whole one does.

Byte-pair encoding merges, again and again, the pair with the lowest rank. If the part has every
token that arises on the way to a text's tokens, and every merge between its tokens, then each step
of the whole tokenizer is also the next step of the part: by induction both give the same tokens.
Bytes stay, so that any other text can be encoded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from forager.errors import UsageError

_BLANK = "▁"  # decoders make a blank of it, but not of its bytes
Ranks = Mapping[tuple[str, str], int]


class Vocabulary:
    """The vocabulary of a tokenizer in the JSON of the package `tokenizers`.

    Raises UsageError if it is not byte-pair encoding over bytes, or with bytes for characters that
    it lacks: another kind could not encode every text after it was cut.
    """

    def __init__(self, tokenizer: dict[str, Any]) -> None:
        model = tokenizer["model"]
        if model.get("type") != "BPE" or _marks_ends(model):
            raise UsageError(
                f"its vocabulary is {model.get('type')}, and only byte-pair encoding can be cut; "
                "train the model as it is (`forager train --base MODEL`)"
            )
        self._tokenizer, self._model = tokenizer, model
        self._ids: dict[str, int] = model["vocab"]
        self._names = {id: name for name, id in self._ids.items()}
        self._merges = [_pair(merge) for merge in model["merges"]]
        self._bytes = _bytes_of(tokenizer)
        if missing := [name for name in self._bytes if name not in self._ids]:
            raise UsageError(
                f"its vocabulary lacks {len(missing)} of 256 bytes, so that it could not encode "
                "every text after it was cut; train the model as it is"
            )

    def closed(self, used: Iterable[int]) -> list[int]:
        """The ids to keep, in order: used ones, what those are merged from, bytes, added tokens."""
        ranks = {pair: rank for rank, pair in enumerate(self._merges)}
        always = [*self._bytes, _BLANK, self._model.get("unk_token")]
        kept = {self._ids[name] for name in always if name in self._ids}
        kept |= {token["id"] for token in self._tokenizer["added_tokens"]}
        for id in set(used) - kept:
            kept.add(id)
            found = _derivation(self._names[id], ranks)
            kept |= {self._ids[name] for name in found if name in self._ids}
        return sorted(kept)

    def cut(self, kept: Sequence[int]) -> dict[str, Any]:
        """The tokenizer with these tokens alone, which get the ids 0, 1, 2, … in the same order."""
        new = {old: place for place, old in enumerate(kept)}
        vocabulary = {name: new[id] for name, id in self._ids.items() if id in new}
        merges = [
            [left, right]
            for left, right in self._merges
            if left in vocabulary and right in vocabulary and left + right in vocabulary
        ]
        added = [{**token, "id": new[token["id"]]} for token in self._tokenizer["added_tokens"]]
        by_name = vocabulary | {token["content"]: token["id"] for token in added}
        return {
            **self._tokenizer,
            "added_tokens": added,
            "post_processor": _renumbered(self._tokenizer.get("post_processor"), by_name),
            "model": {**self._model, "vocab": vocabulary, "merges": merges},
        }


def _derivation(name: str, ranks: Ranks) -> Iterator[str]:
    """Yield the characters of a token and what they are merged to, up to the token."""
    parts = list(name)
    yield from parts
    while True:
        pairs = [
            (ranks[pair], place) for place, pair in enumerate(pairwise(parts)) if pair in ranks
        ]
        if not pairs:
            return
        _, place = min(pairs)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
        yield parts[place]


def _marks_ends(model: Mapping[str, Any]) -> bool:
    """Whether tokens within words or at their ends are marked, as in GPT-1 and CLIP."""
    return bool(model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"))


def _pair(merge: "str | list[str]") -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _bytes_of(tokenizer: Mapping[str, Any]) -> list[str]:
    """The names of the 256 bytes in a vocabulary."""
    if tokenizer["model"].get("byte_fallback"):
        return [f"<0x{value:02X}>" for value in range(256)]
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _renumbered(processor: Any, ids: Mapping[str, int]) -> Any:
    """The post-processor, which adds <bos> and the like, with new ids."""
    if not isinstance(processor, dict):
        return processor
    changed = dict(processor)
    if "processors" in processor:
        changed["processors"] = [_renumbered(inner, ids) for inner in processor["processors"]]
    if isinstance(special := processor.get("special_tokens"), dict):
        changed["special_tokens"] = {
            name: {**token, "ids": [ids[part] for part in token["tokens"]]}
            for name, token in special.items()
        }
    for name in ("sep", "cls"):  # of BERT and RoBERTa
        if name in processor:
            token = processor[name][0]
            changed[name] = [token, ids[token]]
    return changed
