"""Mutate-fix: puts a bug into a real project and proves it by the project's own tests."""

import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import NamedTuple

from forager.environments.repository.mutation import ModelCost, Mutation
from forager.environments.repository.task import RepositoryTask
from forager.errors import ForagerError, LimitReached, SandboxError, UsageError
from forager.images.image import Image
from forager.mutation.candidates import Candidate, Families, Sketch
from forager.mutation.combine import (
    COMBINED,
    KilledMutant,
    PartFailures,
    combined,
    every_part_fails,
)
from forager.mutation.coverage import Coverage, coverage_of
from forager.mutation.files import reverse
from forager.mutation.judge import Judge, Rules, Verdict
from forager.mutation.model_written import (
    WRITTEN,
    Function,
    UnusableAnswer,
    answered,
    functions,
    question,
)
from forager.mutation.pick import pick
from forager.mutation.quota import Quota
from forager.sandboxes.sandbox import Limits, Sandbox
from forager.threads import in_order
from tasks.author import Author
from tasks.contamination import admitted
from tasks.ledger import Ledger, OnTaskProgress, no_progress
from tasks.settings import MutateFixSettings
from tasks.sources import ProjectTexts, read_texts, start
from tasks.statements import Form, by_model, cwm, issue, with_code

KIND = "mutate-fix"
_SMALL_BATCH, _BATCH = 16, 128  # candidates that go through a sieve together
_EXPLAINED = 6  # failing tests to run again for the values in a bug report


@dataclass(frozen=True, slots=True)
class MutateFixRequest:
    """Which tasks to make, and how."""

    families: Families
    """The families of `combine` and `model_written` have names here, but no mutators."""
    limit: int | None = None
    seed: int = 0
    settings: MutateFixSettings = field(default_factory=MutateFixSettings)
    proof: str = "files"
    statement: Form = "cwm"
    author: Author | None = None
    workers: int = 1
    keep_contaminated: bool = False
    also_exclude: Path | None = None

    def rules(self) -> Rules:
        """The rules by which the judge accepts mutants."""
        explain = 0 if self.statement == "cwm" else _EXPLAINED
        return Rules(proof=self.proof, difficulty=self.settings.difficulty, explain=explain)


class MeasuredProject(NamedTuple):
    """What is known of an image before any bug."""

    texts: ProjectTexts
    coverage: Coverage
    contaminated: str
    """As in `admitted`."""


def measured(
    image: Image,
    order: MutateFixRequest,
    start: Callable[[str, Limits], Sandbox] = start,
) -> MeasuredProject:
    """Read the code of an image, and measure which test runs which line.

    Raises ContaminatedProject for projects of SWE-bench, SandboxError.
    """
    texts = read_texts(image)
    reason = admitted(
        image.source.name,
        keep=order.keep_contaminated,
        texts=texts.sources,
        also=order.also_exclude,
    )
    return MeasuredProject(texts, coverage_of(image, start), reason)


def measured_ahead(
    images: Sequence[Image], order: MutateFixRequest, report: Callable[[str], None]
) -> Generator[tuple[Image, MeasuredProject | ForagerError]]:
    """Yield each image with what is known of it, or the error.

    With several workers, the next image is measured while the caller works on this one: the tests
    run one after another then, and keep one core busy. To close the iterator ends that at once.
    """
    sandboxes: list[Sandbox] = []
    ended = Event()

    def kept(reference: str, limits: Limits) -> Sandbox:
        if ended.is_set():
            raise SandboxError("the measurement was stopped")
        sandboxes[:] = [start(reference, limits)]
        return sandboxes[0]

    def measure(image: Image) -> MeasuredProject | ForagerError:
        report(f"{image.source.name}: measuring which test runs which line")
        try:
            return measured(image, order, kept)
        except ForagerError as error:
            return error

    with ThreadPoolExecutor(1) as pool:
        try:
            yield from in_order(pool, measure, images, 2 if order.workers > 1 else 1)
        finally:
            ended.set()
            for sandbox in sandboxes:
                sandbox.close()


def make_tasks(
    image: Image,
    order: MutateFixRequest,
    *,
    output: Path,
    project: MeasuredProject | None = None,
    on_progress: OnTaskProgress = no_progress,
    report: Callable[[str], None] = print,
) -> int:
    """Append tasks of one image to `output`; return how many of the requested tasks it has.

    The seed decides the order of candidates, and results count in that order. So the same seed
    gives the same tasks with any number of workers, and an interrupted run continues where it
    stopped. Rejected candidates go to a second file (see `ledger`). Bugs of several parts come
    last, made from the tasks found so far. Raises ContaminatedProject for projects of SWE-bench.
    """
    if project is None:
        report("measuring which test runs which line")
        project = measured(image, order)
    found = list(project.texts.listed(order.families, project.coverage.runs))
    if left_out := sum(not project.coverage.runs(path) for path in project.texts.sources):
        report(f"left out, because no test runs them: {left_out:,} files")
    with Ledger(output, image) as ledger:
        for change in found:
            if isinstance(change, Candidate) and not ledger.knows(instance_id(image, change)):
                ledger.reject(instance_id(image, change), change, change.problem)
        making = _MutateFixRun(image, order, ledger, project, on_progress, report)
        return making.run([change for change in found if isinstance(change, Sketch)])


