"""Makes a record of what the recorder reports: checked, measured, and without secrets."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from forager.tracing.record import Counts, Trace, TracedFile, compressed, digest
from forager.tracing.stream import StreamReader
from forager.tracing.values import kind_of
from forager.tracing.writing import rewritten
from forager.untrusted import Malformed

_TOKENS = re.compile(
    r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{30,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|PRIVATE_KEY", re.I)
_SHORTEST = 8  # characters of a secret
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,16}\b")  # in texts that the program itself made
_PLAIN = ("int", "float", "str", "bytes", "bool", "NoneType")
REDACTED = "<redacted>"


def secrets_of(environment: dict[str, str]) -> list[str]:
    """The values of environment variables whose names say that they are secrets."""
    found = [value for name, value in environment.items() if _SECRET_NAME.search(name)]
    return [value for value in found if len(value) >= _SHORTEST]


@dataclass(frozen=True)
class Redaction:
    """Removes tokens, values of environment variables and addresses from texts."""

    secrets: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> str:
        """The text without secrets and addresses."""
        if " at 0x" in text:
            text = _ADDRESS.sub("", text)
        return self.given(text)

    def given(self, text: str) -> str:
        """A text that nothing has made while it ran, such as a source, without secrets."""
        for secret in self.secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return _TOKENS.sub(REDACTED, text)


@dataclass(frozen=True)
class Checked:
    """A stream that was read to its end."""

    stream: bytes
    counts: Counts
    files: list[str]
    truncated: list[str]
    lines: frozenset[tuple[str, int]]
    """The lines that were executed, with their files."""
    effect: tuple[tuple[str, str], ...]
    """The containers and objects among the first call's arguments that are others at its end."""

    @property
    def digest(self) -> str:
        """The digest of the stream."""
        return digest(self.stream)

    def complete(self, trace: Trace, sources: dict[str, str]) -> Trace:
        """The record with the fields that come from the stream."""
        return trace.model_copy(
            update={
                "files": self._files(sources),
                "truncated": self.truncated,
                "counts": self.counts,
                "digest": self.digest,
                "events": compressed(self.stream),
            }
        )

    def _files(self, sources: dict[str, str]) -> list[TracedFile]:
        """The files of the stream that have a source."""
        return [
            TracedFile(path=path, source=digest(sources[path].encode("utf-8", "replace")))
            for path in self.files
            if path in sources
        ]


def checked(stream: bytes, redact: Redaction, *, most_events: int = 1_000_000) -> Checked:
    """Read a stream and remove secrets from its values. Raises Malformed."""
    reader = StreamReader(stream)
    count = line_count = frames = 0
    lines: set[tuple[str, int]] = set()
    secret = False
    arguments: dict[str, str] = {}
    effect: dict[str, str] = {}
    for event in reader.events():
        if event.frame == 0:
            texts = {change.name: change.new for change in event.changes if change.new}
            if event.kind == "call":
                arguments = texts
            effect |= {name: text for name, text in texts.items() if name in arguments}
        count += 1
        if count > most_events:
            raise Malformed(f"it has more than {most_events:,} events")
        frames += event.kind == "call"
        if event.kind == "line":
            line_count += 1
            lines.add((event.code.file, event.line))
        secret = secret or _holds_secret(event.value, (c.new for c in event.changes), redact)
    if secret:
        return checked(rewritten(stream, redact), Redaction(), most_events=most_events)
    counts = Counts(events=count, lines=line_count, frames=frames, bytes=len(stream))
    changed = tuple(
        (name, text)
        for name, text in sorted(effect.items())
        if text != arguments[name] and kind_of(text) not in _PLAIN
    )
    return Checked(stream, counts, reader.files, reader.missing, frozenset(lines), changed)


def _holds_secret(value: str | None, changes: Iterable[str | None], redact: Redaction) -> bool:
    texts = [text for text in (value, *changes) if text]
    return any(redact(text) != text for text in texts)
