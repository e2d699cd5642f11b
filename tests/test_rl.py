"""Runs from draw to new weights: killed, replayed, and with the faults that other stacks have."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rl_program import TASKS, letters, run, settings
from tiny_models import make_base

from forager.agent.model import Model, Reply
from forager.agent.traffic import NoLimit
from forager.errors import ModelError, TrainingError
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.ledger import (
    DroppedEntry,
    Entry,
    GradedEntry,
    LostEntry,
    TrainedEntry,
    entries,
)
from forager.learning.rl.local_sampler import LocalSampler, PrefixCache
from forager.learning.rl.replaying import replay
from forager.learning.rl.rewards import REWARDS
from forager.rollout.worker import Job
from forager.trajectories.record import Message, ToolCall
from forager.trajectories.store import Run

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore")]
PROGRAM = Path(__file__).with_name("rl_program.py")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an untrained base."""
    path = tmp_path_factory.mktemp("rl")
    make_base(path / "base")
    return path


@pytest.fixture(scope="module")
def plain(here: Path) -> Path:
    """A run that nothing interrupted."""
    run(here / "base", here / "plain")
    return here / "plain"


def ledger(output: Path) -> list[Entry]:
    """All entries of a run."""
    return list(entries(RlLayout(output).ledger))


def trained(output: Path) -> list[TrainedEntry]:
    """Loss, batch and weights of each step."""
    return [entry for entry in ledger(output) if isinstance(entry, TrainedEntry)]


def fates(output: Path) -> Counter[str]:
    """How often each attempt was trained on or dropped; a dropped group drops its attempts."""
    found: Counter[str] = Counter()
    members: dict[int, list[str]] = {}
    left: dict[int, set[str]] = {}
    batch: list[int] = []
    for entry in ledger(output):
        match entry.event:
            case "drawn":
                members[entry.group] = entry.attempts
                left[entry.group] = set()
            case "dropped":
                gone = [entry.attempt] if entry.attempt else members[entry.group]
                found.update(set(gone) - left[entry.group])
                left[entry.group].update(gone)
            case "batched":
                batch = entry.groups
            case "trained":
                for group in batch:
                    found.update(set(members[group]) - left[group])
    return found


def test_a_run_trains_each_attempt_once_and_its_ratios_are_one(plain: Path) -> None:
    """Each drawn attempt is trained on or dropped once, and no ratio is off in the first step."""
    found = fates(plain)
    assert set(found.values()) == {1}
    graded = [entry for entry in ledger(plain) if isinstance(entry, GradedEntry)]
    assert len({entry.attempt for entry in graded}) == len(graded) == len(found)
    assert len(list(Run(plain / "attempts").summaries())) == len(graded)
    assert [entry.step for entry in trained(plain)] == [1, 2, 3, 4]
    assert len({entry.model for entry in trained(plain)}) == 4
    assert (plain / "training/model/config.json").exists()


def test_a_killed_run_goes_on_to_the_same_weights_and_is_replayed(
    here: Path, plain: Path, tmp_path: Path
) -> None:
    """SIGKILL in mid-step loses and repeats nothing; the ledger alone gives the same weights."""
    output = tmp_path / "run"
    path = RlLayout(output).ledger
    forager = subprocess.Popen([sys.executable, "-P", PROGRAM, here, output])
    while not (path.exists() and path.read_text().count('"graded"') >= 13):
        assert forager.poll() is None
        time.sleep(0.01)
    forager.send_signal(signal.SIGKILL)
    forager.wait()
    before = len(ledger(output))
    run(here / "base", output)
    assert len(ledger(output)) > before
    assert trained(output) == trained(plain)
    assert set(fates(output).values()) == {1}

    asked = settings(here / "base")
    again = RlLayout(tmp_path / "again")
    steps = replay(asked, TASKS, RlLayout(output), again, here / "base", lambda *_, **__: None)
    assert steps == 4


class StaleSampler(LocalSampler):
    """Never takes new weights."""

    _first = Path()

    def load(self, model: Path, version: int) -> None:
        """Take the first weights, and no others."""
        super().load(model if version == 0 else self._first, version)
        self._first = model if version == 0 else self._first


def test_weights_that_are_never_synced_end_the_run(here: Path, tmp_path: Path) -> None:
    """TRL #5312: a sampler that keeps the old weights is found in the second step."""
    with pytest.raises(TrainingError, match=r"trainer and sampler disagree on \d+ of \d+ tokens"):
        run(
            here / "base",
            tmp_path / "run",
            make_sampler=lambda base, _: StaleSampler(base, "float32"),
        )
    assert [entry.step for entry in trained(tmp_path / "run")] == [1]


