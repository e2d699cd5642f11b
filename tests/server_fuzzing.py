"""A model server that answers anything: shapes, errors, statuses, bodies, calls, odd fields.

And an environment for its attempts that needs no container. Each answer follows from a seed, the
attempt, its turn and how often that turn was asked.
"""

import gzip
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from forager.environments.environment import AttemptAnswer, Grade, OpenedTask
from forager.environments.task import Task
from forager.learning.filters.stand_in import StandInSandbox
from forager.sandboxes.sandbox import Limits, SandboxFactory

HALF = "\ud800"  # half a character: JSON can hold it, UTF-8 cannot


class FuzzTask(Task):
    """Nothing to solve."""


class FuzzEnvironment:
    """Sandboxes without machines; an answer is resolved if it holds a letter `e`."""

    task_type = FuzzTask

    def prompt(self, task: FuzzTask) -> str:
        """Name the attempt, for the server."""
        return f"script {task.instance_id}: {task.problem_statement}"

    def limits(self, task: FuzzTask, limits: Limits) -> Limits:
        """Return the limits."""
        del task
        return limits

    def open(self, task: FuzzTask, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """Open a sandbox that is one file."""
        del task, limits, sandboxes
        return OpenedTask(StandInSandbox(b"one\ntwo\n", "output"))

    def answer(self, task: FuzzTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """Return the last words of the model."""
        del task, opened
        return AttemptAnswer(text=text)

    def grade(
        self, task: FuzzTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Look for the letter."""
        del task, limits, sandboxes
        return Grade(resolved="e" in answer, reward=float("e" in answer))


environment = FuzzEnvironment()


# What a server may send


@dataclass
class Sent:
    """An answer: bytes after the status line, in pieces with pauses before each."""

    kind: str
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: int = 1
    pause: float = 0.0
    length: int | None = None  # Content-Length, if not the true one
    chunked: bool = False
    raw: bytes | None = None  # instead of all of it


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _odd(random: Random, depth: int = 0) -> Any:
    """A JSON value of any type."""
    plain: list[Any] = [
        None,
        True,
        0,
        -1,
        1.5,
        10**20,
        float("nan"),
        float("inf"),
        "",
        " ",
        "text",
        HALF,
    ]
    plain += ["\x00\x1b[31m", "<tool: bash>", "x" * 5000, [], {}]
    kind = random.randrange(10)
    if depth < 3 and kind == 0:
        return [_odd(random, depth + 1) for _ in range(random.randrange(4))]
    if depth < 3 and kind == 1:
        return {random.choice(["text", "a", HALF]): _odd(random, depth + 1)}
    return random.choice(plain)


def _nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


_ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    ("bash", {"command": "true"}),
    ("bash", {"command": ""}),
    ("bash", {"command": "a\x00b"}),
    ("edit", {"path": "a", "search": "one", "replace": "three"}),
    ("edit", {"path": "a b", "search": "", "replace": "x"}),
    ("edit", {"path": "", "search": "no", "replace": "x"}),
    ("create", {"path": "new", "content": f"x{HALF}"}),
    ("create", {"path": "'q'", "content": "x"}),
    ("submit", {}),
    ("submit", {"why": "done"}),
    ("bash<|channel|>commentary", {"command": "true"}),
    ("", {}),
    ("bash", {"command": 5}),
]


def _call(random: Random) -> Any:
    name, arguments = random.choice(_ARGUMENTS)
    text = json.dumps(arguments)
    given: Any = random.choice(
        [text] * 6 + [arguments, text[: len(text) // 2], None, "", "null", "[1]", 5, [], HALF]
        + [_nested(500), "[" * 5000, text + text, f" {text}\n"]
    )  # fmt: skip
    if random.random() < 0.01:
        given = json.dumps({"command": "x" * ((1 << 20) + 1)})
    call: dict[str, Any] = {
        "id": random.choice(["c1", "c1", f"call_{random.random()}", "", None, 7, HALF, {"a": 1}]),
        "type": random.choice(["function", "function", None, "custom"]),
        "function": {"name": name, "arguments": given},
    }
    shape = random.randrange(12)
    if shape == 0:
        return _odd(random)
    if shape == 1:
        del call[random.choice(list(call))]
    if shape == 2:
        call["function"] = _odd(random)
    if shape == 3:
        call |= {"index": 0, "extra": _odd(random)}
    return call


_TEXTS = [
    "<tool: bash>\ntrue\n</tool>",
    "Let me see.\n<tool: edit>\na\n<<<<<<< SEARCH\none\n=======\nthree\n>>>>>>> REPLACE\n</tool>",
    "<tool: bash>\ntrue",
    "<tool: submit>\n</tool>",
    "<tool: nothing>\n\n</tool>",
    "I think that we are done.",
]


def _message(random: Random) -> dict[str, Any]:
    """An assistant message, mostly with a call."""
    message: dict[str, Any] = {"role": random.choice(["assistant"] * 5 + [None, "user", 5])}
    texts: list[Any] = [
        *_TEXTS,
        *_TEXTS,
        None,
        None,
        None,
        "",
        " \n",
        f"x{HALF}",
        [],
        {"a": 1},
        5,
        True,
    ]
    texts += [[{"type": "text", "text": random.choice(_TEXTS)}, "odd", None, {"text": 5}]]
    if random.random() < 0.9:
        message["content"] = random.choice(texts)
    if random.random() < 0.6:
        message["tool_calls"] = [_call(random) for _ in range(random.choice([1, 1, 1, 1, 0, 2, 9]))]
    if random.random() < 0.1:
        message["tool_calls"] = _odd(random)
    for name in ("reasoning_content", "reasoning", "reasoning_details", "refusal", "audio"):
        if random.random() < 0.2:
            message[name] = random.choice(["Let me think.", _odd(random), _nested(90)])
    return message


_REASONS = ["stop", "tool_calls", "length", "length", "content_filter", None, "MAX_TOKENS", 5, HALF]


def _completion(random: Random) -> dict[str, Any]:
    count = random.choice([*[5] * 20, None, 7.0, "9", 1.5, -1, 10**20, [1], float("nan")])
    choice = {"index": 0, "message": _message(random), "finish_reason": random.choice(_REASONS)}
    answer: dict[str, Any] = {"choices": [choice], "usage": {"prompt_tokens": 7}}
    answer["usage"]["completion_tokens"] = count
    if random.random() < 0.3:
        ids = random.choice([[1, 2], [1, 2], [], None, "1 2", [1.5], [-1], [10**20], [None]])
        answer["prompt_token_ids"], choice["token_ids"] = [1, 2, 3], ids
    if random.random() < 0.3:
        entry = random.choice([{"logprob": -0.5}] * 3 + [{"logprob": None}, _odd(random), None])
        choice["logprobs"] = random.choice([{"content": [entry]}] * 3 + [None, _odd(random)])
    if random.random() < 0.1:
        answer[random.choice(["usage", "id", "model", "created"])] = _odd(random)
    if random.random() < 0.1:
        answer["choices"].append(_odd(random))
    return answer


_WORDS = [
    "This model's maximum context length is 8 tokens.",
    "Prompt \u8d85\u957f",
    "no",
    "Extra inputs are not permitted",
    "The response was filtered due to the content management policy",
    "x" * 100_000,
    "\x1b[2J\n\n" + HALF,
]


def _error(random: Random) -> Sent:
    status = random.choice(
        [400] * 4 + [401, 402, 403, 404, 405, 408, 409, 413, 418, 422, 422, 424, 425, 429, 429]
        + [451, 498, 499, 500, 500, 501, 502, 503, 504, 520, 529, 599]
    )  # fmt: skip
    words = random.choice(_WORDS)
    code = random.choice([status, None, "invalid_request_error", "insufficient_quota", [1]])
    body = random.choice(
        [
            {"error": {"message": words, "code": code, "type": random.choice(["x", None, 5])}},
            {"error": words},
            {"error": None},
            {"error": {"message": {"deep": words}, "metadata": {"raw": words}}},
            {"detail": [{"loc": ["body"], "msg": words, "input": _odd(random)}]},
            {"object": "error", "message": words, "code": 400},
            [{"error": {"message": words, "code": 400}}],
            words,
            None,
        ]
    )
    again = {"Retry-After": random.choice(["0", "0.01", "nan", "inf", "-5", "x", ""])}
    again["Retry-After"] = random.choice([again["Retry-After"], "Mon, 01 Jan 0001 00:00:00 -0000"])
    return Sent(f"status {status}", status, _json(body), again if random.random() < 0.3 else {})


def _as_error_with_200(random: Random) -> Sent:
    code = random.choice([400, "400", 429, 500, None, "x", 999])
    error = {"message": random.choice(_WORDS), "code": code}
    shapes: list[Any] = [
        {"error": error},
        {"choices": None, "error": error},
        {"choices": [{"error": error, "message": None}]},
        {"choices": [{"finish_reason": "error", "error": error, "message": {"content": "ha"}}]},
        {"base_resp": {"status_code": 1039, "status_msg": "token limit"}},
    ]
    return Sent("error with 200", body=_json(random.choice(shapes)))


def _garbage(random: Random) -> Sent:
    whole = _json(_completion(random))
    bodies = [
        b"", b"null", b"[]", b"{}", b"5", b'"text"', b"<html>", b"\xff\xfe{}", b"[" * 100_000,
        whole[: len(whole) // 2], b"\xef\xbb\xbf" + whole, whole + whole, whole + b"\x00",
        b'{"choices": {}}', b'{"choices": [5]}', b'{"choices": [{"message": 5}]}',
        b'{"choices": [{"message": {}}]}', b'{"choices": [{"message": {"content": ' + b"[" * 999,
        b'{"choices": [{"message": {"content": "' + b"x" * 300_000 + b'"}}]}',
        b": keep-alive\n\ndata: " + whole + b"\n\ndata: [DONE]\n\n", b"{" + b" " * 100_000 + b"}",
    ]  # fmt: skip
    kinds = ["application/json"] * 4 + ["text/event-stream", "text/html", "", "application/json; x"]
    return Sent("garbage", 200, random.choice(bodies), {"Content-Type": random.choice(kinds)})


def _odd_transport(random: Random) -> Sent:
    body = _json(_completion(random))
    half = body[: len(body) // 2]
    return random.choice(
        [
            Sent("chunked", body=body, chunked=True, pieces=5),
            Sent("slow", body=body, pieces=3, pause=0.02),
            Sent("cut off", body=half, length=len(body)),
            Sent("longer than said", body=body, length=len(half)),
            Sent("gzip", body=gzip.compress(body), headers={"Content-Encoding": "gzip"}),
            Sent("no gzip", body=body, headers={"Content-Encoding": "gzip"}),
            Sent("unknown coding", body=body, headers={"Content-Encoding": "zstd"}),
            Sent("redirect", 301, headers={"Location": "/v1/elsewhere"}),
            Sent("redirect to nowhere", 307, headers={"Location": "http://[::1"}),
            Sent("no content", 204),
            Sent("not modified", 304),
            Sent("hang up", raw=b""),
            Sent("no HTTP", raw=b"SSH-2.0-x\r\n\r\n"),
            Sent("half a head", raw=b"HTTP/1.1 200 OK\r\nContent-Le"),
            Sent("bad chunk", raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            Sent("odd header", raw=b"HTTP/1.1 200 OK\r\nX: \xff\r\nContent-Length: 2\r\n\r\n{}"),
            Sent("much head", raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"),
        ]
    )


def _good(random: Random) -> Sent:
    return Sent("completion", body=_json(_completion(random)))


_KINDS: list[tuple[Callable[[Random], Sent], int]] = [
    (_good, 74),
    (_error, 8),
    (_as_error_with_200, 3),
    (_garbage, 7),
    (_odd_transport, 8),
]


def answer(random: Random) -> Sent:
    """An answer of any kind, mostly a completion."""
    makers, weights = zip(*_KINDS, strict=True)
    made: Sent = random.choices(makers, weights)[0](random)
    return made


# The server


@dataclass
class FuzzedServer:
    """The server's address, the seed of its answers, what it sent, and faults of requests."""

    seed: int
    url: str = ""
    sent: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: bytes) -> Sent:
        """Answer a request."""
        body = json.loads(request)
        found = re.search(r"script (\S+):", str(body["messages"][1:2]))
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        key = f"{found[1] if found else 'short'}.{turn}"
        with self.lock:
            self.faults += [f"{key}: {fault}" for fault in faults_of(body["messages"])]
            self.asked[key] += 1
            made = answer(Random(f"{self.seed}.{key}.{self.asked[key]}"))
            if not found:
                made = _good(Random(1))
            self.sent[made.kind] += 1
        return made


def faults_of(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what a strict server refuses in a conversation."""
    open_calls: list[str] = []
    for message in messages:
        calls = message.get("tool_calls") or []
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                yield f"an answer to no call, {message['tool_call_id']!r}"
            else:
                open_calls.remove(message["tool_call_id"])
        elif open_calls:
            yield f"calls without answer, {open_calls}"
        if message["role"] != "assistant":
            if not str(message["content"]).strip():
                yield f"nothing in a message of {message['role']}"
            continue
        if not calls and not str(message.get("content") or "").strip():
            yield "an answer with neither text nor calls"
        open_calls = [call["id"] for call in calls]
        for call in calls:
            if not isinstance(json.loads(call["function"]["arguments"]), dict):
                yield "arguments without an object"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fuzzed: FuzzedServer

    def do_GET(self) -> None:
        """Send the list of models, or something else."""
        random = Random(f"{self.fuzzed.seed}.models.{self.fuzzed.asked.total()}")
        models = Sent("models", body=_json({"data": [{"id": "m"}]}))
        self._send(random.choice([models, _garbage(random), _error(random)]))

    def do_POST(self) -> None:
        """Send the answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._send(self.fuzzed.answer(body))

    def _send(self, sent: Sent) -> None:
        self.close_connection = sent.raw is not None or sent.length is not None
        if sent.raw is not None:
            self.wfile.write(sent.raw)
            return
        self.send_response(sent.status, "")
        headers = {"Content-Type": "application/json", **sent.headers}
        size = len(sent.body) if sent.length is None else sent.length
        framing = ("Transfer-Encoding", "chunked") if sent.chunked else ("Content-Length", size)
        for name, text in [*headers.items(), framing]:
            self.send_header(name, str(text))
        self.end_headers()
        step = len(sent.body) // sent.pieces + 1
        for start in range(0, len(sent.body), step):
            time.sleep(sent.pause)
            piece = sent.body[start : start + step]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if sent.chunked else piece)
        if sent.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Ignore clients that hang up."""


@contextmanager
def fuzzed_server(seed: int) -> Iterator[FuzzedServer]:
    """Run a server."""
    handler = type("Handler", (_Handler,), {})
    running = _Server(("127.0.0.1", 0), handler)
    fuzzed = FuzzedServer(seed, f"http://127.0.0.1:{running.server_port}/v1")
    handler.fuzzed = fuzzed  # type: ignore[attr-defined]
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield fuzzed
    running.shutdown()
    running.server_close()
    thread.join()
