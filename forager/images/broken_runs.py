"""Describes a run of the tests that broke off: what ended it, and how far it got."""

import signal
from collections import Counter, defaultdict

from forager.environments.repository.testing import TestReport
from forager.images.builder import BrokenRun, FileRun

_SLOW = 200  # tests whose seconds a diagnosis keeps


def how_it_ended(report: TestReport) -> str:
    """What ended the run, in one line for a person."""
    seconds = f"{report.seconds:.0f} s" + (f", in {report.running}" if report.running else "")
    if report.timed_out:
        return f"the test run did not come to its end ({seconds})"
    if report.signal == signal.SIGKILL:
        return f"the test run was killed after {seconds}, as happens when memory runs out"
    what = report.running or "a test"
    if report.signal:
        name = signal.Signals(report.signal).name if report.signal in _SIGNALS else report.signal
        return f"{what} crashed the interpreter ({name})"
    return f"{what} ended the test run"


def broken_run(report: TestReport, *, reordered: bool = False) -> BrokenRun:
    """How far the run got, file by file."""
    ended, seconds = Counter[str](), defaultdict[str, float](float)
    for test, duration in report.durations.items():
        file = test.partition("::")[0]
        ended[file] += 1
        seconds[file] += duration
    slow = sorted(report.durations.items(), key=lambda item: item[1], reverse=True)[:_SLOW]
    return BrokenRun(
        seconds=report.seconds,
        timed_out=report.timed_out,
        signal=report.signal,
        running=report.running,
        files=[
            FileRun(file, planned, ended[file], round(seconds[file], 3), report.functions[file])
            for file, planned in report.planned.items()
        ],
        slow=dict(slow),
        reordered=reordered,
    )


_SIGNALS = {*signal.Signals}
