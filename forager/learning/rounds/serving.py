"""The server of a bootstrap: one model at a time, and none while there is training."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from forager.learning.rounds.settings import BootstrapSettings


class Serving:
    """Starts a server for the model that is asked for, and keeps it for the next who asks.

    Where the bootstrap has endpoints of its own, these serve each model by its name. A context
    manager.
    """

    def __init__(self, settings: BootstrapSettings, logs: Path) -> None:
        self._settings, self._logs = settings, logs
        self._running = ExitStack()
        self._name, self._urls = "", list(settings.urls)

    def urls(self, name: str, model: Path) -> list[str]:
        """Where the model of this name is served. Raises ForagerError where it does not start."""
        if not self._settings.urls and self._name != name:
            from forager.learning.serve import Server

            self.stop()
            settings = self._settings.serve.model_copy(update={"name": name})
            server = self._running.enter_context(Server(model, settings, self._logs / name))
            self._name, self._urls = name, list(server.urls)
        return self._urls

    def stop(self) -> None:
        """End the server; its memory is free then."""
        self._name = ""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
