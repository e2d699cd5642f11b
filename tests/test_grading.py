"""Grading: the right patch resolves, and no way around the tests does."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BUGGY, CORE, FAILING, PYPROJECT, TESTS, built

from forager.environments.environment import Grade
from forager.environments.repository.grading import _grade, grade, similarity
from forager.environments.repository.task import RepositoryTask
from forager.mutation.candidates import unified_diff
from forager.sandboxes.sandbox import Limits

FIXED_LINE = "    return min(max(value, low), high)\n"
BUGGY_LINE = "    return min(value, high)\n"
REFERENCE = unified_diff("kata/core.py", BUGGY, CORE)
ALL_PASS = """
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome = "passed"
"""


def new_file(path: str, text: str) -> str:
    """The diff that adds a file."""
    lines = text.splitlines()
    added = "".join(f"+{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1,{len(lines)} @@\n{added}"
    )


def in_core(line: str, before: str = "") -> str:
    """The diff that replaces the bug by `line` and adds `before` at the end of the module."""
    assert BUGGY_LINE in BUGGY
    return unified_diff("kata/core.py", BUGGY, BUGGY.replace(BUGGY_LINE, line) + before)


def graded(task: RepositoryTask, patch: str) -> Grade:
    """The grade, under limits large enough for a small project."""
    return grade(task, patch, Limits(memory=512 << 20))


PLANTED = {
    "conftest.py": ALL_PASS,
    "tests/conftest.py": ALL_PASS,
    "sitecustomize.py": "import os\nos._exit(0)\n",
    "pytest.py": "raise SystemExit(0)\n",
    "_pytest/__init__.py": "raise SystemExit(0)\n",
    "unittest/__init__.py": "raise SystemExit(0)\n",
    "json.py": "raise SystemExit(0)\n",
    "pytest.ini": "[pytest]\naddopts = --deselect " + FAILING[0] + "\n",
    "tests/__init__.py": "raise SystemExit(0)\n",
}
CHANGED = [
    unified_diff(
        "tests/test_core.py", TESTS, TESTS.replace("clamp(-1, 0, 10) == 0", "clamp(1, 0, 10) == 1")
    ),
    unified_diff(
        "pyproject.toml",
        PYPROJECT,
        PYPROJECT + f'[tool.pytest.ini_options]\naddopts = "--deselect {FAILING[0]}"\n',
    ),
]


@pytest.mark.engine
def test_the_reference_resolves(kata_task: RepositoryTask) -> None:
    """The reference passes every test and has similarity 1."""
    result = graded(kata_task, kata_task.patch)
    assert (result.resolved, result.reward, result.similarity) == (True, 1, 1.0)
    assert set(result.tests.values()) == {"passed"}
    assert len(result.tests) == 8
    assert (result.ignored_files, result.cause) == ([], "")


@pytest.mark.engine
def test_a_right_patch_beside_planted_files_resolves(kata_task: RepositoryTask) -> None:
    """Ignored files neither spoil a right patch nor have an effect."""
    planted = "".join(new_file(path, text) for path, text in PLANTED.items())
    result = graded(kata_task, kata_task.patch + planted + "".join(CHANGED))
    assert result.resolved, result
    assert sorted(result.ignored_files) == sorted(
        [*PLANTED, "tests/test_core.py", "pyproject.toml"]
    )


@pytest.mark.engine
def test_planted_files_do_not_resolve(kata_task: RepositoryTask) -> None:
    """All planted files together do not hide a bug: the original tests decide."""
    planted = "".join(new_file(path, text) for path, text in PLANTED.items())
    result = graded(kata_task, in_core(BUGGY_LINE, "\n\nSPARE = 1\n") + planted + "".join(CHANGED))
    assert not result.resolved
    assert result.tests[FAILING[0]] == "failed"
    assert [test for test, outcome in result.tests.items() if outcome != "passed"] == FAILING


@pytest.mark.engine
@pytest.mark.parametrize("patch", [*CHANGED, new_file("conftest.py", ALL_PASS)])
def test_only_protected_files(kata_task: RepositoryTask, patch: str) -> None:
    """A patch of protected files alone is refused without a test run."""
    result = graded(kata_task, patch)
    assert not result.resolved
    assert "nothing was changed outside the tests" in result.cause


@pytest.mark.engine
def test_an_empty_patch_does_not_resolve(kata_task: RepositoryTask) -> None:
    """Grading an empty patch needs no container."""
    result = grade(kata_task, "\n", Limits())
    assert (result.resolved, result.reward, result.similarity) == (False, -1, 0.0)
    assert result.cause == "nothing was changed"


@pytest.mark.engine
@pytest.mark.parametrize(
    ("patch", "note"),
    [
        ("not a diff\n", "malformed"),
        (in_core(FIXED_LINE).replace("def clamp", "def clamps"), "does not apply"),
    ],
)
def test_what_does_not_apply_is_said(kata_task: RepositoryTask, patch: str, note: str) -> None:
    """A patch that does not apply gives a grade with a cause, not an error."""
    result = graded(kata_task, patch)
    assert not result.resolved
    assert note in result.cause


@pytest.mark.engine
def test_a_wrong_patch_does_not_resolve(kata_task: RepositoryTask) -> None:
    """A patch that fixes one test and breaks another does not resolve."""
    result = graded(kata_task, in_core("    return max(value, low)\n"))
    assert not result.resolved
    assert result.cause == ""
    assert result.tests["tests/test_core.py::test_clamp_below"] == "passed"
    assert result.tests["tests/test_core.py::test_clamp_above"] == "failed"


RUNNER = 'importlib.import_module("_py" + "test.runner")'
PYTHON = 'importlib.import_module("_py" + "test.python")'
WRONG_VALUES = "passes with wrong expected values too"
CHEATS = {
    "always equal": (
        "    return Same()\n",
        "\n\nclass Same:\n    def __eq__(self, other):\n        return True\n",
        WRONG_VALUES,
    ),
    "always equal, with arguments": (
        "    return Same(value)\n",
        "\n\nclass Same:\n    def __new__(cls, value):\n        return super().__new__(cls)\n\n"
        "    def __init__(self, value):\n        pass\n\n"
        "    def __eq__(self, other):\n        return True\n",
        WRONG_VALUES,
    ),
    "a metaclass": (
        "    return Same\n",
        "\n\nclass Kind(type):\n    def __eq__(self, other):\n        return True\n\n"
        "    __hash__ = type.__hash__\n\n\nclass Same(metaclass=Kind):\n    pass\n",
        WRONG_VALUES,
    ),
    "a class of the function's own": (
        '    return type("Same", (), {"__eq__": lambda *_: True})()\n',
        "",
        WRONG_VALUES,
    ),
    "a number": (
        "    return Same(value)\n",
        "\n\nclass Same(int):\n    def __eq__(self, other):\n        return True\n",
        WRONG_VALUES,
    ),
    "exit at import": (BUGGY_LINE, "\n\nimport os\n\nos._exit(0)\n", "did not come to its end"),
    "exit in the function": (
        '    __import__("os")._exit(0)\n',
        "",
        "did not come to its end",
    ),
    "sys.exit at import": (BUGGY_LINE, "\n\nimport sys\n\nsys.exit(0)\n", ""),
    "sys.exit in the function": ("    import sys\n    sys.exit(0)\n", "", ""),
    "pytest.exit, hidden": (
        '    __import__("py" + "test").exit("done", 0)\n',
        "",
        "",
    ),
    "pytest.skip, hidden": (
        '    __import__("py" + "test").skip("done")\n',
        "",
        "",
    ),
    "the machinery, openly": (
        BUGGY_LINE,
        "\n\nimport _pytest.python\n\n_pytest.python.Function.runtest = lambda self: None\n",
        "",
    ),
    "the runner, hidden": (
        BUGGY_LINE,
        f"\n\nimport importlib\n\nrunner = {RUNNER}\nbefore = runner.CallInfo.from_call\n\n\n"
        "def from_call(*given, **named):\n    call = before(*given, **named)\n"
        "    call.excinfo = None\n    return call\n\n\n"
        "runner.CallInfo.from_call = from_call\n",
        "",
    ),
    "runtest, hidden": (
        BUGGY_LINE,
        f"\n\nimport importlib\n\n{PYTHON}.Function.runtest = lambda self: None\n",
        "a test that must fail was reported as passed",
    ),
    "ANY": ("    from unittest.mock import ANY\n    return ANY\n", "", WRONG_VALUES),
    "mock.ANY": ("    from unittest import mock\n    return mock.ANY\n", "", WRONG_VALUES),
    "the package mock": (
        BUGGY_LINE,
        "\n\ntry:\n    from mock import ANY\nexcept ImportError:\n    pass\n",
        "",
    ),
    "a unary plus": (
        BUGGY_LINE,
        '\n\ntry:\n    (\n0\n++ __import__("unittest.mock").mock.call\n)\n'
        "except TypeError:\n    pass\n",
        "",
    ),
    "ANY, hidden": (
        '    import importlib\n    return importlib.import_module("unit" + "test.mock").ANY\n',
        "",
        "",
    ),
}


@pytest.mark.engine
@pytest.mark.parametrize("name", list(CHEATS))
def test_cheats_do_not_resolve(kata_task: RepositoryTask, name: str) -> None:
    """Grading refuses code that gets around the tests instead of passing them."""
    line, before, note = CHEATS[name]
    result = graded(kata_task, in_core(line, before))
    assert not result.resolved, result
    assert note in result.cause


ANY = "    from unittest.mock import ANY\n    return ANY\n"
ATTRIBUTES = new_file(".gitattributes", "*.py binary\n")


def without_head(diff: str) -> str:
    """A diff in the form of `diff -u`."""
    return diff[diff.index("--- a/") :]


def moved(old: str, new: str) -> str:
    """The diff that renames a file."""
    return (
        f"diff --git a/{old} b/{new}\nsimilarity index 100%\nrename from {old}\nrename to {new}\n"
    )


def link(path: str, target: str) -> str:
    """The diff that adds a symbolic link."""
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
    )


@pytest.mark.engine
@pytest.mark.parametrize(
    "patch",
    [
        without_head(in_core(ANY)),
        in_core(ANY).replace("a/kata/core.py b/kata/core.py", "a/README b/README", 1),
        in_core("    from any import ANY\n    return ANY\n")
        + new_file("x b/any.py", ANY.replace("    return ANY\n", "").strip() + "\n"),
    ],
)
def test_a_patch_is_read_as_git_reads_it(kata_task: RepositoryTask, patch: str) -> None:
    """Headers and attributes of a patch do not mislead grading."""
    result = graded(kata_task, patch)
    assert not result.resolved, result
    assert WRONG_VALUES in result.cause or "malformed" in result.cause or "failed" in str(result)


@pytest.mark.engine
def test_a_binary_patch_is_read(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """Grading reads the binary diff of a file that attributes call binary."""
    (tmp_path / "kata").mkdir()
    (tmp_path / "kata" / "core.py").write_text(BUGGY)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    (tmp_path / "kata" / "core.py").write_text(BUGGY.replace(BUGGY_LINE, ANY))
    (tmp_path / ".gitattributes").write_text("*.py binary\n")
    told = subprocess.run(["git", "diff", "--binary"], cwd=tmp_path, capture_output=True, text=True)
    assert "GIT binary patch" in told.stdout
    result = graded(kata_task, ATTRIBUTES + told.stdout)
    assert (result.resolved, result.similarity) == (False, 0.4)
    assert WRONG_VALUES in result.cause


@pytest.mark.engine
def test_a_right_patch_of_any_form_resolves(kata_task: RepositoryTask) -> None:
    """A right patch in any form keeps its similarity, also next to odd file names."""
    odd = new_file("kata/[a]*.py", "SPARE = 1\n")
    result = graded(kata_task, without_head(kata_task.patch) + odd)
    assert (result.resolved, result.similarity, result.ignored_files) == (True, 1.0, [])


@pytest.mark.engine
@pytest.mark.parametrize(
    ("patch", "ignored"),
    [
        (moved("tests/test_core.py", "kata/z.py"), ["tests/test_core.py"]),
        (moved("kata/__init__.py", "json.py"), ["json.py"]),
        (
            moved("kata/__init__.py", "conftest.py").replace("rename", "copy"),
            ["conftest.py"],
        ),
        (
            "diff --git a/tests/test_core.py b/tests/test_core.py\n"
            "old mode 100644\nnew mode 100755\n",
            ["tests/test_core.py"],
        ),
        (link("kata/other.py", "../notes.txt"), ["kata/other.py"]),
        (
            "diff --git a/sub b/sub\nnew file mode 160000\n--- /dev/null\n+++ b/sub\n"
            f"@@ -0,0 +1 @@\n+Subproject commit {'1' * 40}\n",
            ["sub"],
        ),
    ],
)
def test_what_a_patch_really_changes_is_left_out(
    kata_task: RepositoryTask, patch: str, ignored: list[str]
) -> None:
    """Protected paths stay unchanged by moves, copies, modes, links and submodules."""
    result = graded(kata_task, kata_task.patch + patch)
    assert result.ignored_files == ignored
    assert result.resolved, result


@pytest.mark.engine
@pytest.mark.parametrize("path", ["../evil.py", "/etc/evil.py", ".git/hooks/evil"])
def test_a_patch_that_leads_outside_is_refused(kata_task: RepositoryTask, path: str) -> None:
    """git refuses a whole patch that writes outside the repository."""
    result = graded(kata_task, kata_task.patch + new_file(path, "1\n"))
    assert not result.resolved
    assert "the patch" in result.cause


PASSES = """
def pytest_pyfunc_call(pyfuncitem):
    import re
    return not re.fullmatch("test_[0-9a-f]{16}", pyfuncitem.name) or None
