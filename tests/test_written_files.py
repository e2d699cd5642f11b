"""What a verb writes: nothing that it reads, nothing of somebody else's; settings with sense."""

import os
import stat
from pathlib import Path

import pytest
from attempts import Settings, make_attempt, make_task
from click.testing import CliRunner, Result

from forager.atomic import replace_text
from forager.cli.main import main
from forager.records import read_records, write_records
from forager.trajectories.record import Trajectory
from forager.trajectories.store import Run


def forager(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a run, a file of its tasks and one of its attempts."""
    monkeypatch.chdir(tmp_path)
    tasks = [make_task("a"), make_task("b")]
    with Run.write(Path("run"), Settings(), tasks) as writer:
        for task in tasks:
            writer.append(make_attempt(task.instance_id, 0))
    write_records(Path("tasks.jsonl"), tasks)
    assert forager("export", "run", "-o", "attempts.jsonl", "--format", "jsonl").exit_code == 0
    return tmp_path


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("export attempts.jsonl -o attempts.jsonl --format jsonl --limit 1", "an input as well"),
        ("export run -o attempts.jsonl --format jsonl", "is there already"),
        ("export run -o run/tasks.jsonl --format jsonl", "is a part of run"),
        ("export run -o tasks.jsonl --format parquet", "is there already"),
        ("report run -o run/settings.json", "is a part of run"),
        ("report run -o attempts.jsonl", "to .html, .md or .json"),
        ("report run -o other.json", "no report"),
        ("tasks health tasks.jsonl -o health.jsonl --kept tasks.jsonl", "an input as well"),
        ("tasks write-tests tasks.jsonl -o tasks.jsonl", "an input as well"),
        ("tasks next-observation run -o run/tasks.jsonl", "is a part of run"),
    ],
)
def test_no_verb_writes_over_what_it_reads(here: Path, command: str, message: str) -> None:
    """Nor over a file of another kind: one line says so, and the file stays."""
    (here / "other.json").write_text('{"a": 1}')
    before = {path: path.read_bytes() for path in here.rglob("*.json*") if path.is_file()}
    done = forager(*command.split())
    assert done.exit_code == 2 and message in done.output and done.output.count("\n") <= 2
    assert {path: path.read_bytes() for path in before} == before


def test_a_report_is_replaced_by_its_next_version(here: Path) -> None:
    """A report in JSON may be written again."""
    for _ in range(2):
        assert forager("report", "run", "-o", here / "report.json").exit_code == 0


def test_links_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    """A link's target is replaced; a pipe, as /dev/stdout may be one, gets the text."""
    (tmp_path / "target").write_text("old")
    link = tmp_path / "link"
    link.symlink_to("target")
    replace_text(link, "new")
    assert link.is_symlink() and (tmp_path / "target").read_text() == "new"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    replace_text(pipe, "text")
    assert os.read(reader, 100) == b"text"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ("near-duplicates=threshold:nan", "threshold: Input should be a finite number"),
        ("near-duplicates=threshold:2", "threshold: Input should be less than or equal to 1"),
        ("near-duplicates=words:0", "words: Input should be greater than 0"),
        ("errors=share:inf", "share: Input should be a finite number"),
        ("per-task=-1", "most: Input should be greater than 0"),
        ("prompts=0", "most: Input should be greater than 0"),
        ("per-task=most:1,most:2", "gives a setting twice"),
    ],
)
def test_settings_of_filters_without_sense_are_refused(
    here: Path, filter: str, message: str
) -> None:
    """They would keep or drop everything in silence, or could not be read again."""
    done = forager("filter", "run", "-o", here / "kept", "--filter", filter)
    assert done.exit_code == 2 and message in done.output


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("replay torn.jsonl", "holds no tasks"),
        ("tasks mutate-fix empty.jsonl -o x --dry-run", "no image"),
        ("replay run --json", "go with --execute"),
        ("run tasks.jsonl -o x -m oracle --time-limit 0", "not in the range x>0"),
        ("run tasks.jsonl -o x -m oracle --budget inf.toml", "should be a finite number"),
        ("run tasks.jsonl -o x -m oracle --system none", "No such file or directory"),
        ("filter run -o x --also-exclude inf.toml", "projects: Field required"),
    ],
)
def test_what_cannot_be_meant_is_said(here: Path, command: str, message: str) -> None:
    """In one line, with the exit code of what the user must settle."""
    (here / "torn.jsonl").write_text('{"problem_statement": "')
    (here / "empty.jsonl").touch()
    (here / "inf.toml").write_text("seconds = inf\n")
    done = forager(*command.split())
    assert done.exit_code == 2 and message in done.output
    assert "Traceback" not in done.output and "Errno" not in done.output
    assert len(list(read_records(here / "attempts.jsonl", Trajectory))) == 2
