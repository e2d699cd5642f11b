"""`forager audit`: which successes of a run are false."""

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import echo, print_json, print_table
from forager.cli.derived import Derived, setting
from forager.cli.resumed import resumed
from forager.cli.runs import open_attempts, tasks_of
from forager.cli.select import tests_written_in
from forager.cli.verb import Verb
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from forager.environments.task import Task
    from forager.sandboxes.sandbox import SandboxFactory
    from forager.trajectories.summary import Summary
    from tasks.audit import AuditedAttempt, AuditSettings, RunAudit
    from tasks.strengthening import StrongerTests

_TOLD = 3  # failed tests of an attempt that a line names
AUDIT = Derived(
    "tasks.audit:AuditSettings",
    {
        "Stronger tests": [setting("written", "--tests", metavar="RUN"), "cases", "mutants"],
        "Audit": ["sample", "seed", "sandbox"],
    },
)


@click.command(cls=Verb, settings=AUDIT)
@click.argument("run", metavar="RUN", type=options.PATH)
@options.output("AUDIT", "Directory of the stronger tests and the audited attempts.")
@options.workers
@options.as_json
def audit(run: Path, output: Path, workers: int, as_json: bool, **params: Any) -> None:
    """Grade successes again with stronger tests, and say how many are false.

    RUN is any run, also one of `forager rl`. Coding tasks get further cases, and repository tasks
    further calls of the functions that the reference changes; the known solution gives what is
    expected. Tests of --tests count if they find no fault in the reference, and one in the broken
    code or in a mutant that the task's own tests miss. A success that fails a stronger test twice
    is false. The same command resumes.

    \b
    Examples:
      forager audit runs/rl -o audit
      forager audit runs/qwen -o audit --tests runs/tests --sample 200
    """
    from forager.config import save_settings
    from forager.locks import claimed
    from tasks.audit import MAY_CHANGE

    written = tests_written_in(params["tests"])
    values = {**AUDIT.given(params), "run": str(run), "workers": workers}
    settings: AuditSettings = AUDIT.build({**values, "programs": _digest(written)})
    source, successes = _successes(run)
    with terminable(), claimed(output):
        save_settings(output, settings, MAY_CHANGE)
        result = _audited(settings, source, successes, written, output)
    if as_json:
        print_json(result.model_dump())
        return
    for attempt in result.false:
        echo(f"{attempt.id}\tfalse: {'; '.join(attempt.failed[:_TOLD])}")
    print_table(_table(result))


def _digest(written: "dict[str, list[str]]") -> str:
    from forager.evaluation.selection.matrix import digest

    return digest(repr(sorted(written.items()))) if written else ""


def _successes(run: Path) -> "tuple[Path, list[Summary]]":
    """The run that holds the attempts, and its successes. Raises UsageError."""
    from forager.learning.rl.layout import RlLayout
    from forager.trajectories.choice import Choice

    layout = RlLayout(run)
    source = layout.attempts if layout.ledger.is_file() else run
    with open_attempts(source) as index:
        found = list(index.summaries(index.places(Choice(resolved=True), sort="id")))
    if not found:
        raise UsageError(
            f"{run} has no success to audit; `forager list {source}` shows its attempts"
        )
    return source, found


def _tasks(source: Path, successes: "Iterable[Summary]") -> "dict[str, Task]":
    """The tasks of the successes. Raises UsageError."""
    tasks = tasks_of(source)
    names = {attempt.instance_id for attempt in successes}
    if missing := names - tasks.keys():
        raise UsageError(f"{source} lacks the task {min(missing)}; add it to its tasks.jsonl")
    return {name: tasks[name] for name in sorted(names)}


