"""One selection: from the attempts of runs to the run of those that are submitted."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from forager.environments.environment import OwnTests, WritesTests
from forager.environments.registry import environment_of
from forager.errors import UsageError
from forager.evaluation.estimates import Estimate, estimate
from forager.evaluation.selection.curves import SelectionPoint, curve
from forager.evaluation.selection.matrix import MatrixRequest, TaskMatrix, matrices
from forager.evaluation.selection.pool import Pool
from forager.evaluation.selection.rules import Contender, SelectionRule, choose
from forager.records import Record, read_records
from forager.resumed import digest
from forager.sandboxes.sandbox import SandboxFactory

MAY_CHANGE = ("workers", "sandbox")
MATRIX, CHOICES, RESULT, PLOT = "matrix.jsonl", "choices.jsonl", "selection.json", "selection.svg"


class SelectionSettings(Record):
    """What a selection was asked to do; saved in its directory as settings.json."""

    runs: list[str]
    by: SelectionRule = Field("tests+majority", description="How to choose.")
    k: int | None = Field(
        None, ge=1, description="Choose among the first N attempts at a task; all by default."
    )
    own: OwnTests = Field(
        "regression",
        description="Which of the repository's own tests count: `regression` (those that pass "
        "before any patch), `all`, or `none`.",
    )
    counted: int = Field(
        5, ge=0, description="Number of written tests per task that count, the most common first."
    )
    written: list[str] = Field(
        [], description="Run of test-writing tasks, whose answers are tests. Can be repeated."
    )
    rewards: str = Field("", description="File of rewards for --by reward.")
    sandbox: Literal["docker", "bubblewrap"] = Field(
        "docker", description="Where tests run; bubblewrap needs no daemon."
    )
    workers: int = Field(1, ge=1)
    attempts: str = Field("", description="Digest of the attempts to choose among.")

    @model_validator(mode="after")
    def _has_rewards(self) -> "SelectionSettings":
        if self.by == "reward" and not self.rewards:
            raise ValueError(
                'choosing by reward needs --rewards FILE, with lines such as {"id": "TASK.0", '
                '"reward": 0.7} from a reward model; the rewards of grading are verdicts'
            )
        return self


class Reward(Record):
    """A line of the file of rewards: what a reward model says of an attempt."""

    id: str
    reward: float
    run: str = Field("", description="Name of its run; needed if two runs have this id.")


class SelectionChoice(Record):
    """The attempt that is submitted for a task, and what decided."""

    instance_id: str
    run: str
    id: str
    among: int = Field(description="Number of attempts.")
    votes: int = Field(description="Attempts with the same answer.")
    passes: int
    reward: float
    tokens: int


class WrittenTests(Record):
    """What the written tests of a selection are worth, measured with the right code.

    `precision` is the share of counted tests that find no fault in the right code, `recall` the
    share of tasks with at least one such test. Both are 0 over no task if none is known.
    """

    different: int
    kept: int
    counted: int
    precision: Estimate
    recall: Estimate


class SelectionResult(Record):
    """The measured result of a selection."""

    by: SelectionRule
    points: list[SelectionPoint]
    chosen: Estimate
    written: WrittenTests | None = None
    answers: int = Field(0, description="Different answers that were tested.")
    tests: int = Field(0, description="Pairs of an answer and a test that were run.")
    sandboxes: int = Field(0, description="Sandboxes that they took.")


def attempts_digest(pooled: Pool) -> str:
    """What identifies the attempts to choose among."""
    names = [
        f"{submission.run}/{submission.id} {digest(submission.answer)}"
        for given in pooled.submissions.values()
        for submission in given
    ]
    return digest("\n".join(names))


def written_tests(writers: Pool) -> dict[str, list[str]]:
    """The written tests by the task that they are about, one text for all of the same code."""
    found: dict[str, list[str]] = {}
    for name, given in writers.submissions.items():
        environment = environment_of(writers.tasks[name])
        if not isinstance(environment, WritesTests):
            raise UsageError(
                f"{name} is no task to write tests for; `forager tasks write-tests` makes such"
            )
        texts = {submission.canonical: submission.answer for submission in reversed(given)}
        written = [texts[submission.canonical] for submission in given if submission.canonical]
        found.setdefault(environment.about(writers.tasks[name]), []).extend(written)
    return found


def candidates(
    settings: SelectionSettings,
    pooled: Pool,
    written: Mapping[str, Sequence[str]],
    sandboxes: SandboxFactory,
    output: Path,
    on_progress: Callable[[int], None],
) -> tuple[dict[str, list[Contender]], dict[str, TaskMatrix]]:
    """The candidates of each task, and the matrices if the rule needs tests."""
    given = {name: found[: settings.k] for name, found in pooled.submissions.items()}
    if settings.by not in ("tests", "tests+majority"):
        scores = _rewards(settings, pooled) if settings.by == "reward" else {}
        rewarded = {
            name: [
                Contender(submission, reward=scores.get(submission.name, 0.0))
                for submission in found
            ]
            for name, found in given.items()
        }
        return rewarded, {}
    rows = matrices(
        pooled.tasks,
        given,
        written,
        MatrixRequest(own=settings.own, counted=settings.counted),
        sandboxes,
        output / MATRIX,
        workers=settings.workers,
        on_progress=on_progress,
    )
    tested = {
        name: [Contender(submission, rows[name].passes(submission)) for submission in found]
        for name, found in given.items()
    }
    return tested, rows


def _rewards(settings: SelectionSettings, pooled: Pool) -> dict[tuple[str, str], float]:
    """The rewards by attempt. Raises UsageError if one lacks its own."""
    rows = list(read_records(Path(settings.rewards), Reward))
    named = {(row.run, row.id): row.reward for row in rows}
    found: dict[tuple[str, str], float] = {}
    for name in (submission.name for given in pooled.submissions.values() for submission in given):
        reward = named.get(name, named.get(("", name[1])))
        if reward is None:
            raise UsageError(f"{settings.rewards} has no reward of {name[1]} of {name[0]}")
        found[name] = reward
    return found


def choices(by: SelectionRule, given: Mapping[str, Sequence[Contender]]) -> list[SelectionChoice]:
    """The choice of each task."""
    made = []
    for name, found in given.items():
        chosen = choose(by, found)
        votes = Counter(candidate.submission.canonical for candidate in found)
        submission = chosen.submission
        made.append(
            SelectionChoice(
                instance_id=name,
                run=submission.run,
                id=submission.id,
                among=len(found),
                votes=votes[submission.canonical],
                passes=chosen.passes,
                reward=chosen.reward,
                tokens=submission.tokens,
            )
        )
    return made


def measured(
    by: SelectionRule,
    pooled: Pool,
    given: Mapping[str, Sequence[Contender]],
    made: Sequence[SelectionChoice],
    rows: Mapping[str, TaskMatrix],
    clusters: Mapping[str, str],
) -> SelectionResult:
    """How good the choices are, by the verdicts that the choice did not know."""
    shares = {choice.instance_id: float(pooled.resolved[choice.run, choice.id]) for choice in made}
    return SelectionResult(
        by=by,
        points=curve(
            by, given, lambda candidate: pooled.resolved[candidate.submission.name], clusters
        ),
        chosen=estimate(shares, clusters),
        written=_written(rows, clusters) if any(row.written for row in rows.values()) else None,
        answers=sum(row.tested for row in rows.values()),
        tests=sum(row.tested * (row.own + row.counted) for row in rows.values()),
        sandboxes=sum(row.sandboxes for row in rows.values()),
    )


def _written(rows: Mapping[str, TaskMatrix], clusters: Mapping[str, str]) -> WrittenTests:
    known = {name: row.right for name, row in rows.items() if row.right is not None}
    precise = {name: sum(right) / len(right) for name, right in known.items() if right}
    recalled = {name: float(any(right)) for name, right in known.items()}
    return WrittenTests(
        different=sum(row.written for row in rows.values()),
        kept=sum(row.kept for row in rows.values()),
        counted=sum(row.counted for row in rows.values()),
        precision=estimate(precise, clusters),
        recall=estimate(recalled, clusters),
    )
