"""The HTTP server to which an agent sends its requests."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forager.programs.gateway.waiting import HeldRequest, Requests

_LONGEST = 16 << 20  # bytes of a request
_LINE = 1024  # bytes of the head of a chunk
_PULSE = 20.0  # seconds after which the client of a stream gets a sign of life


def _error(text: str) -> bytes:
    return json.dumps({"error": {"message": text}}).encode()


def _models(name: str) -> dict[str, Any]:
    """The list of models, with what OpenAI's and Anthropic's clients read in it."""
    model = {"id": name, "object": "model", "owned_by": "forager", "created": 0}
    return {
        "object": "list",
        "data": [{**model, "type": "model", "display_name": name}],
        "has_more": False,
    }


def _wants_stream(body: bytes) -> bool:
    try:
        return json.loads(body).get("stream") is True
    except (ValueError, AttributeError, RecursionError):
        return False


class _Handler(BaseHTTPRequestHandler):
    """Takes the requests of one agent."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart
    requests: Requests
    model: str

    def do_HEAD(self) -> None:
        """Say that somebody is here."""
        self._send(200, "application/json", b"")

    def do_GET(self) -> None:
        """Send the model, which is one of a list."""
        path = self.path.partition("?")[0]
        if self.headers.get("Upgrade"):  # clients then ask without a web socket
            self._send(426, "application/json", _error("there are no web sockets"), last=True)
        elif path.endswith("/models"):
            self._send(200, "application/json", json.dumps(_models(self.model)).encode())
        elif path.endswith(f"/models/{self.model}"):
            self._send(200, "application/json", json.dumps(_models(self.model)["data"][0]).encode())
        else:
            self._send(404, "application/json", _error("there is only /v1/models"))

    def do_POST(self) -> None:
        """Hold the request until its answer is there."""
        body = self._body()
        if body is None:
            text = f"a request has at most {_LONGEST} bytes, and says how many or is chunked"
            self._send(413, "application/json", _error(text), last=True)
            return
        path, encoding = self.path.partition("?")[0], self.headers.get("Content-Encoding") or ""
        held = self.requests.hold(path, encoding, body, self.connection)
        if held is None:
            self._send(429, "application/json", _error("too many requests at a time"))
            return
        begun = self._keep_alive(held, path) if _wants_stream(body) else False
        held.answered.wait()
        status, content_type, content = self.requests.answer(held)
        if not begun:
            self._send(status, content_type, content)
        elif status == 200:
            self.wfile.write(content)
        else:
            self.wfile.write(b"event: error\ndata: " + content + b"\n\n")

    def _body(self) -> bytes | None:
        """The body of a request; None if it is too long or has no length."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length") or ""
        sound = length.isdigit() and int(length) <= _LONGEST
        return self.rfile.read(int(length)) if sound else None

    def _chunks(self) -> bytes | None:
        body, length = b"", -1
        while length:
            try:
                length = int(self.rfile.readline(_LINE).partition(b";")[0], 16)
            except ValueError:
                return None
            if not 0 <= length <= _LONGEST - len(body):
                return None
            body += self.rfile.read(length)
            while self.rfile.readline(_LINE).strip() and not length:
                """Skip the fields after the last chunk."""
        return body

    def _keep_alive(self, held: HeldRequest, path: str) -> bool:
        """Wait for the answer; whether its stream has begun, since clients do not wait long."""
        sign = b": waiting\n\n"
        if path.endswith("/messages"):
            sign = b'event: ping\ndata: {"type": "ping"}\n\n'
        begun = False
        while not held.answered.wait(_PULSE):
            if not begun:
                self._begin(200, "text/event-stream", last=True)
                begun = True
            self.wfile.write(sign)
            self.wfile.flush()
        return begun

    def _send(self, status: int, content_type: str, content: bytes, last: bool = False) -> None:
        self._begin(status, content_type, last, {"Content-Length": str(len(content))})
        self.wfile.write(content)

    def _begin(
        self, status: int, form: str, last: bool, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        fields = {"Connection": "close"} if last else {}  # the rest of the request is not read
        for name, text in {**fields, "Content-Type": form, **(more or {})}.items():
            self.send_header(name, text)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write nothing: a line per request would fill the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""


def serve(requests: Requests, model: str) -> int:
    """Serve requests in threads; return the port."""
    handler = type("Handler", (_Handler,), {"requests": requests, "model": model})
    server = _Server(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])
