"""The browser's filter as people type it: `unresolved family:loops turns:10.. says:"no attribute"`.

Words without a key are searched in names, model, family and exit reason; `says:` searches all
messages and calls.
"""

import shlex
from typing import NamedTuple

from forager.errors import UsageError
from forager.trajectories.choice import Choice, turns_between
from forager.trajectories.marks import Marks

HELP = (
    ("resolved  unresolved  suspect", "only these"),
    ("family:F  exit:REASON  task:ID", "F and REASON may be the beginning"),
    ("turns:5  turns:5..  turns:2..9", "number of model calls"),
    ("marked  tag:T  note:TEXT", "what you said of them"),
    ('says:TEXT  says:"two words"', "anywhere in the attempt"),
    ("anything else", "in id, model, family, operator, exit reason"),
)
KEYS = ("family:", "exit:", "turns:", "task:", "tag:", "note:", "says:")
FLAGS = ("resolved", "unresolved", "suspect", "marked")


class AttemptQuery(NamedTuple):
    """What a filter asks for. `says` needs the attempts themselves, the rest the index only."""

    choice: Choice = Choice()
    tags: tuple[str, ...] = ()
    marked: bool = False
    notes: tuple[str, ...] = ()
    says: tuple[str, ...] = ()

    def choose(self, marks: Marks) -> Choice:
        """The conditions, with those of the marks."""
        if not (self.tags or self.marked or self.notes):
            return self.choice
        ids = marks.ids(self.tags, marked=self.marked)
        for text in self.notes:
            ids = frozenset(id for id in ids if text.lower() in marks.of(id).note.lower())
        return self.choice.model_copy(update={"ids": ids})


def parse(text: str) -> AttemptQuery:
    """Read a filter. Raises UsageError."""
    query, fields, words = AttemptQuery(), dict[str, object](), list[str]()
    for word in _split(text):
        key, colon, value = word.partition(":")
        if word in ("resolved", "unresolved"):
            fields["resolved"] = word == "resolved"
        elif word == "suspect":
            fields["suspect"] = True
        elif word == "marked":
            query = query._replace(marked=True)
        elif not colon or f"{key}:" not in KEYS:
            words.append(word)
        elif key == "tag":
            query = query._replace(tags=(*query.tags, value))
        elif key == "note":
            query = query._replace(notes=(*query.notes, value))
        elif key == "says":
            query = query._replace(says=(*query.says, value))
        elif key == "turns":
            fields["turns"] = turns_between(value)
        else:
            fields[{"exit": "exit_reason", "task": "instance_id"}.get(key, key)] = value
    return query._replace(choice=Choice.model_validate({**fields, "words": tuple(words)}))


def with_resolved(text: str) -> str:
    """The filter with the next of: all, resolved, unresolved."""
    words = _split(text)
    kept = " ".join(shlex.quote(word) if " " in word else word for word in words
                    if word not in ("resolved", "unresolved"))  # fmt: skip
    if "resolved" in words:
        return f"unresolved {kept}".strip()
    return kept if "unresolved" in words else f"resolved {kept}".strip()


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError("a quote is not closed") from error
