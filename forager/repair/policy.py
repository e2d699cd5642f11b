"""The policy: run the tests, find the place, propose, try, undo, submit."""

import builtins
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from forager.agent.tool import Call
from forager.mutation.candidates import Families
from forager.repair import investigation
from forager.repair.guesses import guesses
from forager.repair.hands import Acting, Hands, OutOfTurns
from forager.repair.imports import imports_in_function, imports_in_module, missing_names
from forager.repair.looking import Suspects, look
from forager.repair.observation import ToolAnswer
from forager.repair.parameters import parameters
from forager.repair.places import free_names
from forager.repair.proposals import Clues, Proposal, ranked
from forager.repair.returns import returns
from forager.repair.source import Passage, Suspicion
from forager.repair.statement import Statement, read_statement
from forager.repair.swaps import distant_swaps, swaps
from forager.repair.trials import Trials

_BY_HAND = 2  # proposals to try one at a time
_BATCHES = (40, 120, 120)  # then numbers of proposals to try in one command
_FRESH = 25  # proposals of the first batch to try again with fresh imports
_STRANGERS = 20  # most tests to name when checking whether others failed before
_TESTS = 10  # failing tests to run each time if the statement names none


class RepairPolicy:
    """One attempt at one problem."""

    def __init__(self, families: Families, test_seconds: int) -> None:
        self._families = families
        self._seconds = test_seconds
        self._hands = Hands()
        self._statement = Statement()
        self._clues = Clues()
        self._defined = set(dir(builtins))
        self._hangs = False
        self._blamed: list[set[str]] = []  # tests that failed after a change
        self._fallback: Proposal | None = None  # the named tests pass; others fail as before
        self._known: set[str] = set()  # tests that fail with and without the bug

    def steps(self, problem: str) -> Acting[None]:
        """Every step of the attempt; at the end it submits, as often as it is asked."""
        mended = False
        try:
            self._statement = read_statement(problem)
            mended = yield from self._work()
        except OutOfTurns:
            pass
        self._hands.closing = True
        if not mended:
            yield from self._hands.restore("Nothing has helped, so I put the code back.")
        if not mended and self._fallback:
            passage, lines = self._fallback.passage, self._fallback.lines
            thought = "One change has mended the tests that are named. I make it again."
            mended = yield from self._hands.edit(thought, passage, lines)
        thought = "The tests pass now." if mended else "I have found no change that helps."
        thought += "" if mended else self._hands.regrets
        while True:
            yield from self._hands.act(thought, Call("submit", {}))

    def _work(self) -> Acting[bool]:
        """Look and try; return whether the bug is fixed."""
        failure = yield from self._see_failure()
        if failure is None:
            return True
        self._clues.errors = failure.errors
        self._clues.words = failure.words
        self._hangs = failure.hung
        found = yield from look(self._hands, self._statement, failure)
        self._defined = {*dir(builtins), *found.defined}
        if found.spectrum and self._statement.all_named:
            self._known |= found.spectrum.failed - set(self._statement.tests)
        proposals = yield from self._propose(found, failure)
        return (yield from self._try(proposals))

    # Looking

    def _see_failure(self) -> Acting[ToolAnswer | None]:
        """Run the failing tests; None if none fails."""
        if not self._statement.tests:
            thought = "The problem names no tests, so I run them all to see which fail."
            seen = yield from self._suite(thought)
            failed = [test for test in seen.failed if "::" in test] or seen.failed
            if not failed:
                return None
            self._statement = replace(
                self._statement, tests=tuple(failed[:_TESTS]), all_named=len(failed) <= _TESTS
            )
        thought = "I run the failing tests first, to see how they fail."
        seen = yield from self._run_tests(thought, "--maxfail=3")
        return None if seen.exit_code == 0 else seen

    def _run_tests(self, thought: str, stop: str = "-x") -> Acting[ToolAnswer]:
        words = [*self._statement.arguments, *self._statement.tests]
        return (yield from self._hands.pytest(thought, f"{stop} --tb=short", words, self._seconds))

    def _suite(self, thought: str) -> Acting[ToolAnswer]:
        arguments = self._statement.arguments
        return (yield from self._hands.pytest(thought, "--tb=no -rfE", arguments, 100))

    # Proposing

    def _propose(self, found: Suspects, failure: ToolAnswer) -> Acting[Iterator[Proposal]]:
        """All proposals for the suspects, best first."""
        proposals: list[Proposal] = []
        for passage in found.passages:
            yield from self._find_missing(passage)
            if not passage.name:
                ways = self._clues.ways, self._clues.other_ways
                proposals += imports_in_module(passage, *ways)
                continue
            lines = found.spectrum.of(passage.file) if found.spectrum else {}
            if not found.spectrum and not free_names(passage) & self._clues.ways.keys():
                lines = yield from self._suspect(passage)
            self._clues.suspicion = Suspicion(lines, _crash(passage, failure))
            if self._clues.none_appears or "pass" in passage.text:
                seen = yield from investigation.returned_elsewhere(self._hands, passage.file)
                self._clues.returns = seen
            proposals += _all(passage, self._families, self._clues)
        return ranked(proposals)

    def _find_missing(self, passage: Passage) -> Acting[None]:
        """Find undefined names if the errors or the code suggest that there are some."""
        names = missing_names(self._clues.errors)
        strange = passage.name and free_names(passage) - self._defined
        wrong_call = any(self._clues.messages("TypeError", "NameError"))
        if names or not passage.name or (strange and wrong_call):
            words = names if passage.name else [*names, *self._clues.words]
            found = yield from investigation.missing(self._hands, passage.file, words)
            self._clues.ways, self._clues.other_ways = found

    def _suspect(self, passage: Passage) -> Acting[dict[int, float]]:
        """The suspicious lines of a function."""
        tests, files = self._statement.tests, self._statement.files
        seen = yield from investigation.spectrum(self._hands, files, tests, passage)
        if self._statement.all_named:
            self._known |= seen.failed - set(tests)
        return seen.of(passage.file)

    # Trying

    def _try(self, proposals: Iterator[Proposal]) -> Acting[bool]:
        """Try the proposals, best first; return whether one fixes the bug."""
        for proposal in islice(proposals, 0 if self._hangs else _BY_HAND):
            if (yield from self._helps(proposal)):
                return True
        yield from self._hands.restore("Neither helped. I put the code back.")
        waiting: dict[Passage, list[Proposal]] = {}
        for proposal in islice(proposals, sum(_BATCHES)):
            waiting.setdefault(proposal.passage, []).append(proposal)
        statement = self._statement
        files = [*statement.arguments, *statement.files]
        trials = Trials(self._hands, statement.tests, files)
        trials.known = self._known
        trials.hangs = self._hangs
        for group in waiting.values():
            if (yield from self._try_many(trials, group)):
                return True
        return False

    def _try_many(self, trials: Trials, proposals: Sequence[Proposal]) -> Acting[bool]:
        """Try proposals for one passage in batches; the best again with fresh imports.

        A change of a module's head takes effect only in a fresh import.
        """
        slow = not proposals[0].passage.name
        rest = list(proposals)
        for number, size in enumerate(_BATCHES):
            if rest and (trials.works or slow):
                batch = rest[:size]
                winner, tried = yield from trials.first_passing(batch, slow)
                if winner is not None and (yield from self._helps(batch[winner])):
                    return True
                yield from self._hands.restore("Other tests fail now. I undo it.")
                rest = rest[tried:]
            if number == 0 and not slow and (yield from self._try_fresh(trials, proposals)):
                return True
        return False

    def _try_fresh(self, trials: Trials, proposals: Sequence[Proposal]) -> Acting[bool]:
        best = proposals[:_FRESH]
        winner, _ = yield from trials.first_passing(best, True)
        if winner is None:
            return False
        if (yield from self._helps(best[winner])):
            return True
        yield from self._hands.restore("Other tests fail now. I undo it.")
        return False

    def _helps(self, proposal: Proposal) -> Acting[bool]:
        """Edit, run the failing tests, and then all of them."""
        done = yield from self._hands.edit(proposal.thought, proposal.passage, proposal.lines)
        if not done:
            return False
        seen = yield from self._run_tests("I run the failing tests again.")
        if seen.exit_code != 0:
            return False
        seen = yield from self._suite("They pass. I run all tests, to see that nothing else broke.")
        failing = set(seen.failed) - self._known
        if seen.hung or not failing:
            return True
        return (yield from self._harmless(proposal, failing))

    def _harmless(self, proposal: Proposal, failing: set[str]) -> Acting[bool]:
        """Whether the tests that fail now also failed before the change."""
        if failing in self._blamed:
            return False
        self._blamed.append(failing)
        yield from self._hands.restore("Other tests fail. I undo the change.")
        thought = "Did they fail before?"
        if len(failing) > _STRANGERS:  # too many to name, so all of them
            seen = yield from self._suite(thought)
        else:
            tests = sorted(failing)
            seen = yield from self._hands.pytest(thought, "--tb=no -rfE", tests, self._seconds)
        harmless = failing <= set(seen.failed)
        if not self._statement.all_named:
            self._fallback = proposal if harmless else self._fallback
            return False
        self._known |= set(seen.failed) - set(self._statement.tests)
        if not harmless:
            return False
        thought = "They failed before as well, so that is another matter. I make the change again."
        return (yield from self._hands.edit(thought, proposal.passage, proposal.lines))


def _all(passage: Passage, families: Families, clues: Clues) -> Iterable[Proposal]:
    yield from swaps(passage, families, clues)
    yield from distant_swaps(passage, clues)
    yield from parameters(passage, clues)
    yield from returns(passage, clues)
    yield from guesses(passage, clues)
    if clues.ways:
        yield from imports_in_function(passage, clues)


def _crash(passage: Passage, failure: ToolAnswer) -> int:
    """The last line of the passage in a traceback, 0 for none."""
    lines = [line for file, line, _ in failure.frames if file == passage.file]
    return max((line for line in lines if passage.first <= line <= passage.last), default=0)
