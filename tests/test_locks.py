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
    time.sleep(60)
    os._exit(0)
print("held", flush=True)
time.sleep(60)
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    """A process that holds a directory, whose first child has ended and whose second lives."""
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
    """A child that ends does not end it, and one that lives on does not keep it after a SIGKILL."""
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
    """The thread that releases it may be another one than the one that took it."""
    lock = take_directory(tmp_path)
    assert take(tmp_path / ".lock") is None
    releasing = threading.Thread(target=lock.release)
    releasing.start()
    releasing.join()
    with claimed(tmp_path), pytest.raises(UsageError, match=f"process {os.getpid()} is writing"):
        take_directory(tmp_path)
    take_directory(tmp_path).release()


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """In one line that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write to .*file/run: Not a directory"):
        take_directory(tmp_path / "file" / "run")
