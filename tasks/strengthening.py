"""Tests that are stronger than those of a task, and the proof that they are.

Coding tasks get further cases: inputs like their own (`case_inputs`), with the answers of the known
solution; first those that fail a mutant of the solution which the own cases miss. Repository tasks
get further calls of what the reference changes (`call_tests`), and those written tests (`forager
tasks write-tests`) that find a fault in the broken code or in such a mutant. The known solution
passes all of them twice.
"""

from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from pydantic import Field

from forager.environments.function.answering import answered
from forager.environments.function.judging import PASSED, CaseVerdict, judged
from forager.environments.function.task import CodingTask, JudgedCase
from forager.environments.registry import environment_of
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.trying import baseline, trial
from forager.environments.repository.workspace import open_task
from forager.environments.task import Task
from forager.errors import TaskError
from forager.mutation.candidates import Families
from forager.records import Record
from forager.sandboxes.sandbox import Limits, SandboxFactory
from forager.text import without_middle
from tasks.call_tests import call_tests, title_of
from tasks.case_inputs import more_inputs
from tasks.mutants import reference_change, solution_mutants

_DRAWN = 4  # inputs that are tried for each case that is kept
_SHOWN = 200  # characters of an input in a report
NO_SOLUTION = "no known solution"


class Effort(NamedTuple):
    """How much is tried: most cases of a task, most mutants, and the seed that chooses them."""

    cases: int
    mutants: int
    seed: int


class StrongerTests(Record):
    """The stronger tests of one task."""

    key: str = Field("", description="Digest of the task.")
    instance_id: str
    cases: list[JudgedCase] = []
    programs: list[str] = Field([], description="Tests that print whether a fault is there.")
    mutants: int = Field(0, description="Mutants of the known solution that were tried.")
    missed: int = Field(0, description="Those of them that pass the task's own tests.")
    killed: int = Field(0, description="Missed ones that the stronger tests fail.")
    problem: str = Field("", description="Why there is no test.")

    @property
    def count(self) -> int:
        """Number of tests."""
        return len(self.cases) + len(self.programs)


def lacking(task: Task) -> str:
    """Why a task cannot have stronger tests; empty if one can try."""
    if isinstance(task, RepositoryTask):
        return "" if task.patch else NO_SOLUTION
    if not isinstance(task, CodingTask):
        return "its answer is compared with the only right one"
    if not task.solution:
        return NO_SOLUTION
    return "" if task.cases else "it has test code instead of cases"


def strengthen(
    task: Task,
    written: Sequence[str],
    families: Families,
    effort: Effort,
    sandboxes: SandboxFactory,
) -> StrongerTests:
    """Make the stronger tests of a task that lacks nothing for them. Raises SandboxError."""
    limits = environment_of(task).limits(task, Limits())
    try:
        if isinstance(task, CodingTask):
            found = _cases(task, families, effort, limits, sandboxes)
        else:
            assert isinstance(task, RepositoryTask)
            found = _programs(task, written, families, effort, limits, sandboxes)
    except TaskError as error:
        return StrongerTests(instance_id=task.instance_id, problem=str(error)[:300])
    return (
        found
        if found.count
        else found.model_copy(update={"problem": "no stronger test could be proven"})
    )


def failures(task: Task, answer: str, tests: StrongerTests, sandboxes: SandboxFactory) -> list[str]:
    """What an answer fails twice, each in fresh sandboxes, in words. Raises SandboxError."""
    found = _failures(task, answer, tests, sandboxes)
    if not found:
        return []
    again = _failures(task, answer, tests, sandboxes)
    return [told for test, told in found.items() if test in again]


def _failures(
    task: Task, answer: str, tests: StrongerTests, sandboxes: SandboxFactory
) -> dict[int, str]:
    limits = environment_of(task).limits(task, Limits())
    if isinstance(task, CodingTask):
        harder = task.model_copy(update={"cases": tests.cases})
        verdicts = judged([(harder, answer)], task.image, limits, sandboxes)[0]
        return {
            number: f"{_shown(task, tests.cases[number])}: {verdict.cause or verdict.word}"
            for number, verdict in enumerate(verdicts)
            if _is_failure(verdict)
        }
    assert isinstance(task, RepositoryTask)
    tried = trial(task, answer, [], tests.programs, limits, sandboxes)
    return {
        number: tried.problem or _wrong(number, tests.programs[number])
        for number, passed in enumerate(tried.written)
        if not passed
    }


def _wrong(number: int, program: str) -> str:
    title = title_of(program)
    return f"it is wrong that {title}" if title else f"written test {number + 1} finds the fault"


