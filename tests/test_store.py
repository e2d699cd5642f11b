import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attempts import Settings, make_attempt, make_task

from forager.errors import ModelError, SandboxError, Unforeseen, UsageError
from forager.trajectories.store import AttemptWriter, Run


def test_a_run_explains_itself(tmp_path: Path) -> None:
    """The directory gives back settings, tasks, attempts and losses."""
    path = tmp_path / "runs" / "first"
    attempts = [make_attempt("a"), make_attempt("b", resolved=False)]
    with Run.write(path, Settings(), [make_task("a"), make_task("b")]) as writer:
        for attempt in attempts:
            writer.append(attempt)
        writer.append_lost("b.1", SandboxError("the container is gone"))

    run = Run(path)
    assert run.settings() == {"model": "repair", "attempts": 1, "workers": 2}
    assert [task.instance_id for task in run.tasks()] == ["a", "b"]
    assert list(run.trajectories()) == attempts
    assert {stored.id for stored in run.summaries()} == {"a.0", "b.0"}
    assert [(stored.id, stored.error) for stored in run.lost()] == [
        ("b.1", "SandboxError: the container is gone")
    ]


def test_what_is_said_of_a_lost_attempt_can_be_written(tmp_path: Path) -> None:
    """A server's half character can be stored, and so can a bug's traceback."""
    with Run.write(tmp_path / "run", Settings(), []) as run:
        run.append_lost("a.0", ModelError("answers 500: \ud800"))
        run.append_lost("a.0", Unforeseen("ValueError: x", "Traceback …\n"))
    first, second = run.lost()
    assert (first.error, first.log) == ("ModelError: answers 500: \ufffd", "")
    assert (second.error, second.log) == ("Unforeseen: ValueError: x", "Traceback …\n")


def test_a_summary_is_the_attempt_in_one_line(tmp_path: Path) -> None:
    """A summary has the small fields, with tokens and family."""
    with Run.write(tmp_path / "run", Settings(), [make_task()]) as run:
        run.append(make_attempt())
        run.append(make_attempt(attempt=1, family=None))
    first, second = run.summaries()
    assert (first.id, first.family, first.kind) == ("pkg-1.0", "operators", "mutate-fix")
    assert (first.turns, first.reward, first.tokens, first.seconds) == (6, 1, 6300, 12.5)
    assert (second.family, second.kind) == ("issue-fix", "issue-fix")


def test_a_new_run_is_empty(tmp_path: Path) -> None:
    """A new run has no finished attempts."""
    with Run.write(tmp_path / "run", Settings(), []) as run:
        assert [*run.summaries(), *run.tasks(), *run.lost()] == []


def test_a_run_is_resumed_with_the_same_settings_only(tmp_path: Path) -> None:
    """The refusal names the difference; free settings take the new value."""
    path = tmp_path / "run"
    with Run.write(path, Settings(), [make_task("a")]) as run:
        run.append(make_attempt("a"))
    with pytest.raises(UsageError, match=r'model is "repair" there and "other" now.*directory'):
        Run.write(path, Settings(model="other"), [make_task("a")])
    free = {"workers"}
    with Run.write(path, Settings(workers=8), [make_task("a")], may_change=free) as run:
        assert run.settings()["workers"] == 8


def test_tasks_are_added_and_never_changed(tmp_path: Path) -> None:
    """New tasks are added; a known id with other content is refused."""
    path = tmp_path / "run"
    with Run.write(path, Settings(), [make_task("a"), make_task("b")]) as run:
        run.append(make_attempt("a"))
    Run.write(path, Settings(), [make_task("b"), make_task("c")]).close()
    assert [task.instance_id for task in Run(path).tasks()] == ["a", "b", "c"]
    with pytest.raises(UsageError, match="task b differs from the one of this name"):
        Run.write(path, Settings(), [make_task("b", problem_statement="Another.")])


def test_tasks_are_added_to_the_file_and_it_is_not_written_anew(tmp_path: Path) -> None:
    """Adding tasks appends, so that existing tasks cost nothing."""
    path = tmp_path / "run"
    Run.write(path, Settings(), [make_task("a")]).close()
    file = path / "tasks.jsonl"
    before, made = file.read_bytes(), file.stat().st_ino
    file.write_bytes(before + b'{"instance_id": "torn')
    Run.write(path, Settings(), [make_task("a"), make_task("b")]).close()
    assert file.read_bytes().startswith(before)
    assert file.stat().st_ino == made
    assert [task.instance_id for task in Run(path).tasks()] == ["a", "b"]


