"""The chat client, against a real HTTP server that answers what each test scripts."""

import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from attempts import make_attempt

from forager.agent.chat import ChatModel
from forager.agent.endpoint import ChatEndpoint, normalised
from forager.agent.model import Reply
from forager.agent.traffic import Traffic
from forager.errors import LimitReached, ModelError, ModelRefusal, UsageError
from forager.trajectories.record import Message, ModelCall, Sampling, Trajectory, Usage

QUESTION: list[Message] = [{"role": "user", "content": "hello"}]
LATER: list[Message] = [*QUESTION, {"role": "assistant", "content": "hi"}, *QUESTION]
TOOL = {"type": "function", "function": {"name": "bash", "parameters": {"type": "object"}}}
JSON = "application/json"


@dataclass
class Answer:
    """One scripted answer; `declared` is a false Content-Length.

    The first `drip` bytes come a tenth of a second apart.
    """

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON
    delay: float = 0.0
    declared: int | None = None
    drip: int = 0


@dataclass
class Script:
    """What the server answers in turn, and the requests that it received."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    models: Answer = field(default_factory=lambda: Answer({"data": [{"id": "m"}, {"id": "n"}]}))
    seen: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def model(self, **settings: Any) -> ChatModel:
        """Return a model of this server that retries quickly."""
        endpoint = ChatEndpoint(self.url, "secret", timeout=5, tries=3, backoff=0.01)
        return replace(ChatModel("m", endpoint), **settings)

    def ask(self, *answers: Answer, messages: list[Message] = QUESTION, **settings: Any) -> Reply:
        """Script the answers, and ask."""
        self.answers = list(answers)
        return self.model(**settings).query(messages, [TOOL] if messages != QUESTION else [])


class Scripted(BaseHTTPRequestHandler):
    """Answers from the server's script."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart
    script: Script

    def do_GET(self) -> None:
        """Send the list of models."""
        self.give(self.script.models)

    def do_POST(self) -> None:
        """Send the next scripted answer; repeat the last one once they are used up."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        script = self.script
        with script.lock:
            script.seen.append({"path": self.path, **json.loads(body)})
            script.headers.append({name.lower(): text for name, text in self.headers.items()})
            script.times.append(time.monotonic())
            script.connections.add(self.client_address)
            answer = script.answers[min(len(script.seen), len(script.answers)) - 1]
        self.give(answer)

    def give(self, answer: Answer) -> None:
        """Send an answer."""
        time.sleep(answer.delay)
        body = answer.body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(answer.declared or len(content)))
        for name, text in answer.headers.items():
            self.send_header(name, text)
        self.end_headers()
        for byte in content[: answer.drip]:
            self.wfile.write(bytes([byte]))
            time.sleep(0.1)
        self.wfile.write(content[answer.drip :])
        self.close_connection = answer.declared is not None

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server that ignores clients that hang up."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Script]:
    """Run a server; yield its script."""
    handler = type("Handler", (Scripted,), {})
    running = Server(("127.0.0.1", 0), handler)
    script = Script(f"http://127.0.0.1:{running.server_port}")
    handler.script = script  # type: ignore[attr-defined]
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield script
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def server() -> Iterator[Script]:
    """Run a server; yield its script."""
    with serving() as script:
        yield script


def completion(message: dict[str, Any] | None = None, **fields: Any) -> Answer:
    """Return a chat completion as servers send it."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "hi", "refusal": None} | (message or {}),
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    return Answer({"choices": [choice | fields.pop("choice", {})], "usage": usage} | fields)


def failure(status: int, message: str = "no", headers: Any = None, **fields: Any) -> Answer:
    """Return an error as servers send it."""
    return Answer({"error": {"message": message, **fields}}, status, headers or {})


