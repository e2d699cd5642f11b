"""A model's tokenizer with its chat template, as a server of the model uses them."""

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from forager.errors import UsageError
from forager.trajectories.record import Message
from forager.trajectories.show import text_of
from forager.trajectories.steps import reasoning


class Unusable(Exception):
    """An attempt of which no sample can be made that is surely right; says why."""


class _Form(NamedTuple):
    """How templates want calls: arguments as an object or as JSON text, ids of nine characters."""

    objects: bool
    nine: bool


_FORMS = [_Form(objects, nine) for objects in (True, False) for nine in (False, True)]


class Tokenizer:
    """A tokenizer and its chat template, from a Hugging Face directory. Raises UsageError."""

    def __init__(self, path: Path) -> None:
        try:
            from transformers import PreTrainedTokenizerFast
        except ModuleNotFoundError as error:
            raise UsageError("data sets need transformers: pip install -e '.[learn]'") from error
        if not (path / "tokenizer.json").is_file():
            raise UsageError(f"{path} holds no tokenizer (tokenizer.json)")
        try:
            self._tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(
                str(path), local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            line = str(error).strip().split("\n")[0]
            raise UsageError(f"{path} holds no tokenizer that can be read: {line}") from error
        if not self._tokenizer.chat_template:
            raise UsageError(f"{path} holds no chat template (chat_template.jinja)")
        backend = self._tokenizer.backend_tokenizer.to_str()
        self.digest = _digest(backend)
        self.template_digest = _digest(json.dumps(self._tokenizer.chat_template, sort_keys=True))
        self.size = len(self._tokenizer)
        self._specials = [
            str(token.content)
            for token in self._tokenizer.added_tokens_decoder.values()
            if token.special or token.content == self._tokenizer.eos_token
        ]
        self._form: _Form | None = None

    def encode(self, text: str) -> list[int]:
        """The ids of a text, special tokens in it read as such, and none added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int], *, specials: bool = True) -> str:
        """The text of some ids, special tokens shown or not."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=not specials, clean_up_tokenization_spaces=False
        )
        return text

    def answer_end(self, answer: str) -> int | None:
        """Where what a model writes ends: behind the last special token; None without one.

        A template may put blanks there, which the model is not asked for.
        """
        end = max((answer.rfind(one) + len(one) for one in self._specials if one in answer),
                  default=0)  # fmt: skip
        return end if end and not answer[end:].strip() else None

    def next_special(self, text: str) -> str:
        """The special token that a text begins with, or nothing."""
        return next((one for one in self._specials if text.startswith(one)), "")

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        date: str,
        *,
        prompt: bool = False,
    ) -> str:
        """The conversation by the template; with `prompt` as the model is asked to go on.

        `date` is the day that a template tells where it tells one. Raises Unusable where the
        template refuses the conversation.
        """
        first: Exception | None = None
        for form in [self._form] if self._form else _FORMS:
            try:
                text = self._rendered(list(_prepared(messages, form)), tools, date, prompt)
            except Exception as error:  # whatever a template does: raise_exception, a wrong type
                first = first or error
                continue
            if any(one.get("tool_calls") for one in messages):
                self._form = form
            return text
        raise Unusable(f"the chat template refuses it: {first}") from first

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
                    raise ValueError("it wants arguments as text")
        return text


def _prepared(messages: Sequence[Message], form: _Form) -> Iterator[Message]:
    """The messages as servers hand them to templates."""
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


def _call(call: dict[str, Any], form: _Form) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = function.get("arguments") or "{}"
    if form.objects:
        try:
            parsed = json.loads(arguments)
        except ValueError:  # a call that could not be read, and was told so
            parsed = arguments
        arguments = parsed
    return {
        "id": _id(str(call.get("id") or ""), form),
        "type": "function",
        "function": {"name": function.get("name") or "", "arguments": arguments},
    }


def _id(id: str, form: _Form) -> str:
    """Mistral's templates want nine letters and digits."""
    if not form.nine or re.fullmatch(r"[a-zA-Z0-9]{9}", id):
        return id
    return _digest(id)[:9]


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
