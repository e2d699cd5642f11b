"""Layers 2, 3 and 5 of grading, each alone; test_grading has them together."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import BUGGY, CORE, FAILING, PASSING

from forager.environments.repository.grading import grade
from forager.environments.repository.guards import guards_of, make_guards, refusal, run_guarded
from forager.environments.repository.task import Guards, RepositoryTask, TestSetup
from forager.environments.repository.testing import Failure, TestReport, run_tests
from forager.environments.repository.workspace import apply_patch, open_task
from forager.mutation.candidates import unified_diff
from forager.programs import changed_tests
from forager.sandboxes.kinds import SANDBOXES
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Limits, Sandbox

SENSITIVE = Guards(by_value=FAILING)


@pytest.fixture
def guards(kata_task: RepositoryTask) -> Guards:
    """The kata's guards."""
    return guards_of(kata_task, Limits(), SANDBOXES["docker"])


@pytest.fixture(params=["docker", "bubblewrap"])
def right(request: pytest.FixtureRequest, kata_task: RepositoryTask) -> Iterator[Sandbox]:
    """A sandbox of each kind in which the kata's bug is mended."""
    sandbox, _ = open_task(kata_task, Limits(), sandbox=SANDBOXES[request.param])
    assert apply_patch(sandbox, kata_task.patch).exit_code == 0
    yield sandbox
    sandbox.close()


PROBE = """

def _probe():
    import json, os, pathlib, signal

    found = {}

    def attempt(name, action):
        try:
            action()
        except OSError as error:
            found[name] = type(error).__name__
        else:
            found[name] = "possible"

    mine = {str(os.getpid())}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        if entry.name not in mine:
            attempt(f"{entry.name} mem", lambda: open(entry / "mem", "r+b").close())
            attempt(f"{entry.name} fd", lambda: list((entry / "fd").iterdir()))
            attempt(f"{entry.name} environ", lambda: (entry / "environ").read_bytes())
    tests = pathlib.Path("tests/test_core.py")
    attempt("write a test", lambda: open(tests, "a").close())
    attempt("remove a test", tests.unlink)
    attempt("rename a test", lambda: tests.rename("tests/other.py"))
    attempt("rename the tests", lambda: pathlib.Path("tests").rename("elsewhere"))
    attempt("restore the tests", lambda: pathlib.Path("elsewhere").rename("tests"))
    attempt("byte code", lambda: open("tests/__pycache__/test_core.pyc", "w").close())
    attempt("write a tool", lambda: open(os.path.dirname(json.__file__) + "/x", "w").close())
    attempt("write to pytest", lambda: open(__import__("pytest").__file__, "a").close())
    hidden = [place for place in pathlib.Path("/tmp").glob("forager-*") if place.is_dir()]
    attempt("changed tests", lambda: [list(place.iterdir()) for place in hidden])
    attempt("a new file", lambda: open("tests/new.txt", "w").close())
    attempt("its removal", lambda: os.unlink("tests/new.txt"))
    pathlib.Path("/tmp/probe.json").write_text(json.dumps(found))


import os
if not os.path.exists("/tmp/probe.json"):
    _probe()
"""


@pytest.mark.engine
def test_tests_reach_neither_the_reporter_nor_their_files(
    right: Sandbox, kata_task: RepositoryTask, guards: Guards
) -> None:
    """Code under test can open no other process, and change no test and no installed tool."""
    right.write("kata/core.py", (CORE + PROBE).encode())
    report, apart = run_guarded(right, kata_task, guards)
    found: dict[str, str] = json.loads(right.read("/tmp/probe.json"))
    allowed = {name for name, outcome in found.items() if outcome == "possible"}
    assert apart
    assert allowed <= {"rename the tests", "restore the tests", "a new file", "its removal"}
    assert {"a new file", "its removal"} <= allowed
    assert {test: report.outcomes[test] for test in FAILING} == dict.fromkeys(FAILING, "passed")
    assert report.changed == dict.fromkeys(FAILING, "failed")
    assert not report.distrusted


GOLDEN = """

import os
open("golden.txt", "a").close()
os.utime("golden.txt", (1, 1))
"""