class _MutateFixRun:
    """Makes the tasks of one image."""

    def __init__(
        self,
        image: Image,
        order: MutateFixRequest,
        ledger: Ledger,
        project: MeasuredProject,
        on_progress: OnTaskProgress,
        report: Callable[[str], None],
    ) -> None:
        self._image = image
        self._order = order
        self._ledger = ledger
        self._coverage = project.coverage
        self._project = project.texts
        self._on_progress = on_progress
        self._report = report
        self._contaminated = project.contaminated
        settings = order.settings
        self._quota = Quota(settings.targets, settings.per_function, settings.per_file)
        self._singles = set(order.families) - {COMBINED}
        self._functions: dict[tuple[str, str], Function] = {}
        self._killed: list[KilledMutant] = []
        self._shown: dict[str, PartFailures] = {}
        self._counts: Counter[str] = Counter()

    def run(self, sketches: list[Sketch]) -> int:
        """Make the tasks from the sketches; return their number."""
        order = self._order
        shares = order.settings.shares()
        several = self._several(shares)
        listed: list[Candidate | Sketch] = [*sketches, *self._placeholders()]
        if not listed:
            raise UsageError(f"{self._image.source.name}: the tests run no code but their own")
        picked = pick(listed, seed=order.seed, weights=shares)
        single = None if order.limit is None else order.limit - (several or 0)
        with ThreadPoolExecutor(order.workers) as pool:
            wanted = self._project.candidates(
                change for change in picked if self._quota.has(change)
            )
            written = in_order(pool, self._write, wanted, 2 * order.workers)
            with closing(written):
                singles = self._fresh(candidate for _, candidate in written)
                self._take(singles, single, self._singles)
        if several != 0:
            rounds = 1 if several is None else None
            bound = None if several is None else self._counts["tasks"] + several
            self._take(self._combined(rounds), bound, {COMBINED})
        return self._counts["tasks"]

    def _several(self, shares: Mapping[str, float] | None) -> int | None:
        """How many tasks shall have bugs of several parts; None for as many as possible."""
        order = self._order
        if COMBINED not in order.families:
            return 0
        if order.settings.targets:
            return order.settings.targets.get(COMBINED, 0)
        weights = {
            family: 1.0 if shares is None else shares.get(family, 0.0) for family in order.families
        }
        if order.limit is None or not weights[COMBINED]:
            return None if weights[COMBINED] else 0
        return round(order.limit * weights[COMBINED] / sum(weights.values()))

    def _placeholders(self) -> Iterator[Candidate]:
        """Yield a candidate for each function that a model can rewrite and that tests run."""
        families = [family for family in WRITTEN if family in self._order.families]
        for path, text in self._project.sources.items() if families else ():
            for function in functions(path, text):
                if self._coverage.running(path, range(function.body, function.last + 1), ()):
                    self._functions[path, function.name] = function
                    yield from (function.placeholder(family) for family in families)

    def _wanted(self, source: Iterable[Candidate]) -> Iterator[Candidate]:
        return (candidate for candidate in source if self._quota.has(candidate))

    def _fresh(self, source: Iterable[Candidate]) -> Iterator[Candidate]:
        """Drop candidates whose diff appeared before, such as a model's repeated answer."""
        seen: set[str] = set()
        for candidate in source:
            if candidate.problem or candidate.diff not in seen:
                seen.add(candidate.diff)
                yield candidate

    def _write(self, candidate: Candidate) -> Candidate:
        """Let the model write the candidate if it belongs to a model's family."""
        family, author = candidate.family, self._order.author
        if family not in WRITTEN or author is None:
            return candidate
        function = self._functions[candidate.file, candidate.function]
        text = self._project.sources[candidate.file]
        asked = question(family, function, text)
        try:
            written = author.ask([{"role": "user", "content": asked}])
        except LimitReached as error:
            problem = f"the server refused the question: {error.refusal or error}"
            return candidate.model_copy(update={"problem": problem})
        cost = {"costs": (written.cost(family),)}
        try:
            if written.cut:
                raise UnusableAnswer("breaks off")
            made = answered(family, function, text, written.text)
        except UnusableAnswer as error:
            return candidate.model_copy(update={"problem": f"unusable answer: {error}", **cost})
        return self._project.checked(made.model_copy(update=cost))

    def _combined(self, rounds: int | None) -> Iterator[Candidate]:
        sources, seed = self._project.sources, self._order.seed
        for candidate, shown in combined(self._killed, sources, seed, rounds):
            self._shown[candidate.diff] = shown
            yield candidate

    def _take(self, source: Iterable[Candidate], bound: int | None, families: set[str]) -> None:
        """Judge candidates of these families in order until `bound` tasks exist."""
        if bound is not None and self._counts["tasks"] >= bound:
            return
        order = self._order
        size = max(_SMALL_BATCH, min(_BATCH, bound // order.workers)) if bound else _BATCH
        judge = Judge(
            self._image, self._coverage, self._project.sources, start,
            rules=order.rules(), workers=order.workers,
        )  # fmt: skip
        verdicts = judge.verdicts(self._wanted(source), self._is_known, size)
        ahead = order.workers if order.statement == "model" else 1
        with closing(verdicts), ThreadPoolExecutor(order.workers) as pool:
            stated = in_order(pool, self._stated, verdicts, ahead)
            with closing(stated):
                for (candidate, verdict), task in stated:
                    if self._quota.has(candidate):
                        self._decide(candidate, verdict, task)
                    if self._counts["tasks"] == bound or self._quota.is_full(families):
                        break

    def _is_known(self, candidate: Candidate) -> bool:
        return bool(candidate.problem) or self._ledger.knows(instance_id(self._image, candidate))

    def _decide(
        self, candidate: Candidate, verdict: Verdict | None, task: RepositoryTask | None
    ) -> None:
        """Record the task or the reason against it, and count."""
        name = instance_id(self._image, candidate)
        if task is not None:
            self._ledger.add(task)
        elif not self._ledger.knows(name):
            reason = self._problem(candidate, verdict) if verdict else candidate.problem
            self._ledger.reject(name, candidate, reason)
        failing = self._ledger.failing(name)
        if failing is not None:
            self._counts["tasks"] += 1
            self._quota.take(candidate)
            self._killed.append(KilledMutant(candidate, frozenset(failing)))
        if verdict is not None:
            self._counts["mutants"] += 1
            if verdict.disagrees:
                self._counts["disagreements"] += 1
                self._report(_disagreement(name, candidate, verdict))
        counts = {key: self._counts[key] for key in ("mutants", "disagreements")}
        self._on_progress(self._counts["tasks"], **counts)

    def _problem(self, candidate: Candidate, verdict: Verdict) -> str:
        """Why a judged candidate is rejected, or ""."""
        if verdict.reason:
            return f"{verdict.reason}: {verdict.band}" if verdict.band else verdict.reason
        shown = self._shown.get(candidate.diff, ())
        return "" if every_part_fails(shown, verdict.fail_to_pass) else "a part does not show"

    def _stated(self, pair: tuple[Candidate, Verdict | None]) -> RepositoryTask | None:
        """The task of a candidate; None if it is known or rejected."""
        candidate, verdict = pair
        if verdict is None or self._problem(candidate, verdict):
            return None
        text, form, costs = self._statement(candidate, verdict)
        task = _task(
            self._image,
            candidate,
            verdict,
            Mutation(
                **candidate.model_dump(include={"family", "operator", "file", "function", "line"}),
                seed=self._order.seed,
                proof=verdict.proof,
                difficulty=verdict.difficulty,
                parts=list(candidate.parts),
                statement=form,
                costs=[*candidate.costs, *costs],
            ),
            text,
        )
        return task.model_copy(update={"contaminated": self._contaminated})

    def _statement(
        self, candidate: Candidate, verdict: Verdict
    ) -> tuple[str, Form, Sequence[ModelCost]]:
        order, tests = self._order, self._project.tests
        if order.statement == "cwm":
            return cwm(candidate, verdict.fail_to_pass), "cwm", ()
        if order.statement == "shown":
            return with_code(candidate, verdict, self._project.sources, tests), "shown", ()
        if order.statement == "issue" or order.author is None:
            return issue(candidate, verdict, tests), "issue", ()
        text, form, cost = by_model(order.author, candidate, verdict, tests)
        return text, form, (cost,)


def _disagreement(name: str, candidate: Candidate, verdict: Verdict) -> str:
    """A message for people: different tests failed in the sieve and in the clean container."""
    proven, sifted = set(verdict.fail_to_pass), set(verdict.sifted.failed)
    tests = ", ".join(sorted(proven ^ sifted)[:3])
    return (
        f"{name} ({candidate.operator}, {candidate.file}:{candidate.line}): {len(proven)} tests "
        f"fail in the proof, {len(sifted)} in the sieve ({verdict.sifted.way}): {tests}"
    )


def instance_id(image: Image, candidate: Candidate) -> str:
    """The id of a task, equal in every run for the same bug in the same source."""
    what = candidate.diff or f"{candidate.file}\0{candidate.function}"
    digest = hashlib.sha256(f"{image.source.digest}\0{what}".encode()).hexdigest()[:10]
    return f"{image.source.name.replace('/', '__')}.{candidate.family}.{digest}"


def _task(
    image: Image, candidate: Candidate, verdict: Verdict, mutation: Mutation, statement: str
) -> RepositoryTask:
    return RepositoryTask(
        instance_id=instance_id(image, candidate),
        repo=image.source.name,
        base_commit=image.commit,
        problem_statement=statement,
        patch=reverse(candidate.diff),
        FAIL_TO_PASS=verdict.fail_to_pass,
        PASS_TO_PASS=verdict.pass_to_pass,
        guards=verdict.guards,
        version=image.source.version,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=KIND,
        image=image.reference,
        image_digest=image.digest,
        setup_patch=candidate.diff,
        setup=image.setup,
        mutation=mutation,
        source=image.source.given,
        licence=image.source.licence,
    )
