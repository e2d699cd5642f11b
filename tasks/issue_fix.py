"""Issue-fix: real bugs from a repository's history, proven by the tests that came with the fix.

history ─▶ candidates ─▶ eras ─▶ image ─▶ runs without and with the fix ─▶ issue text ─▶ Task

Neighbouring candidates (an era) share an image. Forager builds it at the base of the oldest
candidate, so it contains no later code. The `setup_patch` of a task turns the image's files into
those of the task's base. If that image does not suit a commit, forager builds one for its own base.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from forager.environments.repository.guards import guards_of
from forager.environments.repository.mutation import Fix
from forager.environments.repository.task import RepositoryTask
from forager.errors import BuildError, SourceError, Unreachable
from forager.images.build import build
from forager.images.image import Image
from forager.images.settings import BuildSettings
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits
from forager.threads import in_order
from tasks.author import Author
from tasks.contamination import admitted
from tasks.funnel import Funnel
from tasks.history import Commit, History, closed_by, is_code, may_fix
from tasks.issues import Issues, linked
from tasks.ledger import OnTaskProgress
from tasks.revealing import FixWords
from tasks.settings import IssueFixSettings
from tasks.validate import FixProof, RejectedChange, UnsuitableImage, prove_fix, test_files
from tasks.wording import (
    Origin,
    ProblemStatement,
    by_model,
    changelog,
    from_author,
    from_failures,
)

KIND = "issue-fix"
_ERA = 16  # candidates that share an image if it suits them
_FAILED_BUILDS = 5  # failures in a row after which an era gets no more images
_LARGEST = 8 << 20  # most bytes of a setup_patch


@dataclass(frozen=True, slots=True)
class IssueFixRequest:
    """Which tasks to make, and how."""

    limit: int | None = None
    workers: int = 1
    settings: IssueFixSettings = field(default_factory=IssueFixSettings)
    issues: Issues | None = None
    author: Author | None = None
    keep_contaminated: bool = False
    also_exclude: Path | None = None


def candidates(history: History, max_files: int) -> tuple[list[Commit], Counter[str]]:
    """List the commits that may be fixes, newest first, and count all commits by verdict.

    A commit inside an accepted merge counts as part of the merge. Of equal changes, only the
    newest is a candidate.
    """
    found: list[Commit] = []
    counts: Counter[str] = Counter()
    inside: set[str] = set()
    seen: set[str] = set()
    for change in history.changes():
        counts["commits"] += 1
        if change.commit in inside:
            counts["part of a merge"] += 1
            continue
        if change.others and change.code():
            change = replace(change, message=history.told(change))
        reason = change.why_not(max_files)
        if not reason:
            code = history.diff(change.base, change.commit, change.code())
            reason = "the same as a newer one" if code in seen else ""
            seen.add(code)
        counts[reason or "candidates"] += 1
        if not reason:
            found.append(change)
            inside.update(history.merged(change))
    return found, counts


def unproven(image: Image, **fields: str) -> RepositoryTask:
    """A task of an image, before the test runs fill in tests and statement."""
    protected = sorted({*image.setup.protected, *test_files(fields["test_patch"])})
    return RepositoryTask(
        problem_statement="",
        FAIL_TO_PASS=[],
        PASS_TO_PASS=[],
        version=image.source.version,
        environment_setup_commit=image.source.commit,
        kind=KIND,
        image=image.reference,
        image_digest=image.digest,
        setup=image.setup.model_copy(update={"protected": protected}),
        licence=image.source.licence,
        **fields,
    )


@dataclass(frozen=True, slots=True)
class KnownOfFix:
    """What is known of a fix apart from its proof."""

    issue: str
    written: ProblemStatement
    tests: Mapping[str, str]
    """Texts of the fixed test files by path."""
    words: FixWords


def best_text(
    task: RepositoryTask, found: FixProof, known: KnownOfFix, order: IssueFixRequest
) -> ProblemStatement | None:
    """The issue; else a model's text; else what the author says of the bug, and the failures.

    A text that reveals more than the settings allow gives way to the next one. None if no text
    describes the bug.
    """
    words, limits = known.words, order.settings
    refused: list[Origin] = []
    for text in _texts(task, found, known, order):
        is_issue = text.origin == "issue"
        if not words.problem(text.text, limits, before_tests=is_issue):
            told = {"left_out": text.revealed.left_out, "refused": refused}
            return text._replace(revealed=words.measure(text.text).model_copy(update=told))
        refused.append(text.origin)
    return None


def _texts(
    task: RepositoryTask, found: FixProof, known: KnownOfFix, order: IssueFixRequest
) -> Iterator[ProblemStatement]:
    """The texts that may describe a bug, the best one first."""
    words, limits, written = known.words, order.settings, known.written
    if known.issue:
        yield ProblemStatement(known.issue, "issue", [])
    if order.author and (made := by_model(order.author, task.patch, found.failures, words, limits)):
        yield made
    seen = from_failures(
        found.failures,
        known.tests,
        found.fail_to_pass,
        lambda code: not words.problem(code, limits),
    )
    if written.text:
        yield written._replace(text="\n\n".join(filter(None, (written.text, seen))))
    if seen:
        yield ProblemStatement(seen, "failures", [], written.revealed)


def proven(
    task: RepositoryTask, found: FixProof, text: ProblemStatement, fix: Fix, hints: str = ""
) -> RepositoryTask:
    """Complete a task by the validated tests, their guards and the problem statement."""
    proof = "full" if found.whole else "files"
    about = {
        "statement": text.origin,
        "revealed": text.revealed,
        "proof": proof,
        "costs": text.costs,
    }
    done = task.model_copy(
        update={
            "problem_statement": text.text,
            "hints_text": hints,
            "FAIL_TO_PASS": found.fail_to_pass,
            "PASS_TO_PASS": found.pass_to_pass,
            "setup": found.setup,
            "fix": fix.model_copy(update=about),
        }
    )
    guards = guards_of(done, Limits(memory=done.setup.memory), docker_sandbox)
    return done.model_copy(update={"guards": guards})


def make_tasks(
    history: History,
    order: IssueFixRequest,
    *,
    output: Path,
    on_progress: OnTaskProgress,
    report: Callable[[str], None] = print,
) -> Counter[str]:
    """Append the tasks of a history to `output`; return the funnel's counts.

    Tries candidates from the newest to the oldest and records the fate of each, so an interrupted
    run continues where it stopped. Raises ContaminatedProject for projects of SWE-bench.
    """
    reason = admitted(
        history.name,
        keep=order.keep_contaminated,
        roots=history.roots(),
        texts=history.texts(history.tip),
        also=order.also_exclude,
    )
    listed, counts = candidates(history, order.settings.max_files)
    report(f"{counts['commits']} commits, {len(listed)} candidates")
    with Funnel(output, history.name) as funnel:
        _IssueFixRun(history, order, funnel, reason, on_progress, report).run(listed)
        return funnel.whole(counts)


class _IssueFixRun:
    """Makes the tasks of one history."""

    def __init__(
        self,
        history: History,
        order: IssueFixRequest,
        funnel: Funnel,
        contaminated: str,
        on_progress: OnTaskProgress,
        report: Callable[[str], None],
    ) -> None:
        self._history, self._order, self._funnel = history, order, funnel
        self._contaminated = contaminated
        self._on_progress, self._report = on_progress, report
        self._tried = 0

    def run(self, listed: Sequence[Commit]) -> None:
        """Try the candidates era by era."""
        self._tried = sum(self._funnel.knows(change.commit) for change in listed)
        for start in range(0, len(listed), _ERA):
            era = listed[start : start + _ERA]
            unknown = [change for change in era if not self._funnel.knows(change.commit)]
            if unknown and not self._is_enough():
                self._take(unknown, _EraImages(self._history, self._order, era, self._report))

    def _take(self, era: Sequence[Commit], images: "_EraImages") -> None:
        workers = self._order.workers

        def tried(change: Commit) -> RepositoryTask | tuple[str, str]:
            return self._try(change, images)

        with ThreadPoolExecutor(workers) as pool:
            results = in_order(pool, tried, era, workers)
            with closing(results):
                for change, result in results:
                    self._tried += 1
                    if isinstance(result, RepositoryTask):
                        self._funnel.add(result)
                    else:
                        self._funnel.drop(change.commit, *result)
                    self._on_progress(self._funnel.made, candidates=self._tried)
                    if self._is_enough():
                        break

    def _is_enough(self) -> bool:
        limit = self._order.limit
        return limit is not None and self._funnel.made >= limit

    def _try(self, change: Commit, images: "_EraImages") -> RepositoryTask | tuple[str, str]:
        """Make the task of a commit, or return the stage that drops it and the reason."""
        problem = ("image", "none could be built")
        for image in images.of(change):
            try:
                task = self._task(change, image)
                found = prove_fix(task, image, suite_seconds=self._order.settings.suite_seconds)
            except UnsuitableImage as error:
                problem = ("image", f"unsuited: {error}")
            except RejectedChange as error:
                return "tests", str(error)
            else:
                return self._stated(task, change, found)
        return problem

    def _task(self, change: Commit, image: Image) -> RepositoryTask:
        """The task before the test runs."""
        history = self._history
        fixed = [path for path in change.files if may_fix(path)]
        setup_patch = ""
        if image.source.commit != change.base:
            setup_patch = history.diff(image.source.commit, change.base)
        if len(setup_patch) > _LARGEST:
            raise UnsuitableImage(f"setup_patch: {len(setup_patch) >> 20} MiB lie between them")
        return unproven(
            image,
            instance_id=f"{history.name.replace('/', '__')}-{change.pull or change.commit[:10]}",
            repo=history.name,
            base_commit=change.base,
            patch=history.diff(change.base, change.commit, fixed),
            test_patch=history.diff(change.base, change.commit, change.tests()),
            setup_patch=setup_patch,
            created_at=change.date,
            source=history.source_at(change.base),
            contaminated=self._contaminated,
        )

    def _stated(
        self, task: RepositoryTask, change: Commit, found: FixProof
    ) -> RepositoryTask | tuple[str, str]:
        history = self._history
        numbers = closed_by(change.message, history.name)
        issue, hints = linked(numbers, self._order.issues, change.written)
        told = changelog(history, change.base, change.commit, change.files)
        tests = {path: history.text(change.commit, path) for path in test_files(task.test_patch)}
        old = [history.text(change.base, path) for path in change.files if is_code(path)]
        words = FixWords(task.patch, task.test_patch, old="\n".join(old), tests=tests)
        written = from_author(change.message, told, words, "commit")
        text = best_text(task, found, KnownOfFix(issue, written, tests, words), self._order)
        if text is None:
            return "task", "no text describes the bug without revealing the fix"
        fix = Fix(commit=change.commit, pull=change.pull, issues=numbers)
        return proven(task, found, text, fix, hints)


class _EraImages:
    """Builds the images for the candidates of an era. Several threads may use it.

    The shared image has the base of the oldest candidate. If that build fails, the next try is
    halfway to the requested candidate, and so on.
    """

    def __init__(
        self,
        history: History,
        order: IssueFixRequest,
        era: Sequence[Commit],
        report: Callable[[str], None],
    ) -> None:
        self._history, self._order, self._report = history, order, report
        self._era = era
        self._built: dict[int, Image | None] = {}
        self._failed = 0
        self._lock = Lock()

    def of(self, change: Commit) -> Iterator[Image]:
        """Yield the shared image if it does not contain the fix, then the commit's own image."""
        with self._lock:
            place = self._shared(self._era.index(change))
        for at in dict.fromkeys((place, self._era.index(change))):
            with self._lock:
                image = self._image(at)
            base = self._era[at].base
            if image and not self._history.is_ancestor(change.commit, base):
                yield image

    def _shared(self, place: int) -> int:
        """The place of the nearest candidate, from this one to the oldest, with an image."""
        end = len(self._era) - 1
        good = [at for at in range(place, end + 1) if self._built.get(at)]
        while not good and end > place:
            if self._image(end):
                return end
            end = (place + end) // 2
        return good[0] if good else place

    def _image(self, place: int) -> Image | None:
        if place not in self._built:
            self._built[place] = self._build(self._era[place].base)
        return self._built[place]

    def _build(self, commit: str) -> Image | None:
        if self._failed >= _FAILED_BUILDS:
            return None
        source = self._history.source_at(commit)
        try:
            image = build(
                source,
                settings=BuildSettings(timeout=self._order.settings.build_timeout),
                report=lambda step: self._report(f"{commit[:10]}: {step}"),
            )
        except Unreachable:
            raise
        except (BuildError, SourceError) as error:
            self._report(f"{commit[:10]}: {error}")
            self._failed += 1
            return None
        self._failed = 0
        return image