@pytest.mark.engine
def test_data_that_the_run_changes_refuses_it(kata_task: RepositoryTask) -> None:
    """Unless the reference's run changes the same file."""
    setup = "diff --git a/golden.txt b/golden.txt\nnew file mode 100644\n--- /dev/null\n"
    setup += "+++ b/golden.txt\n@@ -0,0 +1 @@\n+golden\n"
    task = kata_task.model_copy(update={"setup_patch": kata_task.setup_patch + setup})
    patch = unified_diff("kata/core.py", BUGGY, CORE + GOLDEN)
    assert grade(task, patch, Limits()).cause == "the test run changed golden.txt"
    honest = task.model_copy(update={"patch": patch})
    assert grade(honest, patch, Limits()).resolved


FORGED = """

import os
for _number in range(3, 64):
    try:
        os.write(_number, {text})
    except OSError:
        pass
"""


@pytest.mark.engine
@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('b"not a report\\n"', "wrote to the stream"),
        ("b'[' * 100000 + b'\\n'", "wrote to the stream"),
        ('b\'{"id": 1, "outcome": "passed"}\\n\'', "wrote to the stream"),
        ('b"x" * (1 << 26)', "flood the stream"),
        ('(b\'{"canary": "failed"}\\n\' * 200000)', "flood the stream"),
    ],
)
def test_what_is_no_report_distrusts_the_run(
    kata_task: RepositoryTask, guards: Guards, text: str, note: str
) -> None:
    """The reporter passes on well-formed reports only, and a bounded number of them."""
    opened, _ = open_task(kata_task, Limits())
    with_patch = CORE + FORGED.format(text=text)
    try:
        opened.write("kata/core.py", with_patch.encode())
        report, _ = run_guarded(opened, kata_task, guards)
    finally:
        opened.close()
    assert note in report.distrusted
    assert refusal(report, guards, passed=True) == report.distrusted


@pytest.mark.engine
def test_a_printed_log_does_not_resolve(kata_task: RepositoryTask) -> None:
    """Code that prints the lines of passing tests passes the changed tests too."""
    setup = kata_task.setup.model_copy(update={"command": "pytest -rA tests"})
    task = kata_task.model_copy(update={"setup": setup})
    lines = "".join(f"PASSED {test}\\n" for test in [*FAILING, *PASSING])
    forger = FORGED.format(text=f'b"{lines}"').replace("3, 64", "1, 64") + "os._exit(0)\n"
    result = grade(task, unified_diff("kata/core.py", BUGGY, BUGGY + forger), Limits())
    assert not result.resolved
    assert result.cause == f"{FAILING[0]} passes with wrong expected values too"
    right = grade(task, task.patch, Limits())
    assert right.resolved
    assert "read from a log" in right.caveat


@pytest.mark.engine
def test_guards_are_made_once(kata_task: RepositoryTask) -> None:
    """A task without guards gets them before its first grading; this machine keeps them."""
    bare = kata_task.model_copy(update={"guards": None, "hints_text": "once"})
    made = guards_of(bare, Limits(), SANDBOXES["docker"])

    def none(*_: object, **__: object) -> Sandbox:
        raise AssertionError("a second sandbox")

    assert guards_of(bare, Limits(), none) == made
    assert made.by_value == FAILING
    stored = bare.model_copy(update={"guards": made})
    assert guards_of(stored, Limits(), none) is made


