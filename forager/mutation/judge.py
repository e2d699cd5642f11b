"""Judges candidates: the sieve finds killed mutants, a clean sandbox proves them.

candidates ─▶ reach ─▶ sieve, a batch at a time ─▶ proof, one at a time ─▶ verdicts in order

The sieve does not see what a child process of a test runs (such tests are *opaque*: they are part
of every proof and never alone reject a mutant), nor what depends on a fresh process or on the order
of the tests. A mutant that only such tests notice counts as survived or not covered. The sieve says
nothing about tests that fail in it without a mutant (*unstable*): a mutant that they run, and no
other test notices, is *flaky*. What was cut short runs again and has then timed out; it never
survives, however busy the machine.

Sieve and proof should see the same tests fail. If they do not, the failures depend on earlier tests
or on chance: the candidate is *flaky*, and the disagreement is counted and reported. A proof whose
FAIL_TO_PASS holds an opaque test is repeated with the whole suite.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from queue import Empty, LifoQueue
from typing import Literal, Protocol, TypeVar

from pydantic import Field, field_validator

from forager.environments.repository.mutation import Difficulty
from forager.environments.repository.task import Guards
from forager.environments.repository.testing import Failure, TestReport
from forager.errors import SandboxError
from forager.images.image import Image
from forager.mutation.bands import Bands
from forager.mutation.candidates import Candidate
from forager.mutation.coverage import Coverage
from forager.mutation.prove import Prover, Start
from forager.mutation.reach import Reach, ReachAnalysis
from forager.mutation.sieve import Sieve, SieveResult
from forager.records import Record
from forager.sandboxes.sandbox import Limits
from forager.threads import in_order

Reason = Literal[
    "not covered",
    "survived",
    "breaks everything",
    "breaks at import",
    "too easy or too hard",
    "flaky",
    "timeout",
    "does not apply",
    "crashed the test run",
]
IsKnown = Callable[[Candidate], bool]
T = TypeVar("T")


class _Reusable(Protocol):
    ended: bool

    def close(self) -> None: ...


Resource = TypeVar("Resource", bound=_Reusable)
_WATCH = 3  # tests of another file that run at the end of a proof
_SIEVE_MEMORY = 4 << 30  # for the loaded package and a forked child of it


class Rules(Record):
    """The conditions under which a mutant becomes a task, and how to prove it."""

    proof: str = Field(
        "files",
        description="What runs in the clean sandbox: `files` (each test file with a test that runs "
        "the changed lines), `full` (the whole suite), `sample:N` (files, for one mutant in N), "
        "`none`.",
    )
    difficulty: Bands = Bands()
    explain: int = Field(
        0, description="Failing tests to run again, so that pytest prints the compared values."
    )

    @field_validator("proof")
    @classmethod
    def _known_proof(cls, value: str) -> str:
        name, _, count = value.partition(":")
        plain = name in ("files", "full", "none") and not count
        if plain or (name == "sample" and count.isdigit() and int(count) > 0):
            return value
        raise ValueError("proof is files, full, none or sample:N")

    def proof_of(self, candidate: Candidate) -> str:
        """What proves this candidate: files, full or none; its digest decides about a sample."""
        name, _, count = self.proof.partition(":")
        if name != "sample":
            return name
        digest = hashlib.sha256(candidate.diff.encode()).digest()
        return "none" if int.from_bytes(digest[:8], "big") % int(count) else "files"


class Verdict(Record):
    """The failing and passing tests of a mutant, or the reason that it does not become a task."""

    fail_to_pass: list[str] = []
    pass_to_pass: list[str] = []
    reason: Reason | None = None
    band: str = Field("", description="The measure of difficulty that is outside its band.")
    difficulty: Difficulty = Difficulty()
    failures: dict[str, Failure] = {}
    guards: Guards | None = None
    proof: str = ""
    disagrees: bool = Field(False, description="Whether different tests failed in sieve and proof.")
    sifted: SieveResult = SieveResult()


class Judge:
    """Judges the candidates of one image in `workers` sandboxes at a time."""

    def __init__(
        self,
        image: Image,
        coverage: Coverage,
        texts: Mapping[str, str],
        start: Start,
        *,
        rules: Rules,
        workers: int,
    ) -> None:
        self._image = image
        self._coverage = coverage
        self._reaches = ReachAnalysis(coverage, texts)
        self._start = start
        self._rules = rules
        self._workers = workers
        self._opaque = set(coverage.names(int(coverage.opaque, 16)))
        self._sieves: LifoQueue[Sieve] = LifoQueue()
        self._provers: LifoQueue[Prover] = LifoQueue()
        self._live: list[_Reusable] = []
        self._over = False

    def verdicts(
        self, candidates: Iterable[Candidate], known: IsKnown, batch: int
    ) -> Generator[tuple[Candidate, Verdict | None], None, None]:
        """Yield each candidate in order with its verdict, or None if it is known.

        `batch` candidates go through a sieve together. Raises SandboxError.
        """
        with ThreadPoolExecutor(self._workers) as sieves, ThreadPoolExecutor(self._workers) as pool:
            batches = _batches(candidates, batch)
            sifted = in_order(
                sieves, lambda group: self._sift(group, known), batches, self._workers
            )
            flat = (pair for _, group in sifted for pair in group)
            try:
                for (candidate, _), verdict in in_order(pool, self._prove, flat, 2 * self._workers):
                    yield candidate, verdict
            finally:
                self._close()  # first, so that work in progress ends with its sandbox
                sieves.shutdown(cancel_futures=True)
                pool.shutdown(cancel_futures=True)

    def _sift(
        self, group: Sequence[Candidate], known: IsKnown
    ) -> list[tuple[Candidate, tuple[Reach, SieveResult] | None]]:
        reaches = {
            candidate: self._reaches.of(candidate.diff)
            for candidate in group
            if not known(candidate)
        }
        waiting = {candidate: reach for candidate, reach in reaches.items() if reach.tests}
        alike = sorted(
            waiting,
            key=lambda candidate: (waiting[candidate].tests, candidate.file, candidate.line),
        )
        found = self._through_sieve([waiting[candidate] for candidate in alike])
        answers = dict(zip(alike, found, strict=True))
        return [
            (candidate, (reach, answers.get(candidate, SieveResult())))
            if (reach := reaches.get(candidate))
            else (candidate, None)
            for candidate in group
        ]

    def _through_sieve(self, waiting: list[Reach]) -> list[SieveResult]:
        """The results of all; a mutant that ends the sieve gets a second try alone."""
        done: list[SieveResult] = []
        again = False
        while len(done) < len(waiting):
            with self._borrowed(self._sieves, self._new_sieve) as sieve:
                answers = sieve.sift(waiting[len(done) : len(done) + 1 if again else None])
                again = sieve.ended and not again
            done += answers[:-1] if again else answers
        return done

    def _new_sieve(self) -> Sieve:
        memory = max(_SIEVE_MEMORY, 2 * self._image.recipe.memory)
        sandbox = self._start(self._image.reference, Limits(memory=memory))
        return Sieve(sandbox, self._image, self._coverage)

    def _prove(self, pair: tuple[Candidate, tuple[Reach, SieveResult] | None]) -> Verdict | None:
        candidate, found = pair
        verdict = self._judged(candidate, *found) if found else None
        if verdict is None or verdict.reason:
            return verdict
        with self._borrowed(self._provers, self._new_prover) as prover:
            guards = prover.guards(verdict.fail_to_pass, verdict.failures)
        return verdict.model_copy(update={"guards": guards})

    def _judged(self, candidate: Candidate, reach: Reach, sifted: SieveResult) -> Verdict:
        reason = _sieve_reason(reach, sifted)
        if reason is None and sifted.broken and self._rules.difficulty.at_import is False:
            reason = "breaks at import"
        if reason:
            return Verdict(reason=reason, sifted=sifted)
        proof = self._rules.proof_of(candidate)
        if proof == "none":
            return self._verdict(candidate, reach, sifted, None, sifted.failed)
        # Code that runs at import can change any test, and the sieve ran only some of them.
        tests = None if proof == "full" or reach.at_import else self._in_files(reach)
        with self._borrowed(self._provers, self._new_prover) as prover:
            verdict = self._proven(prover, candidate, reach, sifted, tests)
            if verdict.reason is None and set(verdict.fail_to_pass) & self._opaque:
                # Coverage does not see what these tests run: run the whole suite as a second proof.
                again = self._proven(prover, candidate, reach, sifted, None)
                if again.fail_to_pass != verdict.fail_to_pass:
                    return Verdict(reason="flaky", sifted=sifted)
        # The failing tests depend on earlier tests or on chance, such as the order of a set.
        if verdict.disagrees and verdict.reason is None:
            verdict = verdict.model_copy(update={"reason": "flaky"})
        return verdict.model_copy(update={"proof": "full" if tests is None else proof})

    def _proven(
        self,
        prover: Prover,
        candidate: Candidate,
        reach: Reach,
        sifted: SieveResult,
        tests: list[str] | None,
    ) -> Verdict:
        proof = prover.run(candidate.diff, tests, explain=self._rules.explain)
        if proof is None:
            return Verdict(reason="does not apply", sifted=sifted)
        report = proof.report
        if report.timed_out:
            return Verdict(reason="timeout", sifted=sifted)
        if not report.complete:
            return Verdict(reason="crashed the test run", sifted=sifted)
        ran = self._image.passing if tests is None else tests
        outcomes = {test: report.outcomes.get(test, "missing") for test in ran}
        if "timeout" in outcomes.values():
            return Verdict(reason="timeout", sifted=sifted)
        failed = [test for test, outcome in outcomes.items() if outcome != "passed"]
        verdict = self._verdict(candidate, reach, sifted, report, failed)
        return verdict.model_copy(update={"failures": proof.failures})

    def _verdict(
        self,
        candidate: Candidate,
        reach: Reach,
        sifted: SieveResult,
        report: TestReport | None,
        failed: Sequence[str],
    ) -> Verdict:
        """The verdict for these failed tests; all others pass, since they do not run the change."""
        chosen = set(failed)
        seen = chosen - set(sifted.unstable)
        expected = set(sifted.failed)
        more = seen - expected - self._opaque
        same = seen >= expected and (reach.at_import or not more)
        disagrees = report is not None and not same
        passing = [test for test in self._image.passing if test not in chosen]
        failures = report.failures if report else {}
        difficulty = self._difficulty(candidate, reach, sifted, failed, failures)
        band = self._rules.difficulty.missed(difficulty)
        reason: Reason | None = None
        if not failed:
            reason = "survived"
        elif not passing:
            reason = "breaks everything"
        elif band:
            reason = "too easy or too hard"
        return Verdict(
            fail_to_pass=[test for test in self._image.passing if test in chosen],
            pass_to_pass=passing,
            reason=reason,
            band=band,
            difficulty=difficulty,
            proof="none" if report is None else "",
            disagrees=disagrees,
            sifted=sifted,
        )

    def _difficulty(
        self,
        candidate: Candidate,
        reach: Reach,
        sifted: SieveResult,
        failed: Sequence[str],
        failures: Mapping[str, Failure],
    ) -> Difficulty:
        places = [self._coverage.distance(path, first, failed) for path, first in reach.functions]
        calls, files = min((place for place in places if place), default=(None, None))
        names = {part.function.rpartition(".")[2] for part in candidate.parts or (candidate,)}
        frames = [frame for failure in failures.values() for frame in failure.frames]
        edits = [edit for group in reach.edits.values() for edit in group]
        return Difficulty(
            failing=len(failed),
            share=round(len(failed) / max(1, len(self._image.passing)), 4),
            calls=calls,
            files=files,
            patch_lines=sum(max(0, last - first + 1) + len(new) for first, last, new in edits),
            in_traceback=any(at in names for _, _, at in frames) if failures else None,
            at_import=bool(sifted.broken),
        )

    def _in_files(self, reach: Reach) -> list[str]:
        """All tests of each file with a test that runs the change, then some of another file.

        A broken test can leave global state that spoils later tests of any file. The tests of the
        other file run last and do not run the change, so their failure makes proof and sieve
        disagree.
        """
        names = self._coverage.names(reach.tests | int(self._coverage.opaque, 16))
        files = {_file(name) for name in names}
        others = [test for test in self._image.passing if _file(test) not in files]
        watch = [test for test in others if _file(test) == _file(others[-1])][-_WATCH:]
        return [test for test in self._image.passing if _file(test) in files] + watch

    def _new_prover(self) -> Prover:
        return Prover(self._image, self._start)

    @contextmanager
    def _borrowed(
        self, queue: "LifoQueue[Resource]", make: Callable[[], Resource]
    ) -> Iterator[Resource]:
        """Lend a free resource or a new one; return it to the queue unless it failed."""
        try:
            resource = queue.get_nowait()
        except Empty:
            resource = make()
            self._live.append(resource)
        try:
            if self._over:
                raise SandboxError("the judge is closed")
            yield resource
        except BaseException:
            resource.close()
            raise
        if resource.ended:
            resource.close()
        else:
            queue.put(resource)

    def _close(self) -> None:
        self._over = True
        for resource in self._live:
            resource.close()


def _file(test: str) -> str:
    return test.partition("::")[0]


def _sieve_reason(reach: Reach, sifted: SieveResult) -> Reason | None:
    if not reach.tests:
        return "not covered"
    if sifted.timeout:
        return "timeout"
    if sifted.crashed:
        return "crashed the test run"
    if sifted.failed:
        return None
    return "flaky" if sifted.unstable else "survived"


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(items)
    while group := list(islice(source, size)):
        yield group
