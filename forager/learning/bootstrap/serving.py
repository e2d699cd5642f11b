"""The server of a bootstrap: one model at a time, and none while there is training."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from forager.learning.bootstrap.settings import BootstrapSettings

if TYPE_CHECKING:
    from forager.learning.serve import Server


class Serving:
    """Starts a server for the model that is asked for, and keeps it for the next who asks.

    Where the bootstrap has endpoints of its own, these serve each model by its name. A context
    manager.
    """

    def __init__(self, settings: BootstrapSettings, logs: Path) -> None:
        self._settings, self._logs = settings, logs
        self._running = ExitStack()
        self._server: Server | None = None

    def urls(self, name: str, model: Path) -> list[str]:
        """Where the model of this name is served. Raises ForagerError where it does not start."""
        if self._settings.urls:
            return list(self._settings.urls)
        if self._server is None or self._server.name != name:
            from forager.learning.serve import Server

            self.stop()
            settings = self._settings.serve.model_copy(update={"served_model_name": name})
            self._server = self._running.enter_context(Server(model, settings, self._logs / name))
        self._server.check()
        return self._server.urls

    def stop(self) -> None:
        """End the server; its memory is free then."""
        self._server = None
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