SUITE = """\
import unittest
from pathlib import Path

import pytest


@pytest.fixture
def three():
    return 3


class Base:
    def check(self, value):
        assert value == 3

    def test_inherited(self):
        assert [1, 2] == [1, 2]


class TestChild(Base):
    def test_by_helper(self, three):
        self.check(three)


class TestCase(unittest.TestCase):
    def test_pairs(self):
        self.assertTrue(True)
        self.assertEqual({"a": 1}, {"a": 1})

    def test_error(self):
        with self.assertRaises(KeyError):
            {}["a"]


@pytest.mark.parametrize("value, square", [(1, 1), (2, 4), (-3, 9)])
def test_square(value, square):
    assert value * value == square


def test_text():
    assert "a" in "abc", "message"


def test_nothing_raised():
    int("3")


def test_raises():
    with pytest.raises(ValueError, match="invalid"):
        int("x")


def test_close(three):
    assert three / 2 == pytest.approx(1.5)


def test_none(three):
    assert three is not None and three


def test_unseen_branch(three):
    if three > 5:
        assert three == 6


@pytest.mark.skipif(False, reason="")
def test_path():
    assert Path("a") / "b" == Path("a/b")


def test_one_line(): assert 1 == 1


def _several(cls):
    for number in (1, 2):
        setattr(cls, f"test_many_{number}", lambda self: self.test_many())
        setattr(cls, f"test_made_{number}", lambda self: self.made())
    return cls


@_several
class TestSeveral:
    def test_many(self):
        assert 1 + 1 == 2

    def made(self):
        assert 2 + 1 == 3
"""


def test_tests_of_every_form_are_changed(tmp_path: Path) -> None:
    """Values change where there are any; another test fails at its end; the file still loads."""
    (tmp_path / "test_forms.py").write_text(SUITE)
    python = str(Path(subprocess.run(["which", "python"], capture_output=True, text=True).stdout))
    setup = TestSetup(workdir=str(tmp_path), python=python.strip())
    names = [
        *("TestChild::test_inherited", "TestChild::test_by_helper", "TestCase::test_pairs"),
        *("TestCase::test_error", "test_square[1-1]", "test_square[2-4]", "test_square[-3-9]"),
        *("test_text", "test_raises", "test_close", "test_none", "test_path", "test_one_line"),
        *("TestSeveral::test_many_1", "TestSeveral::test_many_2", "TestSeveral::test_made_1"),
    ]
    by_end = ["test_nothing_raised", "test_unseen_branch"]
    tests = [f"test_forms.py::{name}" for name in (*names, *by_end)]
    with LocalSandbox(tmp_path) as sandbox:
        line = SUITE.split("\n").index("        assert 2 + 1 == 3") + 1
        frames = [("test_forms.py", line, "made")]
        failures = {tests[-3]: Failure(error="", frames=frames, text="")}
        guards = make_guards(sandbox, setup, tests, failures)
    assert [test.partition("::")[2] for test in guards.by_end] == by_end
    assert [test.partition("::")[2] for test in guards.by_value] == names
    assert guards.insensitive == {}
    assert (tmp_path / "test_forms.py").read_text() == SUITE


def test_a_change_applies_to_lines_of_every_kind(tmp_path: Path) -> None:
    """Only a newline ends a line of a diff; other ends stay where they are."""
    text = "\ufeffx = '\\x0c \u2028'\r\n\x0c\r\ndef test_a():\r\n    assert 'ä' == 'ä'"
    (tmp_path / "test_a.py").write_bytes(text.encode())
    found = changed_tests.changed("test_a.py", ["test_a.py::test_a"], {}, set())
    assert found["diff"] == ""  # it is not in the working directory
    file = str(tmp_path / "test_a.py")
    diff = changed_tests.changed(file, [f"{file}::test_a"], {}, set())["diff"].replace(
        file, "test_a.py"
    )
    done = subprocess.run(["git", "apply"], cwd=tmp_path, input=diff.encode(), check=False)
    assert done.returncode == 0
    assert re.fullmatch(
        re.escape(text[:-1]) + "[jkqvxz]{2}'", (tmp_path / "test_a.py").read_bytes().decode()
    )


