"""The sandbox without walls: the shell's behaviour, files, and cleaning up."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forager.errors import SandboxError
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Sandbox


@pytest.fixture
def box(tmp_path: Path) -> Iterator[LocalSandbox]:
    """Give each test a sandbox of its own."""
    with LocalSandbox(tmp_path, {"COLOUR": "green"}) as sandbox:
        yield sandbox


def is_gone(process: int) -> bool:
    """Return whether a process ends within two seconds."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def open_files() -> int:
    """Return the number of this process's descriptors."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_is_a_sandbox(box: LocalSandbox, tmp_path: Path) -> None:
    """It has the protocol's methods, its starting directory and the given environment."""
    sandbox: Sandbox = box
    result = sandbox.run("pwd; echo $COLOUR; cd /; x=1")
    assert result.output == f"{tmp_path}\ngreen\n"
    assert result.directory == "/"
    assert sandbox.run("echo $x $PWD").output == "1 /\n"


@pytest.mark.parametrize("before", ["", "trap '' INT; ", "setsid -w "])
def test_a_time_limit_ends_the_command_and_its_children(box: LocalSandbox, before: str) -> None:
    """A time-out ends the foreground processes, and the sandbox continues."""
    result = box.run(f"echo early; {before}sh -c 'echo $$ >child; sleep 60; :'", timeout=0.3)
    assert result.timed_out
    assert result.output == "early\n"
    assert is_gone(int(box.read("child")))
    assert box.run("echo next").output == "next\n"


def test_files_are_read_and_written_from_the_shells_directory(
    box: LocalSandbox, tmp_path: Path
) -> None:
    """Bytes survive unchanged; relative paths follow `cd`, and a new shell's directory."""
    box.run("mkdir sub; cd sub; echo one >a; chmod 755 a")
    assert box.read("a") == b"one\n"
    box.write("a", bytes(range(256)))
    assert (tmp_path / "sub" / "a").read_bytes() == bytes(range(256))
    assert (tmp_path / "sub" / "a").stat().st_mode & 0o777 == 0o755
    box.write(str(tmp_path / "b"), b"")
    box.run("exit")
    assert box.read("b") == b""


def test_file_errors_are_the_operating_systems(box: LocalSandbox) -> None:
    """Missing files and parents, directories and pipes raise the protocol's errors."""
    box.run("mkdir d; mkfifo pipe")
    for path, error in [("no", FileNotFoundError), ("d", IsADirectoryError), ("pipe", OSError)]:
        with pytest.raises(error):
            box.read(path)
    for path, error in [("no/a", FileNotFoundError), ("d", IsADirectoryError), ("pipe", OSError)]:
        with pytest.raises(error):
            box.write(path, b"")


def test_closing_ends_all_processes(tmp_path: Path) -> None:
    """Background jobs and daemons end with the sandbox; closing twice is allowed."""
    box = LocalSandbox(tmp_path)
    box.run(
        "sleep 62 & echo $! >job; setsid sleep 62 & echo $! >daemon; env -i sleep 62 & sleep .1"
    )
    children = [int(box.read(name)) for name in ("job", "daemon")]
    before = open_files()
    box.close()
    box.close()
    assert all(is_gone(child) for child in children)
    assert open_files() == before - 2
    with pytest.raises(SandboxError):
        box.run("true")


def test_a_missing_directory_is_infrastructure(tmp_path: Path) -> None:
    """A sandbox that cannot start raises an error of the infrastructure."""
    with pytest.raises(SandboxError, match="there is no directory"):
        LocalSandbox(tmp_path / "no")


def test_a_killed_keeper_is_infrastructure(box: LocalSandbox) -> None:
    """If the keeper dies, the command raises instead of returning a result."""
    with pytest.raises(SandboxError):
        box.run("kill -9 $PPID; sleep 1; exit")