def _shown(task: CodingTask, case: JudgedCase) -> str:
    text = f"{task.function}({case.arguments})" if task.function else f"input {case.stdin!r}"
    return without_middle(text, _SHOWN).replace("\n", " ")


def _cases(
    task: CodingTask,
    families: Families,
    effort: Effort,
    limits: Limits,
    sandboxes: SandboxFactory,
) -> StrongerTests:
    """Cases that the solution passes again; first those that fail missed mutants."""
    inputs = more_inputs(task, _DRAWN * effort.cases, effort.seed)
    made = answered(task, task.solution, inputs, limits, sandboxes) if inputs else []
    if not made:
        return StrongerTests(instance_id=task.instance_id)
    harder = task.model_copy(update={"cases": made})
    mutants = solution_mutants(task, families, effort.mutants, effort.seed)
    programs = [(harder, task.solution), *((task, mutant) for mutant in mutants)]
    right, *own = judged(programs, task.image, limits, sandboxes)
    missed = [
        mutant
        for mutant, verdicts in zip(mutants, own, strict=True)
        if all(verdict == PASSED for verdict in verdicts)
    ]
    proven = [case for case, verdict in zip(made, right, strict=True) if verdict == PASSED]
    harder = task.model_copy(update={"cases": proven})
    tried = [(harder, mutant) for mutant in missed] if proven else []
    of_missed = judged(tried, task.image, limits, sandboxes) if tried else []
    fails = [
        {number for number, verdict in enumerate(verdicts) if _is_failure(verdict)}
        for verdicts in of_missed
    ]
    kept = _chosen(len(proven), fails, effort.cases)
    return StrongerTests(
        instance_id=task.instance_id,
        cases=[proven[number] for number in kept],
        mutants=len(mutants),
        missed=len(missed),
        killed=sum(not failed.isdisjoint(kept) for failed in fails),
    )


def _is_failure(verdict: CaseVerdict) -> bool:
    """Whether a case ran and failed; a missing one did not run, as an earlier one failed."""
    return verdict != PASSED and verdict.word != "missing"


def _chosen(count: int, fails: Sequence[set[int]], most: int) -> list[int]:
    """At most `most` cases: those that fail further mutants first, then the others in order."""
    chosen: list[int] = []
    left = list(fails)
    while left and len(chosen) < most:
        best = max(range(count), key=lambda number: sum(number in failed for failed in left))
        if not any(best in failed for failed in left):
            break
        chosen.append(best)
        left = [failed for failed in left if best not in failed]
    others = [number for number in range(count) if number not in chosen]
    return sorted([*chosen, *others[: most - len(chosen)]])


def _programs(
    task: RepositoryTask,
    written: Sequence[str],
    families: Families,
    effort: Effort,
    limits: Limits,
    sandboxes: SandboxFactory,
) -> StrongerTests:
    """Tests that are right about the reference; written ones must find something, too."""
    with closing(open_task(task, limits, sandbox=sandboxes, for_agent=False)[0]) as sandbox:
        change = reference_change(task, sandbox)
        calls = call_tests(task, change, sandbox, effort.cases, effort.seed) if change else []
    right = _right(task, list(dict.fromkeys([*written, *calls])), limits, sandboxes)
    if not right:
        return StrongerTests(instance_id=task.instance_id)
    shows = baseline(task, "none", right, limits, sandboxes).shows
    mutants = change.mutants(families, effort.mutants, effort.seed) if change else []
    own = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
    plain = task.model_copy(update={"FAIL_TO_PASS": [], "PASS_TO_PASS": own})
    tried = [trial(plain, mutant, own, right, limits, sandboxes) for mutant in mutants]
    missed = [attempt for attempt in tried if attempt.own == len(own)]
    useful = [
        number
        for number in range(len(right))
        if right[number] in calls
        or shows[number]
        or any(not attempt.written[number] for attempt in missed)
    ]
    return StrongerTests(
        instance_id=task.instance_id,
        programs=[right[number] for number in useful],
        mutants=len(mutants),
        missed=len(missed),
        killed=sum(any(not attempt.written[number] for number in useful) for attempt in missed),
    )


def _right(
    task: RepositoryTask, written: list[str], limits: Limits, sandboxes: SandboxFactory
) -> list[str]:
    """The tests that find no fault in the reference, twice."""
    for _ in range(2):
        found = trial(task, task.patch, [], written, limits, sandboxes).written if written else []
        written = [text for text, passed in zip(written, found, strict=True) if passed]
    return written