"""


@pytest.fixture(scope="module")
def plugin_task(
    kata_task: RepositoryTask, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RepositoryTask]:
    """The task in an image with a plugin of pytest, and a project with several import roots."""
    project = PYPROJECT.replace(
        "[tool.", '[project.optional-dependencies]\ntest = ["pytest-timeout"]\n\n[tool.'
    )
    files = {
        "pyproject.toml": project,
        "kata/__init__.py": "",
        "kata/core.py": CORE,
        "tests/test_core.py": TESTS,
        "conftest.py": 'import sys\n\nsys.path.insert(0, "extra")\n',
        "extra/iniconfig.py": "",
        "iniconfig/data.txt": "",
    }
    with built(tmp_path_factory.mktemp("plugin"), files) as image:
        update = {"image": image.reference, "image_digest": image.digest, "setup": image.setup}
        yield kata_task.model_copy(update=update)


@pytest.mark.engine
def test_a_module_of_the_image_is_not_replaced(plugin_task: RepositoryTask) -> None:
    """A patch cannot replace a pytest plugin at any import root."""
    places = [
        "pytest_timeout.py",
        "extra/pytest_timeout/__init__.py",
        "iniconfig/__init__.py",
    ]
    planted = "".join(new_file(path, PASSES) for path in places)
    result = graded(plugin_task, in_core(BUGGY_LINE, "\n\nSPARE = 1\n") + planted)
    assert not result.resolved, result
    assert result.ignored_files == sorted(places)
    assert result.tests[FAILING[0]] == "failed"


@pytest.mark.engine
def test_new_modules_of_the_project_are_kept(plugin_task: RepositoryTask) -> None:
    """New modules inside the project's packages may have any name."""
    places = ["helper.py", "kata/json.py", "kata/pytest_timeout.py", "extra/iniconfig/__init__.py"]
    added = "".join(new_file(path, "SPARE = 1\n") for path in [*places, "kata/sub/__init__.py"])
    result = graded(plugin_task, plugin_task.patch + added)
    assert (result.resolved, result.ignored_files) == (True, [])


def test_similarity() -> None:
    """Similarity is the mean over the reference's files, of changed lines alone."""
    other = unified_diff("kata/core.py", BUGGY, BUGGY.replace("result = 0", "result = 1"))
    elsewhere = REFERENCE.replace("kata/core.py", "kata/other.py")
    assert similarity(REFERENCE, REFERENCE) == 1.0
    assert similarity(REFERENCE, "") == 0.0
    assert similarity("", REFERENCE) == 0.0
    assert similarity(REFERENCE, elsewhere) == 0.0
    assert similarity(REFERENCE, other) == 0.0
    assert similarity(REFERENCE + elsewhere, REFERENCE) == 0.5
    assert similarity(REFERENCE, REFERENCE + elsewhere) == 1.0
    assert similarity(REFERENCE, in_core("    return max(value, low)\n")) == 0.5


@pytest.mark.parametrize(
    ("resolved", "alike", "reward"), [(True, 0.0, 1), (False, 0.5, 0), (False, 0.49, -1)]
)
def test_reward(resolved: bool, alike: float, reward: int) -> None:
    """CWM's reward: resolved, at least half similar, or neither."""
    assert _grade(alike, passed=resolved).reward == reward