class NoReset(LocalSampler):
    """Goes on from key-value blocks of earlier weights."""

    def is_valid(self, cache: PrefixCache) -> bool:
        """All of them."""
        del cache
        return True


@pytest.mark.parametrize(("kind", "agrees"), [(LocalSampler, True), (NoReset, False)])
def test_stale_blocks_of_an_attempt_are_found(
    here: Path, tmp_path: Path, kind: type[LocalSampler], agrees: bool
) -> None:
    """SkyRL #2246, NeMo-RL #4018: weights change between two turns of an attempt.

    The second turn agrees with the trainer only if the blocks of the first one are forgotten.
    """
    import numpy
    import torch

    from forager.learning.train.agreement import check_ratios
    from forager.learning.train.batch import log_probabilities, row_of
    from forager.learning.train.model import open_model
    from forager.learning.train.samples import SamplePolicy, SampleTokens

    other = make_base(tmp_path / "other", seed=1)
    sampler = kind(here / "base", "float32")
    sampler.load(here / "base", 0)
    model = sampler.model(Job(TASKS[0], 0), settings(here / "base").run_settings(), NoLimit())
    model._turn = 1  # type: ignore[attr-defined]  # alone, with its own cache
    talk: list[Message] = [{"role": "user", "content": "a long question about numbers"}]
    first = model.query(talk, [])
    sampler.load(other, 1)
    talk += [first.message, {"role": "user", "content": "and now?"}]
    second = model.query(talk, [])
    assert second.prompt_token_ids and second.completion_token_ids and second.logprobs
    assert first.prompt_token_ids and first.completion_token_ids
    before = first.prompt_token_ids + first.completion_token_ids
    assert second.prompt_token_ids[: len(before)] == before  # nothing was encoded again

    ids = numpy.array(second.prompt_token_ids + second.completion_token_ids)
    own = numpy.arange(len(ids)) >= len(second.prompt_token_ids)
    logprobs = numpy.concatenate([numpy.zeros((~own).sum()), second.logprobs])
    policy = SamplePolicy(logprobs, own.astype(numpy.float32), own)
    row = row_of([SampleTokens(ids, own, policy)])
    with torch.no_grad():
        found = log_probabilities(open_model(other, settings(here / "base").train), row)
    if agrees:
        check_ratios(found, row, [len(ids)], 1e-3)
        return
    with pytest.raises(TrainingError, match="its prefix cache was not reset"):
        check_ratios(found, row, [len(ids)], 1e-3)


class FaultySampler(LocalSampler):
    """Loses the requests of one attempt of each group."""

    def model(self, job: Job, settings: Any, limiter: Any) -> Model:
        """A model whose requests fail if it is such an attempt's."""
        model = super().model(job, settings, limiter)
        return _Failing() if job.number % 4 == 2 else model


class _Failing:
    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Fail."""
        del messages, tools, calls
        raise ModelError("the endpoint does not answer")


def test_infrastructure_has_no_reward_and_stragglers_block_nobody(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NeMo Gym #2611, verl #3895, NeMo-RL #3238: lost attempts leave their group unrewarded.

    A group whose grading hangs closes at its deadline without the attempt, and the others go on,
    with more versions than one in flight.
    """
    hang = threading.Event()

    def hanging(task: Any, attempt: Any) -> float:
        if attempt.attempt == 1:
            hang.wait(60)
        return letters(task, attempt)

    monkeypatch.setitem(REWARDS, "letters", hanging)
    output = tmp_path / "run"
    try:
        run(
            here / "base",
            output,
            make_sampler=lambda base, _: FaultySampler(base, "float32"),
            overlap=True,
            steps=3,
            staleness=2,
            group_seconds=0.5,
            tolerance=1e-3,
        )
    finally:
        hang.set()
    entries = ledger(output)
    lost = {entry.attempt for entry in entries if isinstance(entry, LostEntry)}
    assert lost and all(int(attempt.rpartition(".")[2]) % 4 == 2 for attempt in lost)
    assert not any(entry.attempt in lost for entry in entries if isinstance(entry, GradedEntry))
    reasons = Counter(entry.reason for entry in entries if isinstance(entry, DroppedEntry))
    assert reasons["late"] and reasons["lost to infrastructure"]
    assert len(trained(output)) == 3
