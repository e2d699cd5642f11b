"""What repairs a recipe in `forager image build`: `--builders`, and the model of the agent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.agent import SERVERLESS
from forager.cli.derived import Derived, setting
from forager.cli.verb import Option
from forager.errors import UsageError
from forager.text import known_words

if TYPE_CHECKING:
    from forager.agent.model import Model
    from forager.images.builder import Builder
    from forager.rollout.settings import RunSettings
    from tasks.image import ImageTask
    from tasks.image_builder import AgentBuilder

HEADING = "The builder agent"
AGENT = Derived(
    "forager.rollout.settings:RunSettings",
    {
        HEADING: [
            setting("urls", "--url", metavar="URL"),
            setting("key_env", metavar="NAME"),
            "syntax",
            setting("limits.turns", "--max-turns"),
            setting("limits.tokens", "--max-tokens"),
            setting("limits.seconds", "--time-limit", metavar="SECONDS"),
        ],
    },
)
_AGENT = "agent"


class Together:
    """The options of several records; implements OptionSource."""

    def __init__(self, *sources: Derived) -> None:
        self._sources = sources

    def options(self) -> list[Option]:
        """The options, record by record."""
        return [option for source in self._sources for option in source.options()]


@contextmanager
def open_builders(text: str, params: Mapping[str, Any]) -> "Iterator[list[Builder]]":
    """The builders that a list names; an agent's run is open meanwhile. Raises UsageError."""
    from forager.images.activ.builder import Activ
    from forager.images.rules import RULES

    known: dict[str, Builder] = {builder.name: builder for builder in (RULES, Activ())}
    names = [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
    for name in names:
        if name not in (*known, _AGENT):
            raise UsageError(f"there is no builder '{name}': {known_words(name, (*known, _AGENT))}")
    if _AGENT not in names:
        if params["model"]:
            raise UsageError("-m is the model of the builder `agent`: give --builders rules,agent")
        yield [known[name] for name in names]
        return
    with _agent(params) as agent:
        yield [{**known, _AGENT: agent}[name] for name in names]


@contextmanager
def _agent(params: Mapping[str, Any]) -> "Iterator[AgentBuilder]":
    """The builder that asks a model. Raises UsageError."""
    from forager.agent.traffic import NoLimit
    from forager.cli.models import MakeModel
    from forager.rollout.settings import MAY_CHANGE
    from forager.rollout.worker import Job
    from forager.trajectories.store import Run
    from tasks.image_builder import AgentBuilder
    from tools import load_toolbox

    settings, toolbox = _settings(params), load_toolbox()
    make = MakeModel(settings, toolbox)
    with Run.write(_place(params), settings, [], may_change=MAY_CHANGE) as run:

        def model(task: "ImageTask", number: int) -> "Model":
            return make(Job(task, number), NoLimit())

        yield AgentBuilder(model, settings, toolbox, run)


def _settings(params: Mapping[str, Any]) -> "RunSettings":
    from forager.cli.models import endpoints

    model = params["model"]
    if not model or model in SERVERLESS:
        raise UsageError("the builder `agent` needs a model that a server has: give -m NAME")
    given = AGENT.given(params)
    values = {**given, "models": [model], "urls": endpoints([model], given.get("urls", []), "")}
    settings: RunSettings = AGENT.build(values)
    return settings


def _place(params: Mapping[str, Any]) -> Path:
    """The run directory of the agent's attempts."""
    from forager.paths import data_directory

    name = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in params["model"])
    place: Path | None = params["attempts"]
    return place or data_directory() / "runs" / f"image-{name}"
