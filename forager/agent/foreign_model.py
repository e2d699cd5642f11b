"""The model of a run, as an agent of another maker asks it."""

import json

from forager.agent.conversations import Conversation
from forager.agent.model import Model, Reply, tuned
from forager.agent.wires import Body
from forager.errors import LimitReached, PromptRefused
from forager.trajectories.record import Sampling

_FEWEST, _CHARACTERS, _MOST = 2.0, 4.0, 6.0  # per token; answers correct the one in the middle
_SAMPLING = ("temperature", "top_p", "max_tokens", "seed", "stop")


class ForeignModel:
    """Asks with the settings of an agent where the run has none."""

    def __init__(self, model: Model, name: str) -> None:
        self._model, self._name = model, name
        self._drops_limit = False
        self._characters = _CHARACTERS

    def ask(self, conversation: Conversation, asked: Body) -> Reply:
        """The answer to a question. Raises LimitReached, PromptRefused and ModelError.

        Agents ask for so many tokens that no room is left in a small context: an answer without a
        limit of theirs is better than none. If that helps, all later questions go without it.
        """
        if self._drops_limit:
            asked = _without_limit(asked)
        try:
            return self._query(conversation, asked)
        except (LimitReached, PromptRefused):
            if "max_tokens" not in asked:
                raise
            reply = self._query(conversation, _without_limit(asked))
            self._drops_limit = True
            return reply

    def _query(self, conversation: Conversation, asked: Body) -> Reply:
        model, tools = tuned(self._model, _sampling(asked)), asked["tools"]
        try:
            reply = model.query(conversation.messages, tools, conversation.tool_calls)
        except LimitReached as end:
            why = end.refusal or f"no room left in {self._name}"  # which the agent learns
            raise LimitReached(end.reason, why) from end
        if reply.usage.prompt_tokens:
            ratio = _length(asked) / reply.usage.prompt_tokens
            self._characters = min(max(ratio, _FEWEST), _MOST)
        return reply

    def tokens(self, asked: Body) -> int:
        """Estimate the tokens of a question from its length and the last answer's usage."""
        return round(_length(asked) / self._characters)


def _without_limit(asked: Body) -> Body:
    return {name: value for name, value in asked.items() if name != "max_tokens"}


def _sampling(asked: Body) -> Sampling:
    """How an agent wants its answers sampled."""
    rest = {name: asked[name] for name in asked if name not in ("messages", "tools")}
    own = {name: rest.pop(name) for name in _SAMPLING if name in rest}
    try:
        return Sampling(**own, extra_body=rest)
    except ValueError:  # the agent's own values make no sense: the run's hold
        return Sampling()


def _length(asked: Body) -> int:
    """The characters of a question."""
    return len(json.dumps([asked["messages"], asked["tools"]], ensure_ascii=False))
