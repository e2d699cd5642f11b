"""Requests that wait for their answers, as files in a directory."""

from __future__ import annotations

import socket
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Lock
from typing import Any

_PATH = 256  # characters of a path
_MOST = 64  # requests that wait


class HeldRequest:
    """A request that waits for its answer."""

    def __init__(self, number: int, connection: socket.socket) -> None:
        self.number, self._connection = number, connection
        self.answered = Event()

    def is_gone(self) -> bool:
        """Whether its client has hung up, mostly to ask again."""
        try:
            return not self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True


class Requests:
    """The requests of one agent, and its end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._events: Queue[dict[str, Any]] = Queue()
        self._lock, self._count = Lock(), 0
        self._waiting: dict[int, HeldRequest] = {}
        self._event: dict[str, Any] = {"kind": "waiting"}

    def hold(
        self, path: str, encoding: str, body: bytes, connection: socket.socket
    ) -> HeldRequest | None:
        """Hold a request until forager has answered; None if too many wait."""
        with self._lock:
            if len(self._waiting) >= _MOST:
                return None
            self._count += 1
            held = self._waiting[self._count] = HeldRequest(self._count, connection)
        (self.directory / f"{held.number}.request").write_bytes(body)
        event = {"kind": "request", "number": held.number}
        self._events.put({**event, "path": path[:_PATH], "encoding": encoding[:_PATH]})
        return held

    def answer(self, held: HeldRequest) -> tuple[int, str, bytes]:
        """Return status, type and content of an answer. Raises OSError if there is none."""
        question, answer = (
            self.directory / f"{held.number}.{kind}" for kind in ("request", "answer")
        )
        head, _, content = answer.read_bytes().partition(b"\n")
        question.unlink()
        answer.unlink()
        status, _, content_type = head.decode().partition(" ")
        return int(status), content_type, content

    def end(self, code: int) -> None:
        """Say that the agent has ended."""
        self._events.put({"kind": "ended", "code": code})

    def next(self, answered: int, seconds: float) -> dict[str, Any]:
        """Pass on that a request is answered, and return the next event.

        The command that fetches an event may break before forager reads the event. So a request is
        returned again until it is answered, and the end ever after.

        `lost` says that nobody waited for that answer.
        """
        is_read = self._event.get("number", 0) == answered and self._event["kind"] != "ended"
        if is_read:
            self._event = self._after(answered, seconds)
        return self._event

    def _after(self, answered: int, seconds: float) -> dict[str, Any]:
        last = self._waiting.pop(answered, None)
        lost = bool(last and last.is_gone())
        if last:
            last.answered.set()
        try:
            event = self._events.get(timeout=seconds)
            while self._is_gone(event):
                event = self._events.get_nowait()
        except Empty:
            event = {"kind": "waiting"}
        return {**event, "lost": lost}

    def _is_gone(self, event: dict[str, Any]) -> bool:
        """Whether an event is a request that nobody waits for; it ends without an answer then."""
        held = self._waiting.get(event.get("number", 0))
        if not held or not held.is_gone():
            return False
        del self._waiting[held.number]
        (self.directory / f"{held.number}.request").unlink()
        held.answered.set()
        return True
