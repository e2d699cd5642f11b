"""From an attempt to samples: which ids are trained on, and what is left out."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from forager.errors import UsageError
from forager.learning.dataset import DatasetSettings, Sample
from forager.learning.dataset.pieces import Piece, Span, prove, rendered, stored
from forager.learning.dataset.tokenizer import Tokenizer, Unusable
from forager.learning.filters.drawn import draw
from forager.learning.steps import failed
from forager.trajectories.record import Trajectory
from forager.trajectories.steps import steps

LONG = "longer than the context"
NOTHING = "nothing to train on"


class Made(NamedTuple):
    """A sample, and whether its ids are the server's (tokens) or rendered (messages)."""

    sample: Sample
    origin: str


class Maker:
    """Makes samples, and counts what is left out (`left_out`) or else to be known (`notes`)."""

    def __init__(self, tokenizer: Tokenizer, settings: DatasetSettings) -> None:
        self._tokenizer, self._settings = tokenizer, settings
        self.left_out: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()

    def samples(self, attempt: Trajectory) -> Iterator[Made]:
        """Yield the samples of an attempt. Raises UsageError for masks that cannot be right."""
        try:
            pieces = self._pieces(attempt)
        except Unusable as reason:
            self.left_out[str(reason)] += 1
            return
        if len(pieces) > 1:
            self.notes["attempts in several samples, since their history is rewritten"] += 1
        trains = self._trains(attempt)
        for number, piece in enumerate(pieces, 1):
            id = attempt.id if number == 1 else f"{attempt.id}#{number}"
            if made := self._sample(id, piece, list(filter(trains.on, piece.spans))):
                yield Made(made, piece.origin)

    def _pieces(self, attempt: Trajectory) -> list[Piece]:
        pieces = stored(attempt, self._tokenizer)
        if not pieces and any(call.completion_token_ids for call in attempt.model_calls):
            self.notes["attempts whose ids are not this tokenizer's, or not all there"] += 1
        if not pieces or (self._settings.kind == "world" and len(pieces) > 1):
            # of a rewritten history the ids do not tell where observations begin
            pieces = list(rendered(attempt, self._tokenizer))
        for piece in pieces:
            missing = prove(piece, attempt, self._tokenizer)
            if missing:
                self.notes["answers whose text the template leaves out"] += missing
        return pieces

    def _trains(self, attempt: Trajectory) -> "_Trains":
        settings = self._settings
        bad = {
            number
            for number, step in enumerate(steps(attempt))
            if (settings.mask_failed and failed(step))
            or (settings.mask_exits and step.call and step.call.exit_code)
        }
        return _Trains(attempt.id, self._settings, bad)

    def _sample(self, id: str, piece: Piece, spans: list[Span]) -> Sample | None:
        """The sample, or None where it is left out."""
        trained = [False] * len(piece.ids)
        for span in spans:
            trained[span.start : span.end] = [True] * (span.end - span.start)
        if all(trained):
            raise UsageError(
                f"{id}: all ids would be trained on, the prompt too: its ids are wrong"
            )
        ids, context = piece.ids, self._settings.max_length
        if len(ids) > context:
            if not self._settings.truncate:
                self.left_out[LONG] += 1
                return None
            self.notes["samples cut at the context"] += 1
            ids, trained = ids[:context], trained[:context]
        if not any(trained):
            self.left_out[NOTHING] += 1
            return None
        return Sample(id, ids, trained)


class _Trains(NamedTuple):
    """Which spans of an attempt are trained on."""

    id: str
    settings: DatasetSettings
    failed: set[int]

    def on(self, span: Span) -> bool:
        """Whether it is trained on."""
        if span.answer:
            return span.step not in self.failed
        if self.settings.kind == "policy":
            return False
        drawn = draw(self.settings.seed, f"{self.id}/{span.step}") / 2**64
        return drawn < self.settings.observations
