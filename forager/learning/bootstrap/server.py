"""The server of a bootstrap: one model at a time, and none during a training."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from forager.learning.bootstrap.settings import BootstrapSettings

if TYPE_CHECKING:
    from forager.learning.serve import ModelServer


class CurrentServer:
    """Starts a server for the requested model and keeps it until another model is requested.

    If the settings name endpoints, those serve every model by its name. A context manager.
    """

    def __init__(self, settings: BootstrapSettings, logs: Path) -> None:
        self._settings, self._logs = settings, logs
        self._running = ExitStack()
        self._server: ModelServer | None = None

    def urls(self, name: str, model: Path) -> list[str]:
        """Addresses that serve the model under this name. Raises ForagerError."""
        if self._settings.urls:
            return list(self._settings.urls)
        if self._server is None or self._server.name != name:
            from forager.learning.serve import ModelServer
            from forager.learning.serve.agreement import check_prompts

            self.stop()
            settings = self._settings.serve.model_copy(update={"served_model_name": name})
            server = ModelServer(model, settings, self._logs / name)
            self._server = self._running.enter_context(server)
            for url in server.urls:
                check_prompts(url, name, model)
        self._server.check()
        return self._server.urls

    def stop(self) -> None:
        """Stop the server and free its memory."""
        self._server = None
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
