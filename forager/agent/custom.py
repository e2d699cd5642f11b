"""Models from other packages: entry points of `forager.models`, and `-m package.module:Name`.

Such a name stands for a callable that makes the model of one attempt from its ModelSetup.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from forager.agent import SERVERLESS
from forager.agent.model import Model
from forager.agent.syntax import Syntax
from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.errors import UsageError
from forager.plugins import plugins
from forager.text import known_words
from forager.trajectories.record import Sampling

GROUP = "forager.models"
# Names on servers have colons, too: `qwen3:8b`, `llama3:latest`. A class begins with a capital.
_PLACE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Z]\w*)")


@dataclass(frozen=True, slots=True)
class ModelSetup:
    """What the model of one attempt is made from; calls are written in `syntax`."""

    task: Task
    number: int
    sampling: Sampling
    syntax: Syntax
    tools: Toolbox


MakeCustom = Callable[[ModelSetup], Model]


def needs_server(name: str) -> bool:
    """Whether a model is asked at an endpoint."""
    return name not in SERVERLESS and not is_custom(name)


def is_custom(name: str) -> bool:
    """Whether another package makes this model."""
    return name in _installed() or bool(_PLACE.fullmatch(name))


@cache
def custom_model(name: str) -> MakeCustom:
    """What makes a model of another package. Raises UsageError if it cannot be imported."""
    for plugin in plugins(GROUP, name):
        return _callable(plugin.object, plugin.origin)
    place = _PLACE.fullmatch(name)
    assert place is not None
    here = str(Path.cwd())
    if here not in sys.path:  # last: a file there replaces no installed module
        sys.path.append(here)
    try:
        module = import_module(place[1])
    except Exception as error:  # an import may raise anything
        raise UsageError(f"-m {name}: cannot import {place[1]}: {error}") from error
    if not hasattr(module, place[2]):
        known = known_words(place[2], (word for word in vars(module) if word[0].isupper()))
        raise UsageError(f"-m {name}: {place[1]} has no {place[2]}; {known}")
    return _callable(getattr(module, place[2]), f"-m {name}")


def _callable(made: object, origin: str) -> MakeCustom:
    if not callable(made):
        raise UsageError(f"{origin} is a {type(made).__name__}, and not a callable of a ModelSetup")
    return made


@cache
def _installed() -> frozenset[str]:
    return frozenset(entry.name for entry in entry_points(group=GROUP))
