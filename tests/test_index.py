import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from attempts import Settings, make_attempt, make_task

from forager.errors import UsageError
from forager.records import write_records
from forager.trajectories.choice import Choice
from forager.trajectories.index import Index, sample
from forager.trajectories.record import Trajectory
from forager.trajectories.store import AttemptWriter, Run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write a run of twenty attempts at ten tasks; every third is resolved."""
    path = tmp_path / "run"
    with Run.write(path, Settings(), [make_task()]) as writer:
        for number in range(20):
            name, attempt = f"t{number // 2}", number % 2
            seconds = float(number * 7 % 20)
            writer.append(make_attempt(name, attempt, resolved=number % 3 == 0, seconds=seconds))
    return path


def ids(path: Path) -> list[str]:
    """Return all ids of a run."""
    return [attempt.id for attempt in Run(path).summaries()]


def test_attempts_are_chosen_and_sorted(run: Path) -> None:
    """Attempts come in the requested order, as summaries or whole."""
    with Run(run).index() as index:
        assert len(index.places()) == 20
        places = index.places(Choice(resolved=True))
        assert [attempt.id for attempt in index.summaries(places)][:3] == ["t0.0", "t1.1", "t3.0"]
        places = index.places(Choice(resolved=False), sort="-seconds", limit=2)
        assert [attempt.seconds for attempt in index.summaries(places)] == [19.0, 18.0]
        assert [attempt.timings.total for attempt in index.trajectories(places)] == [19.0, 18.0]
        by_attempt = index.summaries(index.places(sort="attempt"))
        assert [attempt.attempt for attempt in by_attempt][9:11] == [
            0,
            1,
        ]
        with pytest.raises(UsageError, match="no field 'size' to sort by"):
            index.places(sort="size")


@pytest.mark.parametrize(
    ("choice", "count"),
    [
        (Choice(), 20),
        (Choice(instance_id="t3"), 2),
        (Choice(family="oper"), 20),
        (Choice(family="%"), 0),
        (Choice(exit_reason="sub"), 20),
        (Choice(turns=(6, 6)), 20),
        (Choice(turns=(7, None)), 0),
        (Choice(turns=(None, 5)), 0),
        (Choice(words=("T3", "REPAIR")), 2),
        (Choice(words=("t_",)), 0),
        (Choice(ids=frozenset({"t0.0", "t1.0", "no"})), 2),
        (Choice(ids=frozenset({"t0.0", "t1.0"}), words=("t1",)), 1),
        (Choice(ids=frozenset()), 0),
    ],
)
def test_conditions_are_joined(run: Path, choice: Choice, count: int) -> None:
    """Conditions combine with AND, and typed text is never a pattern."""
    with Run(run).index() as index:
        assert len(index.places(choice)) == count
        assert len(index) == 20


def test_what_was_appended_is_found(run: Path) -> None:
    """An existing index is updated, not rebuilt."""
    assert len(ids(run)) == 20
    made = (run / "index.sqlite").stat().st_ino
    with AttemptWriter(run) as writer:
        writer.append(make_attempt("new"))
        assert ids(run)[-1] == "new.0"
    assert (run / "index.sqlite").stat().st_ino == made


def test_the_index_is_a_cache(run: Path) -> None:
    """A missing, outdated, damaged or copied index is rebuilt."""
    index, before = run / "index.sqlite", ids(run)
    index.unlink()
    assert ids(run) == before
    index.write_bytes(b"no database" * 1000)
    assert ids(run) == before
    with sqlite3.connect(index) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    assert ids(run) == before
    shutil.copytree(run, run.parent / "copy")
    assert ids(run.parent / "copy") == before


def test_a_shard_that_was_taken_away_or_replaced_is_noticed(run: Path) -> None:
    """The index matches the shards after one disappears or is replaced."""
    (shard,) = Run(run).shards()
    assert len(ids(run)) == 20
    kept = shard.read_bytes()
    shard.unlink()
    assert ids(run) == []
    shard.write_bytes(kept)
    assert len(ids(run)) == 20
    shard.unlink()
    with AttemptWriter(run) as writer:
        for _ in range(30):
            writer.append(make_attempt("other"))
    (other,) = Run(run).shards()
    other.rename(shard)
    assert ids(run) == ["other.0"]


def test_attempts_that_lie_where_nothing_can_be_written_are_read(run: Path) -> None:
    """In a read-only directory the index is temporary."""
    shards = list(Run(run).shards())
    with Index(lambda: shards, Path("/proc/index.sqlite")) as index:
        assert len(index.places()) == 20


def test_an_attempt_that_was_made_twice_counts_once(run: Path) -> None:
    """The older shard's attempt counts, whatever the order of indexing."""
    with AttemptWriter(run) as one, AttemptWriter(run) as other:
        one.append(make_attempt("first"))
        other.append(make_attempt("twice", seconds=2.0))
        listed = [attempt for attempt in Run(run).summaries() if attempt.id == "twice.0"]
        assert [attempt.seconds for attempt in listed] == [2.0]
        one.append(make_attempt("twice", seconds=1.0))
    for _ in range(2):
        found = [attempt for attempt in Run(run).trajectories() if attempt.id == "twice.0"]
        assert [attempt.timings.total for attempt in found] == [1.0]
        (run / "index.sqlite").unlink()