def function(name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    """Return a tool call as servers send it."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **fields}


# What goes out, what comes back


def test_an_answer_becomes_a_plain_message(server: Script) -> None:
    """Message, usage and finish reason are kept; null fields are dropped."""
    reply = server.ask(completion())
    assert 0 < reply.waited < 1  # until it was sent
    assert replace(reply, waited=0.0) == Reply(
        {"role": "assistant", "content": "hi"},
        Usage(prompt_tokens=7, completion_tokens=2),
        "stop",
    )


def test_the_request_holds_the_settings_and_no_others(server: Script) -> None:
    """A request holds the set sampling fields only, and extra_body overrides them."""
    server.ask(completion())
    assert server.seen[0] == {
        "path": "/v1/chat/completions",
        "model": "m",
        "messages": QUESTION,
    }
    sampling = Sampling(
        temperature=0.5, top_p=0.9, max_tokens=10, seed=1, stop=["x"], extra_body={"top_k": 3}
    )
    server.model(sampling=sampling).query(QUESTION, [TOOL])
    expected = sampling.model_dump(exclude={"extra_body"}) | {"top_k": 3, "tools": [TOOL]}
    assert expected.items() <= server.seen[1].items()
    assert server.headers[1]["authorization"] == "Bearer secret"


def test_token_ids_and_log_probabilities_are_kept_as_given(server: Script) -> None:
    """`token_ids` requests ids from vLLM; without them the record has None."""
    given = completion(
        choice={
            "token_ids": [4, 5],
            "logprobs": {"content": [{"token": "h", "logprob": -0.5}, {"logprob": -1.0}]},
        },
        prompt_token_ids=[1, 2, 3],
    )
    reply = server.ask(given, token_ids=True)
    assert server.seen[0]["return_token_ids"] is True
    assert server.seen[0]["logprobs"] is True
    assert (reply.prompt_token_ids, reply.completion_token_ids) == ([1, 2, 3], [4, 5])
    assert reply.logprobs == [-0.5, -1.0]
    plain = server.ask(completion(), token_ids=True)
    assert (plain.prompt_token_ids, plain.completion_token_ids, plain.logprobs) == (None,) * 3
    odd = completion(choice={"token_ids": "x", "logprobs": {"content": [5]}}, prompt_token_ids=[-1])
    assert server.ask(odd).message["content"] == "hi"  # nobody asked for them


def test_tool_calls_can_be_sent_back(server: Script) -> None:
    """All calls of an answer are kept in the form of the next request."""
    calls = [
        function("bash", '{"command": "ls"}', id="a", index=0),
        function("submit", "{}", id="b", index=1),
    ]
    reply = server.ask(completion({"content": None, "tool_calls": calls}))
    assert reply.message["content"] is None
    assert reply.message["tool_calls"] == [
        function("bash", '{"command": "ls"}', id="a"),
        function("submit", "{}", id="b"),
    ]
    server.model().query([*QUESTION, reply.message], [TOOL])
    assert server.seen[1]["messages"][1] == reply.message


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (function("bash", {"command": "ls"}), function("bash", '{"command": "ls"}', id="call_0")),
        (function("bash", None, id=""), function("bash", "{}", id="call_0")),
        ({"id": "a"}, function("", "{}", id="a")),
        (None, function("", "{}", id="call_0")),
        (function("bash", '{"a', id="a"), function("bash", '{"a', id="a")),
        (function("bash", "\ud800", id="a"), function("bash", "\ufffd", id="a")),
    ],
)
def test_odd_tool_calls_are_kept_readable(server: Script, given: Any, kept: Any) -> None:
    """Incomplete or wrong calls become calls that the syntax can refuse."""
    reply = server.ask(completion({"tool_calls": [given]}))
    assert reply.message["tool_calls"] == [kept]


def test_calls_that_are_no_json_are_mended_where_they_are_sent(server: Script) -> None:
    """Requests carry valid JSON, which servers demand; the record keeps the original."""
    reply = server.ask(completion({"tool_calls": [function("bash", '{"a', id="a")]}))
    server.model().query([*QUESTION, reply.message], [TOOL])
    assert server.seen[1]["messages"][1]["tool_calls"] == [function("bash", "{}", id="a")]
    assert reply.message["tool_calls"] == [function("bash", '{"a', id="a")]


def test_reasoning_is_kept_and_sent_back_unless_told_otherwise(server: Script) -> None:
    """Reasoning returns to its server, unless `send_reasoning=False`."""
    reply = server.ask(completion({"reasoning_content": "hm"}))
    assert reply.message["reasoning_content"] == "hm"
    server.model().query([reply.message], [])
    server.model(send_reasoning=False).query([reply.message], [])
    assert server.seen[1]["messages"] == [reply.message]
    assert server.seen[2]["messages"] == [{"role": "assistant", "content": "hi"}]


def test_content_in_parts_and_half_characters(server: Script) -> None:
    """Content becomes one text that UTF-8 can encode, so that it can be recorded."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b\ud800"}, "odd"]
    assert server.ask(completion({"content": parts})).message["content"] == "ab\ufffd"


