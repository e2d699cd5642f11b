"""Where recipes of one source are tried: each from scratch, in containers of its own."""

import json
import shlex
import shutil
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import docker

from forager.environments.repository.testing import TestReport
from forager.errors import BuildError, SourceError, Unreachable
from forager.images.base import CHANGES, ensure_base
from forager.images.broken_runs import broken_run, how_it_ended
from forager.images.builder import Diagnosis, RecipeFailed, failed, refused
from forager.images.debian import Contents, DebianRelease, release_of
from forager.images.install import Installed, install
from forager.images.layout import likely_tests
from forager.images.recipe import Recipe, options
from forager.images.settings import BuildSettings
from forager.images.soundness import LEAST_COLLECTED, collected_functions, test_functions
from forager.images.source import Source, tracked_files
from forager.images.submodules import fill_submodules
from forager.images.unproven import UnprovenImage
from forager.images.vetting import refusal, shortfall
from forager.images.workbench import BuildCache, Workbench

_LEAST_SECONDS = 30.0  # of a test run, however late it is
NO_TIME = "no time is left"
_LEAST_MEMORY = 2 << 30  # compilers need more than tests


class RecipeTrial(NamedTuple):
    """What came of a recipe: how far it got, and the image if the tests ran."""

    asked: Recipe
    """The recipe as far as it worked, without what pytest was asked for."""
    failure: Diagnosis
    dropped: list[str]
    """What was left out of it, with the reasons."""
    unproven: UnprovenImage | None = None
    first: TestReport | None = None
    second: TestReport | None = None
    """The tests in another order, once the first run was sound."""

    def without(self, dropped: list[str]) -> Self:
        """The trial with all that was left out of its recipe, in earlier trials, too."""
        unproven = self.unproven
        if unproven:
            installed = unproven.installed._replace(dropped=dropped)
            unproven = unproven._replace(installed=installed)
        return self._replace(dropped=dropped, unproven=unproven)

    def remove(self) -> None:
        """Remove the image, if there is one."""
        if self.unproven:
            self.unproven.remove()


