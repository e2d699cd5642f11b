"""From an attempt to samples: the loss mask, and what is left out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from forager.errors import UsageError
from forager.learning.dataset import DatasetSettings, Sample
from forager.learning.dataset.inner import InnerTraces, extended
from forager.learning.dataset.segments import Segment, Span, prove, rendered, stored
from forager.learning.dataset.tokenizer import Tokenizer, UnusableAttempt
from forager.learning.failures import failed
from forager.learning.filters.drawn import draw
from forager.rollout.credit import AttemptCredit
from forager.trajectories.record import Trajectory
from forager.trajectories.steps import steps

LONG = "longer than max_length"
NOTHING = "nothing to train on"
UNKNOWN = "without credit"


class SampleBuilder:
    """Makes samples; counts what it leaves out (`left_out`) and other observations (`notes`)."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        settings: DatasetSettings,
        inner: InnerTraces | None = None,
        credit: Mapping[str, AttemptCredit] | None = None,
    ) -> None:
        self._tokenizer, self._settings, self._inner = tokenizer, settings, inner
        self._credit = credit
        self.left_out: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()

    def samples(self, attempt: Trajectory) -> Iterator[Sample]:
        """Yield the samples of an attempt. Raises UsageError for masks that cannot be right."""
        credit = self._credit.get(attempt.id) if self._credit is not None else None
        if self._credit is not None and credit is None:
            self.left_out[UNKNOWN] += 1
            return
        try:
            segments = self._segments(attempt)
        except UnusableAttempt as reason:
            self.left_out[str(reason)] += 1
            return
        if len(segments) > 1:
            self.notes["attempts split into several samples: their history is rewritten"] += 1
        segments[-1] = self._with_traces(attempt, segments[-1])
        chosen = self._chosen(attempt)
        for number, segment in enumerate(segments, 1):
            id = attempt.id if number == 1 else f"{attempt.id}#{number}"
            spans = list(filter(chosen.has, segment.spans))
            if sample := self._sample(id, segment, spans):
                yield sample._replace(advantages=_advantages(sample, spans, credit))

    def _segments(self, attempt: Trajectory) -> list[Segment]:
        segments = stored(attempt, self._tokenizer)
        if not segments and any(call.completion_token_ids for call in attempt.model_calls):
            self.notes["attempts with token ids missing, or of another tokenizer"] += 1
        if not all(self._tokenizer.begins(segment.ids) for segment in segments):
            self.notes["attempts served with <bos> too few or too many: rendered anew"] += 1
            segments = []
        if not segments or (self._settings.kind == "world" and len(segments) > 1):
            # the ids of a rewritten history do not tell where observations begin
            segments = list(rendered(attempt, self._tokenizer))
        for segment in segments:
            if missing := prove(segment, attempt, self._tokenizer):
                self.notes["answers whose text the template leaves out"] += missing
        return segments

    def _with_traces(self, attempt: Trajectory, segment: Segment) -> Segment:
        """The last segment with what happens inside the task's tests, where that fits."""
        for exchange in self._inner.exchanges(attempt.instance_id) if self._inner else ():
            try:
                longer = extended(attempt, segment, exchange, self._tokenizer)
            except UnusableAttempt as reason:
                self.notes[f"traces left out: {reason}"] += 1
                continue
            if len(longer.ids) > self._settings.max_length:
                self.notes[f"traces left out: {LONG}"] += 1
                continue
            self.notes["traces of tests added to attempts"] += 1
            segment = longer
        return segment

    def _chosen(self, attempt: Trajectory) -> "_ChosenSpans":
        settings = self._settings
        masked = {
            number
            for number, step in enumerate(steps(attempt))
            if (settings.mask_failed and failed(step))
            or (settings.mask_exits and step.call and step.call.exit_code)
        }
        return _ChosenSpans(attempt.id, settings, masked)

    def _sample(self, id: str, segment: Segment, spans: Sequence[Span]) -> Sample | None:
        """The sample; None if it is left out."""
        mask = [0] * len(segment.ids)
        for span in spans:
            mask[span.start : span.end] = [1] * (span.end - span.start)
        if all(mask):
            raise UsageError(f"{id}: without the ids of the prompt every token would have loss")
        if len(mask) > self._settings.max_length:
            if not self._settings.truncate:
                self.left_out[LONG] += 1
                return None
            self.notes["samples truncated at max_length"] += 1
            mask = mask[: self._settings.max_length]
        if not any(mask):
            self.left_out[NOTHING] += 1
            return None
        ids, logprobs = segment.ids[: len(mask)], _logprobs(segment, mask)
        return Sample(id, ids, mask, logprobs, origin=segment.origin)


def _logprobs(segment: Segment, mask: Sequence[int]) -> list[float] | None:
    """The log-probabilities; None unless each token with loss has one."""
    known = segment.logprobs[: len(mask)]
    if any(logprob is None for logprob, loss in zip(known, mask, strict=True) if loss):
        return None
    return [logprob or 0.0 for logprob in known]


def _advantages(
    sample: Sample, spans: Sequence[Span], credit: AttemptCredit | None
) -> list[float] | None:
    """For each token of an answer, what its turn was worth."""
    if credit is None:
        return None
    worth = [0.0] * len(sample.input_ids)
    for start, end, step, _ in spans:
        for place in range(start, min(end, len(worth))):
            worth[place] = credit.advantages[step]
    return worth


class _ChosenSpans(NamedTuple):
    """The spans of an attempt to train on."""

    id: str
    settings: DatasetSettings
    masked: set[int]

    def has(self, span: Span) -> bool:
        """Whether to train on a span."""
        if span.answer:
            return span.step not in self.masked
        if self.settings.kind == "policy":
            return False
        drawn = draw(self.settings.seed, f"{self.id}/{span.step}") / 2**64
        return drawn < self.settings.observations