def test_what_is_kept_of_an_answer_can_be_written_and_read(server: Script) -> None:
    """Half characters are replaced, and NaN and infinity become null, at any depth."""
    details = [{"type": "text", "te\ud800xt": ["a\udc00", float("nan"), 10**30, None, 0.5]}]
    call = function("bash", "{}", id="\ud800")
    given = {"reasoning_details": details, "tool_calls": [call]}
    reply = server.ask(completion(given, choice={"finish_reason": "st\ud800op"}))
    sound = [{"type": "text", "te\ufffdxt": ["a\ufffd", None, 10**30, None, 0.5]}]
    assert reply.message["reasoning_details"] == sound
    assert reply.message["tool_calls"] == [function("bash", "{}", id="\ufffd")]
    call_kept = ModelCall(
        message=0, usage=reply.usage, seconds=0, finish_reason=reply.finish_reason
    )
    kept = make_attempt().model_copy(
        update={"messages": [reply.message], "model_calls": [call_kept]}
    )
    assert Trajectory.model_validate_json(kept.model_dump_json()) == kept


def test_the_deepest_message_that_is_kept_can_be_read(server: Script) -> None:
    """The greatest kept depth can be read back: JSON writes deeper than it reads."""
    deep = nested(98)
    reply = server.ask(completion({"reasoning_details": deep}))
    assert reply.message["reasoning_details"] == deep
    kept = make_attempt().model_copy(update={"messages": [reply.message]})
    assert Trajectory.model_validate_json(kept.model_dump_json()) == kept


