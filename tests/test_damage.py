"""Outputs that another process writes or nothing can be written to, and files that were damaged."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
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
from forager.trajectories.store import AttemptWriter, Run

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
    "tasks write-tests": "tasks write-tests tasks.jsonl -o OUT",
    "tasks next-observation": "tasks next-observation run -o OUT",
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
    "run --predictions": "run tasks.jsonl --predictions OUT -o OUT.run -m repair",
    "filter": "filter run -o OUT --filter resolved",
}
DIRECTORIES = {
    "run": "run tasks.jsonl -m repair -o OUT",
    "evaluate": "evaluate tasks.jsonl -m repair -o OUT",
    "select": "select run --by majority -o OUT",
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


def test_a_directory_that_several_make_at_once_is_of_one(tmp_path: Path) -> None:
    """One of eight makers publishes all of its files, and the others are refused."""
    results: list[str] = []
    barrier = threading.Barrier(8)

    def make(number: int) -> None:
        barrier.wait()
        try:
            with new_directory(tmp_path / "out") as part:
                for name in range(20):
                    (part / f"{number}-{name}").touch()
        except UsageError as error:
            results.append(str(error))
        else:
            results.append("made")

    threads = [threading.Thread(target=make, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(results), results.count("made")) == (8, 1)
    assert len({path.name.split("-")[0] for path in (tmp_path / "out").iterdir()}) == 1
    assert len(list((tmp_path / "out").iterdir())) == 20
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_of_records_has_one_writer_and_mends_its_end(tmp_path: Path) -> None:
    """A torn line is cut off, a whole one gets its newline, and a second writer is refused."""
    path = tmp_path / "tasks.jsonl"
    whole = make_task("a").model_dump_json()
    path.write_text(f"{whole}\n{whole[:-20]}")
    with RecordWriter(path) as writer:
        with pytest.raises(UsageError, match="another process is writing"):
            RecordWriter(path)
        writer.append(make_task("b"))
    path.write_text(path.read_text() + make_task("c").model_dump_json())
    RecordWriter(path).close()
    with RecordWriter(path) as first:
        late = threading.Thread(target=lambda: RecordWriter(path, wait=True).close())
        late.start()
        first.append(make_task("d"))
    late.join(10)
    assert not late.is_alive()
    names = [task.instance_id for task in read_records(path, type(make_task("a")))]
    assert names == [make_task(name).instance_id for name in "abcd"]


def test_a_lock_file_of_a_killed_process_locks_nothing(tmp_path: Path) -> None:
    """Also if it names a process that lives; a holder on another host is named with its host."""
    output = tmp_path / "out"
    lock_path(output).write_text("1 node7\n")
    with claimed_output(output):
        lock_path(output).write_text("4711 node7\n")
        with pytest.raises(UsageError, match="process 4711 on node7 is writing"):
            claimed_output(output).__enter__()
    assert list(tmp_path.iterdir()) == []


def flip(data: bytes, at: float) -> bytes:
    """The data with a byte changed at a share of its length."""
    place = int(at * len(data))
    return data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: int(len(data) * 0.47)],  # not between two attempts
    "emptied": lambda _: b"",
    "extended": lambda data: data + b"garbage",
    "first": lambda data: flip(data, 0.01),
    "middle": lambda data: flip(data, 0.55),
    "last": lambda data: flip(data, 0.99),
    "zeros": lambda data: data[:4000] + bytes(4000) + data[8000:],
    "noise": lambda data: bytes(range(256)) * (len(data) // 256),
}

LEFT = {"cut": 4, "emptied": 0, "extended": 10, "zeros": 5, "noise": 0}  # attempts of ten


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("index", ["old", "none"])
def test_a_damaged_shard_costs_what_is_damaged(
    place: Path, tmp_path: Path, damage: str, index: str
) -> None:
    """Export, list and replay take the other attempts, and one line names the shard and the lost.

    The file keeps its time of change, as after a fault of the disk. The lost attempts can be made
    again.
    """
    run = tmp_path / "run"
    shutil.copytree(place / "run", run)
    (shard,) = Run(run).shards()
    before = {attempt.id for attempt in Run(run).summaries()}
    if index == "none":
        (run / "index.sqlite").unlink()
    times = shard.stat()
    shard.write_bytes(DAMAGE[damage](shard.read_bytes()))
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    results = [
        forager("list", run),
        forager("replay", run, "--print"),
        forager("export", run, "--format", "jsonl", "-o", tmp_path / "out.jsonl"),
    ]
    left = {attempt.id for attempt in Run(run).trajectories()}
    assert left <= before
    assert len(left) >= LEFT.get(damage, 9)
    for result in results:
        assert result.exit_code == (0 if left or result is results[0] else 2)
        told = [line for line in result.stderr.splitlines() if str(shard) in line or "lost" in line]
        if damage == "emptied" and index == "none":
            continue  # an empty shard is one whose first attempt is still being made
        (line,) = told
        assert f"the command that made {run} makes the missing attempts again" in line
        if index == "old" and left != before:
            assert f"{len(before - left)} attempts are lost" in line
    if left:
        assert results[-1].stdout.split("\t")[1] == f"{len(left)} attempts\n"
    with AttemptWriter(run) as writer:
        for id in before - left:
            writer.append(make_attempt(id.removesuffix(".0")))
    with Run(run).index() as opened:
        assert ({attempt.id for attempt in opened.trajectories()}, opened.lost()) == (before, [])


def test_a_record_that_rots_after_it_was_indexed_is_left_out(place: Path, tmp_path: Path) -> None:
    """An export goes on after a record that has just become unreadable; the next one knows it."""
    run = tmp_path / "run"
    shutil.copytree(place / "run", run)
    (shard,) = Run(run).shards()
    told: list[Path] = []
    with Run(run).index(on_damage=lambda path, _: told.append(path)) as index:
        shard.write_bytes(flip(shard.read_bytes(), 0.5))
        assert len(list(index.trajectories())) == 9
        assert told == [shard]
        assert len(list(index.entries())) == 9
    with Run(run).index() as index:
        assert len(index) == 9
        assert len(index.lost()) == 1


MAKER = """
import sys, time
from pathlib import Path
from forager.atomic import new_directory, replacing
from forager.paths import data_directory
from forager.scratch import scratch
(data_directory() / "histories").mkdir()
with scratch("source") as path, new_directory(data_directory() / "histories" / "x") as part:
    with replacing(Path(sys.argv[1])) as file:
        for place in (path / "tree", part / "half", file):
            place.write_text("half")
        print("made", flush=True)
        time.sleep(60)
