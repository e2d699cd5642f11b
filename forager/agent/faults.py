"""Faults of an endpoint: whether they may pass, and what one line says about them.

And errors that forager does not foresee, of any part.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from math import isfinite
from traceback import format_exception
from typing import Any

from forager.errors import ForagerError, Unforeseen
from forager.logins import LOGINS

_AGAIN = {408, 409, 424, 425, 429, 498, 499}  # and everything from 500
CONVERSATION = {400, 413, 422}
"""Statuses of a request whose messages or settings the endpoint does not take."""
_HERE_ONLY = {401, 403, 404}  # this endpoint's; another one may know the key and the model
_OVERFLOW = re.compile(
    r"context.{0,10}(length|window|size)|maximum (model|prompt) length"
    r"|(prompt|input|request|message|conversation)( is|'s)? too (long|large)|input_too_large"
    r"|input token count .{0,40}exceeds|`?inputs?`? (tokens? \+|must have less than)"
    r"|exceed\w* model token limit|range of input length|reduce the length of"
    r"|sum of prompt length|total number of tokens in the prompt|maximum input length"
    r"|max_tokens must be at least 1, got 0",  # vLLM: so much is left behind the prompt
    re.IGNORECASE,
)
_NEVER = re.compile(r"request too large|must be reduced in order to run", re.IGNORECASE)
_FILTERED = re.compile(r"content.?(filter|management)|moderation|flagged|safety", re.IGNORECASE)
_SEARCHED = 4000  # characters of a server's message


class GarbledReply(Exception):
    """The answer is not a chat completion."""


class ErrorReply(GarbledReply):
    """An error with the status 200; `status_code` is the one in its body, or 500."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(f"no choices in {one_line(str(body))}")
        inner = body.get("error")
        fields = inner if isinstance(inner, dict) else body
        self.body, self.code = body, fields.get("code")
        status = str(self.code)
        self.status_code = int(status) if re.fullmatch("[45][0-9][0-9]", status) else 500


def foreseen(error: Exception) -> ForagerError:
    """The error itself if it is forager's, else an Unforeseen with its traceback.

    Unlike many errors of packages, the result can be pickled and sent between nodes.
    """
    if isinstance(error, ForagerError):
        return error
    cause = one_line(f"{type(error).__name__}: {error}")
    return Unforeseen(cause, "".join(format_exception(error)))


@contextmanager
def only_foreseen() -> Iterator[None]:
    """Let errors of forager pass, and turn others into Unforeseen."""
    try:
        yield
    except ForagerError:
        raise
    except Exception as error:
        raise foreseen(error) from error


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    from openai import APIConnectionError, APIStatusError

    if not isinstance(error, (APIStatusError, ErrorReply)):
        return isinstance(error, (APIConnectionError, TimeoutError, GarbledReply))
    if error.code == "insufficient_quota" or is_overflow(error):
        return False
    return error.status_code in _AGAIN or error.status_code >= 500


def may_pass_elsewhere(error: BaseException) -> bool:
    """Whether the same request may succeed at another endpoint that offers the model."""
    return (
        may_pass(error)
        or getattr(error, "status_code", None) in _HERE_ONLY
        or getattr(error, "code", None) == "insufficient_quota"
    )


def is_overflow(error: BaseException) -> bool:
    """Whether the request was too long; servers agree on neither the status nor the words."""
    status = getattr(error, "status_code", 0)
    if status == 429:  # a limit per minute that one request exceeds
        return bool(_NEVER.search(_words(error)))
    if status not in CONVERSATION and status < 500:
        return False
    code = f"{getattr(error, 'code', '')} {getattr(error, 'type', '')}"
    return bool(
        status == 413
        or "context_length_exceeded" in code
        or "exceed_context_size" in code
        or _OVERFLOW.search(_words(error))
    )


def is_filtered(error: BaseException) -> bool:
    """Whether the server's filter of contents refused the request."""
    return bool(_FILTERED.search(f"{getattr(error, 'code', '')} {_words(error)}"))


def said(error: BaseException) -> str:
    """What the server said, in a line without secrets."""
    return one_line(LOGINS.hide(_message(error)))


def _words(error: BaseException) -> str:
    """What the server said, and what the server behind it said (OpenRouter's `metadata`)."""
    inner = _inner(error)
    behind = inner.get("metadata") if isinstance(inner, dict) else None
    return f"{_message(error)[:_SEARCHED]} {str(behind or '')[:_SEARCHED]}"


def _message(error: BaseException) -> str:
    inner = _inner(error)
    if isinstance(inner, dict):
        given = inner.get("message") or inner.get("detail")
        if isinstance(given, str):
            return given
        inner = given or inner
    return one_line(str(inner or error))  # it may repeat the whole request


def _inner(error: BaseException) -> object:
    body = getattr(error, "body", None)
    if isinstance(body, list) and body:  # Gemini's
        body = body[0]
    return body.get("error") or body if isinstance(body, dict) else body


def one_line(text: str) -> str:
    """The text without line breaks, cut to 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]}…"


def does_not_answer(error: BaseException | None) -> bool:
    """Whether nothing came: no connection, or silence."""
    from openai import APIConnectionError

    return isinstance(error, (APIConnectionError, TimeoutError))


def advice(status: int | None, key: str) -> str:
    """What to do about an HTTP status; None stands for no answer. `key` says where it is from."""
    if status in (401, 403):
        return f"set {key} to a key that it takes"
    if status == 404:
        return "is the address right? It mostly ends in /v1"
    if status == 429:
        return "use fewer workers, or raise the quota"
    if status is None:
        return "is the server up, and the address right?"
    if status >= 500:
        return "look at the server's log"
    return "change the model's settings to what it takes"


def retry_after(response: Any) -> float | None:
    """Seconds to wait as the server asks: a number, or a date."""
    value = response.headers.get("retry-after") if response is not None else None
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):  # no date, or one that no clock holds
            return None
    return max(0.0, seconds) if isfinite(seconds) else None
