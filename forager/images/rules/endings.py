"""Runs of tests that break off: memory runs out, a test crashes, or they take too long."""

import os
import re
import signal

from forager.images.builder import BrokenRun, Diagnosis, FileRun, SourceProject
from forager.images.recipe import Recipe
from forager.images.rules.rule import Proposals

_GONE = re.compile(r"MemoryError|Killed signal terminated|Cannot allocate memory")
_SHARE = 0.5  # of the machine's memory that a sandbox may have
_SLOW, _MOST_SLOW = 5.0, 60  # seconds of a slow test; how many are left out at most
_HANGS = 0.3  # share of a run that no test accounts for, if one hangs
_KEPT = 0.5  # least share of the planned test functions to keep
_GOALS = (0.4, 0.8)  # shares of the time limit that a shorter suite may need


def memory(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose twice the memory where it ran out, up to half of the machine's.

    In another order it is one test that takes it all.
    """
    broken = failure.broken
    killed = broken is not None and broken.signal == signal.SIGKILL and not _alone(broken)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if (killed or _GONE.search(failure.log)) and 2 * recipe.memory <= _SHARE * machine:
        yield (
            recipe.model_copy(update={"memory": 2 * recipe.memory}),
            f"{recipe.memory / 2**30:g} GiB of memory are too few",
        )


def crashes(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose to leave out the test that ended the interpreter."""
    broken = failure.broken
    if broken and broken.running and not broken.timed_out:
        yield _without_tests(recipe, [broken.running]), f"{broken.running} ends the interpreter"


def _alone(broken: BrokenRun) -> bool:
    """Whether the running test alone breaks off the run, as the others came to an end before."""
    return broken.reordered and bool(broken.running)


def long_suites(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose a suite that fits the time: without tests that hang or are slow, or without files."""
    broken = failure.broken
    if not broken or not broken.timed_out:
        return
    busy = sum(file.seconds for file in broken.files)
    if _alone(broken) or (broken.running and broken.seconds - busy > _HANGS * broken.seconds):
        file = broken.running.partition("::")[0]
        if any(test.startswith(f"{file}::") and broken.slow[test] >= _SLOW for test in broken.slow):
            yield _with_arguments(recipe, [f"--ignore={file}"]), f"{file} waits again and again"
        yield _without_tests(recipe, [broken.running]), f"{broken.running} hangs"
    slow = [test for test, seconds in broken.slow.items() if seconds >= _SLOW][:_MOST_SLOW]
    rest = sum(map(_needed, broken.files))
    if slow and rest - sum(broken.slow[test] for test in slow) < _GOALS[-1] * broken.seconds:
        yield _without_tests(recipe, slow), f"{len(slow)} tests take {_SLOW:g} s or more each"
    for goal in _GOALS:
        if left_out := _slow_files(broken, goal * broken.seconds):
            reason = f"{len(left_out)} of {len(broken.files)} files take the most time"
            yield _with_arguments(recipe, [f"--ignore={file}" for file in left_out]), reason


def _slow_files(broken: BrokenRun, seconds: float) -> list[str]:
    """The files to leave out, so that the others need these seconds; none if too few are left."""
    cheapest = sorted(broken.files, key=lambda file: _needed(file) / max(1, _functions(file)))
    kept = functions = 0
    spent = 0.0
    for file in cheapest:
        spent += _needed(file)
        if spent > seconds:
            break
        kept, functions = kept + 1, functions + _functions(file)
    enough = functions >= _KEPT * sum(map(_functions, broken.files))
    return [file.file for file in cheapest[kept:]] if enough else []


def _functions(file: FileRun) -> int:
    """The functions of a file, however many parameters each has."""
    return file.functions or file.planned


def _needed(file: FileRun) -> float:
    """Seconds that a file needs; nothing is known yet of one that did not begin."""
    return file.planned * file.seconds / max(1, file.ended)


def _without_tests(recipe: Recipe, tests: list[str]) -> Recipe:
    return _with_arguments(recipe, [f"--deselect={test}" for test in tests])


def _with_arguments(recipe: Recipe, arguments: list[str]) -> Recipe:
    return recipe.model_copy(update={"tests": [*recipe.tests, *arguments]})
