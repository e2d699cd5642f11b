import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from attempts import make_attempt, make_task
from pydantic import ValidationError

from forager.environments.repository.task import RepositoryTask
from forager.errors import UsageError
from forager.records import Record, RecordWriter, read_records, write_records
from forager.trajectories.record import ModelCall, Trajectory, Usage


class Point(Record):
    x: int
    label: str = ""


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """A file appears whole, one line per record, without other files next to it."""
    path = tmp_path / "new" / "points.jsonl"
    points = [Point(x=1), Point(x=2, label="ünï\n\u2028\x00code")]
    assert write_records(path, points) == 2
    assert list(read_records(path, Point)) == points
    assert path.read_bytes().count(b"\n") == 2
    assert list(path.parent.iterdir()) == [path]


def test_a_torn_tail_is_skipped_and_then_cut_off(tmp_path: Path) -> None:
    """Readers skip a killed writer's torn line; the next writer removes it."""
    path = tmp_path / "points.jsonl"
    path.write_text('{"x": 1}\n{"x": 2, "la')
    assert list(read_records(path, Point)) == [Point(x=1)]
    with RecordWriter(path) as writer:
        writer.append(Point(x=3))
    assert list(read_records(path, Point)) == [Point(x=1), Point(x=3)]


def test_a_file_that_is_one_torn_record_starts_anew(tmp_path: Path) -> None:
    """A torn tail may be longer than one block."""
    path = tmp_path / "points.jsonl"
    path.write_text('{"x": ' + "1" * 200_000)
    with RecordWriter(path) as writer:
        writer.append(Point(x=3))
    assert list(read_records(path, Point)) == [Point(x=3)]


def test_the_last_newline_may_be_missing(tmp_path: Path) -> None:
    """A handwritten file may lack its last newline."""
    path = tmp_path / "points.jsonl"
    path.write_text('{"x": 1}\n\n{"x": 2}')
    assert [point.x for point in read_records(path, Point)] == [1, 2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"x": "one"}', r"points\.jsonl:2 is not a Point: x: "),
        ('{"x": 1, "y": 2}', r"points\.jsonl:2 is not a Point: y: "),
        ("nonsense", r"points\.jsonl:2 is not a Point: record: "),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    """The error names file, line and field."""
    path = tmp_path / "points.jsonl"
    path.write_text(f'{{"x": 1}}\n{line}\n{{"x": 3}}\n')
    with pytest.raises(UsageError, match=message):
        list(read_records(path, Point))


def test_a_missing_file_is_the_users_mistake(tmp_path: Path) -> None:
    """A missing file raises UsageError."""
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        list(read_records(tmp_path / "none.jsonl", Point))


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    """Threads never tear each other's lines."""
    path = tmp_path / "points.jsonl"
    with RecordWriter(path) as writer:

        def write(start: int) -> None:
            for x in range(start, start + 50):
                writer.append(Point(x=x, label="y" * 5000))

        threads = [Thread(target=write, args=(start,)) for start in range(0, 400, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(point.x for point in read_records(path, Point)) == list(range(400))


FULL = """
import resource, signal, sys
from pathlib import Path
from test_records import Point
from forager.errors import StoreError
from forager.records import RecordWriter, write_records
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
with RecordWriter(path) as writer:
    writer.append(Point(x=1), Point(x=2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (70, resource.RLIM_INFINITY))
    for refused in (lambda: writer.append(Point(x=3, label="y" * 100)),
                    lambda: write_records(path, [Point(x=4, label="y" * 100)])):
        try:
            refused()
        except StoreError as error:
            print(error)
    writer.append(Point(x=5))
"""


def test_a_full_disk_is_said_and_tears_nothing(tmp_path: Path) -> None:
    """A full disk leaves no part of a record, and earlier ones stay."""
    path = tmp_path / "points.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command: list[str | Path] = [sys.executable, "-c", FULL, path]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"cannot write {path}: File too large"] * 2
    assert [point.x for point in read_records(path, Point)] == [1, 2, 5]
    assert list(tmp_path.iterdir()) == [path]


def test_a_swe_bench_row_loads_as_it_is() -> None:
    """A row may have lists as JSON text, and unknown fields."""
    row = {
        "repo": "astropy/astropy",
        "instance_id": "astropy__astropy-12907",
        "base_commit": "d16bfe05a744909de4b27f5875fe0d4ed41ce607",
        "patch": "diff --git a/x b/x\n",
        "test_patch": "diff --git a/y b/y\n",
        "problem_statement": "It breaks.",
        "hints_text": "",
        "created_at": "2022-03-03T15:14:54Z",
        "version": "4.3",
        "FAIL_TO_PASS": '["tests/test_y.py::test_a"]',
        "PASS_TO_PASS": json.dumps(["tests/test_y.py::test_b[1]"]),
        "environment_setup_commit": "298ccb478e6bf092953bca67a3d29dc6c35f6752",
        "difficulty": "15 min - 1 hour",
    }
    task = RepositoryTask.model_validate(row)
    assert task.kind == "issue-fix"
    assert task.FAIL_TO_PASS == ["tests/test_y.py::test_a"]
    assert RepositoryTask.model_validate_json(task.model_dump_json()) == task


def test_a_task_and_an_attempt_survive_the_file(tmp_path: Path) -> None:
    """A task and an attempt equal what was written."""
    path = tmp_path / "attempts.jsonl"
    write_records(path, [make_attempt(), make_attempt("b", syntax="text", family=None)])
    assert next(read_records(path, Trajectory)) == make_attempt()
    assert RepositoryTask.model_validate_json(make_task().model_dump_json()) == make_task()


def test_a_log_probability_is_finite_or_no_record_is_made() -> None:
    """JSON lacks infinity: stored as null, the record could not be read again."""
    with pytest.raises(ValidationError, match="finite number"):
        ModelCall(message=0, usage=Usage(), seconds=0, logprobs=[-0.5, float("-inf")])


def test_usage_adds_up() -> None:
    """Usage adds field by field."""
    usage = Usage(prompt_tokens=1, completion_tokens=2) + Usage(prompt_tokens=10)
    assert usage == Usage(prompt_tokens=11, completion_tokens=2)