@pytest.mark.parametrize(
    ("right", "changed"),
    [
        ("[34, (33, -2)]", "[34, (33, -3)]"),
        ("{'a': [1, {}]}", "{'a': [1, {0: 0}]}"),
        ("[[], ()]", "[[], (0,)]"),
        ("(made, other)", "(made, other, 0)"),
        ("[made,]", "[made, 0]"),
        ("made + [2]", "made + [3]"),
        ("{1, None}", "{1, 0}"),
        ("[f'{made}']", "[(f'{made}' \"..\")]"),
        ("made", "_[a-z_]+\\(made\\)"),
        ("2 * made", "_[a-z_]+\\(2 [*] made\\)"),
    ],
)
def test_a_changed_test_looks_like_any(right: str, changed: str, tmp_path: Path) -> None:
    """Code that reads its tests cannot tell: a value changes in place, a helper is named as theirs.

    `..` stands for two rare letters, and the last two are patterns.
    """
    path = tmp_path / "test_a.py"
    path.write_text(f"def test_a():\n    assert work() == {right}\n")
    found = changed_tests.changed(str(path), [f"{path}::test_a"], {}, set())
    (line,) = [line for line in found["diff"].split("\n") if line.startswith("+    assert")]
    pattern = (
        changed if "made\\)" in changed else re.escape(changed).replace(r"\.\.", "[jkqvxz]{2}")
    )
    assert re.fullmatch(pattern, line.partition(" == ")[2])
    assert "made" in right or found["diff"].count("\n+") == 2


@pytest.mark.parametrize(
    "text",
    ["(" * 5000, "x = 1\n" + "if x:\n " * 1, "\0", "def test_a(:\n", "x = '" + "a" * 3_000_000],
    ids=["nested", "cut", "nul", "syntax", "long"],
)
def test_a_file_that_cannot_be_read_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    """The reason is kept with the task; nothing is raised."""
    path = tmp_path / "test_a.py"
    path.write_text(text)
    found = changed_tests.changed(str(path), [f"{path}::test_a"], {}, set())
    assert found["diff"] == ""
    assert found["unchanged"][f"{path}::test_a"]


REFUSED: dict[str, tuple[TestReport, str]] = {
    outcome: (
        TestReport(
            outcomes={}, durations={}, seconds=1, complete=True, changed={FAILING[0]: outcome}
        ),
        note,
    )
    for outcome, note in {
        "failed": "",
        "passed": "passes with wrong expected values",
        "error": "no test could be run again",
        "missing": "no test could be run again",
    }.items()
}


@pytest.mark.parametrize("outcome", list(REFUSED))
def test_a_changed_test_must_fail(outcome: str) -> None:
    """A changed test that passes, or does not run, refuses a run in which all tests passed."""
    report, note = REFUSED[outcome]
    told = refusal(report, SENSITIVE, passed=True)
    assert (note in told) if note else not told
    assert refusal(report, SENSITIVE, passed=False) == ""


TIMED = """\
import time

def test_works():
    began = time.process_time()
    while time.process_time() - began < 0.4:
        pass

def test_loops():
    while True:
        pass

def test_waits():
    time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not count")
def test_a_busy_machine_makes_no_test_time_out(tmp_path: Path) -> None:
    """With a fifth of a processor, the limit of a test is one of its own time."""
    (tmp_path / "test_timed.py").write_text(TIMED)
    setup = TestSetup(workdir=str(tmp_path), python=sys.executable)
    processor = str(min(os.sched_getaffinity(0)))
    loop = ["taskset", "-c", processor, sys.executable, "-c", "while True: pass"]
    with LocalSandbox(tmp_path) as sandbox, ExitStack() as busy:
        sandbox.run(f"taskset -cp {processor} $$")
        for _ in range(4):
            busy.callback(busy.enter_context(subprocess.Popen(loop, start_new_session=True)).kill)
        report = run_tests(sandbox, setup, test_seconds=0.7)
    found = {test.rpartition("_")[2]: outcome for test, outcome in report.outcomes.items()}
    assert found == {"works": "passed", "loops": "timeout", "waits": "timeout"}
    assert report.durations["test_timed.py::test_works"] > 0.7


def test_a_run_whose_time_is_over_is_told_from_one_that_breaks_off(tmp_path: Path) -> None:
    """Both are incomplete, and only the first deserves more time."""
    setup = TestSetup(workdir=str(tmp_path), python=sys.executable)
    with LocalSandbox(tmp_path) as sandbox:
        for text, over in [
            ("import time; time.sleep(60)", True),
            ("import os; os._exit(3)", False),
        ]:
            (tmp_path / "test_ends.py").write_text(text)
            report = run_tests(sandbox, setup, timeout=3)
            assert (report.complete, report.timed_out) == (False, over)
