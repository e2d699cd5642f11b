"""Completes the browser's filter while it is typed."""

from textual.suggester import Suggester

from forager.replay.query import FLAGS, KEYS
from forager.replay.source import AttemptSource


class FilterSuggester(Suggester):
    """Completes the last word of a filter: keys, and values that occur in the run."""

    def __init__(self, source: AttemptSource) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._source = source

    async def get_suggestion(self, value: str) -> str | None:
        """The filter with its last word completed."""
        before, space, word = value.rpartition(" ")
        if not word:
            return None
        found = next(
            (known for known in self._known(word) if known.startswith(word) and known != word), ""
        )
        return before + space + found if found else None

    def _known(self, word: str) -> list[str]:
        key, colon, _ = word.partition(":")
        if not colon:
            return [*FLAGS, *KEYS]
        values: list[str] = []
        if key == "tag":
            values = self._source.marks.tags()
        elif key in ("family", "exit"):
            values = self._source.index.values("family" if key == "family" else "exit_reason")
        return [f"{key}:{value}" for value in values]