"""


def test_what_a_killed_process_left_goes_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporary directories and files live as long as their maker, whatever their age."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    target = tmp_path / "out" / "file"

    def files() -> list[Path]:
        return sorted(path for path in tmp_path.rglob("*") if path.is_file())

    command = [sys.executable, "-c", MAKER, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        assert sweep() == 0
        with replacing(target) as part:
            part.touch()
        made = files()
        assert len(made) >= 5
        process.send_signal(signal.SIGKILL)
    assert files() == made
    assert sweep() == 2
    with replacing(target) as part:
        part.touch()
    with scratch("other") as path:
        assert path.parent == tmp_path / "home" / "scratch"
    assert files() == [target]


def test_a_damaged_index_is_made_anew(place: Path, tmp_path: Path) -> None:
    """Whatever byte of it is wrong: the first export is whole or says so, the second is whole."""
    run, output = tmp_path / "run", tmp_path / "out.jsonl"
    shutil.copytree(place / "run", run)
    forager("list", run)
    database = run / "index.sqlite"
    kept = database.read_bytes()
    for number in range(1, 30):
        database.write_bytes(flip(flip(kept, number / 30), 1 - number / 31))
        first = forager("export", run, "--format", "jsonl", "-o", output)
        assert first.exit_code == 0 or "run this again" in one_line(first)
        output.unlink(missing_ok=True)
        second = forager("export", run, "--format", "jsonl", "-o", output)
        assert second.stdout == f"{output}\t10 attempts\n"
        output.unlink()


BROKEN = [b"", b"[]\n", b"null\n", b"[" * 100_000 + b"\n", b"\xff\xfe", bytes(99)]
READERS = {
    "settings.json": ["watch run --print", "report run -o out.md", "replay run/t0.0 --print"],
    "tasks.jsonl": ["replay run/t0.0 --print", "tasks check run/tasks.jsonl"],
    "infrastructure.jsonl": ["watch run --print"],
    "marks.jsonl": ["list run --tag a", "filter run -o kept --filter resolved"],
    "rows.json": ["tasks import swe-bench run/rows.json -o imported.jsonl"],
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_not_what_it_should_be_is_no_traceback(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Empty, another type, endless brackets, no UTF-8, zeros: one line, or it is skipped."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place / "run", "run")
    for content in BROKEN:
        Path("run", name).write_bytes(content)
        for command in READERS[name]:
            result = forager(*command.split())
            assert result.exception is None or isinstance(result.exception, SystemExit), command
            assert result.exit_code in (0, 2)
        shutil.rmtree("kept", ignore_errors=True)
