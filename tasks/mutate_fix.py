"""Mutate-fix: a bug put into a real project, proven by the project's own tests."""

import hashlib
import io
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from forager.environments.docker_sandbox import DockerSandbox
from forager.environments.image import Image
from forager.environments.sandbox import Limits
from forager.environments.task import Mutation, Task
from forager.errors import SandboxError, UsageError
from forager.mutation.candidates import (
    Candidate,
    Families,
    candidates,
    read_source,
    source_files,
)
from forager.mutation.pick import pick
from forager.mutation.prove import Verdict, in_order, prove
from forager.records import Record, RecordWriter, read_records

KIND = "mutate-fix"
_TESTS_NAMED = 10  # failing tests that the problem statement lists


class OnProgress(Protocol):
    """Told after each candidate."""

    def __call__(self, done: int, **counts: int) -> None:
        """`done` tasks are made; `counts` of the candidates tried and each reason."""
        ...


class Rejected(Record):
    """A candidate that is no task, and why."""

    instance_id: str
    family: str
    operator: str
    file: str
    function: str
    line: int
    reason: str


def make_tasks(
    image: Image,
    families: Families,
    *,
    limit: int | None,
    seed: int,
    per_function: int | None = None,
    weights: Mapping[str, float] | None = None,
    workers: int = 1,
    output: Path,
    on_progress: OnProgress,
) -> int:
    """Append tasks of one image to `output`, at most `limit`; return how many it holds of them.

    Candidates are tried in an order that the seed decides, and the results are taken in that
    order, so the same seed gives the same tasks however many workers there are, and a run that
    was interrupted goes on where it was. What was rejected lies beside the output.
    """
    found = list(list_candidates(image, families))
    if not found:
        raise UsageError(f"{image.source.name}: no code to mutate outside the tests")
    known, rejected = _known(output)
    limits = Limits(memory=image.recipe.memory)
    made, counts = 0, Counter[str]()

    def judge(candidate: Candidate) -> Verdict | None:
        name = instance_id(image, candidate)
        if name in known or name in rejected:
            return None
        return prove(draft(image, candidate, seed), image, limits)

    picked = pick(found, seed=seed, weights=weights, per_function=per_function)
    with (
        RecordWriter(output) as tasks,
        RecordWriter(rejected_path(output)) as rejections,
        ThreadPoolExecutor(workers) as pool,
    ):
        for candidate, verdict in in_order(pool, judge, picked, ahead=2 * workers):
            if limit is not None and made >= limit:
                break
            name = instance_id(image, candidate)
            reason = rejected.get(name) if verdict is None else verdict.reason
            if verdict is not None and reason:
                rejections.append(_rejected(name, candidate, reason))
            elif verdict is not None:
                tasks.append(_task(image, candidate, verdict, seed))
            made += reason is None
            counts[reason or "tasks"] += 1
            on_progress(made, tried=counts.total(), rejected=counts.total() - counts["tasks"])
            if limit is not None and made >= limit:
                break
    return made


def list_candidates(image: Image, families: Families) -> Iterator[Candidate]:
    """Every candidate of the image's repository, in source order."""
    with tempfile.TemporaryDirectory(prefix="forager-mutate-") as name:
        root = Path(name)
        _copy_out(image, root)
        for path in source_files(root, image.setup.protected):
            text = read_source(root / path)
            if text is not None:
                yield from candidates(path, text, families)


def _copy_out(image: Image, root: Path) -> None:
    """Copy the repository out of the image; its files are data here and never run."""
    sandbox = DockerSandbox(image.reference)
    try:
        archived = sandbox.run("git archive -o /tmp/forager.tar HEAD")
        if archived.exit_code:
            raise SandboxError(f"{image.reference}: {archived.output.strip()}")
        content = sandbox.read("/tmp/forager.tar")
    finally:
        sandbox.close()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(root, filter="data")


def instance_id(image: Image, candidate: Candidate) -> str:
    """A name that the same bug in the same source has in every run."""
    digest = hashlib.sha256(f"{image.source.digest}\0{candidate.diff}".encode()).hexdigest()[:10]
    return f"{image.source.name.replace('/', '__')}.{candidate.family}.{digest}"


