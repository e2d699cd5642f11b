"""A tiny project with its image and a task, shared by all tests that need an engine.

Marks each test with what it needs, and arranges the run for several workers (pytest-xdist): a file
stays on one worker, whose fixtures it shares, and the files that take longest begin.
"""

import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import uuid4

import pytest
from _pytest.unraisableexception import gc_collect_iterations_key
from filelock import FileLock
from tiny_models import make_base, make_dataset

from forager.environments.repository.guards import guards_of
from forager.environments.repository.mutation import Mutation
from forager.environments.repository.task import RepositoryTask
from forager.images.build import build
from forager.images.image import Image
from forager.mutation.candidates import unified_diff
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import Limits
from forager.sandboxes.unpacked import layers_directory, unpacked

gc.set_threshold(100_000, 50, 100)  # by default, collections take a twentieth of the time
# Of torch and what it starts: two workers and their children have a core each, at most.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # whose own plug-ins are there already
    # Of pytest in tests: plug-ins of this environment take a third of its time.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"

NEEDS = {  # what a test needs that uses a fixture
    "cluster": "ray",
    "kata_image": "engine",
    "served_models": "serve",
    "small_base": "train",
    "tiny_base": "train",
}
GROUPS = {  # files on the same worker, and tests apart from those of their file
    "test_cluster": "ray",  # two clusters at a time would be in each other's way
    "test_rl_cluster": "ray",
    "test_training_hosts": "ray",
    "test_rl": "torch",
    "test_rl_own_servers": "torch",
    "test_policy_training": "torch",
    "test_objective": "torch",
    "test_training": "torch",  # which takes seconds to load
    "test_dataset_columns": "torch",
    "test_tiny": "torch",
    "test_custom": "litellm",  # which does, too
    "test_docs_commands": "litellm",
    "test_tied_weights_are_replaced_and_nothing_outlives_forager": "tied",
}
LONGEST_FIRST = [
    "test_training_hosts",
    "test_bootstrap",
    "test_rl",
    "test_serve",
    "test_training",
    "test_mutate_fix",
    "test_sandbox_conformance",
    "test_never_lost",
    "test_importing",
    "test_image",
    "test_image_agent",
    "test_issue_fix",
    "test_repairs",
    "test_harbor",
    "test_sandbox_users",
    "test_watch",
    "test_activ_jobs",
    "test_services",
    "test_repair",
    "test_audit",
    "test_grading",
    "test_again",
    "test_attempt_attacks",
    "test_sieve",
    "test_candidates",
    "test_mutators_property",
    "test_replay",
]

CORE = '''\
"""Small exercises."""


def total(numbers):
    """The sum of the numbers."""
    result = 0
    for number in numbers:
        result += number
    return result


def longest(words):
    """The first of the longest words; empty when there is none."""
    best = ""
    for word in words:
        if len(word) > len(best):
            best = word
    return best


def clamp(value, low, high):
    """The value, moved into the range from low to high."""
    return min(max(value, low), high)
'''
BUGGY = CORE.replace("min(max(value, low), high)", "min(value, high)")
TESTS = """\
from kata.core import clamp, longest, total


def test_total():
    assert total([1, 2, 3]) == 6


def test_total_of_nothing():
    assert total([]) == 0


def test_longest():
    assert longest(["a", "bbb", "cc"]) == "bbb"


def test_longest_first():
    assert longest(["aa", "bb"]) == "aa"


def test_longest_of_nothing():
    assert longest([]) == ""


def test_clamp_inside():
    assert clamp(5, 0, 10) == 5


def test_clamp_below():
    assert clamp(-1, 0, 10) == 0


def test_clamp_above():
    assert clamp(11, 0, 10) == 10
"""
PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "kata"
version = "1.0"

