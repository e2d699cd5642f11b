import subprocess
import sys
from pathlib import Path

import pytest

from forager.atomic import new_directory, part_of, replace_text
from forager.errors import StoreError, UsageError


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    """Text is written as UTF-8, and no temporary file remains."""
    path = tmp_path / "new" / "file.txt"
    replace_text(path, "ä")
    assert path.read_bytes() == "ä".encode()
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "\udcff")
    assert path.read_bytes() == "ä".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """An empty target is replaced; leftovers of a killed process are not reused."""
    path = tmp_path / "new"
    path.mkdir()
    part_of(path).mkdir()
    (part_of(path) / "left").touch()
    with pytest.raises(ZeroDivisionError), new_directory(path) as part:
        (part / "half").touch()
        _ = 1 / 0
    assert (list(tmp_path.iterdir()), list(path.iterdir())) == ([path], [])
    with new_directory(path) as part:
        (part / "whole").touch()
    assert [file.name for file in path.iterdir()] == ["whole"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_holds_something_is_not_replaced(tmp_path: Path) -> None:
    """The error for a directory with contents gives the remedy."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match="exists; choose a new directory"),
        new_directory(tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


FULL = """
import resource, signal, sys
from pathlib import Path
from forager.atomic import new_directory, replace_text
from forager.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (70, resource.RLIM_INFINITY))
path = Path(sys.argv[1])
try:
    replace_text(path / "file", "x" * 100)
except StoreError as error:
    print(error)
try:
    with new_directory(path / "directory") as part:
        (part / "file").write_text("x" * 100)
except StoreError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """A full disk gives one line of error, for a file and for a directory."""
    command: list[str | Path] = [sys.executable, "-c", FULL, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"cannot write {tmp_path / name}: File too large" for name in ("file", "directory")
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_takes_nothing_is_one_line() -> None:
    """An unwritable place gives one line: /proc takes no new files, not even from root."""
    path = Path("/proc/forager")
    with pytest.raises(StoreError, match=f"cannot write {path}: "):
        replace_text(path, "")
    with pytest.raises(StoreError, match=f"cannot write {path}: "), new_directory(path):
        pass