def draft(image: Image, candidate: Candidate, seed: int) -> Task:
    """The task of a candidate that is not yet proven."""
    return Task(
        instance_id=instance_id(image, candidate),
        repo=image.source.name,
        base_commit=image.commit,
        problem_statement="",
        patch=reverse(candidate.diff),
        FAIL_TO_PASS=[],
        PASS_TO_PASS=[],
        version=image.source.version,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=KIND,
        image=image.reference,
        image_digest=image.digest,
        setup_patch=candidate.diff,
        setup=image.setup,
        mutation=Mutation(
            family=candidate.family,
            operator=candidate.operator,
            file=candidate.file,
            function=candidate.function,
            line=candidate.line,
            seed=seed,
        ),
        source=image.source.given,
        licence=image.source.licence,
    )


def _task(image: Image, candidate: Candidate, verdict: Verdict, seed: int) -> Task:
    return draft(image, candidate, seed).model_copy(
        update={
            "problem_statement": statement(candidate, verdict.fail_to_pass),
            "FAIL_TO_PASS": verdict.fail_to_pass,
            "PASS_TO_PASS": verdict.pass_to_pass,
        }
    )


def statement(candidate: Candidate, failing: list[str]) -> str:
    """CWM's form of the problem: look at the function, run its tests, fix the bug."""
    where = (
        f"in the function `{candidate.function}` of `{candidate.file}`. Look at the function"
        if candidate.function != "<module>"
        else f"in `{candidate.file}`, outside its functions. Look at the file"
    )
    named = failing[:_TESTS_NAMED]
    listed = [f"- {test}" for test in named]
    if len(failing) > len(named):
        listed.append(f"- and {len(failing) - len(named)} more")
    command = " ".join(_word(test) for test in named)
    return (
        f"There is a bug {where}, run its tests, and fix the bug so that they pass. "
        "Do not change the tests.\n\n"
        "These tests fail:\n" + "\n".join(listed) + "\n\n"
        f"Run them with:\npython -m pytest {command}"
    )


def _word(text: str) -> str:
    plain = all(character.isalnum() or character in "_-./:" for character in text)
    return text if plain else "'" + text.replace("'", "'\\''") + "'"


def reverse(diff: str) -> str:
    """The diff that undoes this one, of one hunk or several in one file."""
    head, *body = diff.split("\n@@ ")
    hunks = []
    for hunk in body:
        header, _, lines = hunk.partition("\n")
        old, new, rest = header.split(" ", 2)
        hunks.append(f"-{new[1:]} +{old[1:]} {rest}\n" + _swapped(lines))
    return "\n@@ ".join([head, *hunks])


def _swapped(lines: str) -> str:
    """Turn additions into removals and back; removals come first again in each run of changes."""
    result: list[str] = []
    removed: list[str] = []
    added: list[str] = []
    current = result
    for line in lines.split("\n"):
        if line.startswith("+"):
            current = removed
            removed.append("-" + line[1:])
        elif line.startswith("-"):
            current = added
            added.append("+" + line[1:])
        elif line.startswith("\\"):
            current.append(line)
        else:
            result += removed + added
            removed, added, current = [], [], result
            result.append(line)
    return "\n".join(result + removed + added)


def rejected_path(output: Path) -> Path:
    """Where the rejected candidates of a tasks file are kept."""
    return output.with_name(f"{output.stem}.rejected.jsonl")


def yields(output: Path) -> dict[str, Counter[str]]:
    """By family: the number of tasks, and of rejected candidates by reason."""
    table: dict[str, Counter[str]] = {}
    for task in read_records(output, Task):
        if task.mutation:
            table.setdefault(task.mutation.family, Counter())["tasks"] += 1
    beside = rejected_path(output)
    for one in read_records(beside, Rejected) if beside.exists() else ():
        table.setdefault(one.family, Counter())[one.reason] += 1
    return table


def _known(output: Path) -> tuple[set[str], dict[str, str]]:
    """What an earlier run has decided already."""
    beside = rejected_path(output)
    tasks = read_records(output, Task) if output.exists() else ()
    rejections = read_records(beside, Rejected) if beside.exists() else ()
    return {task.instance_id for task in tasks}, {one.instance_id: one.reason for one in rejections}


def _rejected(name: str, candidate: Candidate, reason: str) -> Rejected:
    return Rejected(
        instance_id=name,
        family=candidate.family,
        operator=candidate.operator,
        file=candidate.file,
        function=candidate.function,
        line=candidate.line,
        reason=reason,
    )
