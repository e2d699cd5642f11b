"""The program next to an agent of another maker, as forager sees it over the shell of the sandbox.

What comes from there is untrusted.
"""

import json
import secrets
import shlex
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

from pydantic import TypeAdapter
from zstandard import ZstdDecompressor, ZstdError

from forager.agent.faults import only_foreseen
from forager.errors import SandboxError
from forager.programs import program
from forager.sandboxes.sandbox import Sandbox
from forager.untrusted import Malformed, Report, json_value, record

_LONGEST = 16 << 20  # characters of a request
_WINDOW = 32 << 20  # bytes of memory of a zstd stream
_LOG_BYTES = 16_384
_LONGEST_EVENT = 4096  # characters
_WAIT = 10.0  # seconds of one wait for a request
_TRIES = 3  # commands without an event, after which the program counts as gone
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's wbits, with 16 for gzip's head


class GatewayEvent(Report):
    """What the gateway says: a request, nothing yet, or the agent's end."""

    kind: str
    number: int = 0
    path: str = ""
    encoding: str = ""
    code: int | None = None
    lost: bool = False
    """Nobody waited for the last answer: mostly, its client asks again."""


_EVENT = TypeAdapter(GatewayEvent)


class Gateway:
    """Passes on what an agent asks, and what it is answered."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._place = f"/tmp/agent-{secrets.token_hex(8)}"

    def start(self, command: str, model: str, prompt: str) -> None:
        """Start the program, and the agent as its child. Raises SandboxError."""
        made = self._sandbox.run(f"mkdir -m 700 {self._place}")
        if made.exit_code:
            raise SandboxError(f"cannot make a directory: {made.output.strip()}")
        write = self._sandbox.write
        write(f"{self._place}/gateway.py", program("gateway"))
        write(f"{self._place}/prompt.txt", prompt.encode("utf-8", "replace"))
        setup = {"command": command, "model": model, "prompt": prompt}
        write(f"{self._place}/setup.json", json.dumps(setup).encode())
        self._sandbox.run(
            f"( {self._program('serve', self._place)} >{self._place}/gateway.log 2>&1 & ); "
            f"for i in {{1..200}}; do [ -S {self._place}/control ] && break; sleep 0.05; done"
        )

    def next(self, answered: int, seconds: float) -> GatewayEvent | None:
        """The next event after a request is answered; None if the program is gone.

        The command that fetches an event may break, so it is run again: the program returns the
        same event until it is answered.
        """
        for _ in range(_TRIES):
            if event := self._fetch(answered, seconds):
                return event
        return None

    def _fetch(self, answered: int, seconds: float) -> GatewayEvent | None:
        seconds = max(0.1, min(_WAIT, seconds))
        command = self._program("next", self._place, str(answered), f"{seconds:.1f}")
        with only_foreseen():
            result = self._sandbox.run(
                command, timeout=seconds + 60, output_limit=2 * _LONGEST_EVENT
            )
            try:
                return record(_EVENT, result.output.strip(), _LONGEST_EVENT)
            except Malformed:
                return None

    def body(self, event: GatewayEvent) -> dict[str, Any]:
        """The JSON object of a request. Raises Malformed, and OSError if it is gone."""
        data = self._sandbox.read(f"{self._place}/{event.number}.request")
        try:
            body = json_value(_plain(data, event.encoding.strip().lower()).decode(), _LONGEST)
        except UnicodeDecodeError as error:
            raise Malformed(str(error)) from error
        if not isinstance(body, dict):
            raise Malformed("the request is not a JSON object")
        return body

    def answer(self, event: GatewayEvent, status: int, content: dict[str, Any] | str) -> None:
        """Leave an answer, an object or the text of a stream, where the program finds it."""
        streamed = isinstance(content, str)
        form = "text/event-stream" if streamed else "application/json"
        text = content if isinstance(content, str) else json.dumps(content)
        data = f"{status} {form}\n{text}".encode("utf-8", "replace")
        with suppress(OSError):  # the agent has removed the directory: it gets no answer
            self._sandbox.write(f"{self._place}/{event.number}.answer", data)

    def log(self) -> str:
        """The end of what the agent printed."""
        return self._ending("log")

    def own_log(self) -> str:
        """The end of what the program printed, mostly why it is gone."""
        return self._ending("gateway.log")

    def _ending(self, name: str) -> str:
        command = f"tail -c {_LOG_BYTES} {self._place}/{name}"
        return self._sandbox.run(command, output_limit=4 * _LOG_BYTES).output

    def _program(self, *words: str) -> str:
        return f"python3 -I -S {self._place}/gateway.py {shlex.join(words)}"


def _plain(data: bytes, encoding: str) -> bytes:
    """The bytes of a body without its compression. Raises Malformed."""
    try:
        if encoding in _WINDOW_BITS:
            stream = zlib.decompressobj(_WINDOW_BITS[encoding])
            data, cut = stream.decompress(data, _LONGEST), bool(stream.unconsumed_tail)
        elif encoding == "zstd":
            reader = ZstdDecompressor(max_window_size=_WINDOW).stream_reader(BytesIO(data))
            data, cut = reader.read(_LONGEST), bool(reader.read(1))
        else:
            cut = encoding not in ("", "identity")
    except (zlib.error, ZstdError) as error:
        raise Malformed(f"the body is not {encoding}: {error}") from error
    if cut:
        raise Malformed(f"the body is too long, or its encoding {encoding!r} is unknown")
    return data
