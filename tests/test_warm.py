"""Sandboxes that are started before they are needed."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forager.errors import SandboxError, Stopped
from forager.rollout.warm import WarmSandboxes
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Limits, Sandbox

LIMITS = Limits()


class Engine:
    """Starts sandboxes in a directory and records them all; `away` makes starts fail."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.away, self.tried = directory, False, 0
        self.started: list[LocalSandbox] = []
        self.may_start = threading.Event()
        self.may_start.set()
        self.changed = threading.Condition()

    def __call__(
        self, image: str, *, limits: Limits = LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        del limits  # a directory has none
        self.may_start.wait(30)
        with self.changed:
            self.tried += 1
            try:
                if self.away:
                    raise SandboxError("the engine is away")
                made = LocalSandbox(self.directory, {"IMAGE": image, **environment})
                self.started.append(made)
                return made
            finally:
                self.changed.notify_all()

    def wait(self, tried: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.tried >= tried, 30)

    def living(self) -> int:
        return sum(map(lives, self.started))


def lives(sandbox: Sandbox) -> bool:
    """Return whether the sandbox still runs commands."""
    try:
        return sandbox.run("true").exit_code == 0
    except SandboxError:
        return False


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """Give each test an engine."""
    return Engine(tmp_path)


def test_what_is_expected_is_started_beforehand_and_given_out(engine: Engine) -> None:
    """Each expected sandbox starts once, and its requester gets it."""
    sandboxes = WarmSandboxes(engine, 2)
    with sandboxes.expected("a", LIMITS) as one:
        engine.wait(1)
        opened = one("a", limits=LIMITS)
        assert opened.run("echo $IMAGE").output == "a\n"
    assert engine.tried == 1
    opened.close()
    assert not engine.living()


def test_one_that_is_being_started_is_waited_for(engine: Engine) -> None:
    """A request waits for a starting sandbox instead of starting another."""
    sandboxes = WarmSandboxes(engine, 2)
    engine.may_start.clear()
    with sandboxes.expected("a", LIMITS) as one, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(one, "a", limits=LIMITS)
        engine.may_start.set()
        asked.result(30).close()
    assert engine.tried == 1


def test_what_was_not_wanted_is_ended(engine: Engine) -> None:
    """An unused sandbox ends; other images and limits need their own."""
    sandboxes = WarmSandboxes(engine, 2)
    with sandboxes.expected("a", LIMITS) as one:
        engine.wait(1)
        sandboxes("a", limits=LIMITS).close()  # was not expected
        one("b", limits=LIMITS).close()
        one("a", limits=Limits(processes=9)).close()
        one("a", limits=LIMITS, environment={"X": "1"}).close()
        assert engine.tried == 5
        assert engine.living() == 1
    assert not engine.living()


def test_no_more_wait_than_may_and_none_is_started_in_vain(engine: Engine) -> None:
    """Only the allowed number starts ahead, and in the end each one is used."""
    sandboxes = WarmSandboxes(engine, 2)
    expected = [sandboxes.expected("a", LIMITS) for _ in range(8)]
    engine.wait(2)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda start: start("a", limits=LIMITS), expected))
    assert len({sandbox.run("echo $$").output for sandbox in opened}) == 8
    for sandbox in opened:
        sandbox.close()
    sandboxes.close()
    assert engine.tried == len(engine.started) == 8
    assert not engine.living()


def test_one_that_ended_while_it_waited_is_not_given_out(engine: Engine) -> None:
    """A restarted engine must not cost every attempt that has a warm sandbox."""
    sandboxes = WarmSandboxes(engine, 1)
    with sandboxes.expected("a", LIMITS) as one:
        engine.wait(1)
        engine.started[0].close()
        opened = one("a", limits=LIMITS)
        assert opened.run("true").exit_code == 0
        opened.close()


def test_where_none_can_be_started_whoever_asks_is_told(engine: Engine) -> None:
    """A failing start is tried once ahead, then raises for the requester."""
    sandboxes = WarmSandboxes(engine, 2)
    engine.away = True
    with sandboxes.expected("a", LIMITS) as one:
        engine.wait(1)
        with pytest.raises(SandboxError, match="away"):
            one("a", limits=LIMITS)
    sandboxes.close()
    assert engine.tried == 2


def test_at_the_end_all_are_ended(engine: Engine) -> None:
    """Closing ends waiting, used and starting sandboxes."""
    sandboxes = WarmSandboxes(engine, 2)
    used = sandboxes("a", limits=LIMITS)
    sandboxes.expected("a", LIMITS)
    engine.wait(2)
    engine.may_start.clear()
    sandboxes.expected("b", LIMITS)
    threading.Timer(0.2, engine.may_start.set).start()
    sandboxes.close()
    assert engine.tried == 3
    assert not engine.living()
    assert not lives(used)
    with pytest.raises(Stopped):
        sandboxes("a", limits=LIMITS)
