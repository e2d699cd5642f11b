"""The run directory: the settings of a batch, and every attempt that it made.

    RUN/settings.json          the resolved settings
    RUN/tasks.jsonl            the tasks
    RUN/trajectories/          the graded attempts, in shards, appended as they end
    RUN/infrastructure.jsonl   attempts lost to infrastructure or the budget; they are made again
    RUN/marks.jsonl            a person's marks on attempts (see `marks.py`)
    RUN/reproduced.jsonl       results of running attempts again (see `reproduction.py`)
    RUN/index.sqlite           a cache, rebuilt from the shards if it is missing

These files hold the whole run. One process chooses the attempts and holds the lock; each node of a
cluster writes a shard of its own; any number of processes may read meanwhile.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock

from forager.config import SETTINGS, save_settings, saved_settings
from forager.environments.task import Task
from forager.errors import LoggedError, UsageError
from forager.locks import take_directory
from forager.logins import LOGINS
from forager.records import Record, RecordWriter, read_records
from forager.trajectories.acceptance import Acceptance
from forager.trajectories.index import Index, OnDamage
from forager.trajectories.record import Trajectory, Usage
from forager.trajectories.shards import SHARD_BYTES, SUFFIX, ShardWriter
from forager.trajectories.summary import Summary

if TYPE_CHECKING:
    from pandas import DataFrame


class LostAttempt(Record):
    """An attempt that infrastructure or the run's budget ended. It says nothing about the model.

    `model` and `usage` give its cost, which counts; `log` holds the traceback of a bug.
    """

    id: str
    at: str
    error: str
    model: str = ""
    usage: Usage = Usage()
    log: str = ""


def is_run(path: Path) -> bool:
    """Whether a directory holds a run: its settings are written first."""
    return (path / SETTINGS).is_file()


class Run:
    """A run directory, opened for reading (`Run(path)`) or for writing (`Run.write(…)`)."""

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if not is_run(path):
            raise UsageError(f"{path} is not a run directory{_advice(path)}")
        self.path = path

    @classmethod
    def write(
        cls,
        path: Path,
        settings: Record,
        tasks: Sequence[Task],
        *,
        may_change: Collection[str] = (),
    ) -> "RunWriter":
        """Open a run for writing; the directory is made if necessary.

        An existing run is resumed if its settings agree. Those in `may_change` (workers, say) do
        not affect attempts and take the new value. New tasks are added to the run. A run without
        attempts, whose first start failed, takes any settings and tasks. Raises UsageError.
        """
        lock = _lock(path)
        try:
            resume = _has_attempts(path)
            save_settings(path, settings, may_change, resume=resume)
            _add_tasks(path / "tasks.jsonl", tasks, resume=resume)
            return RunWriter(path, lock)
        except BaseException:
            lock.release()
            raise

    def settings(self) -> dict[str, Any]:
        """The resolved settings."""
        return saved_settings(self.path)

    def tasks(self) -> Iterator[Task]:
        """The tasks, in their order."""
        return _read_tasks(self.path / "tasks.jsonl")

    def shards(self) -> Iterator[Path]:
        """The files of attempts, in no order; their locks lie next to them."""
        return (self.path / "trajectories").glob(f"*{SUFFIX}")

    def index(
        self, *, accept_suspect: bool = False, on_damage: OnDamage = lambda *_: None
    ) -> Index:
        """The index of the attempts; close it after use.

        Suspect attempts that a person accepted count as resolved, or all with `accept_suspect`.
        """
        acceptance = Acceptance(self.path, everything=accept_suspect)
        return Index(self.shards, self.path / "index.sqlite", acceptance, on_damage)

    def __iter__(self) -> Iterator[Trajectory]:
        """Yield the attempts."""
        return self.trajectories()

    def to_pandas(self) -> "DataFrame":
        """A row per attempt, with the fields of Summary. Raises UsageError without pandas."""
        try:
            from pandas import DataFrame
        except ModuleNotFoundError as error:
            raise UsageError("this needs pandas: pip install -e '.[export]'") from error
        return DataFrame([summary.model_dump() for summary in self.summaries()])

    def trajectories(self) -> Iterator[Trajectory]:
        """Yield the attempts, shard by shard, in the order in which they ended."""
        with self.index() as index:
            yield from index.trajectories()

    def summaries(self, *, accept_suspect: bool = False) -> Iterator[Summary]:
        """Yield the attempts in one line each, which is much cheaper."""
        with self.index(accept_suspect=accept_suspect) as index:
            yield from index.summaries()

    def lost(self) -> Iterator[LostAttempt]:
        """Yield the lost attempts; an attempt can be lost more than once."""
        path = self.path / "infrastructure.jsonl"
        return read_records(path, LostAttempt) if path.exists() else iter(())

    def find(self, id: str) -> Trajectory:
        """The attempt with this id, or with the only id that begins so. Raises UsageError."""
        with self.index() as index:
            return find_trajectory(index, id, self.path)


class AttemptWriter:
    """Appends attempts to shards of a run; each node of a cluster has its own.

    A new shard begins when one has grown to `size` bytes.
    """

    def __init__(self, run: Path, size: int = SHARD_BYTES) -> None:
        self._shards = ShardWriter(run / "trajectories", size)

    def append(self, trajectory: Trajectory) -> None:
        """Store a graded attempt; it is on disk when this returns. Raises StoreError."""
        head = Summary.of(trajectory).model_dump_json(exclude={"tokens"})
        self._shards.append(head.encode(), trajectory.model_dump_json().encode() + b"\n")

    def close(self) -> None:
        """Close the shard."""
        self._shards.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class RunWriter(Run):
    """A run that this process writes to. Its methods may be called from several threads."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        super().__init__(path)
        self._lock = lock
        self._adding = Lock()
        self._attempts = AttemptWriter(path)
        self._lost = RecordWriter(path / "infrastructure.jsonl")

    def add_task(self, task: Task) -> None:
        """Add a task that was not known when the run was opened. Raises UsageError."""
        with self._adding:
            _add_tasks(self.path / "tasks.jsonl", [task])

    def append(self, trajectory: Trajectory) -> None:
        """Store a graded attempt; it is on disk when this returns. Raises StoreError."""
        self._attempts.append(trajectory)

    def append_lost(
        self, id: str, error: Exception, model: str = "", usage: Usage | None = None
    ) -> None:
        """Record a lost attempt and its cost."""
        self._lost.append(
            LostAttempt(
                id=id,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                error=LOGINS.hide(f"{type(error).__name__}: {error}"),
                model=model,
                usage=usage or Usage(),
                log=LOGINS.hide(error.log if isinstance(error, LoggedError) else ""),
            )
        )

    def close(self) -> None:
        """Close the files, and let other processes write."""
        self._attempts.close()
        self._lost.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_index(
    source: Path, *, accept_suspect: bool = False, on_damage: OnDamage = lambda *_: None
) -> Index:
    """The index of a run, or of a file of attempts. Raises UsageError."""
    if source.is_dir():
        return Run(source).index(accept_suspect=accept_suspect, on_damage=on_damage)
    if not source.exists():
        raise UsageError(f"{source} is neither a run nor a file of attempts")
    acceptance = Acceptance(source, everything=accept_suspect)
    return Index(lambda: [source], acceptance=acceptance, on_damage=on_damage)


