"""Runs an agent of another maker in a sandbox and takes its model calls, which forager answers.

`serve` is an HTTP server on the loopback device, and the parent of the agent. It puts each request
into a file and holds the connection until there is an answer. `next` says which request is answered
and waits for another, or for the agent's end: forager runs it again and again in the shell of the
sandbox, so that no network is needed. Both meet at a socket in a directory, which is the argument.
There `setup.json` holds the command, the name of the model, and the task.

Processes of the agent may read and change all of this. They can harm their own attempt only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Lock, Thread
from typing import Any

_LONGEST = 16 << 20  # bytes of a request
_MOST = 64  # requests that wait
_VARIABLE = 100_000  # bytes of a variable; Linux takes 131,072
_GRACE = 20.0  # seconds beyond those that `next` waits


class _Gateway:
    """The requests of one agent, which wait for their answers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._events: Queue[dict[str, Any]] = Queue()
        self._lock, self._count = Lock(), 0
        self._waiting: dict[int, Event] = {}

    def ask(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        """Hold a request until forager has answered; return status, type and content."""
        with self._lock:
            if len(self._waiting) >= _MOST:
                return 429, "application/json", _error("too many requests at a time")
            self._count += 1
            number = self._count
            answered = self._waiting[number] = Event()
        question, answer = (self.directory / f"{number}.{kind}" for kind in ("request", "answer"))
        question.write_bytes(body)
        self._events.put({"kind": "request", "number": number, "path": path})
        answered.wait()
        head, _, content = answer.read_bytes().partition(b"\n")
        question.unlink()
        answer.unlink()
        status, _, content_type = head.decode().partition(" ")
        return int(status), content_type, content

    def end(self, code: int) -> None:
        """Say that the agent has ended."""
        self._events.put({"kind": "ended", "code": code})

    def next(self, answered: int, seconds: float) -> dict[str, Any]:
        """Pass on that a request is answered, and return the next event."""
        if answered in self._waiting:
            self._waiting.pop(answered).set()
        try:
            return self._events.get(timeout=seconds)
        except Empty:
            return {"kind": "waiting"}


def _error(text: str) -> bytes:
    return json.dumps({"error": {"message": text}}).encode()


def _serve_requests(gateway: _Gateway, model: str) -> int:
    """Serve requests in threads; return the port."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.partition("?")[0].endswith("/models"):
                self._send(404, "application/json", _error("there is only /v1/models"))
                return
            offered = {"id": model, "object": "model", "owned_by": "forager", "created": 0}
            body = json.dumps({"object": "list", "data": [offered]}).encode()
            self._send(200, "application/json", body)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or -1)
            if not 0 <= length <= _LONGEST:
                text = f"a request needs a Content-Length of at most {_LONGEST}"
                self._send(413, "application/json", _error(text), last=True)
                return
            self._send(*gateway.ask(self.path.partition("?")[0], self.rfile.read(length)))

        def _send(self, status: int, content_type: str, content: bytes, last: bool = False) -> None:
            self.send_response(status)
            if last:  # the rest of the request is not read
                self.send_header("Connection", "close")
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Write nothing: a line per request would fill the log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def _variables(setup: dict[str, Any], place: Path, port: int) -> dict[str, str]:
    """The environment of the agent: the task, and its model under names that packages read."""
    url, model, prompt = f"http://127.0.0.1:{port}", str(setup["model"]), str(setup["prompt"])
    named = {"FORAGER_MODEL": model, "ANTHROPIC_MODEL": model, "ANTHROPIC_BASE_URL": url}
    named.update(dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE"), f"{url}/v1"))
    named.update(dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "forager"))
    named["FORAGER_PROMPT_FILE"] = str(place / "prompt.txt")
    if len(prompt.encode()) < _VARIABLE:
        named["FORAGER_PROMPT"] = prompt
    return {**os.environ, **named}


def _run(gateway: _Gateway, setup: dict[str, Any], port: int) -> None:
    """Run the agent's command, and say how it ended."""
    import subprocess

    with (gateway.directory / "log").open("wb") as log:
        agent = subprocess.Popen(
            ["/usr/bin/env", "--default-signal", "/bin/bash", "-c", setup["command"]],
            env=_variables(setup, gateway.directory, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    gateway.end(agent.wait())


def _serve(directory: Path) -> None:
    """Run the agent and pass on what it asks, until forager kills both."""
    setup = json.loads((directory / "setup.json").read_text(encoding="utf-8"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gateway = _Gateway(directory)
    port = _serve_requests(gateway, str(setup["model"]))
    control = socket.socket(socket.AF_UNIX)
    control.bind(str(directory / "control"))
    control.listen(1)
    Thread(target=_run, args=(gateway, setup, port), daemon=True).start()
    event: dict[str, Any] = {}  # one that was not handed over: the next to ask gets it
    while True:
        connection, _ = control.accept()
        with connection:
            try:
                asked = json.loads(connection.makefile().readline())
                event = event or gateway.next(int(asked["answered"]), float(asked["seconds"]))
                connection.sendall(json.dumps(event).encode() + b"\n")
            except (OSError, ValueError):
                continue
        event = {}


def _next(directory: Path, answered: int, seconds: float) -> None:
    """Print the next event as a line of JSON."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(seconds + _GRACE)
        control.connect(str(directory / "control"))
        control.sendall(json.dumps({"answered": answered, "seconds": seconds}).encode() + b"\n")
        print(control.makefile().readline().strip())


def main() -> None:
    """Run `serve DIRECTORY`, or `next DIRECTORY ANSWERED SECONDS`."""
    verb, directory, *rest = sys.argv[1:]
    if verb == "serve":
        _serve(Path(directory))
    else:
        _next(Path(directory), int(rest[0]), float(rest[1]))


if __name__ == "__main__":
    main()
