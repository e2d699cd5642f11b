"""The seam between the loop and whatever decides the next step, and the fake that ships."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from forager.trajectories.record import Message, Sampling, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer: the assistant message and what the server said of it.

    `waited` are seconds that do not count as the model's: waiting for a turn, and for faults to
    pass. `policy_version` tells apart the weights of a model that is being trained.
    """

    message: Message
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = "stop"
    prompt_token_ids: list[int] | None = None
    completion_token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    waited: float = 0.0
    policy_version: int | None = None


class Model(Protocol):
    """Decides the next step. One instance drives one attempt, so it may keep state."""

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Answer the conversation; `tools` are OpenAI tool definitions, empty for text calls.

        `calls` are the tool calls of the attempt so far, those of a parent included: models that
        are programs read facts from it where a language model reads the messages. Raises ModelError
        when no answer comes.
        """
        ...


@runtime_checkable
class TakesSampling(Protocol):
    """A Model that can sample in another way."""

    def tuned(self, sampling: Sampling) -> Model:
        """The same model, which samples so where its own settings leave a choice."""
        ...


def tuned(model: Model, sampling: Sampling) -> Model:
    """The model with this sampling; the model itself if it does not sample."""
    return model.tuned(sampling) if isinstance(model, TakesSampling) else model


class ScriptedModel:
    """Answers with the given assistant messages in turn; the model for tests.

    Raises IndexError when the script is used up: a test that runs further than it says is wrong.
    """

    def __init__(self, replies: Iterable[Message | Reply]) -> None:
        self._replies = list(replies)
        self.seen: list[list[Message]] = []

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Return the next reply; `seen` keeps what the model was shown."""
        del tools, calls
        self.seen.append(list(messages))
        reply = self._replies[len(self.seen) - 1]
        return reply if isinstance(reply, Reply) else Reply(reply)
