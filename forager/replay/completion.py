"""Completes the browser's filter while it is typed."""

from textual.suggester import Suggester

from forager.replay.query import FLAGS, KEYS
from forager.replay.source import Source


class Completion(Suggester):
    """Completes the last word of a filter: the keys, and the values that there are."""

    def __init__(self, source: Source) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._source = source

    async def get_suggestion(self, value: str) -> str | None:
        """The filter with its last word completed."""
        before, space, word = value.rpartition(" ")
        if not word:
            return None
        found = next((one for one in self._known(word) if one.startswith(word) and one != word), "")
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
