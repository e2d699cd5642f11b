"""Writes executions in words to a directory: by rules, or by a model whose statements are checked.

```
OUT/
  narrations.jsonl    one text a line (`Narration`)
  dropped.jsonl       what gave no text, with the reason (`Dropped`)
```
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Self

from forager.records import Record, RecordWriter, read_records
from forager.tracing.cutting import Cut
from forager.tracing.narration.claims import Facts, check, facts_of
from forager.tracing.narration.rules import narrated
from forager.tracing.record import Sources, Trace
from forager.tracing.source import entered_files
from forager.tracing.store import DROPPED, Dropped
from forager.tracing.views.compact import compact_text
from forager.untrusted import Malformed

NARRATIONS = "narrations.jsonl"
_MOST_EVENTS = 3000  # of a trace
_LONGEST = 24_000  # characters of code and execution that a model reads
_LONGEST_TEXT = 20_000  # characters of a text

WrittenText = Callable[[str, Callable[[str], str]], str]
"""Asks a model a question; the second argument returns what is wrong with an answer, or nothing.
Returns an empty text if no answer is right. Raises ModelError."""

_QUESTION = """\
This Python code was executed.

{code}

This is what happened. `>` is a call with its arguments, a number is a line that is executed next, \
two spaces stand before the variables that have changed, `<` is a result, `<~` is yielded, `!` is \
an exception, `^` means that a call ends by it.

```
{trace}```

Describe this execution in words, in its order, for a person who reads the code. State each value \
between backticks, exactly as above: a variable as `name = value`, a result as \
`function(...) -> value`, an exception as `raise value`. State no other values; write numbers in \
digits; a value of more than 100 characters may end with … . Say how the execution ends. Answer \
with the description only.
"""


class Narration(Record):
    """An execution in words."""

    id: str
    """The trace's."""
    narrator: str
    """`rules`, or the name of a model."""
    files: dict[str, str]
    """The code that was executed."""
    call: str
    """What was executed."""
    text: str
    statements: int
    """Values that the text states; each was checked."""
    licence: str = ""


class NarrationWriter:
    """Adds texts to a directory, from several threads."""

    def __init__(self, directory: Path) -> None:
        self._lock = Lock()
        self.ids: set[str] = set()
        self.reasons: Counter[str] = Counter()
        self._texts = RecordWriter(directory / NARRATIONS)
        self._dropped = RecordWriter(directory / DROPPED)
        self.ids |= {text.id for text in narrations(directory)}
        self.kept = len(self.ids)
        for drop in read_records(directory / DROPPED, Dropped):
            self.ids.add(drop.id)
            self.reasons[drop.reason] += 1

    def add(self, found: "Narration | Dropped") -> None:
        """Write a text, or why there is none. Raises StoreError."""
        with self._lock:
            if isinstance(found, Narration):
                self._texts.append(found)
                self.kept += 1
            else:
                self._dropped.append(found)
                self.reasons[found.reason] += 1
            self.ids.add(found.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._texts.close()
        self._dropped.close()


@dataclass(frozen=True)
class TraceNarrator:
    """Makes texts of traces; without `write`, by rules."""

    cut: Cut
    name: str = "rules"
    write: WrittenText | None = None

    def narrate(self, trace: Trace, sources: Sources) -> "Narration | Dropped":
        """The text of a trace, or why there is none. Raises ModelError."""
        if trace.counts.events > _MOST_EVENTS:
            return Dropped(id=trace.id, reason=f"more than {_MOST_EVENTS:,} events")
        try:
            return self._narrate(trace, sources)
        except Malformed as error:
            return Dropped(id=trace.id, reason=f"malformed: {error}")

    def _narrate(self, trace: Trace, sources: Sources) -> "Narration | Dropped":
        files = entered_files(trace, sources)
        facts = facts_of(trace, sources, self.cut)
        text, reason = self._text(trace, sources, files, facts)
        if not text:
            return Dropped(id=trace.id, reason=reason)
        found = check(text, facts)
        if found.problems:
            return Dropped(id=trace.id, reason="a statement is not in the trace")
        return Narration(
            id=trace.id,
            narrator=self.name,
            files=files,
            call=trace.entry,
            text=text,
            statements=found.statements,
            licence=trace.origin.licence,
        )

    def _text(
        self, trace: Trace, sources: Sources, files: dict[str, str], facts: Facts
    ) -> tuple[str, str]:
        """A text; or an empty one and the reason."""
        if self.write is None:
            text = narrated(trace, sources, self.cut)
            return (text, "") if len(text) <= _LONGEST_TEXT else ("", "its text is too long")
        code = "\n\n".join(f"```python\n# {path}\n{text}```" for path, text in files.items())
        question = _QUESTION.format(code=code, trace=compact_text(trace, sources, self.cut))
        if len(question) > _LONGEST:
            return "", "too long for a model"
        problems: list[str] = []
        text = self.write(question, lambda text: _problem(text, facts, problems))
        return text, _reason(problems)


def _problem(text: str, facts: Facts, problems: list[str]) -> str:
    """What a model reads about its text; `problems` keeps it."""
    if not text or len(text) > _LONGEST_TEXT:
        problems.append("it is empty or too long")
        return "It is empty, or too long."
    found = check(text, facts)
    problems.extend(found.problems[:1])
    if not found.problems:
        return ""
    return "This is wrong: " + "; ".join(found.problems[:10]) + "."


def _reason(problems: list[str]) -> str:
    """The last problem of a text, without what is particular to it."""
    last = problems[-1] if problems else "no answer"
    kinds = ("in digits", "how the execution ends", "empty or too long", "no answer")
    return next((f"a model's text: {kind}" for kind in kinds if kind in last),
                "a model's text: a statement is not in the trace")  # fmt: skip


def narrations(directory: Path) -> Iterator[Narration]:
    """Yield the texts of a directory."""
    return read_records(directory / NARRATIONS, Narration)
