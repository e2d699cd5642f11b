"""Programs that run beside forager (ranks of a training, servers) and end with it.

Each is started by a guardian (`guardian_program.py`), which kills it and all that it has started
when forager ends, whatever way forager does.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_GUARDIAN = Path(__file__).with_name("guardian_program.py")
_STOP_SECONDS = 15.0
_TAIL_BYTES = 8_000


class Child:
    """A program with its log; a context manager, at whose end nothing of it is left."""

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
        """Process number of the guardian."""
        return self._guardian.pid

    def ended(self) -> int | None:
        """The exit code (above 128: by that signal), None while it runs."""
        return self._guardian.poll()

    def wait(self, seconds: float) -> int | None:
        """Wait so long for its end; as `ended`."""
        try:
            return self._guardian.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End it and all that it has started."""
        assert self._guardian.stdin
        self._guardian.stdin.close()
        if self.wait(_STOP_SECONDS) is None:
            self._guardian.kill()  # its command dies with it
            self._guardian.wait()

    def tail(self, lines: int = 20) -> str:
        """The last lines that it has written to its log since it was started."""
        with self.log.open("rb") as file:
            file.seek(max(self._start, self.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
