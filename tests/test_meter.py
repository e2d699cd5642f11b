"""What a run may spend and how fast; which attempts it makes, and when it pauses."""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from attempts import make_attempt, make_task
from pydantic import ValidationError

from forager.agent.faults import foreseen
from forager.agent.model import Reply, ScriptedModel
from forager.errors import (
    BudgetSpent,
    ImageMissing,
    NodeLost,
    SandboxError,
    Stopped,
    Unforeseen,
    UsageError,
)
from forager.rollout.breaker import HOLDS, LOST_IN_A_ROW, CircuitBreaker
from forager.rollout.meter import Meter, MeteredModel
from forager.rollout.plan import TRIES, Plan, distinct
from forager.rollout.settings import Budget, Price, RunSettings
from forager.trajectories.record import Sampling, Usage
from forager.trajectories.summary import Summary

URL = "http://a/v1"
USED = Usage(prompt_tokens=900, completion_tokens=100)


def test_tokens_and_money_are_counted_from_what_was_spent_before() -> None:
    """A resumed run counts earlier spending; a model without a price is free."""
    meter = Meter(Budget(tokens=3000), {"m": USED})
    meter.spend("n", USED)
    meter.check()
    meter.spend("m", USED)
    with pytest.raises(BudgetSpent, match="3,000 tokens are spent"):
        meter.check()
    prices = {"m": Price(prompt=1000, completion=10_000)}  # 1.9 a request
    dear = Meter(Budget(money=3.0, prices=prices), {"m": USED, "free": USED})
    dear.check()
    dear.spend("m", USED)
    with pytest.raises(BudgetSpent, match=r"money, 3\.00, is spent"):
        dear.enter(URL)


def test_time_is_over_also_for_those_who_wait() -> None:
    """Waiting requests end when the wall time, by a monotonic clock, runs out."""
    meter = Meter(Budget(seconds=0.3, requests_per_minute=1))
    meter.enter(URL)
    with pytest.raises(BudgetSpent, match="seconds are over"):
        meter.enter(URL)


def test_requests_keep_the_pace_of_each_endpoint() -> None:
    """Each endpoint has a pace of its own."""
    meter = Meter(Budget(requests_per_minute=600))
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(meter.enter, [URL, "http://b/v1"] * 4))
    assert 0.29 <= time.monotonic() - started < 1


def test_no_more_requests_than_may_be_are_under_way() -> None:
    """Requests beyond the bound wait until another ends."""
    meter, lock = Meter(Budget(concurrent_requests=2)), threading.Lock()
    now = most = 0

    def ask(_: int) -> None:
        nonlocal now, most
        meter.enter(URL)
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        meter.leave(URL)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(16)))
    assert most == 2


def test_a_run_that_ends_wakes_those_who_wait() -> None:
    """No attempt waits for ever when the run ends."""
    meter = Meter(Budget(concurrent_requests=1))
    meter.enter(URL)
    threading.Timer(0.1, meter.stop).start()
    with pytest.raises(Stopped):
        meter.enter(URL)


def test_who_is_gone_holds_up_nobody() -> None:
    """A dead process frees its slots, those of running and of waiting requests."""
    meter = Meter(Budget(concurrent_requests=1))
    meter.enter(URL, "a")
    with ThreadPoolExecutor(2) as pool:
        waits, other = pool.submit(meter.enter, URL, "a"), pool.submit(meter.enter, URL, "b")
        time.sleep(0.1)
        assert not waits.done()
        assert not other.done()
        meter.forget("a")
        with pytest.raises(NodeLost):
            waits.result(5)
        other.result(5)
        meter.leave(URL, "a")  # it was only cut off
        with pytest.raises(NodeLost):
            meter.enter(URL, "a")
        last = pool.submit(meter.enter, URL, "c")
        time.sleep(0.1)
        assert not last.done()
        meter.leave(URL, "b")
        last.result(5)


def test_a_spent_budget_ends_an_attempt_at_its_next_request() -> None:
    """A spent budget ends attempts at their next request, and all they have cost counts."""
    meter = Meter(Budget(tokens=1500))
    model = MeteredModel(ScriptedModel([Reply({}, USED)] * 3), "m", meter)
    model.query([], [])
    model.tuned(Sampling(temperature=0.5)).query([], [])
    with pytest.raises(BudgetSpent):
        model.query([], [])
    assert model.usage == USED + USED


