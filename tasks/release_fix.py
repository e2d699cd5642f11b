"""Makes issue-fix tasks from a project's releases on PyPI, without a git host."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from unidiff.patch import PatchSet

from forager.environments.repository.mutation import Fix
from forager.environments.repository.task import RepositoryTask
from forager.errors import BuildError, SourceError, Unreachable
from forager.images.build import build
from forager.images.image import Image
from forager.images.sdist import Release
from forager.images.settings import BuildSettings
from tasks.contamination import admitted
from tasks.funnel import Funnel
from tasks.history import is_code, is_test
from tasks.issue_fix import IssueFixRequest, KnownOfFix, best_text, proven, unproven
from tasks.ledger import OnTaskProgress
from tasks.releases import (
    HunkGroup,
    Releases,
    changed,
    entries_about,
    fixed_paths,
    hunk_groups,
    patches,
    separated,
)
from tasks.revealing import FixWords
from tasks.validate import RejectedChange, UnsuitableImage, prove_fix, test_files
from tasks.wording import changelog, from_author


def make_release_tasks(
    releases: Releases,
    order: IssueFixRequest,
    *,
    output: Path,
    on_progress: OnTaskProgress,
    report: Callable[[str], None] = print,
) -> Counter[str]:
    """Append the tasks of consecutive releases to `output`, newest first; return the funnel.

    An interrupted run continues where it stopped.
    """
    counts: Counter[str] = Counter()
    tried = 0
    contaminated = admitted(
        releases.history.name,
        keep=order.keep_contaminated,
        texts=releases.history.texts(releases.commit(releases.releases[-1])),
        also=order.also_exclude,
    )
    with Funnel(output, releases.history.name) as funnel:
        for before, after in releases.pairs():
            counts["releases"] += 1
            if order.limit is not None and funnel.made >= order.limit:
                continue
            key = f"{before.version}..{after.version}"
            if funnel.knows(key):
                continue
            tried += 1
            stage, reason = "releases", "taken apart"
            try:
                for task in _ReleasePair(
                    releases, order, before, after, contaminated, report
                ).tasks():
                    funnel.add(task)
                    on_progress(funnel.made, candidates=tried)
            except (RejectedChange, UnsuitableImage) as error:
                stage, reason = "tests", str(error)
            except Unreachable:
                raise
            except (BuildError, SourceError) as error:
                stage, reason = "image", str(error)
            funnel.drop(key, stage, reason)
            on_progress(funnel.made, candidates=tried)
        return funnel.whole(counts)


class _ReleasePair:
    """Makes the tasks of two consecutive releases."""

    def __init__(
        self,
        releases: Releases,
        order: IssueFixRequest,
        before: Release,
        after: Release,
        contaminated: str,
        report: Callable[[str], None],
    ) -> None:
        self._contaminated = contaminated
        self._releases, self._order, self._report = releases, order, report
        self._before, self._after = before, after
        self._history = releases.history

    def tasks(self) -> Iterator[RepositoryTask]:
        """Yield the tasks from the newer release.

        Raises RejectedChange, BuildError, SourceError.
        """
        old, new = map(self._releases.commit, (self._before, self._after))
        paths = changed(self._history, old, new)
        if not any(map(is_code, paths)) or not any(map(is_test, paths)):
            raise RejectedChange("no change of code and tests together")
        self._report(f"{self._before.version}..{self._after.version}: building")
        image = build(
            f"pypi:{self._releases.project}=={self._before.version}",
            settings=BuildSettings(timeout=self._order.settings.build_timeout),
        )
        tests = self._history.diff(old, new, [path for path in paths if is_test(path)])
        whole = self._task(image, 0, self._history.diff(old, new, fixed_paths(paths)), tests, "")
        found = prove_fix(whole, image, suite_seconds=self._order.settings.suite_seconds)
        whole = whole.model_copy(
            update={"FAIL_TO_PASS": found.fail_to_pass, "PASS_TO_PASS": found.pass_to_pass}
        )
        groups = hunk_groups(self._history, old, new, paths)
        self._report(
            f"{self._before.version}..{self._after.version}: {len(found.fail_to_pass)} tests, "
            f"{len(groups)} groups of hunks"
        )
        sets = separated(whole, groups, self._order.workers)
        told = changelog(self._history, old, new, paths)

        def made(numbered: tuple[int, Sequence[HunkGroup]]) -> RepositoryTask | None:
            number, groups = numbered
            try:
                setup, fix = patches(self._history, old, new, fixed_paths(paths), groups)
            except RejectedChange as error:
                self._report(f"{self._after.version}, set {number}: {error}")
                return None
            task = self._task(image, number, fix, tests, setup)
            return self._proven(task, image, groups, told, new)

        with ThreadPoolExecutor(self._order.workers) as pool:
            yield from filter(None, pool.map(made, enumerate(sets, 1)))

    def _task(
        self, image: Image, number: int, patch: str, tests: str, setup: str
    ) -> RepositoryTask:
        project, after = self._releases.project, self._after
        return unproven(
            image,
            instance_id=f"pypi__{project}-{after.version}-{number}",
            repo=self._history.name,
            base_commit=f"{self._before.version}..{after.version}",
            patch=patch,
            test_patch=tests,
            setup_patch=setup,
            created_at=after.uploaded,
            source=f"pypi:{project}=={after.version}",
            contaminated=self._contaminated,
        )

    def _proven(
        self,
        task: RepositoryTask,
        image: Image,
        groups: Sequence[HunkGroup],
        told: Sequence[str],
        new: str,
    ) -> RepositoryTask | None:
        try:
            found = prove_fix(task, image, suite_seconds=self._order.settings.suite_seconds)
        except (RejectedChange, UnsuitableImage) as error:
            self._report(f"{task.instance_id}: {error}")
            return None
        about = entries_about(told, groups, found.fail_to_pass)
        tests = {path: self._history.text(new, path) for path in test_files(task.test_patch)}
        words = FixWords(task.patch, task.test_patch, old=self._old(task), tests=tests)
        written = from_author("", about, words, "changelog")
        text = best_text(task, found, KnownOfFix("", written, tests, words), self._order)
        if text is None:
            self._report(f"{task.instance_id}: no text describes the bug without revealing the fix")
            return None
        return proven(task, found, text, Fix(commit=self._after.version))

    def _old(self, task: RepositoryTask) -> str:
        """The code of a task's base, in parts: the older release, and the patch upon it."""
        old = self._releases.commit(self._before)
        texts = (self._history.text(old, file.path) for file in PatchSet(task.patch))
        return "\n".join([*texts, task.setup_patch])
