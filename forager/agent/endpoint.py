"""An OpenAI-compatible endpoint: its address, its faults, and when and where to retry.

Requests go through the `openai` package's client as plain dictionaries (`client.post`): its typed
methods walk the whole conversation in each turn, at ten times the cost. All threads of the process
share one client and its pool of connections.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
)

from forager.agent import SERVERLESS
from forager.agent.faults import (
    CONVERSATION,
    ErrorReply,
    GarbledReply,
    advice,
    is_filtered,
    is_overflow,
    may_pass,
    may_pass_elsewhere,
    one_line,
    retry_after,
    said,
)
from forager.agent.traffic import TRAFFIC, NoLimit, RateLimiter
from forager.agent.wires import WIRES, Wire, lite
from forager.agent.wires.messages import VERSION
from forager.errors import ModelError, ModelRefusal, UsageError
from forager.logins import LOGINS, NO_LOGIN, Login
from forager.text import known_words
from forager.untrusted import Malformed

if TYPE_CHECKING:  # imported where it is used: that takes half a second
    from openai import OpenAI

T = TypeVar("T")

Api = Literal["chat", "responses", "messages", "litellm"]
OPENAI_URL = "https://api.openai.com/v1"

_CONNECT_SECONDS = 10.0
_NO_KEY = "none"
_PERHAPS_THIS_ONE = CONVERSATION | {403, 424, 451}  # flagged, failed on, not lawful
_LONGEST_WAIT = 60.0  # seconds between two tries, where the server names no time


class RequestRefused(Exception):
    """The endpoint does not take this request; whether it takes others is for the caller to ask.

    It answered 400, 413, 422, 403 or 451, or words about the context; or an error to each try.
    `lost` is what to raise if it takes no others either.
    """

    def __init__(self, lost: ModelError, url: str, error: Exception) -> None:
        super().__init__(str(lost))
        self.lost, self.url, self.said = lost, url, said(error)
        self.overflow, self.filtered = is_overflow(error), is_filtered(error)
        status = getattr(error, "status_code", None)
        self.at_once = self.overflow or status in CONVERSATION


class Completed(NamedTuple, Generic[T]):
    """What was read of an answer, the seconds lost before, and the address that gave it."""

    value: T
    waited: float
    url: str


def normalised(url: str) -> str:
    """The base URL: with a scheme and a path (`/v1` by default), without a slash at the end.

    LOGINS remembers its login. Raises UsageError unless it is a web address.
    """
    text = LOGINS.take(url.strip() if "://" in url else f"http://{url.strip()}", query=True)
    parts = urlsplit(text)
    try:
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number
        sound = False
    if not sound:
        raise UsageError(f"{text!r} is not the address of an endpoint; write http://HOST:PORT/v1")
    path = parts.path.rstrip("/")
    for wire in WIRES.values():
        path = path.removesuffix(wire.path)
    path = path or "/v1"
    return parts._replace(path=path, query="", fragment="").geturl()


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """Where models are asked. A value: equal endpoints share one client within a process.

    `url` defaults to OPENAI_BASE_URL, and `key` to the environment variable `key_env`. An endpoint
    may be silent, and may take for one answer, `timeout` seconds. Requests with passing faults are
    tried `tries` times in all, for at most `patience` seconds; waits double from `backoff` seconds
    unless the server names one. TRAFFIC hears of each fault.

    `others` are further addresses that take the same key and offer the same models, each with its
    own `tries`. A request that fails at one address goes to the next at once; an address that
    failed is asked again when its wait is over or no other address is left.

    `api` is the form in which the servers are asked (see `wires`).
    """

    url: str = ""
    key: str = field(default="", repr=False)
    timeout: float = 600.0
    tries: int = 8
    backoff: float = 1.0
    patience: float = 1200.0
    others: tuple[str, ...] = ()
    key_env: str = "OPENAI_API_KEY"
    api: Api = "chat"

    def __post_init__(self) -> None:
        url = self.url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        object.__setattr__(self, "url", normalised(url))
        object.__setattr__(self, "others", tuple(map(normalised, self.others)))
        # The package wants some key; servers of one's own mostly take any.
        key = self.key or os.environ.get(self.key_env) or ""
        LOGINS.keep_secret(key)  # a server may repeat it in its error
        object.__setattr__(self, "key", key or _NO_KEY)

    def models(self) -> list[str]:
        """The names of the models that the endpoint offers; one request, without retries.

        Raises ModelError, which says what is wrong.
        """
        return self._models(self.url)

    def complete(
        self,
        body: dict[str, Any],
        read: Callable[[dict[str, Any]], T],
        limiter: RateLimiter | None = None,
    ) -> Completed[T]:
        """What `read` makes of the answer to a request.

        The answer has at least one choice with a message; if `read` raises GarbledReply, the
        endpoint is asked again. Seconds are lost at the limiter, in tries that failed, and between
        them. Each try passes the `limiter` first. Raises RequestRefused, ModelRefusal where no
        later try would help, or ModelError when the endpoint stays away.
        """
        from openai import OpenAIError

        began = time.monotonic()
        request = _Request(self, body, read, limiter or NoLimit())
        retrying = Retrying(
            retry=retry_if_exception(may_pass_elsewhere if self.others else may_pass),
            wait=request.wait,
            stop=stop_after_attempt(self.tries * (1 + len(self.others)))
            | stop_before_delay(self.patience),
            reraise=True,
        )
        try:
            value = retrying(request.once)
            return Completed(value, request.asked - began, request.url)
        except (OpenAIError, GarbledReply, TimeoutError) as error:
            if getattr(error, "status_code", None) == 404:
                raise self._not_found(request.url, str(body.get("model")), error) from error
            lost, status = self.refusal(request.url, error), getattr(error, "status_code", 0)
            if is_overflow(error) or status in _PERHAPS_THIS_ONE or status >= 500:
                raise RequestRefused(lost, request.url, error) from error
            raise lost from error

    def _models(self, url: str) -> list[str]:
        from openai import OpenAIError

        client = _client(url, self.key, min(self.timeout, 30.0))
        try:
            listed = client.get("/models", cast_to=object, options=_options(self))
            return [str(model["id"]) for model in _mapping(listed)["data"]]
        except (OpenAIError, GarbledReply, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise self.refusal(url, error) from error

    def _not_found(self, url: str, model: str, error: Exception) -> ModelError:
        """Distinguish an unknown model from a wrong address."""
        if self.api == "litellm":
            return self.refusal(url, error)
        try:
            offered = self._models(url)
        except ModelError:
            return self.refusal(url, error)
        if model in offered:
            return self.refusal(url, error)
        return ModelRefusal(
            f"{url} has no model {model!r}; {known_words(model, (*offered, *SERVERLESS))}"
        )

    def refusal(self, url: str, error: Exception) -> ModelError:
        """An error of a request as one line: who, what, and what to do."""
        status = getattr(error, "status_code", None)
        if status is not None:
            how = "an error" if isinstance(error, ErrorReply) else status
            what = f"answers {how}: {said(error)}"
        elif isinstance(error, (GarbledReply, ValueError, KeyError, TypeError)):
            what = f"answers what is not the OpenAI interface ({one_line(str(error))})"
        else:
            cause = f" ({error.__cause__})" if error.__cause__ and str(error.__cause__) else ""
            what = f"does not answer: {one_line(f'{error}{cause}')}"
        kind = ModelError if may_pass(error) else ModelRefusal
        key = self.key_env if self.key != _NO_KEY else f"{self.key_env} (it is not set)"
        return kind(LOGINS.hide(f"{url} {what}; {advice(status, key)}"))


class _Request(Generic[T]):
    """The tries of one request."""

    def __init__(
        self,
        endpoint: ChatEndpoint,
        body: dict[str, Any],
        read: Callable[[dict[str, Any]], T],
        limiter: RateLimiter,
    ) -> None:
        self._endpoint, self._body, self._read, self._limiter = endpoint, body, read, limiter
        self._urls = (endpoint.url, *endpoint.others)
        self._rounds = 0
        self.url = endpoint.url
        self.asked = 0.0  # when the last try began, by the monotonic clock

    def once(self) -> T:
        """Ask the first address that has not failed recently."""
        self.url = TRAFFIC.first_awake(self._urls)
        client = _client(self.url, self._endpoint.key, self._endpoint.timeout)
        self._limiter.enter(self.url)
        self.asked = time.monotonic()
        try:
            with TRAFFIC.counted(self.url):
                return self._read(_complete(client, self._endpoint, self._body))
        finally:
            self._limiter.leave(self.url)

    def wait(self, state: RetryCallState) -> float:
        """Seconds to wait: those that the server names, else a doubling time with jitter.

        None if another address can be asked now.
        """
        error = state.outcome.exception() if state.outcome else None
        self._rounds += 1
        doublings = (self._rounds - 1) // len(self._urls)
        doubled = min(self._endpoint.backoff * 2.0**doublings, _LONGEST_WAIT)
        wait = retry_after(getattr(error, "response", None))
        if wait is None:  # jitter, so that workers do not come back together
            wait = doubled * random.uniform(0.75, 1.25)
        TRAFFIC.rest(self.url, wait)
        if isinstance(error, Exception):
            TRAFFIC.report(f"{self._endpoint.refusal(self.url, error)}; asking again")
        return min(wait, *map(TRAFFIC.rests_for, self._urls)) if len(self._urls) > 1 else wait


_CLIENTS = Lock()


def _client(url: str, key: str, timeout: float) -> "OpenAI":
    """The process's client for this endpoint; it may be used from any thread."""
    with _CLIENTS:  # the cache alone would let the first threads make one each
        return _new_client(url, key, timeout, *LOGINS.of([url]).values())


