"""Models served by vLLM, as child processes that end with forager."""

from forager.learning.serve.server import Server
from forager.learning.serve.settings import ServeSettings

__all__ = ["ServeSettings", "Server"]
