"""What tests take and which fail without any mutant; and how a mutant is judged by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import Answer, ChildReport
from .processes import Bounds, ChildEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .messages import Way

    RunTests = Callable[[list[str], Bounds], ChildEnd]

BASELINE_SECONDS = 60.0  # of processor time that a test may take without a mutant
_SLOWER = 4  # times its normal processor time and waiting that a test may take, and
_CPU_GRACE = 0.1  # seconds of processor time more
_AGAIN = 5  # times as long may a mutant wait when it runs again


class Baseline:
    """Learns about tests when they are first asked for."""

    def __init__(self, run: RunTests, patience: float) -> None:
        self._run = run
        """Runs tests in a child, without a mutant."""
        self._patience = patience
        self._cpu: dict[str, float] = {}
        self._waiting: dict[str, float] = {}
        self._unstable: set[str] = set()
        self.limits: dict[str, float] = {}
        """Seconds of processor time that each test may take."""
        self.special: set[str] = set()
        """Tests that pass in pytest's own way only."""
        self.overhead = 0.0
        """The most seconds of processor time that a child took in addition to its tests."""

    def stable(self, tests: Sequence[str]) -> tuple[list[str], list[str]]:
        """The tests that pass without a mutant, and those that do not."""
        known = self._cpu.keys() | self._unstable
        new = [test for test in tests if test not in known]
        if new:
            self._learn(new)
        good = [test for test in tests if test not in self._unstable]
        return good, [test for test in tests if test in self._unstable]

    def bounds(self, tests: Sequence[str]) -> Bounds:
        """What a child may take that runs these tests on a mutant."""
        normal = self.overhead + sum(self._cpu[test] for test in tests)
        cpu = max(self.limits[test] for test in tests) + _SLOWER * normal + 1
        waiting = sum(self._waiting[test] for test in tests)
        return Bounds(cpu, self._patience + _SLOWER * waiting)

    def _learn(self, tests: list[str]) -> None:
        """Run tests once, and those that fail again in pytest's own way.

        One that cuts the run short is found by halves, and runs again.
        """
        report = self._unharmed(tests)
        if report is None and len(tests) > 1:
            middle = len(tests) // 2
            self._learn(tests[:middle])
            self._learn(tests[middle:])
            return
        report = report or self._unharmed(tests)
        if report is None:
            self._unstable.update(tests)
            return
        if report.failed:
            self.special.update(report.failed)
            again = self._unharmed(report.failed) or report
            self._unstable.update(again.failed)
            report.spent.update(again.spent)
        for test, (cpu, waiting) in report.spent.items():
            self.limits[test] = _SLOWER * cpu + _CPU_GRACE
            self._cpu[test], self._waiting[test] = cpu, waiting

    def _unharmed(self, tests: list[str]) -> ChildReport | None:
        """What these tests do; None if they do not come to their end."""
        self.limits.update(dict.fromkeys(tests, BASELINE_SECONDS))
        seconds = BASELINE_SECONDS * (1 + len(tests))
        ended = self._run(tests, Bounds(seconds, 2 * BASELINE_SECONDS + len(tests)))
        if ended.report is None or ended.report.timeout:
            return None
        spent = sum(cpu for cpu, _ in ended.report.spent.values())
        self.overhead = max(self.overhead, ended.cpu - spent)
        return ended.report


def verdict(
    run: Callable[[Bounds], ChildEnd], bounds: Bounds, unstable: list[str], way: Way
) -> Answer:
    """Run a mutant's tests in a child of its own.

    Only a run that came to its end says which tests fail. One that was cut short for another
    reason than its processor time runs again, with more patience; if that is cut short too, the
    mutant has timed out or crashed.
    """
    ended = run(bounds)
    if ended.cut in ("waiting", "died"):
        ended = run(bounds.times(_AGAIN))
    report = ended.report or ChildReport()
    return Answer(
        failed=report.failed,
        timeout=report.timeout or ended.cut in ("cpu", "waiting"),
        crashed="the process died" if ended.cut == "died" else "",
        broken=report.broken,
        unstable=unstable,
        way=way,
        cpu=ended.cpu,
    )