def test_damage_is_said(run: Path) -> None:
    """The index reports damaged bytes per file, and reads the other attempts."""
    (shard,) = Run(run).shards()
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)
    with Run(run).index() as index:
        assert len(index.places()) == 19
        ((path, count),) = index.damaged()
    assert path == shard
    assert 500 < count < 3000


def test_several_bring_it_up_to_date_at_once(run: Path) -> None:
    """During writing, every concurrent reader sees every attempt once."""
    found: list[list[str]] = []
    threads = [Thread(target=lambda: found.append(ids(run))) for _ in range(6)]
    with AttemptWriter(run) as writer:
        for thread in threads:
            thread.start()
        for number in range(50):
            writer.append(make_attempt("more", number))
        for thread in threads:
            thread.join()
    assert len(found) == 6
    assert all(len(set(places)) == len(places) >= 20 for places in found)
    assert len(ids(run)) == 70


READER = """
import sys
from pathlib import Path
from forager.trajectories import index
from forager.trajectories.store import Run
index._BATCH = 5  # many transactions
print("begun", flush=True)
list(Run(Path(sys.argv[1])).summaries())
"""


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.01, 0.02, 0.04])
def test_an_index_that_was_killed_in_the_making_is_carried_on(run: Path, delay: float) -> None:
    """After SIGKILL at any moment, the index has every attempt once."""
    with AttemptWriter(run) as writer:
        for number in range(60):
            writer.append(make_attempt("more", number))
    command = [sys.executable, "-c", READER, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
    assert len(ids(run)) == len(set(ids(run))) == 80


def test_a_sample_is_the_seeds(run: Path, tmp_path: Path) -> None:
    """A seed gives one sample in any order of attempts; larger samples contain it."""
    file = tmp_path / "attempts.jsonl"
    made: list[Trajectory] = sorted(
        Run(run).trajectories(), key=lambda attempt: -attempt.timings.total
    )
    write_records(file, made)

    def drawn(path: Path, count: int, seed: int, resolved: bool | None = None) -> set[str]:
        opened = Run(path).index() if path.is_dir() else Index(lambda: [path])
        with opened as index:
            (places,) = sample([index], count, seed, Choice(resolved=resolved))
            return {attempt.id for attempt in index.summaries(places)}

    assert len(drawn(run, 5, 0)) == 5
    assert drawn(run, 5, 0) == drawn(file, 5, 0) != drawn(run, 5, 1)
    assert drawn(run, 5, 0) < drawn(run, 9, 0)
    assert len(drawn(run, 100, 0)) == 20
    assert all(int(id[1]) * 2 + int(id[3]) in range(0, 20, 3) for id in drawn(run, 4, 3, True))


def test_a_sample_of_several_runs_is_of_all_together(run: Path, tmp_path: Path) -> None:
    """Each attempt has the same chance, whichever run has it."""
    with Run.write(tmp_path / "small", Settings(), []) as writer:
        writer.append(make_attempt("small"))
    with Run(run).index() as one, Run(tmp_path / "small").index() as other:
        counts = [list(map(len, sample([one, other], 7, seed))) for seed in range(60)]
        assert {sum(pair) for pair in counts} == {7}
        assert 5 < sum(small for _, small in counts) < 40  # 20 expected
        assert list(map(len, sample([one, other], 50, 0))) == [20, 1]


def test_a_file_of_attempts_has_an_index_too(tmp_path: Path) -> None:
    """A file's index is temporary; it skips empty lines and names wrong ones."""
    path = tmp_path / "attempts.jsonl"
    text = "\n\n".join(make_attempt(name).model_dump_json() for name in "abc")
    path.write_text(text)
    with Index(lambda: [path]) as index:
        assert [attempt.id for attempt in index.summaries()] == ["a.0", "b.0", "c.0"]
        assert list(index.trajectories(index.places()[1:2])) == [make_attempt("b")]
        assert index.damaged() == []
    path.write_text(f"{text}\n{{}}\n")
    with pytest.raises(UsageError, match=r"attempts\.jsonl:6 is not an attempt"):
        Index(lambda: [path])