[tool.setuptools]
packages = ["kata"]
"""
KATA = {
    "pyproject.toml": PYPROJECT,
    "kata/__init__.py": "",
    "kata/core.py": CORE,
    "tests/test_core.py": TESTS,
}
IMAGE, TASK = "kata-image.json", "kata-task.json"  # in the directory of the whole run
FAILING = ["tests/test_core.py::test_clamp_below"]
PASSING = [
    "tests/test_core.py::test_total",
    "tests/test_core.py::test_total_of_nothing",
    "tests/test_core.py::test_longest",
    "tests/test_core.py::test_longest_first",
    "tests/test_core.py::test_longest_of_nothing",
    "tests/test_core.py::test_clamp_inside",
    "tests/test_core.py::test_clamp_above",
]


def pytest_configure(config: pytest.Config) -> None:
    """Look for garbage once at the end, not five times: each worker holds much by then."""
    config.stash[gc_collect_iterations_key] = 1


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test with what it needs."""
    fixtures = getattr(item, "fixturenames", [])  # a fixture's own fixtures are among them
    for need in {NEEDS[fixture] for fixture in fixtures if fixture in NEEDS}:
        item.add_marker(need)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    items.sort(key=_place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep each file on one worker; with pytest 9.2 `--dist loadgroup` (3.8) finds no groups."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return GROUPS.get(test) or GROUPS.get(Path(file).stem, file)

    return Groups(config, log)


def _place(item: pytest.Item) -> int:
    """Return a test's place in the run; files that take little keep their order at the end."""
    name = item.path.stem
    return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture(autouse=True)
def _no_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the engine from tests without the marker, as on a machine without Docker."""
    if request.node.get_closest_marker("engine") is None:
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")


@contextmanager
def built(root: Path, files: dict[str, str]) -> Iterator[Image]:
    """Build the image of a small project, and remove it afterwards."""
    image = build_project(root, files)
    yield image
    connect().images.remove(image.reference, force=True)


def write_project(root: Path, files: dict[str, str]) -> str:
    """Write the files of a project, without their common indentation; return its path."""
    for name, text in files.items():
        path = root / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
    return str(root / "project")


def build_project(root: Path, files: dict[str, str]) -> Image:
    """Build the image of a small project; the caller removes it."""
    files["session"] = uuid4().hex  # two sessions at a time must not remove each other's image
    for name, text in files.items():
        path = root / "kata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(root / "home"))  # the records stay apart
        return build(str(root / "kata"))


def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary directory of the whole run, which its workers have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the image that the workers shared, and what was unpacked of it, at the end."""
    factory = getattr(config, "_tmp_path_factory", None)
    if hasattr(config, "workerinput") or factory is None:
        return
    record = factory.getbasetemp() / IMAGE
    if record.exists():
        image = Image.model_validate_json(record.read_bytes())
        record.unlink()
        unpacked_record = layers_directory().parent / f"{image.digest.removeprefix('sha256:')}.json"
        if unpacked_record.exists():  # layers of its base stay
            shutil.rmtree(layers_directory() / unpacked(image.reference).layers[0])
            unpacked_record.unlink()
        connect().images.remove(image.reference, force=True)


@pytest.fixture(scope="session")
def tiny_base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of random weights, made once for all: whoever makes it loads torch."""
    base = shared(request, tmp_path_factory) / "tiny-base"
    with FileLock(f"{base}.lock"):
        return base if base.exists() else make_base(base)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A data set for it."""
    return make_dataset(tmp_path_factory.mktemp("data") / "data", tiny_base)


@pytest.fixture(scope="session")
def kata_image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of a project with three functions and eight passing tests, built once for all."""
    record = shared(request, tmp_path_factory) / IMAGE
    with FileLock(f"{record}.lock"):
        if record.exists():
            return Image.model_validate_json(record.read_bytes())
        image = build_project(tmp_path_factory.mktemp("kata"), dict(KATA))
        assert len(image.passing) == 8
        record.write_text(image.model_dump_json())
        return image


@pytest.fixture(scope="session")
def kata_task(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kata_image: Image
) -> RepositoryTask:
    """A bug in `clamp`, with the tests that show it and its guards, made once for all."""
    record = shared(request, tmp_path_factory) / TASK
    with FileLock(f"{record}.lock"):
        if not record.exists():
            record.write_text(_guarded(_task(kata_image)).model_dump_json())
    return RepositoryTask.model_validate_json(record.read_bytes())


def _task(kata_image: Image) -> RepositoryTask:
    return RepositoryTask(
        instance_id="kata.operators.clamp",
        repo="kata",
        base_commit=kata_image.commit,
        problem_statement="There is a bug in the function `clamp` of `kata/core.py`.",
        patch=unified_diff("kata/core.py", BUGGY, CORE),
        FAIL_TO_PASS=FAILING,
        PASS_TO_PASS=PASSING,
        kind="mutate-fix",
        image=kata_image.reference,
        image_digest=kata_image.digest,
        setup_patch=unified_diff("kata/core.py", CORE, BUGGY),
        setup=kata_image.setup,
        mutation=Mutation(
            family="operators",
            operator="unwrap",
            file="kata/core.py",
            function="clamp",
            line=24,
            seed=0,
        ),
    )


def _guarded(task: RepositoryTask) -> RepositoryTask:
    return task.model_copy(update={"guards": guards_of(task, Limits(), docker_sandbox)})
