"""A person's own vLLM servers: whether they fit, and whether they take new weights."""

from collections.abc import Sequence
from pathlib import Path

from forager.agent.endpoint import ChatEndpoint
from forager.errors import ModelError, ServeError
from forager.learning.rl.settings import POLICY
from forager.learning.saved import digest
from forager.learning.serve.agreement import (
    PROBE,
    check_prompts,
    expected,
    has_weights,
    served,
)
from forager.learning.serve.server import replace_weights

_PROVEN = 2  # times that weights are compared with the trainer's: the first ones and the next


class OwnServers:
    """Servers that serve under the name `policy` and offer vLLM's developer endpoints.

    They must see the run directory under the same path. `dtype` is their precision. After new
    weights, a server must answer a probe as the trainer does. Loading the trainer's model for that
    takes time, so later it happens only if a server's answer is the same as before.
    """

    def __init__(self, urls: Sequence[str], dtype: str, key_env: str) -> None:
        self._endpoints = [ChatEndpoint(url, key_env=key_env) for url in urls]
        self._dtype = dtype
        self._former: Path | None = None
        self._digest = ""
        self._loads = 0

    @property
    def urls(self) -> list[str]:
        """The endpoints."""
        return [endpoint.url for endpoint in self._endpoints]

    def load(self, model: Path) -> None:
        """Serve the weights in a directory. Raises ServeError."""
        if not self._loads:
            self._check_names()
        before = self._probed()
        for url in self.urls:
            replace_weights(url.removesuffix("/v1"), model)
            check_prompts(url, POLICY, model)
        is_same = any(old == now for old, now in zip(before, self._probed(), strict=True))
        new = digest(model)
        if self._loads < _PROVEN or (is_same and new != self._digest):
            self._prove(model)
        self._former, self._digest = model, new
        self._loads += 1

    def _probed(self) -> list[list[float]]:
        return [served(endpoint.url, POLICY, PROBE, endpoint.key) for endpoint in self._endpoints]

    def _check_names(self) -> None:
        """Raise ServeError for a server that does not answer, or not under the right name."""
        for endpoint in self._endpoints:
            try:
                names = endpoint.models()
            except ModelError as error:
                raise ServeError(str(error)) from error
            if POLICY not in names:
                raise ServeError(
                    f"{endpoint.url} serves {', '.join(names) or 'nothing'}: start it with "
                    f"--served-model-name {POLICY}"
                )

    def _prove(self, model: Path) -> None:
        known = [self._former] if self._former and self._former.exists() else []
        wanted, *rest = expected([model, *known], [PROBE], self._dtype)
        former = rest[0] if rest else None
        for endpoint in self._endpoints:
            url, key = endpoint.url, endpoint.key
            if not has_weights(url, POLICY, self._dtype, wanted, former, key):
                raise ServeError(
                    f"{url} did not take the weights in {model}: its log-probabilities are not "
                    f"those of the trainer in {self._dtype} (`serve.dtype` names the server's "
                    "precision)"
                )