@cache  # a process asks few endpoints, and their connections must not be dropped unclosed
def _new_client(url: str, key: str, timeout: float, login: Login = NO_LOGIN) -> "OpenAI":
    from openai import DefaultHttpxClient, OpenAI, Timeout

    def bound(response: Any) -> None:
        response.stream = _bounded(response.stream, time.monotonic() + timeout)

    limits = Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))
    return OpenAI(
        base_url=url,
        api_key=key,
        timeout=limits,
        max_retries=0,  # retrying is ours: it covers garbled answers too
        default_query=dict(login.query),
        http_client=DefaultHttpxClient(
            base_url=url,
            timeout=limits,
            event_hooks={"response": [bound]},
            auth=login.auth,
        ),
    )


def _bounded(body: Any, deadline: float) -> Any:
    """The body of an answer, which must be complete by the deadline.

    The package's own timeout counts silence only: a server that sends a byte now and then (or a
    proxy that keeps the connection alive with spaces) would hold an attempt for ever.
    """
    return _bounded_kind(body.__class__)(body, deadline)


@cache  # a class is freed by the garbage collector alone, and would keep its answer till then
def _bounded_kind(kind: type) -> Any:
    """A class derived from the installed one: it differs between versions of the HTTP package."""

    def begin(self: Any, body: Any, deadline: float) -> None:
        self.body, self.deadline = body, deadline

    def chunks(self: Any) -> Iterator[bytes]:
        for chunk in self.body:
            if time.monotonic() > self.deadline:
                raise TimeoutError("the answer has not come whole in time")
            yield chunk

    methods = {"__init__": begin, "__iter__": chunks, "close": lambda self: self.body.close()}
    return type("Bounded", (kind,), methods)


