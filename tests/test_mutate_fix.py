"""Mutate-fix from an image to tasks, with real containers and a real kill."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from conftest import CORE, PYPROJECT, built

from forager.environments.repository.task import RepositoryTask
from forager.errors import SandboxError
from forager.images.image import Image
from forager.mutation.bands import Bands
from forager.mutation.candidates import Families, unified_diff
from forager.mutation.prove import Prover, check
from forager.records import read_records, write_records
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits, Sandbox
from mutators import FAMILIES
from tasks import mutate_fix
from tasks.ledger import RejectedCandidate, rejected_path
from tasks.mutate_fix import (
    MeasuredProject,
    MutateFixRequest,
    make_tasks,
    measured,
    measured_ahead,
)
from tasks.settings import MutateFixSettings

pytestmark = pytest.mark.engine
FORAGER = Path(sys.executable).with_name("forager")
NAMES = ("functions", "operators", "variables", "combined")
CHOSEN: Families = {name: FAMILIES.get(name, ()) for name in NAMES}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of stored coverage, shared by all tests of this file."""
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(path))
        yield path


def quiet(line: str) -> None:
    """Ignore progress."""


def make(image: Image, output: Path, **asked: Any) -> list[RepositoryTask]:
    """Make tasks and return them."""
    order = MutateFixRequest(**{"families": CHOSEN, "limit": 5, "seed": 4, "workers": 2, **asked})
    told: list[int] = []
    made = make_tasks(
        image, order, output=output, on_progress=lambda done, **_: told.append(done), report=quiet
    )
    tasks = list(read_records(output, RepositoryTask))
    assert told == sorted(told)
    assert made == told[-1] == len(tasks)
    return tasks


def facts(tasks: list[RepositoryTask]) -> list[dict[str, Any]]:
    """The fields that must be equal in every run."""
    return [task.model_dump(exclude={"created_at"}) for task in tasks]


@pytest.fixture(scope="module")
def tasks(
    kata_image: Image, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[RepositoryTask], list[RejectedCandidate]]:
    """The tasks and rejected candidates of an uninterrupted run with one worker."""
    output = tmp_path_factory.mktemp("tasks") / "tasks.jsonl"
    made = make(kata_image, output, workers=1)
    return made, list(read_records(rejected_path(output), RejectedCandidate))


def test_the_same_seed_gives_the_same_tasks(
    kata_image: Image,
    home: Path,
    tmp_path: Path,
    tasks: tuple[list[RepositoryTask], list[RejectedCandidate]],
) -> None:
    """Any number of workers gives the same tasks; another seed gives others."""
    again = make(kata_image, tmp_path / "again.jsonl", workers=2)
    assert facts(again) == facts(tasks[0])
    assert list(read_records(tmp_path / "again.rejected.jsonl", RejectedCandidate)) == tasks[1]
    assert len({task.instance_id for task in again}) == 5
    other = make(kata_image, tmp_path / "other.jsonl", seed=5, limit=2)
    assert [task.setup_patch for task in other] != [task.setup_patch for task in again[:2]]


def test_tasks_hold(tasks: tuple[list[RepositoryTask], list[RejectedCandidate]]) -> None:
    """A task of each family, combined ones included, passes `check`."""
    by_family = {task.mutation.family: task for task in tasks[0] if task.mutation}
    assert set(by_family) == set(NAMES)
    for task in by_family.values():
        assert check(task) == ""
    several = by_family["combined"]
    assert several.mutation is not None
    assert 2 <= len(several.mutation.parts) <= 4
    assert "bugs in the function" in several.problem_statement


def test_check_finds_what_is_wrong(
    tasks: tuple[list[RepositoryTask], list[RejectedCandidate]],
) -> None:
    """`check` finds a FAIL_TO_PASS test that passes, and an incomplete patch."""
    task = next(task for task in tasks[0] if task.PASS_TO_PASS)
    wrong = {"FAIL_TO_PASS": [*task.FAIL_TO_PASS, task.PASS_TO_PASS[0]], "PASS_TO_PASS": []}
    found = check(task.model_copy(update=wrong))
    assert found.startswith("with the bug, 1 tests do otherwise")
    assert task.PASS_TO_PASS[0] in found
    assert check(task.model_copy(update={"FAIL_TO_PASS": []})) == "FAIL_TO_PASS is empty"


def test_check_says_that_tests_broke_off(kata_task: RepositoryTask) -> None:
    """Tests that did not run, as the bug ends the interpreter, do not count as failures."""
    ending = CORE.replace("    return min(max(value, low), high)", "    import os; os._exit(3)")
    ends = unified_diff("kata/core.py", CORE, ending)
    found = check(kata_task.model_copy(update={"setup_patch": ends}))
    assert found.startswith("with the bug, the tests broke off")


