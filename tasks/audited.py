"""What an audit is asked and finds: which successes of a run are false.

A success is false if stronger tests, which the known solution passes, fail its answer twice. Which
attempts are audited follows from seed and ids, so a larger sample contains a smaller one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal

from pydantic import AliasChoices, Field

from forager.environments.task import Task
from forager.evaluation.estimates import Estimate, estimate
from forager.records import Record
from forager.trajectories.summary import Summary
from tasks.strengthening import StrongerTests

TESTS, ATTEMPTS = "tests.jsonl", "attempts.jsonl"
MAY_CHANGE = ("sample", "workers", "sandbox")


class AuditSettings(Record):
    """What an audit was asked to do; saved in its directory as settings.json."""

    run: str
    sample: int = Field(100, ge=1, description="Successes to audit at most, chosen by the seed.")
    cases: int = Field(20, ge=1, description="Generated tests of a task at most.")
    mutants: int = Field(12, ge=0, description="Mutants of each known solution.")
    seed: int = Field(0, description="Seed of the sample, the cases and the mutants.")
    written: list[str] = Field(
        [], description="Run of test-writing tasks, whose answers are tests. Can be repeated."
    )
    written_digest: str = Field(
        "",
        validation_alias=AliasChoices("written_digest", "programs"),
        description="Digest of the written tests.",
    )
    sandbox: Literal["docker", "bubblewrap"] = Field(
        "docker", description="Where tests run; bubblewrap needs no daemon."
    )
    workers: int = Field(1, ge=1)


class AuditedAttempt(Record):
    """A success that was graded again; it is false if it failed a test."""

    key: str = Field(description="Digest of the answer and of the task that it is about.")
    id: str
    instance_id: str
    environment: str
    tests: int = Field(description="Stronger tests that it was graded with.")
    failed: list[str] = Field([], description="What it failed, in words.")


class EnvironmentAudit(Record):
    """The successes of one environment."""

    environment: str
    successes: int
    audited: int
    false: int
    share: Estimate | None = Field(
        None, description="Share of false successes among the audited ones, with its interval."
    )
    mutants: int = Field(0, description="Mutants of known solutions that were tried.")
    missed: int = Field(0, description="Those that the tasks' own tests pass.")
    killed: int = Field(0, description="Missed ones that the stronger tests fail.")
    not_audited: dict[str, int] = Field(
        {}, description="Successes that cannot be audited, by reason."
    )


class RunAudit(Record):
    """The result of an audit."""

    run: str
    environments: list[EnvironmentAudit]
    false: list[AuditedAttempt] = Field(description="The false successes.")
    lost: dict[str, str] = Field(
        {}, description="Tasks and attempts that infrastructure lost, and why; no audit of them."
    )


def audit_order(successes: Iterable[Summary], seed: int) -> list[Summary]:
    """The successes in the order in which they are audited; it follows from seed and ids."""

    def place(attempt: Summary) -> bytes:
        return blake2b(f"{seed} {attempt.id}".encode("utf-8", "replace")).digest()

    return sorted(successes, key=place)


def audit(
    run: str,
    successes: Sequence[Summary],
    tasks: Mapping[str, Task],
    lacks: Mapping[str, str],
    tests: Mapping[str, StrongerTests],
    audited: Sequence[AuditedAttempt],
    clusters: Mapping[str, str],
) -> RunAudit:
    """The result, by environment.

    `lacks` says by task why it cannot be audited, empty if it can; `clusters` maps tasks to
    clusters, as in `estimate`.
    """
    by_environment: defaultdict[str, list[Summary]] = defaultdict(list)
    for success in successes:
        by_environment[tasks[success.instance_id].environment].append(success)
    found = []
    for name, made in sorted(by_environment.items()):
        mine = [attempt for attempt in audited if attempt.environment == name]
        used = [test for id, test in tests.items() if tasks[id].environment == name]
        values = {attempt.id: float(bool(attempt.failed)) for attempt in mine}
        near = {attempt.id: clusters[attempt.instance_id] for attempt in mine}
        reasons = Counter(
            reason
            for success in made
            if (reason := lacks[success.instance_id] or _problem(tests, success.instance_id))
        )
        found.append(
            EnvironmentAudit(
                environment=name,
                successes=len(made),
                audited=len(mine),
                false=int(sum(values.values())),
                share=estimate(values, near) if values else None,
                mutants=sum(test.mutants for test in used),
                missed=sum(test.missed for test in used),
                killed=sum(test.killed for test in used),
                not_audited=dict(reasons),
            )
        )
    false = sorted(
        (attempt for attempt in audited if attempt.failed), key=lambda attempt: attempt.id
    )
    return RunAudit(run=run, environments=found, false=false)


def _problem(tests: Mapping[str, StrongerTests], task: str) -> str:
    return tests[task].problem if task in tests else ""
