"""The record of an execution trace, and the sources that it needs.

`Trace.events` is the recorder's stream (`forager/tracing/stream.py`), compressed with zstd.
`forager/tracing/reader.py` rebuilds states from it.
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from forager.records import Record
from forager.untrusted import Malformed

LARGEST = 256 << 20  # bytes of a stream
_LEVEL = 19  # a trace is written once: 15 % smaller than level 9

TraceKind = Literal["function", "program", "test"]


def digest(data: bytes) -> str:
    """The digest that records use: 32 hexadecimal digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


class SourceText(Record):
    """A source file as it was when it was traced."""

    digest: str
    text: str

    @classmethod
    def of(cls, text: str) -> "SourceText":
        """The record of a text."""
        return cls(digest=digest(text.encode("utf-8", "replace")), text=text)


class TracedFile(Record):
    """A file with code that the trace enters."""

    path: str
    """As in the stream: relative to the project, or the program's name."""
    source: str
    """The digest of a `SourceText`."""


class Origin(Record):
    """Where the traced code comes from."""

    source: str
    """Such as the reference of an image, or the path of a file of programs."""
    licence: str = ""
    """As an SPDX expression; empty if unknown."""
    image_digest: str = ""


class Interpreter(Record):
    """What executed the program."""

    version: str
    """Such as `3.11.7`. Events and their order differ between minor versions."""
    recorder: Literal["c", "python"]
    hash_seed: int = 0

    @classmethod
    def reported(cls, version: str, recorder: str) -> "Interpreter":
        """The interpreter of a report, whose recorder is `c` or counts as `python`."""
        return cls(version=version, recorder="c" if recorder == "c" else "python")


class TraceOutcome(Record):
    """How the traced program, call or test ended, which tracing did not change."""

    kind: Literal["returned", "raised", "exited", "passed", "failed", "skipped", "stopped"]
    value: str = ""
    """What was returned or raised, in the recorder's notation; the exit code of a program."""
    output: str = ""
    """What was printed."""
    verdict: str = ""
    """Of a program with an expected output: `accepted`, `wrong`, `error`; else empty."""


class Counts(Record):
    """Sizes of a trace."""

    events: int = 0
    lines: int = 0
    frames: int = 0
    bytes: int = 0
    """Of the stream, before compression."""


class Trace(Record):
    """One recorded execution."""

    model_config = ConfigDict(val_json_bytes="base64")

    version: int = 1
    id: str
    kind: TraceKind
    name: str
    """The qualified name of a function, the id of a test, the path of a program."""
    origin: Origin
    interpreter: Interpreter
    files: list[TracedFile] = []
    entry: str = ""
    """What was executed: a call as source code, or a command."""
    input: str = ""
    """Standard input of a program."""
    outcome: TraceOutcome
    truncated: list[str] = []
    """Why events are missing: `events`, `bytes`, `seconds`, `depth`, `hook`, `threads` or
    `recursion`."""
    counts: Counts = Counts()
    seconds: float = 0.0
    """Of the traced execution."""
    labels: dict[str, str] = {}
    """What reports group by."""
    digest: str = ""
    """Of the stream: two traces with one digest are the same execution."""
    events: bytes = Field(b"", repr=False)
    """The stream, compressed with zstd. In JSON, base64."""

    @property
    def execution(self) -> str:
        """The same for two traces of one name with equal events and sources."""
        sources = "".join(f"{file.path}\0{file.source}\0" for file in self.files)
        return digest(f"{self.name}\0{self.digest}\0{sources}".encode("utf-8", "replace"))

    def stream(self) -> bytes:
        """The events, decompressed. Raises Malformed."""
        try:
            return ZstdDecompressor().decompress(self.events, max_output_size=LARGEST)
        except ZstdError as error:
            raise Malformed(f"its events cannot be decompressed: {error}") from error


def compressed(stream: bytes) -> bytes:
    """A stream as `Trace.events` has it."""
    return ZstdCompressor(level=_LEVEL, write_content_size=True).compress(stream)


Sources = Mapping[str, str]
"""The text of each file of a trace, by the path that its stream names."""