def _options(endpoint: ChatEndpoint) -> Any:
    """What each request to a server of Anthropic's form says: its version, and the key its way."""
    if endpoint.api != "messages":
        return {}
    from openai import Omit

    key = {"x-api-key": endpoint.key, "Authorization": Omit()}
    return {"headers": {"anthropic-version": VERSION, **key}}


def _complete(client: "OpenAI", endpoint: ChatEndpoint, body: dict[str, Any]) -> dict[str, Any]:
    """Ask once, in the endpoint's form; return a chat completion."""
    try:
        if endpoint.api == "litellm":
            key = "" if endpoint.key == _NO_KEY else endpoint.key
            answer = lite.complete(body, str(client.base_url).rstrip("/"), key, endpoint.timeout)
        else:
            answer = _posted(client, WIRES[endpoint.api], _options(endpoint), body)
    except (ValueError, RecursionError) as error:  # JSON by its content type, not by its content
        raise GarbledReply(str(error)) from error
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ErrorReply(answer)
    if choices[0].get("error"):  # OpenRouter: the server behind it failed midway
        raise ErrorReply(choices[0])
    if not isinstance(choices[0].get("message"), dict):
        raise GarbledReply(f"no message in {one_line(str(choices[0]))}")
    return answer


def _posted(client: "OpenAI", wire: Wire, options: Any, body: dict[str, Any]) -> dict[str, Any]:
    found = _mapping(
        client.post(wire.path, cast_to=object, body=wire.request(body), options=options)
    )
    try:
        return wire.answer(found)
    except Malformed as error:
        raise ErrorReply(found) from error


def _mapping(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise GarbledReply(one_line(str(answer)) or "an empty answer")
    return answer
