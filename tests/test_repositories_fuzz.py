"""A fuzzer: odd repositories go from source to graded attempts, all in bubblewrap.

FORAGER_FUZZ_REPOSITORIES=2000 tries so many instead of the few of CI, FORAGER_FUZZ_SEED=100 begins
with that seed, and FORAGER_FUZZ_LOG=FILE collects a line of JSON for each. A seed always gives the
same repository.
"""

import json
import os
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from repositories import drawn, source_of
from repository_bench import base_of, build_in_sandbox
from repository_oddities import ODDITIES

import forager.images.unproven
import tasks.sources
from forager.agent.oracle import OracleModel
from forager.agent.syntax import SYNTAXES
from forager.environments.repository.task import RepositoryTask
from forager.errors import BuildError, SourceError, UsageError
from forager.images.image import Image
from forager.records import read_records
from forager.rollout.attempt import make_attempt
from forager.rollout.settings import RunSettings
from forager.sandboxes.bubblewrap_sandbox import bubblewrap_sandbox
from forager.sandboxes.unpacked import UnpackedImage, layers_directory, unpacked
from mutators import FAMILIES
from tasks.ledger import RejectedCandidate, rejected_path
from tasks.mutate_fix import MutateFixRequest, make_tasks
from tools import TOOLBOX

FIRST = int(os.environ.get("FORAGER_FUZZ_SEED", "0"))
COUNT = int(os.environ.get("FORAGER_FUZZ_REPOSITORIES", "0"))
CHOSEN = [0, 29, 31]  # for CI: no tests at all; Latin-1 and an absolute link; attributes and links
SEEDS = list(range(FIRST, FIRST + COUNT)) or CHOSEN
LOG = os.environ.get("FORAGER_FUZZ_LOG", "")


class FuzzResult(NamedTuple):
    """What became of a repository: one word, and more for people."""

    word: str
    why: str = ""


@pytest.fixture(scope="module")
def base(kata_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnpackedImage]:
    """The image below all others, in a data directory of its own."""
    home = tmp_path_factory.mktemp("fuzz")
    digest = base_of(unpacked(kata_image.reference), home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(home))
        patch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
        patch.setattr(forager.images.unproven, "docker_sandbox", bubblewrap_sandbox)
        patch.setattr(tasks.sources, "docker_sandbox", bubblewrap_sandbox)
        yield unpacked(digest)


def tasks_of(image: Image, place: Path, seed: int) -> list[RepositoryTask]:
    """Make one task of an image."""
    order = MutateFixRequest(families=FAMILIES, limit=1, seed=seed)
    path = place / "tasks.jsonl"
    make_tasks(image, order, output=path, on_progress=lambda *_, **__: None, report=lambda _: None)
    return list(read_records(path, RepositoryTask)) if path.exists() else []


def reasons(place: Path) -> Counter[str]:
    """Why candidates were rejected."""
    path = rejected_path(place / "tasks.jsonl")
    return Counter(found.reason for found in read_records(path, RejectedCandidate))


def attempted(task: RepositoryTask, *, empty: bool) -> Any:
    """Attempt a task as the oracle, or without changing anything."""
    known = task.model_copy(update={"patch": "", "FAIL_TO_PASS": []}) if empty else task
    model = OracleModel(known, SYNTAXES["functions"], TOOLBOX)
    settings = RunSettings(models=["oracle"], sandbox="bubblewrap")
    return make_attempt(task, 0, settings, model, TOOLBOX, bubblewrap_sandbox).outcome


def tried(seed: int, place: Path, base: UnpackedImage, features: list[str]) -> FuzzResult:
    """Take a repository through everything."""
    repository = drawn(seed)
    features += repository.features
    try:
        source = source_of(repository, place)
        features[:] = repository.features
        image = build_in_sandbox(source, place, base, lambda _: None)
    except (SourceError, BuildError) as error:
        said = str(error)
        return FuzzResult("refused" if said and "\n" not in said else "UNCLEAR", said)
    try:
        made = tasks_of(image, place, seed)
    except UsageError as error:
        return FuzzResult("nothing to mutate", str(error))
    if not made:
        return FuzzResult("no task", str(reasons(place)))
    for task in made:
        if attempted(task, empty=True).resolved:
            return FuzzResult("EMPTY RESOLVES", task.instance_id)
        outcome = attempted(task, empty=False)
        if not outcome.resolved:
            return FuzzResult("ORACLE FAILS", f"{task.instance_id}: {outcome}"[:1500])
    return FuzzResult("resolved")


def fuzzed(seed: int, place: Path, base: UnpackedImage) -> FuzzResult:
    """What becomes of a seed; a traceback is a fault."""
    began, features = time.monotonic(), list[str]()
    try:
        ended = tried(seed, place, base, features)
    except Exception:
        ended = FuzzResult("TRACEBACK", traceback.format_exc()[-3000:])
    if LOG:
        told = {"seed": seed, "ended": ended.word, "features": features, "why": ended.why}
        with Path(LOG).open("a") as file:
            file.write(json.dumps({**told, "seconds": round(time.monotonic() - began, 1)}) + "\n")
    for path in (layers_directory().parent).glob("[1-9a-f]*.json"):
        path.unlink()
        shutil.rmtree(layers_directory() / path.name[:24], ignore_errors=True)
    return ended


def test_a_seed_gives_one_repository(tmp_path: Path) -> None:
    """Drawing again gives the same files, and each oddity can be written to a disk."""
    assert [drawn(seed).files for seed in range(50)] == [drawn(seed).files for seed in range(50)]
    for name, odd in ODDITIES.items():
        repository = drawn(1)
        odd(repository)
        (tmp_path / name).mkdir()
        source_of(repository, tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="layers of others than root have one owner")
def test_any_repository_is_refused_or_resolved(
    base: UnpackedImage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The oracle resolves each task, an empty attempt none, and nothing ends in a traceback."""
    found: dict[int, FuzzResult] = {}
    for seed in SEEDS:
        place = tmp_path_factory.mktemp(f"seed{seed}")
        found[seed] = fuzzed(seed, place, base)
        shutil.rmtree(place, ignore_errors=True)
    print(Counter(ended.word for ended in found.values()))
    wrong = {seed: ended for seed, ended in found.items() if ended.word.isupper()}
    assert not wrong, "\n".join(
        f"seed {seed}: {word}: {why}" for seed, (word, why) in wrong.items()
    )