def settings(**given: object) -> RunSettings:
    """Return the settings of a run of two models."""
    return RunSettings.model_validate({"models": ["m", "n"], **given})


def test_attempts_are_made_in_rounds_and_not_again() -> None:
    """Every task comes before the next round; finished attempts are left out."""
    tasks = [make_task("a"), make_task("b")]
    before = [Summary.of(make_attempt("a", 1)), Summary.of(make_attempt("other", 0))]
    plan = Plan(tasks, settings(), before)
    if first := plan.take():
        plan.put_back(first)  # there was no room
    jobs = [plan.take() for _ in range(4)]
    assert [job.id if job else None for job in jobs] == ["a.0", "b.0", "b.1", None]
    assert (plan.done, plan.resolved) == (1, 1)


def test_a_task_that_is_given_twice_is_one() -> None:
    """Equal tasks count once; different ones with one id give one line of error."""
    plan = Plan([make_task("a"), make_task("b"), make_task("a")], RunSettings(models=["m"]), [])
    jobs = [plan.take() for _ in range(3)]
    assert [job.id if job else None for job in jobs] == ["a.0", "b.0", None]
    tasks = distinct([make_task("a"), make_task("a", problem_statement="Another.")])
    assert next(tasks).instance_id == "a"
    with pytest.raises(UsageError, match="two tasks are called a and differ; give each an inst"):
        next(tasks)


def test_a_task_with_enough_successes_is_left() -> None:
    """Successes of earlier processes count; failures do not."""
    tasks = [make_task("a"), make_task("b")]
    before = [Summary.of(make_attempt("a", 0)), Summary.of(make_attempt("b", 0, resolved=False))]
    plan = Plan(tasks, settings(stop_after=1), before)
    job = plan.take()
    assert job and job.id == "b.1"
    assert plan.take() is None


def test_lost_attempts_come_last_and_not_for_ever() -> None:
    """A process retries a lost attempt a few times; the next process tries again."""
    plan = Plan([make_task("a"), make_task("b")], RunSettings(models=["m"]), [])
    made = []
    while job := plan.take():
        made.append(job.id)
        if job.id == "a.0":
            plan.again(job)
    assert made == ["a.0", "b.0", *["a.0"] * (TRIES - 1)]
    assert plan.given_up == 1


def test_losses_in_a_row_hold_the_others_back_and_then_end_the_batch() -> None:
    """Each pause is twice the last; attempts lost in one outage count once."""
    breaker, error = CircuitBreaker(0.001), SandboxError("gone")
    began = time.monotonic()
    for _ in range(32):  # all that were under way
        breaker.lost(began, error)
    assert breaker.wait() > 0
    with pytest.raises(SandboxError, match="gone"):
        for _ in range(HOLDS):
            time.sleep(breaker.wait())
            breaker.begun()
            breaker.lost(time.monotonic(), error)
    breaker.passed(began)  # it was under way when the trouble came: it shows nothing
    assert breaker.is_on
    breaker.passed(time.monotonic())
    assert breaker.wait() == 0


def test_what_no_waiting_mends_ends_the_batch() -> None:
    """A lasting error ends the batch once it repeats too often for chance."""
    breaker = CircuitBreaker(60)
    with pytest.raises(ImageMissing):
        for _ in range(LOST_IN_A_ROW):
            breaker.lost(time.monotonic(), ImageMissing("none"))


def test_an_error_of_no_kind_is_told_in_a_line_with_its_traceback() -> None:
    """An unforeseen error becomes one that pickles; forager's own errors stay."""
    own = SandboxError("gone")
    assert foreseen(own) is own
    try:
        Usage.model_validate({"prompt_tokens": 1.5})
    except ValidationError as error:
        found = pickle.loads(pickle.dumps(foreseen(error)))
    assert isinstance(found, Unforeseen)
    assert str(found).startswith("ValidationError: 1 validation error for Usage prompt_tokens ")
    assert "\n" not in str(found)
    assert "in test_an_error_of_no_kind" in found.log


def test_attempts_come_faster_again_when_none_is_lost() -> None:
    """After an outage, pauses between attempts shrink to none, even before an attempt ends."""
    breaker = CircuitBreaker(0.01)
    for _ in range(LOST_IN_A_ROW + 2):
        breaker.lost(time.monotonic(), SandboxError("gone"))
    waits = []
    for _ in range(5):
        time.sleep(breaker.wait())
        breaker.begun()
        waits.append(breaker.wait())
    assert waits[0] > waits[1] > waits[2] > waits[3] == 0
