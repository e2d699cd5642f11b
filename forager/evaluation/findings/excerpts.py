"""Excerpts of some attempts, of bounded length, for the page."""

from collections.abc import Iterator, Sequence
from itertools import islice

from forager.evaluation.findings.gather import ReportedAttempt, RunSource
from forager.evaluation.findings.tasks import mixed
from forager.records import Record
from forager.text import without_middle
from forager.trajectories import draw
from forager.trajectories.index import sample
from forager.trajectories.record import Trajectory
from forager.trajectories.show import Turn, show_call, turns

_TEXT, _PATCH, _PROBLEM = 1_200, 6_000, 3_000  # most characters of each
_TURNS = 40  # most turns of an attempt


class ShownTurn(Record):
    """A turn as the page shows it; `left_out` is the number of turns omitted before it."""

    number: int
    tool: str
    failed: bool
    seconds: float
    thought: str
    call: str
    observation: str
    left_out: int = 0


class Excerpt(Record):
    """An attempt as the page shows it."""

    run: str
    id: str
    model: str
    origin: str
    resolved: bool
    verdict: str
    exit_reason: str
    seconds: float
    parent: str
    problem: str
    patch: str
    not_passed: list[str]
    turns: list[ShownTurn]

    @property
    def anchor(self) -> str:
        """The anchor of the attempt in the page."""
        return f"attempt-{self.run}-{self.id}"


def excerpts(
    sources: Sequence[RunSource], seen: Sequence[ReportedAttempt], count: int
) -> list[Excerpt]:
    """Choose at most `count` attempts: half in pairs with both outcomes, the rest at random."""
    chosen = dict.fromkeys(islice(_pairs(seen), count // 2))
    drawn = sample([source.index for source in sources], count, 0)
    for source, places in zip(sources, drawn, strict=True):
        for summary in source.index.summaries(places):
            if len(chosen) < count:
                chosen[source.name, summary.id] = None
    by_name = {source.name: source for source in sources}
    return [_excerpt(run, by_name[run].index.get(id)) for run, id in chosen]


def _pairs(seen: Sequence[ReportedAttempt]) -> Iterator[tuple[str, str]]:
    """Yield one attempt of each outcome for every task that has both."""
    for attempts in mixed(seen):
        for outcome in (True, False):
            attempt = next(attempt for attempt in attempts if attempt.summary.resolved is outcome)
            yield attempt.run, attempt.summary.id


def _excerpt(run: str, attempt: Trajectory) -> Excerpt:
    labels, outcome = attempt.labels, attempt.outcome
    origin = "/".join(filter(None, (labels.family, labels.operator)))
    said = next((message for message in attempt.messages if message.get("role") == "user"), {})
    problem = said.get("content")
    failed = [f"{name} ({status})" for name, status in outcome.tests.items() if status != "passed"]
    return Excerpt(
        run=run,
        id=attempt.id,
        model=attempt.model,
        origin=f"{origin}, {attempt.repo}",
        resolved=outcome.resolved,
        verdict=outcome.verdict,
        exit_reason=outcome.exit_reason,
        seconds=attempt.timings.total,
        parent=f"{attempt.parent}, at turn {attempt.parent_turn}" if attempt.parent else "",
        problem=cut(problem if isinstance(problem, str) else "", _PROBLEM),
        patch=cut(outcome.answer, _PATCH),
        not_passed=failed[:5],
        turns=list(_turns(turns(attempt))),
    )


def _turns(all: list[Turn]) -> Iterator[ShownTurn]:
    """The turns; if they are too many, the first and the last."""
    left_out = max(0, len(all) - _TURNS)
    half = _TURNS // 2
    shown = [*all[:half], *all[half + left_out :]]
    for place, turn in enumerate(shown):
        call = turn.call
        yield ShownTurn(
            number=turn.number,
            tool=call.tool if call else "",
            failed=bool(call and (call.error or call.timed_out or call.exit_code)),
            seconds=turn.model_call.seconds + (call.seconds if call else 0.0),
            thought=cut(turn.thought.strip()),
            call=cut(show_call(call).plain.strip()) if call and call.arguments else "",
            observation=cut(turn.observation.strip()),
            left_out=left_out if place == half else 0,
        )


def cut(text: str, length: int = _TEXT) -> str:
    """The text, safe to display; a long text loses its middle."""
    return without_middle(draw.safe(text), length)
