"""Adds to an attempt what happens inside the failing test: the pairs of `forager trace tasks`.

The exchange about the fix follows the attempt's last message, as the chat template renders it. The
ids before it stay as they are.
"""

from collections.abc import Iterator
from pathlib import Path

from forager.errors import UsageError
from forager.learning.dataset.segments import Segment, Span, date_of, encoded
from forager.learning.dataset.tokenizer import Tokenizer, UnusableAttempt
from forager.learning.saved import file_digest
from forager.learning.sources import Artifact
from forager.tracing.aligning import TraceSide
from forager.tracing.fixes import FIXES, TracedFix, read_fixes
from forager.tracing.reader import TraceReader
from forager.tracing.store import SourceTexts, TraceIndex
from forager.tracing.views.difference import Exchange, fix_exchange
from forager.trajectories.record import Message, Trajectory

ANSWER_STEP = -1
"""The step of the span of an added answer, which belongs to no call of the model."""
_END = 8  # ids of the end of an attempt that are compared as text


class InnerTraces:
    """The pairs of traces of a directory, by task. Raises UsageError for other directories."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fixes: dict[str, list[TracedFix]] = {}
        for fix in read_fixes(directory):
            self._fixes.setdefault(fix.instance_id, []).append(fix)
        if not self._fixes:
            raise UsageError(
                f"{directory} has no traces of tasks: `forager trace tasks` makes some"
            )
        self._index = TraceIndex(directory)
        self._numbers = {entry.id: n for n, entry in enumerate(self._index.summaries)}
        self._texts = SourceTexts(directory)

    def artifact(self) -> Artifact:
        """The directory with a digest of its pairs."""
        return Artifact(path=str(self._directory), digest=file_digest(self._directory / FIXES))

    def exchanges(self, task: str) -> Iterator[Exchange]:
        """Yield the question and the answer of each traced test of a task."""
        for fix in self._fixes.get(task, ()):
            if fix.before in self._numbers and fix.after in self._numbers:
                yield fix_exchange(fix, self._side(fix.before), self._side(fix.after))

    def _side(self, id: str) -> TraceSide:
        trace = self._index.trace(self._numbers[id])
        return TraceSide(TraceReader(trace), self._texts.of(trace))


def extended(
    attempt: Trajectory, segment: Segment, exchange: Exchange, tokenizer: Tokenizer
) -> Segment:
    """The last segment of an attempt with an exchange after it. Raises UnusableAttempt."""
    question: Message = {"role": "user", "content": exchange.question}
    answer: Message = {"role": "assistant", "content": exchange.answer}
    messages = attempt.messages[attempt.model_calls[-1].opens :]
    asked = [*messages, question]
    tools, date = attempt.tools, date_of(attempt)
    base = tokenizer.render(messages, tools, date)
    prompt = tokenizer.render(asked, tools, date, prompt=True)
    whole = tokenizer.render([*asked, answer], tools, date)
    if not whole.startswith(prompt) or not prompt.startswith(base.rstrip()):
        raise UnusableAttempt("the template rewrites the attempt where a question follows")
    start = _end_of(segment, base, prompt, tokenizer)
    said = whole[len(prompt) :]
    end = tokenizer.answer_end(said)
    added, places = encoded(tokenizer, prompt[start:] + said[:end], [len(prompt) - start])
    before = len(segment.ids)
    span = Span(before + places[0], before + len(added), ANSWER_STEP, True)
    return segment._replace(
        ids=[*segment.ids, *added],
        spans=[*segment.spans, span],
        logprobs=[*segment.logprobs, *[None] * len(added)],
    )


def _end_of(segment: Segment, base: str, prompt: str, tokenizer: Tokenizer) -> int:
    """Where the rendered prompt goes on behind a segment.

    The segment may lack the white space after the last turn, and have the token that ends a turn,
    which some templates write only where another turn follows.
    """
    shown = tokenizer.decode(segment.ids[-_END:])
    bare = base.rstrip()
    start = len(base) if base != bare and shown.endswith(base[len(bare) :]) else len(bare)
    ending = tokenizer.next_special(prompt[start:])
    if ending and shown.endswith(ending) and not bare.endswith(ending):
        start += len(ending)
    return start
