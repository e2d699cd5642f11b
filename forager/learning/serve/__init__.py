"""vLLM servers, as child processes that end with forager."""

from forager.learning.serve.server import ModelServer
from forager.learning.serve.settings import ServeSettings

__all__ = ["ModelServer", "ServeSettings"]
