"""The models of a run, by their names."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forager.agent.model import Model
    from forager.agent.tool import Toolbox
    from forager.agent.traffic import Gate
    from forager.rollout.settings import RunSettings

REPAIR = "repair"


class MakeModel:
    """Makes the model of an attempt, given the attempt's number; goes to the nodes of a cluster."""

    def __init__(self, settings: "RunSettings", toolbox: "Toolbox", key: str) -> None:
        self._settings, self._toolbox, self._key = settings, toolbox, key

    def __call__(self, number: int, gate: "Gate") -> "Model":
        """The model, whose requests pass the gate."""
        from forager.agent.syntax import SYNTAXES

        settings = self._settings
        name = settings.model_of(number)
        if name == REPAIR:
            from forager.agent.repair import RepairModel
            from mutators import REVERSIBLE

            return RepairModel(SYNTAXES[settings.syntax], self._toolbox, REVERSIBLE)

        from forager.agent.chat import ChatModel
        from forager.agent.endpoint import ChatEndpoint, normalised
        from forager.agent.traffic import TRAFFIC

        # An attempt stays with the endpoint that it began with: that holds its prompt in a cache.
        url, *others = TRAFFIC.least_busy_first(list(map(normalised, settings.urls)))
        endpoint = ChatEndpoint(url, self._key, others=tuple(others))
        sampling = settings.sampling_of(number)
        return ChatModel(name, endpoint, sampling, settings.token_ids, gate=gate)
