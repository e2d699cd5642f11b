"""Child processes (ranks of a training, servers) that end when forager ends.

A guardian (`guardian_program.py`) starts each and kills it with all its descendants when forager
ends, even after SIGKILL.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from forager.learning.guardian_program import descendants, kill

_GUARDIAN = Path(__file__).with_name("guardian_program.py")
_STOP_SECONDS = 15.0
_TAIL_BYTES = 8_000


class Child:
    """A program with its log; a context manager that ends it with all its descendants."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str], directory: Path
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log, self._start = log, log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._guardian = subprocess.Popen(
                [sys.executable, "-P", "-S", str(_GUARDIAN), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the guardian."""
        return self._guardian.pid

    def ended(self) -> int | None:
        """The exit code, 128 + the number of a signal that ended it; None while it runs."""
        return self._guardian.poll()

    def wait(self, seconds: float) -> int | None:
        """Wait for its end; return as `ended` does."""
        try:
            return self._guardian.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End it and all its descendants."""
        assert self._guardian.stdin
        self._guardian.stdin.close()
        if self.wait(_STOP_SECONDS) is None:
            left = [self.pid, *descendants(self.pid)]
            for process in left:
                kill(process)
            self._guardian.wait()

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log since it was started."""
        with self.log.open("rb") as file:
            file.seek(max(self._start, self.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
