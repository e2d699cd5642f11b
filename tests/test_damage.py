"""Outputs that another process writes or nothing can be written to, and files that were damaged."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from attempts import Settings, make_attempt, make_task
from click.testing import CliRunner, Result

from forager.atomic import new_directory, replacing
from forager.cli.main import main
from forager.errors import UsageError
from forager.locks import claimed, claimed_output, lock_path
from forager.records import RecordWriter, read_records, write_records
from forager.scratch import scratch, sweep
from forager.trajectories.store import Run

ROOT = Path(__file__).parent.parent


def forager(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a run of ten attempts, its tasks, and rows of a data set."""
    path = tmp_path_factory.mktemp("damage")
    tasks = [make_task(f"t{number}") for number in range(10)]
    with Run.write(path / "run", Settings(), tasks) as writer:
        for number in range(10):
            writer.append(make_attempt(f"t{number}"))
    write_records(path / "tasks.jsonl", tasks)
    (path / "rows.json").write_text("[]")
    (path / "text.txt").write_text("text")
    shutil.copy(ROOT / "examples" / "kata" / "bootstrap.toml", path)
    here = Path.cwd()
    os.chdir(path)
    yield path
    os.chdir(here)


FILES = {
    "image build": "image build SOURCE -o OUT",
    "image build --write-recipe": "image build SOURCE --write-recipe OUT",
    "tasks mutate-fix": "tasks mutate-fix SOURCE -o OUT",
    "tasks issue-fix": "tasks issue-fix SOURCE -o OUT",
    "tasks import": "tasks import swe-bench rows.json -o OUT",
    "report .json": "report run -o OUT.json",
    "report .html": "report run -o OUT.html",
    "export parquet": "export run --format parquet -o OUT",
    "export jsonl": "export run --format jsonl -o OUT",
}
NEW_DIRECTORIES = {
    **{f"export {name}": f"export run --format {name} -o OUT" for name in ("hf", "sharegpt")},
    **{f"export {name}": f"export run --format {name} -o OUT" for name in ("atif", "swe-agent")},
    "export swe-bench": "export run --format swe-bench -o OUT",
    "filter": "filter run -o OUT --filter resolved",
}
DIRECTORIES = {
    "run": "run tasks.jsonl -m repair -o OUT",
    "evaluate": "evaluate tasks.jsonl -m repair -o OUT",
    "replay --take-over": "replay run/t0.0 --take-over 2 -m repair -o OUT",
    "base": "base text.txt -o OUT",
    "bootstrap": "bootstrap bootstrap.toml -o OUT",
}
VERBS = {**FILES, **NEW_DIRECTORIES, **DIRECTORIES}


def words(verb: str, output: Path) -> list[str]:
    """The command line of a verb with this output."""
    return [word.replace("OUT", str(output)) for word in VERBS[verb].split()]


def one_line(result: Result) -> str:
    """The only line of an error for the person at the keyboard."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit), result.exception
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("forager: ")]
    return line


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_whose_output_is_being_written_says_who_has_it(
    place: Path, tmp_path: Path, verb: str
) -> None:
    """The second writer of a file or directory gets one line with the holder's number."""
    output = tmp_path / "out"
    written = Path(next(word for word in words(verb, output) if str(output) in word))
    held: Callable[[Path], object] = claimed if verb in DIRECTORIES else claimed_output
    with held(written):  # type: ignore[attr-defined]
        line = one_line(forager(*words(verb, output)))
    assert f"process {os.getpid()} is writing" in line
    assert str(written) in line
    assert "another" in line  # what to do
    assert verb in DIRECTORIES or list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("where", ["below a file", "read-only", "wrong kind"])
def test_an_output_that_cannot_be_written_is_one_line(
    place: Path, tmp_path: Path, verb: str, where: str
) -> None:
    """No verb prints a traceback; each names the path that it cannot write. /proc is read-only."""
    (tmp_path / "file").touch()
    if where == "below a file":
        output = tmp_path / "file" / "out"
    elif where == "read-only":
        output = Path("/proc/forager/out")
    else:
        output = tmp_path / "out"
        written = Path(next(word for word in words(verb, output) if str(output) in word))
        if verb in FILES:
            (written / "full").mkdir(parents=True)
        else:
            written.write_text("")
    assert str(output) in one_line(forager(*words(verb, output)))
