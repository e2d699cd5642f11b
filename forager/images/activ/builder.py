"""The builder `activ`: yields the recipes that a project's own CI jobs lead to."""

import time
from collections.abc import Iterator
from datetime import timedelta

from forager.errors import ForagerError, UsageError
from forager.images.activ.distil import describe, distilled, tree_of, variants
from forager.images.activ.freezing import NoTests, act_program, freeze
from forager.images.activ.frozen import asked_for, parsed
from forager.images.activ.looking import Frozen, files_of
from forager.images.activ.ranking import LikelyJob, ranked
from forager.images.activ.runner import ensure_runner
from forager.images.activ.vetting import vetted
from forager.images.builder import Diagnosis, RecipeChange, SourceProject
from forager.images.recipe import Recipe
from forager.images.source import tracked_files
from forager.sandboxes.engine import connect
from forager.scratch import scratch
from forager.text import ending, safe
from forager.untrusted import Malformed

SECONDS = 180.0  # of one job
_ALL_SECONDS = 540.0  # after which no job is started
_UNDATED = 2  # jobs that are run again with today's versions


class Activ:
    """Runs the project's CI jobs, the likeliest first, until one's tests start.

    Packages are those of the commit's day, if it is known; if no tests start so, today's.
    """

    name = "activ"

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._begun: dict[str, Iterator[RecipeChange]] = {}

    def changes(
        self, project: SourceProject, recipe: Recipe, failure: Diagnosis
    ) -> Iterator[RecipeChange]:
        """Return what each job whose tests start leads to; the failure changes nothing.

        A second call for the same files goes on where the first one was: its changes were tried.
        """
        del failure
        key = project.source.digest
        if key not in self._begun:
            self._begun[key] = self._all(project, recipe)
        return self._begun[key]

    def _all(self, project: SourceProject, recipe: Recipe) -> Iterator[RecipeChange]:
        try:
            act_program()
            image, python = ensure_runner(connect(), recipe.python, project.report)
        except ForagerError as error:
            project.report(f"activ: {error}")
            return
        ranking = ranked(project.tree, python)
        for problem in ranking.problems:
            project.report(f"activ: {problem}")
        if not ranking.candidates:
            project.report("activ: no job of .github/workflows is recognisably the tests'")
        yield from _Runs(project, recipe, image, python, self._seconds).all(ranking.candidates)


class _Runs:
    """The runs of one project's jobs."""

    def __init__(
        self, project: SourceProject, before: Recipe, image: str, python: str, seconds: float
    ) -> None:
        self._project, self._before = project, before
        self._image, self._python = image, python
        self._seconds = seconds
        self._end = time.monotonic() + _ALL_SECONDS

    def all(self, candidates: list[LikelyJob]) -> Iterator[RecipeChange]:
        old = self._project.source.old_day
        day = (old + timedelta(days=1)).isoformat() if old else ""
        found = False
        for candidate in candidates:
            for change in self._of(candidate, day):
                found = True
                yield change
        for candidate in candidates[:_UNDATED] if day and not found else ():
            yield from self._of(candidate, "")

    def _of(self, candidate: LikelyJob, day: str) -> Iterator[RecipeChange]:
        """Yield what one job leads to."""
        if time.monotonic() > self._end:
            return
        try:
            yield from self._distilled(candidate, day)
        except (UsageError, Malformed) as error:
            self._project.report(f"activ: {candidate.title}: {error}")

    def _distilled(self, candidate: LikelyJob, day: str) -> Iterator[RecipeChange]:
        found, text = self._run(candidate, day)
        if isinstance(found, NoTests):
            told = f"{found.problem}: {ending(found.log)}"
            self._project.report(f"activ: {candidate.title}: {told}")
            return
        tests = parsed(found)
        system = asked_for(found.packages, found.automatic)
        system -= asked_for(*files_of(connect(), self._image))
        tree = tree_of(self._project.tree, tracked_files(self._project.tree), text)
        recipe = distilled(tests, system, tree, self._before, self._python, day)
        reason = f"the CI job {candidate.title}: {describe(tests, recipe)}"
        job = candidate.workflow.jobs[candidate.job]
        for variant, rule in variants(recipe, job):
            yield RecipeChange(variant, rule, reason)

    def _run(self, candidate: LikelyJob, day: str) -> tuple[Frozen | NoTests, str]:
        """Run one job; return what was found, and the workflow that ran."""
        project = self._project
        with scratch("activ") as directory:
            actions = directory / "actions"
            actions.mkdir()
            run = vetted(
                project.tree,
                candidate,
                self._python,
                actions,
                name=directory.name,
                system=self._before.system,
            )
            row = f" ({', '.join(map(str, run.row.values()))})" if run.row else ""
            dated = f" with the versions of {day}" if day else ""
            project.report(safe(f"activ: running the job {candidate.title}{row}{dated}"))
            if run.unknown:
                count, names = len(run.unknown), ", ".join(run.unknown[:10])
                project.report(f"activ: {count} unknown actions do nothing: {names}")
            found = freeze(
                connect(),
                project.tree,
                project.source,
                candidate.job,
                run,
                self._image,
                directory=directory,
                day=day,
                seconds=self._seconds,
            )
            return found, run.text