def test_killed_and_started_again(
    kata_image: Image,
    home: Path,
    tmp_path: Path,
    tasks: tuple[list[RepositoryTask], list[RejectedCandidate]],
) -> None:
    """After SIGKILL, a second run completes the same tasks without repeats."""
    write_records(tmp_path / "images.jsonl", [kata_image])
    output = tmp_path / "tasks.jsonl"
    command: list[str | Path] = [
        *(FORAGER, "tasks", "mutate-fix", tmp_path / "images.jsonl", "-o", output, "-w", "2"),
        *("--seed", "4", "--limit", "5", "--mutators", ",".join(NAMES)),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while not output.exists() or output.read_bytes().count(b"\n") < 2:
            assert first.poll() is None
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
    before = output.read_bytes()
    assert before.count(b"\n") < 5
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    assert output.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert facts(list(read_records(output, RepositoryTask))) == facts(tasks[0])
    assert list(read_records(rejected_path(output), RejectedCandidate)) == tasks[1]


def test_one_project_does_not_stop_the_others(
    kata_image: Image, home: Path, tmp_path: Path
) -> None:
    """An image that is gone is named in a line; the tasks of the other projects are made."""
    gone = kata_image.source.model_copy(update={"name": "gone"})
    images = tmp_path / "images.jsonl"
    lost = kata_image.model_copy(update={"reference": "forager/gone:1-0", "source": gone})
    write_records(images, [lost, kata_image, lost])
    command: list[str | Path] = [
        *(FORAGER, "tasks", "mutate-fix", images, "-o", tmp_path / "tasks.jsonl", "-w", "2"),
        *("--limit", "1", "--mutators", "operators"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{kata_image.source.name}\t1 tasks" in done.stdout
    about = [line for line in done.stderr.splitlines() if line.startswith("forager: gone: ")]
    assert len([line for line in about if "measuring" not in line]) == 2
    assert done.stderr.endswith("forager: 2 of 3 failed, see above\n")


def test_the_next_project_is_measured_meanwhile(
    kata_image: Image, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one project is worked on, the tests of the next one run; to stop ends them at once."""
    slow = kata_image.model_copy(update={"key": "slow", "test_seconds": 60.0})
    started, live = Event(), list[Sandbox]()

    def start(reference: str, limits: Limits) -> Sandbox:
        live.append(docker_sandbox(reference, limits=limits))
        live[-1].run("printf 'import time\ntime.sleep(600)\n' >/testbed/conftest.py")
        started.set()
        return live[-1]

    order = MutateFixRequest(families=CHOSEN, workers=2)
    measured(kata_image, order)
    monkeypatch.setattr(mutate_fix, "start", start)
    with closing(measured_ahead([kata_image, slow, slow], order, quiet)) as projects:
        _, project = next(projects)
        assert isinstance(project, MeasuredProject)
        assert started.wait(60)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 60  # of 600
    with pytest.raises(SandboxError):
        live[0].run("true")
    assert not [*home.rglob("slow.coverage*")]


def test_files_that_no_test_runs_are_not_read(
    kata_image: Image, home: Path, tmp_path: Path
) -> None:
    """They give no candidates, and a line has their number."""
    order = MutateFixRequest(families=CHOSEN, limit=1)
    texts, coverage, contaminated = measured(kata_image, order)
    broken = dict.fromkeys((f"kata/generated{number}.py" for number in range(3)), "def (")
    more = texts._replace(sources=texts.sources | broken)
    told: list[str] = []
    make_tasks(
        kata_image,
        order,
        output=tmp_path / "tasks.jsonl",
        project=MeasuredProject(more, coverage, contaminated),
        report=told.append,
    )
    assert told[0].startswith("left out, because no test runs them: ")
    rejected = read_records(tmp_path / "tasks.rejected.jsonl", RejectedCandidate)
    assert not {rejection.file for rejection in rejected} & broken.keys()


@pytest.mark.parametrize("proof", ["none", "sample:2", "full"])
def test_proofs_agree(
    kata_image: Image,
    home: Path,
    tmp_path: Path,
    proof: str,
    tasks: tuple[list[RepositoryTask], list[RejectedCandidate]],
) -> None:
    """Each task names its proof, and all kinds of proof find the same failing tests."""
    made = make(kata_image, tmp_path / "tasks.jsonl", proof=proof)
    assert [task.FAIL_TO_PASS for task in made] == [task.FAIL_TO_PASS for task in tasks[0]]
    ways = Counter(task.mutation.proof for task in made if task.mutation)
    assert set(ways) == {"none": {"none"}, "full": {"full"}, "sample:2": {"none", "files"}}[proof]


def test_caps_targets_and_bands(kata_image: Image, home: Path, tmp_path: Path) -> None:
    """Caps, targets and bands limit the tasks, and rejected candidates name the band."""
    settings = MutateFixSettings(
        targets={"operators": 2, "functions": 3}, per_function=1, difficulty=Bands(failing="..1")
    )
    made = make(kata_image, tmp_path / "tasks.jsonl", settings=settings, limit=None)
    mutations = [task.mutation for task in made if task.mutation]
    assert len({mutation.function for mutation in mutations}) == len(mutations) >= 2
    assert all(len(task.FAIL_TO_PASS) == 1 for task in made)
    reasons = Counter(
        rejected.reason
        for rejected in read_records(tmp_path / "tasks.rejected.jsonl", RejectedCandidate)
    )
    assert reasons["too easy or too hard: failing"]
    settings = MutateFixSettings(
        targets={"operators": 2, "functions": 1}, difficulty=Bands(share="")
    )
    counts = Counter(
        task.mutation.family
        for task in make(kata_image, tmp_path / "t.jsonl", settings=settings, limit=None)
        if task.mutation
    )
    assert counts == {"operators": 2, "functions": 1}


def test_a_bug_report_names_nothing(kata_image: Image, home: Path, tmp_path: Path) -> None:
    """A report names neither function nor file, and is equal for equal failures."""
    made = make(kata_image, tmp_path / "tasks.jsonl", statement="issue", limit=3)
    for task in made:
        assert task.mutation is not None
        assert task.mutation.statement == "issue"
        assert "Expected: " in task.problem_statement or "Unexpected" in task.problem_statement
        mutation = task.mutation
        for function in [part.function for part in mutation.parts] or [mutation.function]:
            assert function not in task.problem_statement
        assert "core" not in task.problem_statement
    again = make(kata_image, tmp_path / "again.jsonl", statement="issue", limit=3, workers=1)
    assert facts(again) == facts(made)


LEFT = [  # what a mutant does, and whether its sandbox is of use afterwards
    ("pass", True),
    ("open('kata/left.py', 'w').close()", True),
    ("open(os.path.expanduser('~/left'), 'w').close()", True),
    ("open('/tmp/left', 'w').close()", True),
    ("open('kata/__init__.py', 'w').write('left = 1')", False),
    ("subprocess.Popen(['sleep', '1000'])", False),
]
CLEAN = """
    left = ["kata/left.py", os.path.expanduser("~/left"), "/tmp/left"]
    assert not any(map(os.path.exists, left))
    assert not open("kata/__init__.py").read()
    processes = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    assert not any("1000" in open(f"/proc/{pid}/cmdline").read() for pid in processes)
"""


@pytest.mark.parametrize(("does", "again"), LEFT)
def test_a_sandbox_is_used_again_where_nothing_is_left(
    kata_image: Image, does: str, again: bool
) -> None:
    """The prover undoes a mutant's traces or discards the sandbox."""
    started = []

    def start(reference: str, limits: Limits) -> Sandbox:
        started.append(reference)
        return docker_sandbox(reference, limits=limits)

    def mutant(code: str) -> str:
        old = '    """The value, moved into the range from low to high."""\n'
        new = CORE.replace(old, f"{old}    import os, subprocess\n    {code}\n")
        return unified_diff("kata/core.py", CORE, new)

    prover = Prover(kata_image, start)
    try:
        for code in (does, CLEAN.strip()):
            proof = prover.run(mutant(code), None)
            assert proof is not None
            assert set(proof.report.outcomes.values()) == {"passed"}, proof.failures
    finally:
        prover.close()
    assert len(started) == (1 if again else 2)


SPOILING = {
    "pyproject.toml": PYPROJECT,
    "kata/__init__.py": "",
    "kata/core.py": "NAMES = []\n\n\ndef double(number):\n    return number + number\n",
    "tests/test_a.py": """\
import pytest
from kata.core import NAMES, double


def test_double():
    NAMES.append("here")
    assert double(2) == 4
    NAMES.clear()


@pytest.mark.parametrize("number", range(20))
def test_number(number):
    assert number >= 0
""",
    "tests/test_b.py": """\
from kata.core import NAMES


def test_names():
    assert not NAMES
""",
}


def test_a_bug_whose_failing_test_spoils_those_of_other_files_is_no_task(
    home: Path, tmp_path: Path
) -> None:
    """A proof by some test files must hold when all tests run."""
    output = tmp_path / "tasks.jsonl"
    with built(tmp_path, SPOILING) as image:
        assert not make(image, output, families={"operators": FAMILIES["operators"]})
    assert {
        rejected.reason for rejected in read_records(rejected_path(output), RejectedCandidate)
    } == {"flaky"}