def test_nodes_of_a_cluster_write_beside_the_one_that_decides(tmp_path: Path) -> None:
    """Each node writes its own shard, without the run's lock."""
    path = tmp_path / "run"
    with (
        Run.write(path, Settings(), []) as run,
        AttemptWriter(path) as node,
        AttemptWriter(path) as other,
    ):
        node.append(make_attempt("a"))
        other.append(make_attempt("b"))
        run.append(make_attempt("c"))
        assert {attempt.id for attempt in run.summaries()} == {"a.0", "b.0", "c.0"}
    assert len(list(Run(path).shards())) == 3


def test_one_process_writes(tmp_path: Path) -> None:
    """A second writer gets an error that names the first; readers may enter."""
    path = tmp_path / "run"
    with Run.write(path, Settings(), []):
        with pytest.raises(UsageError, match=f"process {os.getpid()} is writing"):
            Run.write(path, Settings(), [])
        list(Run(path).summaries())
    Run.write(path, Settings(), []).close()


WRITER = """
import sys
from pathlib import Path
from attempts import Settings, make_attempt, make_task
from forager.trajectories.store import Run
run = Run.write(Path(sys.argv[1]), Settings(), [make_task()])
for number in range(1000000):
    run.append(make_attempt(attempt=number))
    print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_and_locks_nothing(tmp_path: Path) -> None:
    """After SIGKILL and a torn line, the run continues."""
    path = tmp_path / "run"
    command = [sys.executable, "-c", WRITER, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 3:
            pass
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    (shard,) = Run(path).shards()
    os.truncate(shard, shard.stat().st_size + 9)
    finished = {attempt.id for attempt in Run(path).summaries()}
    assert {f"pkg-1.{number}" for number in range(4)} <= finished
    with Run.write(path, Settings(), [make_task()]) as run:
        run.append(make_attempt("new"))
        assert {attempt.id for attempt in run.summaries()} == finished | {"new.0"}
        assert list(Run(path).shards()) == [shard]
        assert sum(1 for _ in run.trajectories()) == len(finished) + 1


def test_attempts_are_found_by_id_or_its_beginning(tmp_path: Path) -> None:
    """The error for an ambiguous or unknown beginning lists existing ids."""
    with Run.write(tmp_path / "run", Settings(), []) as run:
        for name in ("abc", "abd", "x"):
            run.append(make_attempt(name))
    assert run.find("abc.0").id == "abc.0"
    assert run.find("x").id == "x.0"
    with pytest.raises(UsageError, match=r"several attempts begin with 'ab'.*abc\.0, abd\.0"):
        run.find("ab")
    with pytest.raises(UsageError, match=r"no attempt is called 'q'.*there are abc\.0"):
        run.find("q")


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    """A directory with other contents is neither read nor written."""
    with pytest.raises(UsageError, match="is not a run directory"):
        Run(tmp_path)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="holds something else"):
        Run.write(tmp_path, Settings(), [])
    with pytest.raises(UsageError, match="cannot make a run"):
        Run.write(tmp_path / "thesis.tex" / "run", Settings(), [])
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(UsageError, match="is not JSON"):
        Run(tmp_path).settings()


def test_reading_holds_one_attempt_at_a_time(tmp_path: Path) -> None:
    """Memory does not grow with the number of attempts."""
    import tracemalloc

    long = [("", "bash", {"command": "seq"}, "x" * 1_000_000)]
    with Run.write(tmp_path / "run", Settings(), []) as run:
        for number in range(20):
            run.append(make_attempt(attempt=number, steps=long))
    tracemalloc.start()
    assert sum(attempt.turns for attempt in run.trajectories()) == 40
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_setting_that_is_new_had_its_default(tmp_path: Path) -> None:
    """An earlier run continues unless a new setting differs from its default."""
    with Run.write(tmp_path / "run", Settings(), []) as run:
        run.append(make_attempt("a"))
    path = tmp_path / "run/settings.json"
    path.write_text(json.dumps({"model": "repair", "workers": 2}))
    with Run.write(tmp_path / "run", Settings(), []):
        pass
    path.write_text(json.dumps({"model": "repair", "workers": 2}))
    with pytest.raises(UsageError, match="attempts is 1 there and 3 now"):
        Run.write(tmp_path / "run", Settings(attempts=3), [])
