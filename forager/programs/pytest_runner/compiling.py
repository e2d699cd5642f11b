"""Compiles what both runs import once: images keep no byte code of projects.

The first run sends the server what it is about to compile, and the server compiles it. Its memory,
which no other process can write, holds the byte code for the second run, by path and content. So a
run decides *what* is compiled and never what becomes of it. Code with warnings or errors is
compiled where it is imported, which shows them.
"""

from __future__ import annotations

import marshal
import os
import re
import select
import signal
import socket
import warnings
from _thread import allocate_lock
from importlib.machinery import SourceFileLoader
from typing import Any

_LARGEST, _TOTAL = 1 << 20, 64 << 20  # bytes of one source and of all
_PATH = 4096  # most bytes of a path
_SECONDS = 1.0  # that the server waits for a run that began to ask
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_PLAIN = (b"utf-8", b"utf8")  # other encodings would be imported


class ByteCode:
    """Byte code by path and source."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bytes], bytes] = {}
        self._left = _TOTAL

    def get(self, path: str, source: bytes) -> bytes:
        """The byte code, or b"" if there is none."""
        return self._made.get((path, source), b"")

    def make(self, path: str, source: bytes) -> bytes:
        """Compile a source and keep the result; b"" if the run should compile it."""
        code = self.get(path, source)
        if code or len(source) > self._left or not _is_plain(source):
            return code
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                made = compile(source, path, "exec", dont_inherit=True)
        except Exception:  # the source is the project's, and anything may be wrong with it
            return b""
        code = self._made[path, source] = marshal.dumps(made)
        self._left -= len(source)
        return code


def _is_plain(source: bytes) -> bool:
    """Whether a source is UTF-8, which Python assumes if neither of two lines names another."""
    named = _CODING.search(b"".join(source.split(b"\n", 2)[:2]))
    return named is None or named[1].lower() in _PLAIN


class Answers:
    """The server's end: answers a run until it ends."""

    def __init__(self, code: ByteCode) -> None:
        self._code = code
        self._socket, self._other = socket.socketpair()
        self._ended, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def to_run(self) -> socket.socket:
        """The run's end; in its process, where nothing else of this is left."""
        self._forget()
        self._socket.close()
        return self._other

    def until_end(self, process: int) -> int:
        """Answer a run until its process ends; return its status."""
        self._other.close()
        self._socket.settimeout(_SECONDS)
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        poll.register(self._socket, select.POLLIN)
        while True:
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                break
            for descriptor, _ in poll.poll():
                if descriptor == self._ended:
                    os.read(descriptor, 512)
                elif not self._answer():
                    poll.unregister(descriptor)
                    self._socket.close()
        self._forget()
        self._socket.close()
        return status

    def _answer(self) -> bool:
        """Answer one question; False if the run asks no more, or nothing that makes sense."""
        try:
            path, source = _received(self._socket, _PATH), _received(self._socket, _LARGEST)
            _send(self._socket, self._code.make(os.fsdecode(path), source))
        except (OSError, ValueError):  # a timeout is an OSError
            return False
        return True

    def _forget(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._ended)
        os.close(self._wakes)


def _send(stream: socket.socket, data: bytes) -> None:
    stream.sendall(len(data).to_bytes(4, "big") + data)


def _received(stream: socket.socket, most: int) -> bytes:
    size = int.from_bytes(_exactly(stream, 4), "big")
    if size > most:
        raise ValueError("too much")
    return _exactly(stream, size)


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ConnectionError("the other end is closed")
        data += part
    return bytes(data)


def share(code: ByteCode, server: socket.socket | None, alone: set[str]) -> None:
    """Let this run import with the byte code at hand, or with that of the server.

    Files that no other run imports are compiled `alone`.
    """
    known, process, lock = SourceFileLoader.source_to_code, os.getpid(), allocate_lock()
    identify = os.getpid  # tests replace it

    def asked(path: str, data: bytes) -> bytes:
        nonlocal server
        if server is None or len(data) > _LARGEST or path in alone or identify() != process:
            return b""
        if not lock.acquire(False):  # another thread asks
            return b""
        try:
            _send(server, os.fsencode(path))
            _send(server, data)
            return _received(server, 16 * _LARGEST)
        except BaseException as error:  # the rest of an answer must not count for the next one
            server = None
            if isinstance(error, (OSError, ValueError)):
                return b""
            raise
        finally:
            lock.release()

    def source_to_code(self: Any, data: Any, path: Any, *rest: Any, **options: Any) -> Any:
        if type(data) is bytes and type(path) is str and not rest and not options:
            made = code.get(path, data) or asked(path, data)
            if made:
                return marshal.loads(made)  # nosec B302  # made by the server
        return known(self, data, path, *rest, **options)

    SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign]
