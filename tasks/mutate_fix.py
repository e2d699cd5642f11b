"""Mutate-fix: a bug put into a real project, proven by the project's own tests."""

import hashlib
import io
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from forager.environments.docker_sandbox import DockerSandbox
from forager.environments.image import Image
from forager.environments.sandbox import Limits, Sandbox
from forager.environments.task import Mutation, Task
from forager.errors import SandboxError, UsageError
from forager.mutation.candidates import (
    Candidate,
    Families,
    candidates,
    read_source,
    source_files,
)
from forager.mutation.coverage import coverage_of
from forager.mutation.judge import Judge, Rules, Verdict
from forager.mutation.pick import pick
from forager.records import Record, RecordWriter, read_records

KIND = "mutate-fix"
_SMALL_BATCH, _BATCH = 16, 128  # candidates that go through a sieve together
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
    rules: Rules,
    workers: int = 1,
    output: Path,
    on_progress: OnProgress,
    report: Callable[[str], None] = print,
) -> int:
    """Append tasks of one image to `output`, at most `limit`; return how many it holds of them.

    Candidates are tried in an order that the seed decides, and the results are taken in that
    order, so the same seed gives the same tasks however many workers there are, and a run that
    was interrupted goes on where it was. What was rejected lies beside the output.
    """
    texts = read_texts(image)
    found = [one for path in texts for one in candidates(path, texts[path], families)]
    if not found:
        raise UsageError(f"{image.source.name}: no code to mutate outside the tests")
    known, rejected = _known(output, image)
    made, disagreements, counts = 0, 0, Counter[str]()
    report("measuring which test runs which line")
    coverage = coverage_of(image, _start)
    judge = Judge(image, coverage, texts, _start, rules=rules, workers=workers)
    picked = pick(found, seed=seed, weights=weights, per_function=per_function)

    def is_known(candidate: Candidate) -> bool:
        name = instance_id(image, candidate)
        return name in known or name in rejected

    with RecordWriter(output) as tasks, RecordWriter(rejected_path(output)) as rejections:
        size = max(_SMALL_BATCH, min(_BATCH, limit // workers)) if limit else _BATCH
        verdicts = judge.verdicts(picked, is_known, size)
        for candidate, verdict in verdicts:
            name = instance_id(image, candidate)
            reason = rejected.get(name) if verdict is None else verdict.reason
            if verdict is not None and reason:
                rejections.append(_rejected(name, candidate, reason))
            elif verdict is not None:
                tasks.append(_task(image, candidate, verdict, seed))
            made += reason is None
            if verdict is not None and verdict.disagrees:
                disagreements += 1
                report(_disagreement(name, candidate, verdict))
            counts[reason or "tasks"] += 1
            on_progress(made, tried=counts.total(), disagreements=disagreements)
            if limit is not None and made >= limit:
                break
        verdicts.close()
    return made


def _disagreement(name: str, candidate: Candidate, verdict: Verdict) -> str:
    """What to look into: the quick way and the clean container saw other tests fail."""
    proven, sifted = set(verdict.fail_to_pass), set(verdict.sifted.failed)
    tests = ", ".join(sorted(proven ^ sifted)[:3])
    return (
        f"{name} ({candidate.operator}, {candidate.file}:{candidate.line}): {len(proven)} tests "
        f"fail in the proof, {len(sifted)} in the sieve ({verdict.sifted.way}): {tests}"
    )


def read_texts(image: Image) -> dict[str, str]:
    """The image's own source files by path, tests left out."""
    with tempfile.TemporaryDirectory(prefix="forager-mutate-") as name:
        root = Path(name)
        _copy_out(image, root)
        found = {
            path: read_source(root / path) for path in source_files(root, image.setup.protected)
        }
    return {path: text for path, text in found.items() if text is not None}


def _start(reference: str, limits: Limits) -> Sandbox:
    return DockerSandbox(reference, limits=limits)


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
    task = draft(image, candidate, seed)
    facts = {"proof": verdict.proof, "difficulty": verdict.difficulty}
    return task.model_copy(
        update={
            "problem_statement": statement(candidate, verdict.fail_to_pass),
            "FAIL_TO_PASS": verdict.fail_to_pass,
            "PASS_TO_PASS": verdict.pass_to_pass,
            "mutation": task.mutation and task.mutation.model_copy(update=facts),
        }
    )


def statement(candidate: Candidate, failing: list[str]) -> str:
    """CWM's form of the problem: look at the function, run its tests, fix the bug."""
    kind = "class" if candidate.family == "classes" else "function"
    where = (
        f"in the {kind} `{candidate.function}` of `{candidate.file}`. Look at the {kind}"
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


def _known(output: Path, image: Image) -> tuple[set[str], dict[str, str]]:
    """What an earlier run has decided already."""
    beside = rejected_path(output)
    tasks = list(read_records(output, Task)) if output.exists() else []
    rejections = read_records(beside, Rejected) if beside.exists() else ()
    for task in tasks:
        if task.repo == image.source.name and task.image != image.reference:
            raise UsageError(
                f"{output} holds tasks of {task.image}, but the project's image is "
                f"{image.reference} now; give another -o"
            )
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
