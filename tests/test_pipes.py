"""A keeper's pipes, used by one thread and closed by another."""

import subprocess
import threading

from forager.sandboxes.pipes import PipedShell


def test_nothing_is_closed_under_a_thread_that_waits() -> None:
    """Closing waits for the reader: a freed descriptor could become another file's."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pipes = PipedShell(process)
    pipes.send(b"there")
    came: list[bytes | None] = []
    waits = threading.Event()

    def reader() -> None:
        came.append(pipes.receive(10))
        waits.set()
        came.append(pipes.receive(1))

    thread = threading.Thread(target=reader)
    thread.start()
    assert waits.wait(10)
    while not pipes._in_use.locked() and thread.is_alive():
        pass
    pipes.close()
    assert came == [b"there", None]
    thread.join()
    process.wait()
