"""An OpenAI-compatible endpoint: its address, its faults, and when to ask again.

Requests go through the `openai` package's client as plain dictionaries (`client.post`), not
through its typed methods: those walk the whole conversation in each turn, at ten times the cost.
One client, and so one pool of connections, is shared by all threads of the process.
"""

import os
import random
import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
)

from forager.errors import ModelError, UsageError

if TYPE_CHECKING:  # imported where it is used: it takes half a second
    from openai import OpenAI

OPENAI_URL = "https://api.openai.com/v1"

_CONNECT_SECONDS = 10.0
_LONGEST_WAIT = 60.0  # seconds between two tries, where the server names no time
_AGAIN = {408, 409, 425, 429}  # and everything from 500
_OVERFLOW = re.compile(
    r"context.{0,10}(length|window|size)|maximum model length|(prompt|input) is too long"
    r"|input token count .* exceeds|inputs?` tokens? \+|reduce the length of",
    re.IGNORECASE,
)


class ContextOverflow(ModelError):
    """The conversation is longer than the model's context."""


class _Garbled(Exception):
    """An answer that is no chat completion."""


def normalised(url: str) -> str:
    """The base URL: with a scheme, with a path (`/v1` where there is none), without a tail.

    Raises UsageError for what is no web address.
    """
    text = url.strip() if "://" in url else f"http://{url.strip()}"
    parts = urlsplit(text)
    try:
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        sound = False
    if not sound:
        raise UsageError(f"{url!r} is not the address of an endpoint; write http://HOST:PORT/v1")
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return parts._replace(path=path, query="", fragment="").geturl()


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """Where models are asked. A value: equal endpoints share one client within a process.

    `url` and `key` default to OPENAI_BASE_URL and OPENAI_API_KEY. `timeout` is the seconds that
    an endpoint may be silent; what fails in passing is tried `tries` times in all, with waits that
    double from `backoff` seconds or that the server asks for, and not beyond `patience` seconds.
    """

    url: str = ""
    key: str = field(default="", repr=False)
    timeout: float = 600.0
    tries: int = 8
    backoff: float = 1.0
    patience: float = 1200.0

    def __post_init__(self) -> None:
        url = self.url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        object.__setattr__(self, "url", normalised(url))
        # The package wants some key; servers of one's own mostly take any.
        object.__setattr__(self, "key", self.key or os.environ.get("OPENAI_API_KEY") or "none")

    def models(self) -> list[str]:
        """The names of the models that the endpoint offers, asked for once, without retries.

        Raises ModelError with what is wrong.
        """
        from openai import OpenAIError

        client = _client(self.url, self.key, min(self.timeout, 30.0))
        try:
            listed = client.get("/models", cast_to=object)
            return [str(model["id"]) for model in _mapping(listed)["data"]]
        except (OpenAIError, _Garbled, ValueError, KeyError, TypeError) as error:
            raise self._refusal(error) from error

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a chat completion request; it has at least one choice with a message.

        Raises ContextOverflow, or ModelError when the endpoint refuses or stays away.
        """
        from openai import OpenAIError

        client = _client(self.url, self.key, self.timeout)
        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=self._wait,
            stop=stop_after_attempt(self.tries) | stop_before_delay(self.patience),
            reraise=True,
        )
        try:
            return retrying(_complete, client, body)
        except (OpenAIError, _Garbled) as error:
            if _is_overflow(error):
                raise ContextOverflow(_said(error)) from error
            if getattr(error, "status_code", None) == 404:
                raise self._not_found(str(body.get("model")), error) from error
            raise self._refusal(error) from error

    def _wait(self, state: RetryCallState) -> float:
        """The time that the server names, else one that doubles, with some jitter."""
        error = state.outcome.exception() if state.outcome else None
        named = _retry_after(getattr(error, "response", None))
        if named is not None:
            return named
        doubled = min(self.backoff * 2.0 ** (state.attempt_number - 1), _LONGEST_WAIT)
        return doubled * random.uniform(0.75, 1.25)  # so that workers do not come back together

    def _not_found(self, model: str, error: Exception) -> ModelError:
        """Tell a model that is not there from an address that is wrong."""
        try:
            offered = self.models()
        except ModelError:
            return self._refusal(error)
        return ModelError(f"{self.url} has no model {model!r}; it has: {', '.join(offered)}")

    def _refusal(self, error: Exception) -> ModelError:
        """One line: who, what, and what to do."""
        status = getattr(error, "status_code", None)
        if status is not None:
            what = f"answers {status}: {_said(error)}"
        elif isinstance(error, (_Garbled, ValueError, KeyError, TypeError)):
            what = f"answers what is not the OpenAI interface ({_one_line(str(error))})"
        else:
            cause = f" ({error.__cause__})" if error.__cause__ and str(error.__cause__) else ""
            what = f"does not answer: {_one_line(f'{error}{cause}')}"
        return ModelError(f"{self.url} {what}; {_advice(status)}")


_CLIENTS = Lock()


def _client(url: str, key: str, timeout: float) -> "OpenAI":
    """The process's client for this endpoint; it may be used from any thread."""
    with _CLIENTS:  # the cache alone would let the first threads make one each
        return _new_client(url, key, timeout)


