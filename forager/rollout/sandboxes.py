"""The sandboxes of a batch, started here so that all of them can be closed at once."""

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock

from forager.errors import Stopped
from forager.sandboxes.closing import ClosingSandbox
from forager.sandboxes.sandbox import WORKDIR, Limits, Sandbox, SandboxFactory

_LIMITS = Limits()


class Sandboxes:
    """Starts sandboxes; implements SandboxFactory.

    After `close` the methods of open sandboxes raise SandboxError, and no sandbox starts.
    """

    def __init__(self, factory: SandboxFactory) -> None:
        self._factory = factory
        self._lock = Lock()
        self._open: set[ClosingSandbox] = set()
        self._closed = False

    def __call__(
        self, image: str, *, limits: Limits = _LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        """Start one. Raises SandboxError, EngineError, and Stopped after `close`."""
        self._check()
        sandbox = self._factory(image, limits=limits, environment=environment)
        opened = ClosingSandbox(sandbox, lambda: self._end(sandbox, opened))
        with self._lock:
            self._open.add(opened)
        try:
            self._check()
        except Stopped:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """Close all open sandboxes."""
        self._closed = True
        with self._lock:
            left = list(self._open)
        for sandbox in left:
            sandbox.close()

    def _check(self) -> None:
        if self._closed:
            raise Stopped("the run is stopping")

    def _end(self, sandbox: Sandbox, opened: ClosingSandbox) -> None:
        with suppress(OSError):  # its own thread may be using it
            sandbox.close()
        with self._lock:
            self._open.discard(opened)


class SandboxWatcher:
    """Starts sandboxes and remembers the first, which is the agent's; implements SandboxFactory."""

    def __init__(self, factory: SandboxFactory) -> None:
        self._factory = factory
        self._first: Sandbox | None = None
        self._paths: list[str] = []

    def __call__(
        self, image: str, *, limits: Limits = _LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        """Start one. Raises SandboxError and EngineError."""
        opened = self._factory(image, limits=limits, environment=environment)
        self._first = self._first or opened
        return opened

    def paths(self) -> list[str]:
        """The files of the repository, as they were at the first call."""
        if self._first and not self._paths:
            command = f"( cd {WORKDIR} && git ls-files -co --exclude-standard )"
            self._paths = self._first.run(command).output.splitlines()
        return self._paths
