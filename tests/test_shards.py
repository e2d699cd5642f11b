import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from forager.errors import StoreError
from forager.trajectories.shards import SUFFIX, ShardWriter, entry_at, read_line, scan


def shards(directory: Path) -> list[Path]:
    """Return a directory's shards, ordered by name."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def line(number: int) -> bytes:
    """Return a record."""
    return json.dumps({"number": number, "text": "word " * 500}).encode() + b"\n"


def fill(directory: Path, *numbers: int, size: int = 1 << 20) -> None:
    """Write records."""
    with ShardWriter(directory, size) as writer:
        for number in numbers:
            writer.append(str(number).encode(), line(number))


def heads(path: Path, start: int = 0) -> list[int]:
    """Return the heads of the entries."""
    return [int(entry.head) for entry in scan(path, start)]


def test_each_record_is_read_alone(tmp_path: Path) -> None:
    """An offset suffices to read a record."""
    fill(tmp_path, 1, 2, 3)
    (path,) = shards(tmp_path)
    entries = list(scan(path))
    assert [int(entry.head) for entry in entries] == [1, 2, 3]
    assert entries[-1].end == path.stat().st_size
    with path.open("rb") as file:
        assert read_line(file.fileno(), entries[1].offset) == line(2)
        assert entry_at(file.fileno(), entries[1].offset) == entries[1]
        assert read_line(file.fileno(), entries[1].offset + 1) is None
    assert heads(path, entries[0].end) == [2, 3]


def test_ordinary_tools_read_a_shard(tmp_path: Path) -> None:
    """`zstdcat` prints the lines and nothing else."""
    fill(tmp_path, 1, 2)
    done = subprocess.run(["zstdcat", *shards(tmp_path)], capture_output=True, check=True)
    assert done.stdout == line(1) + line(2)


def test_a_shard_is_carried_on_and_left_when_it_is_full(tmp_path: Path) -> None:
    """Later writers append until the shard is full, and split no record."""
    fill(tmp_path, 1)
    fill(tmp_path, 2)
    assert [heads(path) for path in shards(tmp_path)] == [[1, 2]]
    fill(tmp_path, 3, 4, 5, size=1)
    assert [heads(path) for path in shards(tmp_path)] == [[1, 2], [3], [4], [5]]


def test_writers_at_the_same_time_have_their_own(tmp_path: Path) -> None:
    """Concurrent writers, such as a cluster's nodes, use separate shards."""
    with ShardWriter(tmp_path) as one, ShardWriter(tmp_path) as other:
        one.append(b"1", line(1))
        other.append(b"2", line(2))
        one.append(b"3", line(3))
    assert [heads(path) for path in shards(tmp_path)] == [[1, 3], [2]]


def test_nothing_is_made_before_the_first_record(tmp_path: Path) -> None:
    """An idle node creates no file."""
    with ShardWriter(tmp_path / "shards"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [1, 8, 20, 50])
def test_a_torn_tail_is_passed_over_and_cut_off(tmp_path: Path, left: int) -> None:
    """Readers skip and writers remove a torn record, wherever it was torn."""
    fill(tmp_path, 1, 2)
    (path,) = shards(tmp_path)
    whole = next(scan(path)).end
    os.truncate(path, whole + left)
    assert heads(path) == [1]
    fill(tmp_path, 3)
    assert heads(path) == [1, 3]
    assert subprocess.run(["zstdcat", path], capture_output=True).returncode == 0


@pytest.mark.parametrize("place", [0, 4, 14, 30, 60])
def test_a_damaged_record_costs_no_other(tmp_path: Path, place: int) -> None:
    """Readers skip damage between records."""
    fill(tmp_path, 1, 2, 3)
    (path,) = shards(tmp_path)
    second = list(scan(path))[1]
    data = bytearray(path.read_bytes())
    data[second.offset + place] ^= 0xFF
    path.write_bytes(data)
    assert heads(path) == [1, 3]


def test_threads_append_side_by_side(tmp_path: Path) -> None:
    """Every thread's record is readable once, across several shards."""
    with ShardWriter(tmp_path, 20_000) as writer:

        def write(start: int) -> None:
            for number in range(start, start + 50):
                writer.append(str(number).encode(), line(number) + os.urandom(500).hex().encode())

        threads = [Thread(target=write, args=(start,)) for start in range(0, 400, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(shards(tmp_path)) > 3
    assert sorted(head for path in shards(tmp_path) for head in heads(path)) == list(range(400))


def test_a_reader_beside_writers_passes_nothing_over(tmp_path: Path) -> None:
    """A reader sees a record that is being written a moment later."""
    writer, data = ShardWriter(tmp_path), os.urandom(1_000_000)

    def write(start: int) -> None:
        for number in range(start, start + 12):
            writer.append(str(number).encode(), data)

    with ThreadPoolExecutor(8) as pool, writer:
        writes = [pool.submit(write, start) for start in range(0, 96, 12)]
        found: list[int] = []
        end = 0
        while len(found) < 96:
            finished = all(future.done() for future in writes)
            for path in shards(tmp_path):
                for entry in scan(path, end):
                    found.append(int(entry.head))
                    end = entry.end
            assert not finished or len(found) == 96
    assert sorted(found) == list(range(96))


WRITER = """
import sys
from pathlib import Path
from test_shards import line
from forager.trajectories.shards import ShardWriter
writer = ShardWriter(Path(sys.argv[1]), 8000)
for number in range(1000000):
    writer.append(str(number).encode(), line(number))
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [0, 7, 300])
def test_a_killed_writer_loses_nothing_that_it_has_appended(tmp_path: Path, after: int) -> None:
    """After SIGKILL at any moment, the next writer continues."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        last = int(process.stdout.readline())
        while last < after:
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        last = max([last, *map(int, process.stdout.read().split()[:-1])])
    found = [head for path in shards(tmp_path) for head in heads(path)]
    assert found == list(range(len(found)))
    assert len(found) > last
    fill(tmp_path, len(found))
    found = [head for path in shards(tmp_path) for head in heads(path)]
    assert sorted(found) == list(range(len(found)))


FULL = """
import resource, signal, sys
from pathlib import Path
from test_shards import fill, heads, line, shards
from forager.errors import StoreError
from forager.trajectories.shards import ShardWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
directory = Path(sys.argv[1])
with ShardWriter(directory) as writer:
    writer.append(b"0", line(0))
    (path,) = shards(directory)
    room = path.stat().st_size * 2 + 30  # two records and a part of a third
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    writer.append(b"1", line(1))
    try:
        writer.append(b"2", line(2))
    except StoreError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert path.stat().st_size < room
    writer.append(b"3", line(3))
assert heads(path) == [0, 1, 3]
"""


def test_a_full_disk_is_said_and_tears_nothing(tmp_path: Path) -> None:
    """A record that does not fit leaves no trace; with free space writing continues."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"cannot write {shards(tmp_path)[0]}: File too large")


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """The error is one line."""
    (tmp_path / "file").touch()
    with ShardWriter(tmp_path / "file" / "shards") as writer, pytest.raises(StoreError):
        writer.append(b"1", line(1))


def test_memory_of_a_scan_is_bounded(tmp_path: Path) -> None:
    """A scan holds one record at a time."""
    import tracemalloc

    with ShardWriter(tmp_path) as writer:
        for number in range(40):
            writer.append(str(number).encode(), os.urandom(500_000))
    (path,) = shards(tmp_path)
    tracemalloc.start()
    assert len(heads(path)) == 40
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
