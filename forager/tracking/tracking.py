"""The trackers of a directory.

    DIRECTORY/tracking/id            what makes all starts one tracked run
    DIRECTORY/tracking/NAME.jsonl    what the tracker NAME has been given

What a tracker gets is noted before it gets it, and the note is taken back if that fails. So nothing
is counted twice; a kill between the two loses one measurement. A tracker that fails is left out
until the next start, which gives it what it lacks.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from forager.atomic import replace_text
from forager.logins import LOGINS
from forager.records import Record, RecordWriter, read_records
from forager.tracking.tracker import TRACKERS, Measurement, Subject, Tracker, open_tracker
from forager.trajectories.record import Trajectory

_ATTEMPT = "attempt "  # before its id, in a key
_SHOWN = 300  # characters of an error


class JournalEntry(Record):
    """A line of a tracker's journal; `failed` takes the entry before with this key back."""

    key: str
    failed: bool = False


class _Journal:
    """The keys of what a tracker has been given, and how many attempts are among them."""

    def __init__(self, path: Path) -> None:
        self._writer = RecordWriter(path)
        self.keys: set[str] = set()
        self.attempts = 0
        for entry in read_records(path, JournalEntry):
            self._apply(entry)

    def append(self, entry: JournalEntry) -> None:
        self._writer.append(entry)
        self._apply(entry)

    def _apply(self, entry: JournalEntry) -> None:
        (self.keys.discard if entry.failed else self.keys.add)(entry.key)
        if entry.key.startswith(_ATTEMPT):
            self.attempts += -1 if entry.failed else 1

    def close(self) -> None:
        self._writer.close()


class _Journaled:
    """A tracker with its journal; it is opened for the first measurement that it lacks."""

    def __init__(self, name: str, subject: Subject) -> None:
        self.journal = _Journal(subject.directory / "tracking" / f"{name}.jsonl")
        self._name, self._subject = name, subject
        self._tracker: Tracker | None = None

    def log(self, key: str, measurement: Measurement) -> None:
        if self._tracker is None:
            self._tracker = open_tracker(self._name, self._subject)
        self.journal.append(JournalEntry(key=key))
        try:
            self._tracker.log(measurement)
        except BaseException:
            self.journal.append(JournalEntry(key=key, failed=True))
            raise

    def close(self, *, failed: bool) -> None:
        try:
            if self._tracker:
                self._tracker.close(failed=failed)
        finally:
            self.journal.close()


class Tracking:
    """The trackers of a directory: a context manager, whose end closes them.

    They are opened for the first measurement that they lack. No method raises an error of a
    tracker; `on_note` gets one line for it. One thread calls the methods.
    """

    def __init__(
        self,
        directory: Path,
        kind: str,
        names: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._directory, self._kind, self._on_note = directory, kind, on_note
        self._settings = settings or {}
        self._unopened = list(dict.fromkeys(names))
        self._open: dict[str, _Journaled] = {}

    @property
    def traces(self) -> bool:
        """Whether a tracker records what happened in each attempt."""
        return any(TRACKERS[name].traces for name in (*self._unopened, *self._open))

    @property
    def active(self) -> bool:
        """Whether there are trackers."""
        return bool(self._unopened or self._open)

    def lacks_attempt(self, id: str) -> bool:
        """Whether a tracker has not been given this attempt."""
        self._open_all()
        return any(_ATTEMPT + id not in tracker.journal.keys for tracker in self._open.values())

    def log(self, key: str, step: int, values: Mapping[str, float]) -> None:
        """Give a measurement to the trackers that lack it."""
        self._open_all()
        for name, tracker in list(self._open.items()):
            if key not in tracker.journal.keys:
                self._give(name, tracker, key, Measurement(step, values))

    def log_attempt(self, attempt: Trajectory, values: Mapping[str, float]) -> None:
        """Give an attempt to the trackers that lack it; its step is their number of attempts."""
        self._open_all()
        for name, tracker in list(self._open.items()):
            if (key := _ATTEMPT + attempt.id) not in tracker.journal.keys:
                step = tracker.journal.attempts + 1
                self._give(name, tracker, key, Measurement(step, values, attempt))

    def _give(self, name: str, tracker: _Journaled, key: str, measurement: Measurement) -> None:
        try:
            tracker.log(key, measurement)
        except Exception as error:  # of another package, or of its server
            self._leave_out(name, error)

    def _open_all(self) -> None:
        while self._unopened:
            name = self._unopened.pop(0)
            try:
                self._open[name] = _Journaled(name, self._subject())
            except Exception as error:
                self._leave_out(name, error)

    def _subject(self) -> Subject:
        path = self._directory / "tracking" / "id"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_text(path, secrets.token_hex(8))
        settings = _hidden(LOGINS.hide_secrets(dict(self._settings)))
        return Subject(self._directory.absolute(), self._kind, path.read_text(), settings)

    def _leave_out(self, name: str, error: Exception) -> None:
        """Go on without a tracker, and say why in one line."""
        if tracker := self._open.pop(name, None):
            with suppress(Exception):
                tracker.close(failed=True)
        why = LOGINS.hide(" ".join(f"{type(error).__name__}: {error}".split()))[:_SHOWN]
        self._on_note(
            f"tracker {name}: {why}; going on without it, and the same command adds what it lacks"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        while self._open:
            name, tracker = self._open.popitem()
            try:
                tracker.close(failed=kind is not None)
            except Exception as error:
                self._leave_out(name, error)


def _hidden(value: Any) -> Any:
    """JSON whose texts show no secret that this process knows."""
    if isinstance(value, str):
        return LOGINS.hide(value)
    if isinstance(value, Mapping):
        return {name: _hidden(item) for name, item in value.items()}
    return [_hidden(item) for item in value] if isinstance(value, list) else value