class Workshop:
    """Tries recipes; a context manager that removes the downloads that the trials share."""

    def __init__(
        self,
        client: docker.DockerClient,
        source: Source,
        tree: Path,
        key: str,
        settings: BuildSettings,
        report: Callable[[str], None],
    ) -> None:
        self.source = source
        self.tree = tree
        self.report = report
        self._client = client
        self._key = key
        self._settings = settings
        self._deadline = time.monotonic() + settings.timeout
        self._cache: BuildCache | None = None
        self._release = DebianRelease("", "")

    @cached_property
    def contents(self) -> Contents:
        """What the packages of the base's release have."""
        return Contents(self._release)

    def attempt(self, recipe: Recipe, *, search: bool, reduce: bool = False) -> RecipeTrial:
        """Build a recipe from scratch and run its tests once.

        `search` and `reduce` are those of `install`. Raises what says nothing about the recipe.
        """
        try:
            if recipe.untrusted and (reason := refusal(recipe, self.tree)):
                raise refused(reason)
            unproven = self._installed(recipe, search=search, reduce=reduce)
        except BuildError as error:
            fault = error if isinstance(error, RecipeFailed) else self._late()
            if fault is None:
                raise
            failure = fault.failure.model_copy(update={"functions": self._functions})
            return RecipeTrial(fault.recipe or recipe, failure, fault.dropped)
        try:
            left = self._deadline - time.monotonic()
            first = unproven.run_first(max(_LEAST_SECONDS, left / 2))  # the second takes as long
            failure = self._judged(first, chosen=not search, untrusted=recipe.untrusted)
        except BaseException:
            unproven.remove()
            raise
        installed = unproven.installed
        return RecipeTrial(installed.stated, failure, installed.dropped, unproven, first)

    def confirm(self, trial: RecipeTrial) -> RecipeTrial:
        """Run a sound trial's tests in another order; it stays sound if they come to an end."""
        if not trial.unproven or not trial.failure.sound:
            return trial
        second, failure = trial.unproven.run_again(), trial.failure
        if trial.unproven.installed.recipe.untrusted and second.distrusted:
            failure = _distrusted(second)
        elif not second.complete:
            what = {
                "message": f"in another order, {how_it_ended(second)}",
                "log": second.log,
                "sound": False,
                "broken": broken_run(second, reordered=True),
            }
            failure = failure.model_copy(update=what)
        return trial._replace(second=second, failure=failure)

    def _installed(self, recipe: Recipe, *, search: bool, reduce: bool) -> UnprovenImage:
        """Install the project and commit the image, still without a name.

        What a search or a reduction tried in vain leaves no trace: the recipe is built again.
        """
        base = ensure_base(self._client, recipe.python, self.report)
        with self._bench(recipe, base) as bench:
            installed = self._install(bench, recipe, search=search, reduce=reduce)
            if installed.clean:
                return self._committed(bench, base, installed)
        self.report("building the recipe from scratch")
        with self._bench(recipe, base) as bench:
            again = self._install(bench, installed.recipe, search=False, reduce=False)
            found = again._replace(
                stated=installed.stated,
                dropped=installed.dropped,
                notes=list(dict.fromkeys([*installed.notes, *again.notes])),
            )
            return self._committed(bench, base, found)

    def _bench(self, recipe: Recipe, base: str) -> Workbench:
        if self._cache is None:
            self._cache = BuildCache(self._client, base)
        cache = None if recipe.untrusted else self._cache  # it could change what others install
        if late := self._late():
            raise late
        left = self._deadline - time.monotonic()
        memory = max(recipe.memory, _LEAST_MEMORY)
        return Workbench(
            self._client,
            base,
            memory=memory,
            timeout=left,
            cache=cache,
            logins=not recipe.untrusted,
        )

    def _late(self) -> RecipeFailed | None:
        """The error of a trial for which no time is left; it says nothing about earlier ones."""
        if time.monotonic() < self._deadline - 1:
            return None
        return failed("install", f"{NO_TIME} of {self._settings.timeout:.0f} s")

    def _install(
        self, bench: Workbench, recipe: Recipe, *, search: bool, reduce: bool
    ) -> Installed:
        self._release = release_of(bench.check("cat /etc/os-release"))
        try:
            return install(
                bench,
                self._tree_of(recipe),
                self.source,
                recipe,
                search=search,
                reduce=reduce,
                report=self.report,
            )
        except SourceError as error:
            raise SourceError(f"{self.source.given}: {error}") from None

    def _tree_of(self, recipe: Recipe) -> Path:
        """The working tree, with the files of submodules if the recipe takes them."""
        if not recipe.submodules:
            return self.tree
        filled = self.tree.with_name(f"{self.tree.name}-{recipe.submodules}")
        if not filled.exists():
            shutil.copytree(self.tree, filled, symlinks=True)
            try:
                fill_submodules(filled, recipe.submodules)
            except SourceError as error:
                shutil.rmtree(filled)
                if isinstance(error, Unreachable):
                    raise
                raise failed("install", f"no files for submodules: {error}") from error
        return filled

    def _committed(self, bench: Workbench, base: str, installed: Installed) -> UnprovenImage:
        digest = bench.commit(
            [
                *CHANGES,
                f"LABEL forager.image={self._key}",
                f"LABEL forager.source={json.dumps(self.source.given)}",
                pytest_options(installed.recipe),
            ]
        )
        return UnprovenImage(
            self._client, self.source, base, self._key, installed, digest, self.report
        )

    @cached_property
    def _functions(self) -> int:
        return sum(test_functions(self.tree, likely_tests(self.tree)).values())

    @cached_property
    def _tracked(self) -> list[str]:
        return tracked_files(self.tree)

    def _judged(self, first: TestReport, *, chosen: bool, untrusted: bool) -> Diagnosis:
        """Judge the first run of the tests; a person may have `chosen` to run a few only."""
        if untrusted and first.distrusted:
            return _distrusted(first)
        outcomes = first.outcomes.values()
        passing = sum(outcome == "passed" for outcome in outcomes)
        run = sum(outcome in ("passed", "failed", "error", "timeout") for outcome in outcomes)
        collected = collected_functions([*first.outcomes])
        enough = passing > 0 and passing >= self._settings.minimum_pass * run
        hollow = self._hollow(first, collected, chosen=chosen, untrusted=untrusted)
        message = f"{passing} of {run} tests pass"
        if not first.complete:
            message = how_it_ended(first)
        elif not enough:
            message = f"only {message} (needed: {self._settings.minimum_pass:.0%})"
        elif hollow:
            message = f"hollow: {hollow}"
        return Diagnosis(
            stage="test",
            message=message,
            log="\n".join([*_described(first), first.log]),
            passing=passing,
            run=run,
            collected=collected,
            functions=self._functions,
            sound=first.complete and enough and not hollow,
            broken=None if first.complete else broken_run(first),
        )

    def _hollow(self, first: TestReport, collected: int, *, chosen: bool, untrusted: bool) -> str:
        """How many of the project's test functions are lacking, if too many are; or empty."""
        if untrusted and (lacking := shortfall(first, self._tracked, self._functions)):
            return lacking
        if chosen or collected >= LEAST_COLLECTED * self._functions:
            return ""
        return (
            f"pytest collects {collected} of the {self._functions} test functions in the "
            f"project's files (needed: {LEAST_COLLECTED:.0%})"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._cache:
            self._cache.close()


def _distrusted(report: TestReport) -> Diagnosis:
    return refused(f"nobody can trust the outcomes: {report.distrusted}", report.log).failure


def _described(first: TestReport) -> list[str]:
    return [f"{failure.text}\nE   {failure.error}" for failure in first.failures.values()]


def pytest_options(recipe: Recipe) -> str:
    """The instruction with which plain `pytest` works in the image."""
    text = shlex.join(options(recipe.tests))
    return f"ENV PYTEST_ADDOPTS={json.dumps(text)}".replace("$", "\\$")  # ENV expands variables