def tasks_of(source: Path) -> dict[str, Task]:
    """The tasks of a run by name; a file of attempts takes those of its directory."""
    path = (source if source.is_dir() else source.parent) / "tasks.jsonl"
    return {task.instance_id: task for task in _read_tasks(path)}


def find_trajectory(index: Index, id: str, where: Path) -> Trajectory:
    """The attempt with this id, or with the only id that begins so. Raises UsageError."""
    matches = index.matching(id)
    if len(matches) != 1:
        names = matches or list(islice(index.ids(), 4))
        few = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        problem = "several attempts begin with" if matches else "no attempt is called"
        advice = f"; there are {few}" if few else ", nor any other"
        raise UsageError(f"{problem} {id!r} in {where}{advice}")
    return index.get(matches[0])


def _has_attempts(path: Path) -> bool:
    return any((path / "trajectories").glob(f"*{SUFFIX}"))


def _advice(path: Path) -> str:
    if path.is_file():
        return ", but a file; give the directory of a run"
    if path.is_dir() and any(path.iterdir()):
        return "; give the directory that `forager run … -o RUN` made"
    return f"; `forager run … -o {path}` makes one"


def _lock(path: Path) -> FileLock:
    """Keep other writers from a run directory, which is made if need be. Raises UsageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not (path / SETTINGS).exists() and any(
            not entry.name.startswith(".") for entry in path.iterdir()
        ):
            raise UsageError(f"{path} holds something else, not a run; choose another directory")
    except OSError as error:
        raise UsageError(f"cannot make a run in {path}: {error.strerror}") from error
    return take_directory(path)


def _add_tasks(path: Path, tasks: Sequence[Task], *, resume: bool = True) -> None:
    """Append the tasks that the file does not hold. Raises UsageError for one that differs.

    Without `resume` nobody attempted the tasks in the file, and others replace them.
    Memory holds a digest of each task, and the file is not rewritten, so that millions are fine.
    """
    known = {task.instance_id: _digest(task) for task in _read_tasks(path)}
    new: list[Task] = []
    for task in tasks:
        digest = _digest(task)
        if task.instance_id not in known:
            new.append(task)
        if known.setdefault(task.instance_id, digest) != digest:
            if not resume:
                path.unlink()
                _add_tasks(path, tasks)
                return
            raise UsageError(
                f"task {task.instance_id} differs from the one of this name in {path}; "
                "choose another directory"
            )
    with RecordWriter(path) as writer:
        writer.append(*new)


def _read_tasks(path: Path) -> Iterator[Task]:
    return read_records(path, Task) if path.exists() else iter(())


def _digest(task: Task) -> bytes:
    return blake2b(task.model_dump_json().encode(), digest_size=16).digest()
