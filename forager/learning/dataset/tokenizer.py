"""A model's tokenizer with its chat template, as a server of the model uses them."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from forager.errors import UsageError
from forager.learning import imports
from forager.trajectories.record import Message
from forager.trajectories.show import text_of
from forager.trajectories.steps import reasoning
from forager.untrusted import json_value

_USER: Message = {"role": "user", "content": "x"}
SHORTEST: list[list[Message]] = [[{"role": "system", "content": "x"}, _USER], [_USER]]
"""The shortest conversations; some templates refuse system prompts, others need them."""


class UnusableAttempt(Exception):
    """No sample of this attempt would be certainly right; the message says why."""


class _CallForm(NamedTuple):
    """How a template wants calls: arguments as objects or JSON text, ids of nine characters."""

    objects: bool
    nine: bool


_FORMS = [_CallForm(objects, nine) for objects in (True, False) for nine in (False, True)]


class Tokenizer:
    """A tokenizer and its chat template, from a Hugging Face directory. Raises UsageError."""

    def __init__(self, path: Path) -> None:
        try:
            imports.load("transformers")
            from transformers import PreTrainedTokenizerFast
        except ModuleNotFoundError as error:
            raise UsageError("data sets need transformers: pip install -e '.[learn]'") from error
        if not (path / "tokenizer.json").is_file():
            raise UsageError(f"{path} has no tokenizer (tokenizer.json)")
        try:
            self._tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(
                str(path), local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            line = str(error).strip().split("\n")[0]
            raise UsageError(f"{path} has a tokenizer that cannot be read: {line}") from error
        if not self._tokenizer.chat_template:
            raise UsageError(f"{path} has no chat template (chat_template.jinja)")
        backend = self._tokenizer.backend_tokenizer.to_str()
        self.digest = _digest(backend)
        self.template_digest = _digest(json.dumps(self._tokenizer.chat_template, sort_keys=True))
        self.size = len(self._tokenizer)
        self.bos: int | None = self._tokenizer.bos_token_id
        self._specials = [
            str(token.content)
            for token in self._tokenizer.added_tokens_decoder.values()
            if token.special or token.content == self._tokenizer.eos_token
        ]
        self._form: _CallForm | None = None

    @cached_property
    def _bos_tokens(self) -> int | None:
        """How often a prompt begins with <bos>; None if the template refuses to tell."""
        for messages in SHORTEST:
            try:
                return self._leading(self.encode(self.render(messages, [], "", prompt=True)))
            except UnusableAttempt:
                continue
        return None

    def _leading(self, ids: Sequence[int]) -> int:
        return next((place for place, id in enumerate(ids) if id != self.bos), len(ids))

    @property
    def end(self) -> str:
        """The token that ends a text; empty if there is none."""
        return str(self._tokenizer.eos_token or "")

    def beginning(self) -> list[int]:
        """The ids with which texts begin: <bos> as often as the template's prompts have it."""
        return [] if self.bos is None else [self.bos] * (self._bos_tokens or 0)

    def specials_in(self, text: str) -> list[str]:
        """The special tokens that a text holds."""
        return [token for token in self._specials if token in text]

    def begins(self, ids: Sequence[int]) -> bool:
        """Whether a text begins as the template's prompts do: with <bos> as often, mostly once.

        A model pretrained with <bos> loses a third of its skill if it is served without.
        """
        return self._bos_tokens in (None, self._leading(ids))

    def encode(self, text: str) -> list[int]:
        """The ids of a text; special tokens in it become their ids, and none are added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int], *, specials: bool = True) -> str:
        """The text of ids, with or without special tokens."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=not specials, clean_up_tokenization_spaces=False
        )
        return text

    def answer_end(self, answer: str) -> int | None:
        """The end of what the model writes: after the last special token; None without one.

        White space that a template adds there is not part of the answer.
        """
        there = [token for token in self._specials if token in answer]
        end = max((answer.rfind(token) + len(token) for token in there), default=0)
        return end if end and not answer[end:].strip() else None

    def next_special(self, text: str) -> str:
        """The special token that a text begins with; empty without one."""
        return next((token for token in self._specials if text.startswith(token)), "")

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        date: str,
        *,
        prompt: bool = False,
    ) -> str:
        """The conversation as the template renders it; with `prompt`, a prompt for its next turn.

        `date` is for templates that show the day. Raises UnusableAttempt if the template refuses
        the conversation.
        """
        first: Exception | None = None
        for form in [self._form] if self._form else _FORMS:
            try:
                text = self._rendered(list(_prepared(messages, form)), tools, date, prompt)
            except Exception as error:  # templates raise anything: raise_exception, wrong types
                first = first or error
                continue
            if any(message.get("tool_calls") for message in messages):
                self._form = form
            return text
        raise UnusableAttempt(f"the chat template refuses it: {first}") from first

    def _rendered(
        self, messages: list[Message], tools: Sequence[dict[str, Any]], date: str, prompt: bool
    ) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages,
            tools=list(tools) or None,
            tokenize=False,
            add_generation_prompt=prompt,
            date_string=date,
        )
        for message in messages:
            for call in message.get("tool_calls") or ():
                arguments = call["function"]["arguments"]
                if isinstance(arguments, dict) and arguments and repr(arguments) in text:
                    raise ValueError("the template wants arguments as text")
        return text


def _prepared(messages: Sequence[Message], form: _CallForm) -> Iterator[Message]:
    """The messages as servers pass them to templates."""
    for message in messages:
        thought = reasoning(message)
        calls = [_call(call, form) for call in message.get("tool_calls") or ()]
        id = message.get("tool_call_id")
        yield {
            "role": message["role"],
            "content": text_of(message),
            **({"reasoning_content": thought} if thought else {}),
            **({"tool_calls": calls} if calls else {}),
            **({"tool_call_id": _id(str(id), form)} if id is not None else {}),
        }


def _call(call: dict[str, Any], form: _CallForm) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = function.get("arguments") or "{}"
    if form.objects:
        try:
            parsed = json_value(arguments, len(arguments))
        except ValueError:  # a malformed call
            parsed = arguments
        arguments = parsed
    return {
        "id": _id(str(call.get("id") or ""), form),
        "type": "function",
        "function": {"name": function.get("name") or "", "arguments": arguments},
    }


def _id(id: str, form: _CallForm) -> str:
    """Mistral's templates require nine letters and digits."""
    if not form.nine or re.fullmatch(r"[a-zA-Z0-9]{9}", id):
        return id
    return _digest(id)[:9]


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