@lru_cache(maxsize=16)
def _new_client(url: str, key: str, timeout: float) -> "OpenAI":
    from openai import OpenAI, Timeout

    return OpenAI(
        base_url=url,
        api_key=key,
        timeout=Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
        max_retries=0,  # retrying is ours: it covers garbled answers too
    )


def _complete(client: "OpenAI", body: dict[str, Any]) -> dict[str, Any]:
    """Ask once."""
    try:
        answer = _mapping(client.post("/chat/completions", cast_to=object, body=body))
    except ValueError as error:  # JSON by its content type, but not by its content
        raise _Garbled(str(error)) from error
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        # Some servers report errors with the status 200.
        raise _Garbled(f"no choices in {_one_line(str(answer))}")
    if not isinstance(choices[0].get("message"), dict):
        raise _Garbled(f"no message in {_one_line(str(choices[0]))}")
    return answer


def _mapping(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise _Garbled(_one_line(str(answer)) or "an empty answer")
    return answer


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    from openai import APIConnectionError, APIStatusError

    if not isinstance(error, APIStatusError):
        return isinstance(error, (APIConnectionError, _Garbled))  # time-outs are the former
    if error.code == "insufficient_quota" or _is_overflow(error):
        return False
    return error.status_code in _AGAIN or error.status_code >= 500


def _is_overflow(error: Exception) -> bool:
    """Whether the request was too long; servers agree on neither the status nor the words."""
    status = getattr(error, "status_code", 0)
    if status not in (400, 413, 422, 500):
        return False
    code = f"{getattr(error, 'code', '')} {getattr(error, 'type', '')}"
    return bool(
        status == 413
        or "context_length_exceeded" in code
        or "exceed_context_size" in code
        or _OVERFLOW.search(_said(error))
    )


def _said(error: Exception) -> str:
    """What the server said, in a line."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict):
        inner = inner.get("message") or inner.get("detail") or inner
    return _one_line(str(inner or error))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]}…"


def _advice(status: int | None) -> str:
    if status in (401, 403):
        return "set OPENAI_API_KEY to a key that it takes"
    if status == 404:
        return "is the address right? It mostly ends in /v1"
    if status == 429:
        return "use fewer workers, or raise the quota"
    if status is None:
        return "is the server up, and the address right?"
    if status >= 500:
        return "look at the server's log"
    return "change the model's settings to what it takes"


def _retry_after(response: Any) -> float | None:
    """Seconds to wait as the server asks: a number, or a date."""
    value = response.headers.get("retry-after") if response is not None else None
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds)