def nested(levels: int) -> Any:
    """Return nested lists."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


# Faults that pass


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(failure(429), id="429"),
        pytest.param(failure(408), id="408"),
        pytest.param(failure(409), id="409"),
        pytest.param(failure(500), id="500"),
        pytest.param(Answer(b"<html>bad gateway", 502, content_type="text/html"), id="502"),
        pytest.param(Answer(b"no json"), id="garbage said to be JSON"),
        pytest.param(Answer(b"<html>", content_type="text/html"), id="a web page"),
        pytest.param(Answer(b""), id="nothing"),
        pytest.param(Answer([1]), id="a list"),
        pytest.param(Answer({"choices": []}), id="no choices"),
        pytest.param(Answer({"choices": [{}]}), id="no message"),
        pytest.param(Answer({"error": {"message": "no"}}), id="an error with the status 200"),
        *(
            pytest.param(completion(usage={"completion_tokens": count}), id=f"{count} tokens")
            for count in (1.5, "many", -1, 10**20, [2], float("inf"))
        ),
        *(
            pytest.param(
                completion(choice={"logprobs": {"content": [entry]}}), id=f"logprobs {entry}"
            )
            for entry in (
                *({"logprob": None}, {"token": "h"}, None, {"logprob": "low"}),
                *({"logprob": -float("inf")}, {"logprob": float("nan")}),
            )
        ),
        pytest.param(completion(prompt_token_ids=[1, None]), id="an id that is null"),
        pytest.param(completion(choice={"token_ids": "1 2"}), id="ids that are text"),
        pytest.param(completion(choice={"token_ids": [10**20]}), id="an id beyond all"),
        pytest.param(completion({"reasoning_details": nested(300)}), id="a deep message"),
        pytest.param(Answer(b"[" * 100_000), id="a message without a bottom"),
        pytest.param(Answer(b'{"choices": [', declared=1000), id="half a body"),
        pytest.param(replace(completion(), delay=1.0), id="silence"),
        pytest.param(replace(completion(), drip=6), id="a byte now and then"),
    ],
)
def test_faults_that_pass_are_tried_again(server: Script, fault: Answer) -> None:
    """The client retries a passing fault; a lasting one gives one clear line."""
    endpoint = ChatEndpoint(server.url, timeout=0.3, tries=3, backoff=0.01)
    settings: dict[str, Any] = {"endpoint": endpoint, "token_ids": True}
    assert server.ask(fault, fault, completion(), **settings).message["content"] == "hi"
    assert len(server.seen) == 3
    server.seen.clear()
    with pytest.raises(ModelError) as caught:
        server.ask(fault, **settings)
    assert len(server.seen) == 3
    assert str(caught.value).startswith(f"{server.url}/v1 ")
    assert "\n" not in str(caught.value)


def test_the_server_says_when_to_try_again(server: Script) -> None:
    """The client waits for Retry-After, in seconds or as a date."""
    server.ask(failure(429, headers={"Retry-After": "0.3"}), completion())
    assert server.times[1] - server.times[0] >= 0.3
    past = {"Retry-After": formatdate(time.time() - 60, usegmt=True)}
    server.ask(failure(503, headers=past), failure(503, headers={"Retry-After": "x"}), completion())


def test_patience_has_an_end(server: Script) -> None:
    """A wait that would exceed the patience does not begin."""
    endpoint = ChatEndpoint(server.url, patience=5)
    started = time.monotonic()
    with pytest.raises(ModelError, match="answers 429: no; use fewer workers"):
        server.ask(failure(429, headers={"Retry-After": "3600"}), endpoint=endpoint)
    assert time.monotonic() - started < 2


def test_nobody_there() -> None:
    """The client retries a refused connection, then says what to check."""
    endpoint = ChatEndpoint("http://127.0.0.1:9", tries=2, backoff=0.01)
    with pytest.raises(ModelError, match=r"does not answer: .*refused.*is the server up"):
        ChatModel("m", endpoint).query(QUESTION, [])
    with pytest.raises(ModelError, match="is the server up"):
        endpoint.models()


# Several endpoints


@pytest.fixture
def pair() -> Iterator[tuple[Script, Script]]:
    """Run two servers of the same model."""
    with serving() as one, serving() as other:
        yield one, other


@pytest.mark.parametrize("fault", [failure(500), failure(429), failure(401), failure(404)])
def test_what_fails_at_one_endpoint_is_asked_at_another(
    pair: tuple[Script, Script], fault: Answer
) -> None:
    """The other endpoint gets the request at once, while the failed one rests."""
    one, other = pair
    one.answers, other.answers = [fault], [completion()]
    endpoint = ChatEndpoint(one.url, others=(other.url,), backoff=30)
    started = time.monotonic()
    for _ in range(3):
        assert ChatModel("m", endpoint).query(QUESTION, []).message["content"] == "hi"
    assert time.monotonic() - started < 5
    assert (len(one.seen), len(other.seen)) == (1, 3)


def test_a_server_that_is_gone_is_replaced_by_one_that_is_there(server: Script) -> None:
    """After a refused connection, another endpoint gets the request."""
    server.answers = [completion()]
    endpoint = ChatEndpoint("http://127.0.0.1:9", others=(server.url,))
    assert ChatModel("m", endpoint).query(QUESTION, []).message["content"] == "hi"


def test_where_all_fail_each_is_tried_so_often(pair: tuple[Script, Script]) -> None:
    """The error names the last fault; a wrong request is not repeated elsewhere."""
    one, other = pair
    one.answers = other.answers = [failure(500)]
    endpoint = ChatEndpoint(one.url, others=(other.url,), tries=3, backoff=0.01)
    with pytest.raises(ModelError, match="answers 500"):
        ChatModel("m", endpoint).query(QUESTION, [])
    assert len(one.seen) + len(other.seen) == 6
    one.answers = other.answers = [failure(400)]
    with pytest.raises(ModelRefusal, match="answers 400"):
        ChatModel("m", endpoint).query(QUESTION, [])
    assert len(one.seen) + len(other.seen) == 7


def test_the_least_busy_endpoint_comes_first() -> None:
    """Endpoints are ordered by requests under way; resting ones come last."""
    traffic = Traffic()
    with traffic.counted("a"), traffic.counted("a"), traffic.counted("b"):
        assert traffic.least_busy_first(["a", "b", "c"]) == ["c", "b", "a"]
        traffic.rest("c", 60)
        assert traffic.least_busy_first(["a", "b", "c"]) == ["b", "a", "c"]


# Faults that stay


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (failure(400, "bad\n thing"), "answers 400: bad thing; change the model's settings"),
        (failure(401, "who?"), "answers 401: who\\?; set OPENAI_API_KEY"),
        (failure(403), "answers 403: no; set OPENAI_API_KEY"),
        (failure(404), "has no model 'x'; there are m, n, "),
        (Answer({"detail": "odd"}, 422), "answers 422: odd; change"),
        (Answer({"object": "error", "message": "flat"}, 400), "answers 400: flat;"),
        (failure(429, "pay", code="insufficient_quota"), "answers 429: pay;"),
        (failure(400, "x" * 5000), "x{300}…;"),
    ],
)
def test_faults_that_stay_are_said_at_once(server: Script, fault: Answer, told: str) -> None:
    """A lasting fault gives one line, with the server's words and the remedy, at once."""
    with pytest.raises(ModelError, match=told):
        server.ask(fault, name="x")
    assert len(server.seen) == 1


