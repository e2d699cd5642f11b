import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from forager.errors import UsageError
from forager.locks import claimed, take, take_directory

HOLDER = """
import os, sys, time
from pathlib import Path
from forager.locks import take_directory
lock = take_directory(Path(sys.argv[1]))
if os.fork() == 0:
    sys.exit()  # with all that an interpreter does at its end
os.wait()
if os.fork() == 0:
    print("held", flush=True)  # here, where the fork's copy of the lock is closed already
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    """Start a process that holds a directory; its first child ends and its second lives on."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_ends_with_its_process_and_not_with_that_process_s_children(tmp_path: Path) -> None:
    """A child's end does not release the lock, and after SIGKILL no child keeps it."""
    with holder(tmp_path) as process:
        try:
            with pytest.raises(UsageError, match=f"process {process.pid} is writing to {tmp_path}"):
                take_directory(tmp_path)
            process.kill()
            process.wait()
            take_directory(tmp_path).release()
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_lock_is_refused_within_a_process_too(tmp_path: Path) -> None:
    """A second lock is refused; any thread may release the first."""
    lock = take_directory(tmp_path)
    assert take(tmp_path / ".lock") is None
    releasing = threading.Thread(target=lock.release)
    releasing.start()
    releasing.join()
    with claimed(tmp_path), pytest.raises(UsageError, match=f"process {os.getpid()} is writing"):
        take_directory(tmp_path)
    take_directory(tmp_path).release()


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """The error is one line that names the directory."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write to .*file/run: Not a directory"):
        take_directory(tmp_path / "file" / "run")