def _audited(
    settings: "AuditSettings",
    source: Path,
    successes: "list[Summary]",
    written: "dict[str, list[str]]",
    output: Path,
) -> "RunAudit":
    """Make the tests that the directory lacks, and grade the attempts that it lacks.

    Attempts whose tasks have no stronger tests make place for others.
    """
    from forager.learning.bootstrap.split import clusters
    from forager.rollout.sandboxes import Sandboxes
    from forager.sandboxes.kinds import sandbox_kind
    from forager.trajectories.summary import Summary
    from tasks.audit import audit, audit_order
    from tasks.strengthening import lacking

    tasks = _tasks(source, successes)
    lacks = {id: lacking(task) for id, task in tasks.items()}
    able = [attempt for attempt in successes if not lacks[attempt.instance_id]]
    left, chosen = audit_order(able, settings.seed), list[Summary]()
    tests: dict[str, StrongerTests] = {}
    sandboxes = Sandboxes(sandbox_kind(settings.sandbox))
    try:
        while left and (lack := settings.sample - len(chosen)) > 0:
            taken, left = left[:lack], left[lack:]
            new = dict.fromkeys(attempt.instance_id for attempt in taken)
            needed = [tasks[id] for id in new if id not in tests]
            tests |= _stronger(settings, needed, written, sandboxes, output)
            chosen += [attempt for attempt in taken if tests[attempt.instance_id].count]
        audited = _graded(settings, source, chosen, tasks, tests, sandboxes, output)
    finally:
        sandboxes.close()
    near = clusters(list(tasks.values()), "function")
    return audit(settings.run, successes, tasks, lacks, tests, audited, near)


def _stronger(
    settings: "AuditSettings",
    needed: "Sequence[Task]",
    written: "dict[str, list[str]]",
    sandboxes: "SandboxFactory",
    output: Path,
) -> "dict[str, StrongerTests]":
    """The stronger tests of tasks by their ids."""
    from forager.evaluation.selection.matrix import digest
    from mutators import load_families
    from tasks.audit import TESTS
    from tasks.strengthening import Effort, StrongerTests, strengthen

    effort = Effort(settings.cases, settings.mutants, settings.seed)
    families = load_families()

    tasks = {digest(task.model_dump_json()): task for task in needed}

    def make(key: str) -> StrongerTests:
        texts = written.get(tasks[key].instance_id, ())
        made = strengthen(tasks[key], texts, families, effort, sandboxes)
        return made.model_copy(update={"key": key})

    path, key_of = output / TESTS, attrgetter("key")
    found = resumed("tasks", list(tasks), make, path, StrongerTests, key_of, settings.workers)
    return {tests.instance_id: tests for tests in found.values()}


def _graded(
    settings: "AuditSettings",
    source: Path,
    chosen: "Sequence[Summary]",
    tasks: "dict[str, Task]",
    tests: "dict[str, StrongerTests]",
    sandboxes: "SandboxFactory",
    output: Path,
) -> "list[AuditedAttempt]":
    """The attempts with stronger tests, graded with these."""
    from forager.evaluation.selection.matrix import digest
    from tasks.audit import ATTEMPTS, AuditedAttempt
    from tasks.strengthening import failures

    with open_attempts(source) as index:
        given = [
            (attempt.id, attempt.instance_id, index.get(attempt.id).outcome.answer)
            for attempt in chosen
        ]
    todo = {digest(repr((*entry, tests[entry[1]].key))): entry for entry in given}

    def grade(key: str) -> AuditedAttempt:
        id, name, answer = todo[key]
        return AuditedAttempt(
            key=key,
            id=id,
            instance_id=name,
            environment=tasks[name].environment,
            tests=tests[name].count,
            failed=failures(tasks[name], answer, tests[name], sandboxes),
        )

    path, key_of = output / ATTEMPTS, attrgetter("key")
    found = resumed("attempts", list(todo), grade, path, AuditedAttempt, key_of, settings.workers)
    return list(found.values())


def _table(result: "RunAudit") -> "Table":
    """The share of false successes by environment, with 95 % intervals."""
    from rich.table import Table

    from forager.evaluation.selection.show import percent

    table = Table("environment", "successes", "audited", "false", "missed mutants", "not audited")
    for found in result.environments:
        reasons = "; ".join(f"{count:,}: {why}" for why, count in found.not_audited.items())
        table.add_row(
            found.environment,
            f"{found.successes:,}",
            f"{found.audited:,}",
            f"{found.false:,}: {percent(found.share)}" if found.share else "",
            f"{found.missed:,} of {found.mutants:,}, {found.killed:,} killed",
            reasons,
        )
    return table