def test_a_wrong_address_is_told_from_a_missing_model(server: Script) -> None:
    """If the list of models is missing too, or has the model, the error blames the address."""
    with pytest.raises(ModelError, match="answers 404: gone; is the address right"):
        server.ask(failure(404, "gone"))
    server.models = failure(404)
    with pytest.raises(ModelError, match="is the address right"):
        server.ask(failure(404))


OVERFLOWS = [
    failure(400, "This model's maximum context length is 8 tokens.", code=400),
    failure(400, "You passed 9 input tokens. However, the model's context length is only 8"),
    failure(400, "The decoder prompt (length 9) is longer than the maximum model length of 8."),
    failure(400, "no", code="context_length_exceeded"),
    failure(400, "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)"),
    failure(400, "The input (9 tokens) is longer than the model's context length (8 tokens)."),
    failure(400, "the request exceeds", type="exceed_context_size_error"),
    failure(500, "the request exceeds the available context size"),
    failure(400, "prompt is too long: 9 tokens > 8 maximum"),
    failure(422, "`inputs` tokens + `max_new_tokens` must be <= 8"),
    Answer(b"too large", 413, content_type="text/plain"),
]


@pytest.mark.parametrize("fault", OVERFLOWS)
def test_a_full_context_ends_the_attempt(server: Script, fault: Answer) -> None:
    """Every server's message about a full context is a limit, not a fault."""
    with pytest.raises(LimitReached) as caught:
        server.ask(fault, messages=LATER)
    assert caught.value.reason == "token_limit"
    assert len(server.seen) == 1


def test_a_first_prompt_that_does_not_fit_is_a_setting(server: Script) -> None:
    """If the first prompt does not fit, the error tells the user to change settings."""
    with pytest.raises(ModelError, match=r"first prompt does not fit .* lower max_tokens"):
        server.ask(OVERFLOWS[0])


# Endpoints


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://host:8000", "http://host:8000/v1"),
        ("http://host:8000/", "http://host:8000/v1"),
        ("host:8000", "http://host:8000/v1"),
        ("localhost", "http://localhost/v1"),
        (" https://host/v1/ ", "https://host/v1"),
        ("https://host/api/paas/v4", "https://host/api/paas/v4"),
        ("http://host:8000/v1/chat/completions", "http://host:8000/v1"),
    ],
)
def test_addresses_are_completed(given: str, url: str) -> None:
    """An address keeps its own path; without one it gets `/v1`."""
    assert normalised(given) == url


@pytest.mark.parametrize("given", ["ftp://host", "http://", "http://host:port", ""])
def test_what_is_no_address_is_a_usage_error(given: str) -> None:
    """The error for an invalid address shows the right form."""
    with pytest.raises(UsageError, match="write http://HOST:PORT/v1"):
        normalised(given)


def test_the_environment_gives_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_BASE_URL and OPENAI_API_KEY are the defaults; the key is never printed."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://there:1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    endpoint = ChatEndpoint()
    assert (endpoint.url, endpoint.key) == ("http://there:1/v1", "secret")
    assert "secret" not in repr(endpoint)
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert ChatEndpoint().url == "https://api.openai.com/v1"


def test_the_models_of_an_endpoint(server: Script) -> None:
    """`models` lists them, or raises an error of one line."""
    endpoint = server.model().endpoint
    assert endpoint.models() == ["m", "n"]
    for wrong, told in [
        (failure(401), "answers 401"),
        (Answer({"models": []}), "not the OpenAI interface"),
        (Answer(b"<html>", content_type="text/html"), "not the OpenAI interface"),
        (Answer(b"garbage"), "not the OpenAI interface"),
    ]:
        server.models = wrong
        with pytest.raises(ModelError, match=told):
            endpoint.models()


def test_threads_share_the_connections(server: Script) -> None:
    """Many models and threads open no more connections than requests run at once."""
    server.answers = [completion()]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: server.model().query(QUESTION, []), range(100)))
    assert {reply.message["content"] for reply in replies} == {"hi"}
    assert len(server.seen) == 100
    assert len(server.connections) <= 8


def test_a_model_can_be_sent_to_another_process(server: Script) -> None:
    """A model pickles, and the new process uses a client of its own."""
    server.answers = [completion()]
    model = pickle.loads(pickle.dumps(server.model()))
    assert model == server.model()
    assert model.query(QUESTION, []).message["content"] == "hi"


def test_importing_does_not_import_openai() -> None:
    """The first request loads the package, so that --help answers at once."""
    code = "import sys, forager.agent.chat; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
