"""A person's marks, tags and notes on attempts.

They are appended to `RUN/marks.jsonl`, or `NAME.marks.jsonl` next to a file of attempts. The last
line of an attempt holds all of them; a line that a kill tore is skipped.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forager.errors import StoreError, UsageError
from forager.locks import lock_path, wait_for
from forager.records import Record, RecordWriter, read_records

_TAG = re.compile(r"[^\s,:]+")


class Mark(Record):
    """The mark, tags and note of an attempt."""

    id: str
    at: str = ""
    marked: bool = False
    tags: tuple[str, ...] = ()
    note: str = ""


class Marks:
    """The marks of a run, or of a file of attempts."""

    def __init__(self, source: Path) -> None:
        run = source.is_dir()
        self.path = source / "marks.jsonl" if run else source.with_suffix(".marks.jsonl")
        self._marks: dict[str, Mark] = {}
        self._size = -1
        self.refresh()

    def refresh(self) -> bool:
        """Read what other processes have added; return whether there was anything."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size == self._size:
            return False
        self._size = size
        self._marks = {mark.id: mark for mark in read_records(self.path, Mark)} if size else {}
        return True

    def of(self, id: str) -> Mark:
        """The mark, tags and note of an attempt."""
        return self._marks.get(id) or Mark(id=id)

    def say(self, id: str, **change: Any) -> Mark:
        """Change `marked`, `tags` or `note` of an attempt; on disk when this returns.

        Raises StoreError.
        """
        try:
            with self.path.open("ab"), wait_for(lock_path(self.path)):
                self.refresh()  # others may write too: a mark builds on what is there
                at = datetime.now(UTC).isoformat(timespec="seconds")
                mark = self.of(id).model_copy(update={**change, "at": at})
                with RecordWriter(self.path) as writer:
                    writer.append(mark)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror}") from error
        self.refresh()
        return mark

    def tags(self) -> list[str]:
        """All tags in use, sorted."""
        return sorted({tag for mark in self._marks.values() for tag in mark.tags})

    def ids(self, tags: Iterable[str] = (), *, marked: bool = False) -> frozenset[str]:
        """The ids of attempts that have all these tags; with `marked`, only marked ones."""
        wanted = set(tags)
        return frozenset(
            mark.id
            for mark in self._marks.values()
            if wanted <= set(mark.tags) and (mark.marked or not marked)
        )


def read_tags(text: str) -> tuple[str, ...]:
    """Tags as a person types them, with spaces or commas between. Raises UsageError."""
    tags = [tag for tag in re.split(r"[\s,]+", text) if tag]
    wrong = next((tag for tag in tags if not _TAG.fullmatch(tag) or not tag.isprintable()), None)
    if wrong:
        raise UsageError(f"{wrong!r} is not a tag: a tag is a word without ':'")
    return tuple(dict.fromkeys(tags))
