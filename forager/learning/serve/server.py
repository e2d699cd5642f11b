"""The vLLM servers of one model: start, health, new weights, stop."""

import re
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from forager.errors import ServeError, UsageError
from forager.learning.child import Child
from forager.learning.hub import check_model
from forager.learning.serve.agreement import PROBE, expected, has_weights
from forager.learning.serve.client import post
from forager.learning.serve.command import command, environment
from forager.learning.serve.settings import ServeSettings

_POLL_SECONDS = 0.25


class ModelServer:
    """A model on one or more vLLM servers; a context manager, which stops them at the end.

    The servers end with this process, even after SIGKILL. `log` is a directory, with a file per
    server.
    """

    def __init__(self, model: Path, settings: ServeSettings, log: Path) -> None:
        check_model(model)
        self.model, self.settings, self._log = model, settings.on_this_machine(), log
        self.name = settings.served_model_name or model.name
        self._ports: list[int] = []
        self._children: list[Child] = []
        self._stack = ExitStack()

    @property
    def urls(self) -> list[str]:
        """OpenAI-compatible addresses of the servers."""
        return [f"{base}/v1" for base in self._bases]

    def check(self) -> None:
        """Raise ServeError with the end of the log if a server has exited."""
        for number, child in enumerate(self._children):
            code = child.ended()
            if code is not None:
                reason = _last_error(child.tail(200))
                raise ServeError(
                    f"the server of {self.model} exited with {code}: {reason} "
                    f"(log: {self._log_of(number)})",
                    child.tail(),
                )

    def reload(self, model: Path) -> None:
        """Serve the weights of another model of the same shape, under the same name and addresses.

        `settings.reload` chooses a restart or replacement in place. After a replacement, the
        log-probabilities of each server are compared with the trainer's, and servers restart if
        they differ: vLLM 0.32 on a CPU keeps an old output layer that is tied to the embeddings.
        Raises ServeError if they differ even then.
        """
        self.check()
        old, self.model = self.model, model
        in_place = self.settings.reload == "in_place"
        if in_place:
            for base in self._bases:
                replace_weights(base, model)
            wanted, former = expected([model, old], [PROBE], self.settings.dtype)
            if self._has(wanted, former):
                return
        self._stop()
        self._start()
        if in_place and not self._has(wanted):
            raise ServeError(f"{', '.join(self.urls)}: the weights differ from those of {model}")

    def _has(self, wanted: list[list[float]], former: list[list[float]] | None = None) -> bool:
        """Whether each server answers the probe as wanted, and not more like another model."""
        dtype = self.settings.dtype
        return all(has_weights(url, self.name, dtype, wanted, former) for url in self.urls)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    @property
    def _bases(self) -> list[str]:
        host = "127.0.0.1" if self.settings.host == "0.0.0.0" else self.settings.host
        return [f"http://{host}:{port}" for port in self._ports]

    def _start(self) -> None:
        """Start all servers and wait until they answer."""
        self._ports = self._ports or _ports(self.settings)
        settings = self.settings.model_copy(update={"served_model_name": self.name})
        for number, port in enumerate(self._ports):
            child = Child(
                command(self.model.absolute(), settings, port),
                self._log_of(number),
                environment(self.settings, number),
                Path.cwd(),
            )
            self._children.append(self._stack.enter_context(child))
        until = time.monotonic() + self.settings.start_timeout
        for base in self._bases:
            while not _answers(base):
                self.check()
                if time.monotonic() > until:
                    raise ServeError(
                        f"{base} does not answer after {self.settings.start_timeout:g} s "
                        f"(logs: {self._log})",
                        self._children[0].tail(),
                    )
                time.sleep(_POLL_SECONDS)
        self.check()

    def _stop(self) -> None:
        self._stack.close()
        self._children = []

    def _log_of(self, number: int) -> Path:
        return self._log / f"replica-{number}.log"


def replace_weights(base: str, model: Path) -> None:
    """Let a server with developer endpoints serve the weights in a directory that it sees.

    Without the reset, cached keys of the old weights would be used. Raises ServeError.
    """
    _post(base, "/pause", query={"mode": "wait"})
    try:
        kwargs = {"weights_path": str(model.absolute())}
        _post(base, "/collective_rpc", {"method": "reload_weights", "kwargs": kwargs})
        if not _post(base, "/reset_prefix_cache").json().get("success"):
            raise ServeError(
                f"{base} did not reset its prefix cache, which belongs to the old weights"
            )
    finally:
        _post(base, "/resume")


def _ports(settings: ServeSettings) -> list[int]:
    if settings.port is not None:
        ports = [settings.port + number for number in range(settings.replicas)]
        for port in ports:  # otherwise a foreign server there would answer for ours
            with socket.socket() as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    tried.bind((settings.host, port))
                except OSError as error:
                    reason = f"cannot serve at {settings.host}:{port}: {error.strerror}"
                    raise UsageError(f"{reason}; give another port") from error
        return ports
    with ExitStack() as stack:  # hold each port until the last is found, so that they differ
        held = [stack.enter_context(socket.socket()) for _ in range(settings.replicas)]
        for listener in held:
            listener.bind((settings.host, 0))
        return [listener.getsockname()[1] for listener in held]


def _answers(base: str) -> bool:
    import requests

    try:
        return requests.get(f"{base}/health", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _post(base: str, path: str, json: Any = None, query: dict[str, str] | None = None) -> Any:
    import requests

    try:
        answer = post(f"{base}{path}", json, query=query)
        answer.raise_for_status()
        return answer
    except requests.ConnectionError as error:
        raise ServeError(f"{base} does not answer") from error
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else 0
        if status == 404:
            raise ServeError(
                f"{base} has no {path}: start vLLM with VLLM_SERVER_DEV_MODE=1"
            ) from error
        raise ServeError(f"{base}{path} failed: {error}") from error


def _last_error(tail: str) -> str:
    """The last line that names an error, else the last line."""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\w(Error|Exception): |Value error", line)]
    return (errors or lines or ["no output"])[-1]
