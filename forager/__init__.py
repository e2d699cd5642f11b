"""forager: any Python repository into a training ground, a model into a better model.

What programs use most, by one name each; docs/library.md shows it:

    import forager

    for attempt in forager.Run("runs/repair"):
        print(attempt.id, attempt.outcome.verdict)

A name is imported when it is used first.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from forager.version import VERSION

if TYPE_CHECKING:
    from forager.agent.chat import ChatModel as ChatModel
    from forager.agent.endpoint import ChatEndpoint as ChatEndpoint
    from forager.images.build import build as build
    from forager.rollout.once import attempt as attempt
    from forager.rollout.once import grade as grade
    from forager.rollout.once import read_tasks as read_tasks
    from forager.rollout.settings import RunSettings as RunSettings
    from forager.trajectories.store import Run as Run

__version__ = VERSION

_PLACES = {
    "ChatEndpoint": "forager.agent.endpoint",
    "ChatModel": "forager.agent.chat",
    "Run": "forager.trajectories.store",
    "RunSettings": "forager.rollout.settings",
    "attempt": "forager.rollout.once",
    "build": "forager.images.build",
    "grade": "forager.rollout.once",
    "read_tasks": "forager.rollout.once",
}
__all__ = [*_PLACES, "__version__"]  # names, all of them


def __getattr__(name: str) -> Any:
    """Import what the name stands for."""
    if name not in _PLACES:
        raise AttributeError(f"module 'forager' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
