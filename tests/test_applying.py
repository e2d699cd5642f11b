"""What of an answer is applied: layer 1 of grading, in a directory of this machine."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attempts import make_task

from forager.environments.repository.applying import AppliedPatch, apply_answer
from forager.environments.repository.protection import TestPaths, is_protected
from forager.environments.repository.task import RepositoryTask, TestSetup
from forager.programs import merging
from forager.sandboxes.local_sandbox import LocalSandbox

Files = Mapping[str, str | bytes | Path | None]
"""Changed files: their content, the target of a link, or None for a deleted file."""

CORE = '''"""Exercises."""


def clamp(value, low, high):
    """The value, moved into the range from low to high."""
    return min(value, high)


def double(value):
    """Twice the value.

    >>> double(4)
    8
    """
    return value * 2


class Box:
    """Holds one thing.

    >>> Box(1).size()
    1
    """

    def size(self): return 1


def render(names):
    """A list for people."""
    return "".join(f"* {name}\\n" for name in names)
'''
FIXED = CORE.replace("min(value, high)", "min(max(value, low), high)")
PYPROJECT = """\
[project]
name = "redkata"
version = "1.0"

[tool.pytest.ini_options]
testpaths = ["tests", "src"]
addopts = "--doctest-modules"
"""
TESTS = """\
import math
from pathlib import Path

from redkata import core, test_utils, testing

yaml = __import__("pytest").importorskip("yaml_of_nobody")


def test_clamp():
    assert core.clamp(-1, 0, 10) == 0


def test_render():
    assert core.render(["a", "b"]) == Path("golden/list.txt").read_text()


def test_all_of_a_folder():
    for file in (Path(__file__).parent.parent / "samples").iterdir():
        assert core.render([file.stem]) == file.read_text()


def test_message():
    assert core.render(["a"]) == (Path("src/redkata/data") / "messages.txt").read_text()
"""
PROJECT: dict[str, str | bytes | Path | None] = {
    "pyproject.toml": PYPROJECT,
    "README.rst": "Exercises\\n\\n>>> 1 + 1\\n2\\n",
    "CHANGES.md": "Changes\n",
    "setup.py": "",
    "golden/list.txt": "* a\n* b\n",
    "samples/one.md": "* one\n",
    "link": Path("golden"),
    "src/redkata/__init__.py": "",
    "src/redkata/core.py": CORE,
    "src/redkata/data/messages.txt": "* a\n",
    "src/redkata/data/units.txt": "m\n",
    "src/redkata/units.py": 'NAMES = open(__file__[:-8] + "data/units.txt").read()\n',
    "src/redkata/plugin.py": "",
    "src/redkata/test_utils.py": "def shout(text):\n    return text.upper()\n",
    "src/redkata/testing/__init__.py": "def check(left, right):\n    assert left == right\n",
    "src/redkata/testing/ratio.py": "def ratio(left, right):\n    return left / right\n",
    "tests/test_core.py": TESTS,
    "tests/helpers.py": "import statistics\n",
    "tests/data/one.txt": "1\n",
    "samples/notes.txt": "notes\n",
    "samples/pairs.txt": "4 2\n6 3\n8 4\n",
    "samples/logo.bin": b"\0\1old",
}
REFERENCE: Files = {
    "src/redkata/core.py": FIXED,
    "pyproject.toml": PYPROJECT.replace('"1.0"', '"1.1"'),
}
FIX: Files = {"src/redkata/core.py": FIXED}


class Repository:
    """A repository on this machine, and the sandbox in which answers are applied to it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._git("init", "-q")
        self.change(PROJECT)
        (place / ".gitignore").write_text("untracked/\n")
        self._git("add", "-A")
        who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
        self._git(*who, "commit", "-q", "-m", "x")
        self.change({"untracked/version.py": "1\n"})
        self.sandbox = LocalSandbox(place)

    def _git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.place, check=True, capture_output=True)
        return done.stdout.decode("utf-8", "surrogateescape")

    def change(self, files: Files) -> None:
        """Write, link and delete files."""
        for name, content in files.items():
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or path.exists():
                path.unlink()
            if isinstance(content, Path):
                path.symlink_to(content)
            elif content is not None:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def patch(self, files: Files, renames: str = "--no-renames") -> str:
        """The patch of an agent that changes these files, whatever git ignores."""
        self.change(files)
        self._git("add", "-A")
        self._git("add", "-f", *(name for name in files if name.startswith("untracked/")))
        text = self._git("diff", "--cached", "--binary", renames, "HEAD")
        self.clean()
        return text

    def clean(self) -> None:
        """Take all back."""
        self._git("reset", "-q", "--hard")
        self._git("clean", "-fdqx")
        self.change({"untracked/version.py": "1\n"})

    def task(self, reference: Files = REFERENCE, **fields: str) -> RepositoryTask:
        """A bug in `clamp`."""
        return RepositoryTask(
            instance_id="redkata.clamp",
            repo="redkata",
            base_commit="",
            problem_statement="x",
            image="x",
            patch=self.patch(reference),
            FAIL_TO_PASS=["tests/test_core.py::test_clamp"],
            PASS_TO_PASS=[
                "tests/test_core.py::test_render",
                "src/redkata/core.py::redkata.core.double",
                "src/redkata/core.py::redkata.core.Box",
                "README.rst::README.rst",
            ],
            setup=TestSetup(
                workdir=str(self.place),
                python=sys.executable,
                arguments=["tests", "src"],
                protected=["src/redkata/testing", "tests"],
            ),
            **fields,
        )

    def apply(self, task: RepositoryTask, patch: str) -> tuple[AppliedPatch, dict[str, str]]:
        """What is applied, and the changed files afterwards."""
        try:
            done = apply_answer(self.sandbox, task, patch)
            self._git("add", "-A")
            names = self._git(
                "diff", "--cached", "--name-only", "--no-renames", "-z", "HEAD"
            ).split("\0")[:-1]
            paths = {name: self.place / name for name in names}
            return done, {n: p.read_text() if p.is_file() else "" for n, p in paths.items()}
        finally:
            self.clean()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """The repository of all tests here."""
    made = Repository(tmp_path_factory.mktemp("redkata"))
    yield made
    made.sandbox.close()


MORE = "4 2\n6 3\n8 4\n10 5\n"
HIDDEN: dict[str, tuple[Files, Files]] = {
    "rename and change": (
        {"samples/pairs.txt": None, "samples/all.txt": MORE},
        {"samples/pairs.txt": "1\n"},
    ),
    "rename what is deleted": (
        {"samples/pairs.txt": None, "samples/all.txt": MORE},
        {"samples/pairs.txt": None},
    ),
    "delete": ({"samples/notes.txt": None}, {"samples/notes.txt": "mine\n"}),
    "change what is deleted": ({"samples/notes.txt": "new\n"}, {"samples/notes.txt": None}),
    "change a binary file": ({"samples/logo.bin": b"\0new"}, {"samples/logo.bin": b"\0mine"}),
    "add a binary file": ({"samples/two.bin": b"\0\2"}, {"samples/two.bin": b"\0\3"}),
    "add a name in quotes": ({'samples/é"\t.txt': "1\n"}, {'samples/é"\t.txt': "2\n"}),
    "add a file": ({"samples/new": "1\n"}, {"samples/new/mine.txt": "1\n"}),
    "add a folder": ({"samples/new/one.txt": "1\n"}, {"samples/new": "1\n"}),
    "replace by a folder": (
        {"samples/notes.txt": None, "samples/notes.txt/one": "1\n"},
        {"samples/notes.txt": "mine\n"},
    ),
    "replace by a link": (
        {"samples/notes.txt": Path("pairs.txt")},
        {"samples/notes.txt": "mine\n"},
    ),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_the_hidden_tests_move_is_theirs(repository: Repository, name: str) -> None:
    """Hidden tests apply whatever an agent does to the files that they rename, delete, replace."""
    hidden, mine = HIDDEN[name]
    task = repository.task(FIX, test_patch=repository.patch(hidden, "-M"))
    done, files = repository.apply(task, repository.patch({**FIX, **mine}))
    assert not done.problem
    assert done.kept == ["src/redkata/core.py"]
    assert {**files, "src/redkata/core.py": ""} == {
        **{path: _text(content) for path, content in hidden.items()},
        "src/redkata/core.py": "",
    }


def _text(content: str | bytes | Path | None) -> str:
    """What a test reads from a file."""
    if isinstance(content, Path):
        content = PROJECT[f"samples/{content}"]
    return content.decode() if isinstance(content, bytes) else str(content or "")


ENTRY = "[pytest11]\nevil = evilplug\n"
EVIL = "def pytest_pyfunc_call(pyfuncitem):\n    return True\n"
TRICKS: dict[str, Files] = {
    # metadata that importlib.metadata finds, in any spelling and place
    "upper-case dist-info": {"evil-1.0.DIST-INFO/entry_points.txt": ENTRY},
    "mixed-case egg-info": {"src/evil.Egg-Info/entry_points.txt": ENTRY},
    "egg-info as a file": {"evil.egg-INFO": "Name: evil\n"},
    "an egg": {"src/evil.EGG/EGG-INFO/entry_points.txt": ENTRY},
    "an egg-link": {"evil.egg-link": "src\n"},
    "an archive": {"evil.egg": b"PK\3\4"},
    "dist-info spelled with a long s": {"evil-1.0.di\u017ft-info/entry_points.txt": ENTRY},
    # modules that Python or pytest load by themselves
    "sitecustomize as a package": {"src/sitecustomize/__init__.py": "1\n"},
    "sitecustomize as byte code": {"sitecustomize.pyc": b"\0"},
    "usercustomize as an extension": {"src/usercustomize.cpython-312-x86_64-linux-gnu.so": b"\0"},
    "conftest in the source": {"src/redkata/conftest.py": EVIL},
    "conftest as a package": {"conftest/__init__.py": EVIL},
    "an extension next to a module": {"src/redkata/core.abi3.so": b"\0"},
    "byte code without a source": {"src/redkata/extra.pyc": b"\0"},
    "a path file": {"src/evil.PTH": "import os\n"},
    "a module of an in-tree environment": {"env/lib/python3.12/site-packages/x.py": "1\n"},
    "a zip on the path": {"evil.zip": b"PK\3\4"},
    # settings of pytest and what runs with it
    "pytest.ini": {"pytest.ini": "[pytest]\n"},
    "a hidden pytest.toml below": {"src/.pytest.toml": "[pytest]\n"},
    "settings of the tests' folder": {"src/redkata/tox.ini": "[pytest]\n"},
    "coverage's plugins": {".coveragerc": "[run]\nplugins = evil\n"},
    "attributes rewrite the tests": {".gitattributes": "tests/* ident\n"},
    "pyvenv.cfg": {"pyvenv.cfg": "home = /tmp\n"},
    # the tests and their neighbours
    "a test": {"tests/test_core.py": "def test_clamp():\n    pass\n"},
    "a test deleted": {"tests/test_core.py": None},
    "a test's package": {"tests/__init__.py": "1\n"},
    "a package in a test's place": {"tests/test_core/__init__.py": "1\n"},
    "a module in the place of the tests' folder": {"tests.py": "1\n"},
    "a package above the tests": {"__init__.py": "1\n"},
    "a helper": {"tests/helpers.py": "1\n"},
    "data of the tests": {"tests/data/one.txt": "2\n"},
    "a comparator of the library": {"src/redkata/testing/__init__.py": "check = print\n"},
    "a comparator's module deleted": {"src/redkata/testing/ratio.py": None},
    "a package in the place of a comparator's module": {
        "src/redkata/testing/ratio/__init__.py": "1\n"
    },
    "a module in the place of the comparators' package": {"src/redkata/testing.py": "1\n"},
    "a folder in another case": {"Tests/test_core.py": "1\n"},
    # what the tests read
    "a golden file": {"golden/list.txt": "- a\n- b\n"},
    "a golden file deleted": {"golden/list.txt": None},
    "a golden file by its folder": {"samples/one.md": "- one\n"},
    "a golden file in the package": {"src/redkata/data/messages.txt": "- a\n"},
    "a text with doctests": {"README.rst": ">>> 1 + 1\n3\n"},
    # links
    "a link": {"src/redkata/other.py": Path("core.py")},
    "a link to the tests' data": {"golden/list.txt": Path("../CHANGES.md")},
    "a link that becomes a folder": {"link": None, "link/list.txt": "- a\n"},
    # names that the tests or the image import
    "a module of the standard library for pytest": {"json.py": "1\n"},
    "a module of the standard library for the tests": {"math.py": "1\n"},
    "one for the tests' helper": {"src/statistics/__init__.py": "1\n"},
    "one behind the tests' helper": {"src/fractions.py": "1\n"},
    "a module of pytest": {"src/_pytest/__init__.py": "1\n"},
    "an installed distribution": {"src/pydantic.py": "1\n"},
    "a module that the tests would import": {"yaml_of_nobody.py": "1\n"},
    "the package at another root": {"redkata/__init__.py": "1\n"},
    # names that mislead
    "not UTF-8": {"src/redkata/\udcff.py": "1\n"},
    "a line break": {"src/redkata/a\nb.py": "1\n"},
    "an escape sequence": {"src/redkata/\x1b[2J.py": "1\n"},
    "a quoted folder": {'src/"a/conftest.py': EVIL},
    "a file that git does not know": {"untracked/version.py": "2\n"},
}
ESCAPED = {
    "src/redkata/\udcff.py": "src/redkata/\\\\xff.py",
    "src/redkata/a\nb.py": "src/redkata/a\\nb.py",
    "src/redkata/\x1b[2J.py": "src/redkata/\\x1b[2J.py",
}
SAME_PLACE = ["a golden file deleted", "a test deleted", "a link to the tests' data"]


def test_tricks_are_left_out(repository: Repository) -> None:
    """What decides the tests or is loaded unasked stays as it is; the rest of a patch counts."""
    tricks = {name: files for name, files in TRICKS.items() if name not in SAME_PLACE}
    files = {path: content for files in tricks.values() for path, content in files.items()}
    done, changed = repository.apply(repository.task(), repository.patch({**FIX, **files}))
    assert (done.problem, done.kept) == ("", ["src/redkata/core.py"])
    assert set(done.ignored) == {ESCAPED.get(path, path) for path in files}
    assert changed == {"src/redkata/core.py": FIXED}


@pytest.mark.parametrize("name", SAME_PLACE)
def test_a_trick_alone_is_no_patch(repository: Repository, name: str) -> None:
    """A patch of which nothing is kept has a problem, and changes nothing."""
    done, changed = repository.apply(repository.task(), repository.patch(TRICKS[name]))
    assert (done.kept, done.ignored, changed) == ([], sorted(TRICKS[name]), {})
    assert done.problem.startswith("nothing was changed outside the tests")


HONEST: dict[str, Files] = {
    "a helper named like a test": {"src/redkata/test_helpers.py": "1\n"},
    "a subpackage named test": {
        "src/redkata/test/__init__.py": "1\n",
        "src/redkata/test/bounds.py": "1\n",
    },
    "a module named like a test": {"src/redkata/test_utils.py": "def shout(text):\n    1\n"},
    "a new module next to a comparator": {"src/redkata/testing/bounds.py": "1\n"},
    "an addition to a comparator's module": {
        "src/redkata/testing/__init__.py": str(PROJECT["src/redkata/testing/__init__.py"])
        + "\n\n@print\ndef inside(value):\n    return value\n"
    },
    "a module of the standard library that nobody imports": {"src/profile.py": "1\n"},
    "a name of the standard library in the package": {"src/redkata/json.py": "1\n"},
    "a scratch file": {"repro.py": "import pytest\n", "scratch/check.py": "1\n"},
    "a test at the top": {"test_bug.py": "def test_bug():\n    pass\n"},
    "a folder that git ignores": {"untracked/new.py": "1\n"},
    "data for the code": {"src/redkata/data/units.txt": "km\n"},
    "new data": {"src/redkata/data/more.txt": "1\n", "notes.md": "1\n"},
    "words": {"CHANGES.md": "Changed\n", "docs/index.rst": "1\n"},
    "a package of the name of a test's word": {"src/redkata/contest.py": "1\n"},
    "setup.py, which no test reads": {"setup.py": "1\n"},
    "another alphabet": {"src/redkata/größe.py": "1\n", "src/redkata/[a]*.py": "1\n"},
    "a file deleted": {"src/redkata/plugin.py": None},
}


def test_honest_changes_are_kept(repository: Repository) -> None:
    """Names alone refuse nothing that no test uses."""
    files = {path: content for files in HONEST.values() for path, content in files.items()}
    done, changed = repository.apply(repository.task(), repository.patch({**FIX, **files}))
    assert (done.problem, done.ignored) == ("", [])
    assert sorted(done.kept) == sorted([*FIX, *files])
    assert changed == {
        path: content or "" for path, content in {**FIX, **files}.items() if "untracked" not in path
    }


DOCTEST = "src/redkata/core.py::redkata.core.double"
BOX = "src/redkata/core.py::redkata.core.Box"


def test_examples_that_are_tests_stay(repository: Repository) -> None:
    """An answer may change code and words next to a doctest; its examples are the reference's."""
    honest = FIXED.replace("value * 2", "value + value").replace("Twice", "Two times")
    honest = honest.replace("    8\n", "    8\n    >>> double(1)\n    2\n")
    done, changed = repository.apply(
        repository.task(), repository.patch({"src/redkata/core.py": honest})
    )
    assert (done.ignored, changed) == ([], {"src/redkata/core.py": honest})
    forged = honest.replace("    8\n", "    12\n").replace("    1\n", "    2\n")
    done, changed = repository.apply(
        repository.task(), repository.patch({"src/redkata/core.py": forged})
    )
    assert (done.kept, done.ignored) == (["src/redkata/core.py"], [BOX, DOCTEST])
    text = changed["src/redkata/core.py"]
    assert "value + value" in text
    assert ">>> double(4)\\n    8\\n" in text
    assert ">>> Box(1).size()\\n    1\\n" in text
    assert text in done.text or ">>> double(4)\\n    8" in done.text


def test_examples_follow_the_reference(repository: Repository) -> None:
    """If the reference changes a doctest, its examples decide."""
    other = FIXED.replace("double(4)\n    8", "double(5)\n    10")
    task = repository.task({"src/redkata/core.py": other})
    done, changed = repository.apply(task, repository.patch(FIX))
    assert done.ignored == [DOCTEST]
    assert ">>> double(5)\\n    10" in changed["src/redkata/core.py"]


def test_a_doctest_that_cannot_be_found_keeps_its_file(repository: Repository) -> None:
    """A file is not taken if nobody can say which docstring its doctest would read."""
    alias = FIXED.replace("def double", "def other") + "\n\ndouble = other\n"
    patch = repository.patch({"src/redkata/core.py": alias, "new.py": "1\n"})
    done, changed = repository.apply(repository.task(), patch)
    assert (done.kept, done.ignored) == (["new.py"], ["src/redkata/core.py"])
    assert list(changed) == ["new.py"]


def test_a_file_that_python_cannot_read_stays_broken(repository: Repository) -> None:
    """A syntax error is the answer's own; its tests fail."""
    done, changed = repository.apply(
        repository.task(), repository.patch({"src/redkata/core.py": "def\n"})
    )
    assert (done.ignored, changed) == ([], {"src/redkata/core.py": "def\n"})


def test_of_settings_only_the_references_hunks_are_applied(repository: Repository) -> None:
    """Settings, tests and data of tests change as in the reference, where the answer does so."""
    plugin = "addopts = '-p evil'\n"
    setup = "[flake8]\nmax-line-length = 1\n"
    task = repository.task({**REFERENCE, "setup.cfg": setup, "golden/list.txt": "a\nb\n"})
    settings = str(REFERENCE["pyproject.toml"])
    wanted = {**FIX, "pyproject.toml": settings}
    done, changed = repository.apply(task, repository.patch(wanted))
    assert (sorted(done.kept), done.ignored, changed) == (sorted(wanted), [], wanted)
    more = {"pyproject.toml": settings + plugin, "setup.cfg": setup, "golden/list.txt": "a\n"}
    done, changed = repository.apply(task, repository.patch({**FIX, **more}))
    assert done.ignored == ["golden/list.txt", "pyproject.toml"]
    assert changed == {**wanted, "setup.cfg": setup}
    for settings in (PYPROJECT + plugin, PYPROJECT.replace("1.0", "2.0")):
        done, changed = repository.apply(task, repository.patch({"pyproject.toml": settings}))
        assert (done.kept, done.ignored, changed) == ([], ["pyproject.toml"], {})


def test_code_that_the_task_is_about_may_be_called_testing(repository: Repository) -> None:
    """A protected module that the reference or the bug changes is the answer's to change."""
    path = "src/redkata/testing/ratio.py"
    fixed = "def ratio(left, right):\n    return 100 * left / right\n"
    for task in (
        repository.task({path: "1\n"}),
        repository.task(setup_patch=repository.patch({path: "1\n"})),
    ):
        done, changed = repository.apply(task, repository.patch({path: fixed}))
        assert (done.kept, done.ignored, changed) == ([path], [], {path: fixed})


def test_hidden_tests_come_last(repository: Repository) -> None:
    """The test patch wins over an answer's file of the same name."""
    hidden = {"src/redkata/test_new.py": "def test_new():\n    1\n"}
    task = repository.task(test_patch=repository.patch(hidden))
    done, changed = repository.apply(
        task, repository.patch({**FIX, "src/redkata/test_new.py": "1\n"})
    )
    assert done.ignored == ["src/redkata/test_new.py"]
    assert changed == {**FIX, **hidden}


@pytest.mark.parametrize(
    ("path", "protected"),
    [
        ("checks", True),
        ("checks/a.py", True),
        ("CHECKS/data/a.txt", True),
        ("one/file.py", True),
        ("one/file/__init__.py", True),
        ("conftest.py", True),
        ("kata/conftest.py", True),
        ("kata/conftest/__init__.py", True),
        ("src/sitecustomize.py", True),
        ("src/sitecustomize/any.py", True),
        ("usercustomize.abi3.so", True),
        ("pytest.ini", True),
        ("kata/pyproject.toml", True),
        ("setup.cfg", True),
        ("tox.ini", True),
        ("evil.PTH", True),
        ("kata/__pycache__/core.cpython-312.pyc", True),
        ("kata/core.cpython-312-x86_64-linux-gnu.so", True),
        ("kata.egg-info/entry_points.txt", True),
        ("kata-1.0.Dist-Info", True),
        ("\uff4bata.\uff25\uff27\uff27-info/PKG-INFO", True),
        (".GIT/config", True),
        ("checks.py", False),
        ("checksum/a.py", False),
        ("tests/test_core.py", False),
        ("kata/core.py", False),
        ("kata/testing.py", False),
        ("kata/contest.py", False),
        ("README.md", False),
        ("one/other.py", False),
    ],
)
def test_protected_files(path: str, protected: bool) -> None:
    """The image's list, and files that load by themselves, in any spelling."""
    assert is_protected(path, ["checks/", "one/file.py"]) is protected


def test_without_a_list_names_decide() -> None:
    """Where nothing says which files are tests, names do."""
    for path in ("tests/a.txt", "kata/test/b.py", "test_core.py", "kata/core_test.py"):
        assert is_protected(path, [])
    assert not is_protected("kata/core.py", [])


def paths_of(*tests: str, test_patch: Iterable[str] = (), **setup: Any) -> TestPaths:
    """The paths of a task with these tests."""
    task = make_task(FAIL_TO_PASS=list(tests), PASS_TO_PASS=[], setup=TestSetup(**setup))
    return TestPaths(task, test_patch)


def test_which_files_are_tests() -> None:
    """The files of the tests, their folder, and files next to them that are named like tests."""
    in_folder = paths_of("pkg/tests/unit/test_a.py::test_one")
    for path in ("pkg/tests/unit/test_a.py", "pkg/tests/data/x.bin", "PKG/Tests/b.py"):
        assert in_folder.are(path, new=False) and in_folder.hold(path)
    for path in ("pkg/a.py", "pkg/test/b.py", "other/tests/c.py", "pkg/test_utils.py"):
        assert not in_folder.are(path, new=False)
    nearby = paths_of("pkg/test_a.py::TestA::test_one[a.b]")
    assert nearby.are("pkg/test_helpers.py", new=False)
    assert not nearby.are("pkg/test_helpers.py", new=True)
    assert nearby.are("pkg/test_a/__init__.py", new=True)
    assert nearby.are("__init__.py", new=True) and not nearby.are("pkg/__init__.py", new=False)
    library = paths_of("lib/testing/tests/test_a.py::test_one")
    assert library.are("lib/testing/tests/x", new=False)
    assert not library.are("lib/testing/a.py", new=False)


def test_which_files_are_tests_of_other_data_sets() -> None:
    """A test patch and the test command name files; without both, names decide."""
    patched = paths_of("test_sum", test_patch=["sympy/core/tests/test_a.py"])
    assert patched.are("sympy/core/tests/test_b.py", new=False)
    assert not patched.are("sympy/testing/runtests.py", new=False)
    command = paths_of("test_a (x.Tests)", command="cd /testbed && ./tests/runtests.py bin/test -v")
    assert command.are("tests/runtests.py", new=False) and command.are("bin/test", new=False)
    assert command.are("x/tests/a.py", new=False) and command.are("test_a.py", new=True)
    assert not command.are("x/core.py", new=True)
    script = paths_of("test_a (x.Tests)", command="bash scripts/test src && make -s check")
    for path in ("scripts/test", "Makefile", "makefile"):
        assert script.are(path, new=True) and script.hold(path)
    assert not script.are("src/core.py", new=False) and not script.are("noxfile.py", new=True)
    inside = paths_of("t.py::test_a", python="/testbed/env/bin/python", workdir="/testbed")
    assert inside.are("env/bin/python", new=True) and not inside.are("pkg/a.py", new=True)


def test_which_tests_are_doctests() -> None:
    """Ids of docstrings name the object in its module; text files are tests as a whole."""
    paths = paths_of(
        "src/pkg/core.py::pkg.core.Box.size",
        "src/pkg/core.py::pkg.core",
        "src/pkg/__init__.py::pkg.one",
        "src/pkg/sub/__init__.py::pkg.sub.__init__.two",
        "docs/a.rst::a.rst",
        "test_x.py::test_x",
        "core.py::test_of_code",
    )
    assert paths.doctests() == {
        "src/pkg/core.py": ["Box.size", ""],
        "src/pkg/__init__.py": ["one"],
        "src/pkg/sub/__init__.py": ["two"],
    }
    assert paths.files == {"docs/a.rst", "test_x.py", "core.py"}
    assert paths.id("src/pkg/core.py", "") == "src/pkg/core.py::pkg.core"


EXAMPLE = '"""Words.\n\n    >>> one()\n    1\n    """'
ORIGINAL = f"""\
def one():
    {EXAMPLE}
    return 1
"""
FORGED = {
    "another value": ORIGINAL.replace("    1\n", "    2\n"),
    "another call": ORIGINAL.replace(">>> one()", ">>> 1"),
    "skipped": ORIGINAL.replace(">>> one()", ">>> one()  # doctest: +SKIP"),
    "after one that spares it": ORIGINAL.replace(">>> one()", ">>> one = print\n    >>> one()"),
    "removed": ORIGINAL.replace(EXAMPLE, "'Words.'"),
    "without a docstring": ORIGINAL.replace(f"    {EXAMPLE}\n", ""),
    "in one line": "def one(): return 1\n",
    "in one line with words": "def one(): 'ä'; return 1\n",
    "defined again": ORIGINAL + "\n\ndef one():\n    return 2\n",
    "before a decorator": "def one():\n    @print\n    def two():\n        pass\n",
    "in a condition": "if True:\n\tdef one():\n\t\treturn 1\n",
    "in a handler": "try:\n    x\nexcept NameError:\n    async def one(): 'ä' 'b'\n",
    "as a class": "class one:\n    x = 1\n",
    "other line ends": "# ä\r\ndef one():\r\n    'ä'\r\n    return 2\r\n",
    "old line ends": "x = 'ä'\rdef one():\r    return 2\r",
}


@pytest.mark.parametrize("name", list(FORGED))
def test_docstrings_get_their_examples_back(tmp_path: Path, name: str) -> None:
    """Whatever a definition looks like, its docstring has the original's examples."""
    (tmp_path / "a.original").write_text(ORIGINAL)
    (tmp_path / "a.answer").write_bytes(FORGED[name].encode())
    place = str(tmp_path / "a")
    told = merging.judge({"path": "a.py", "place": place, "names": ["one"]})
    assert (told["merged"], told["lost"], told["unclear"]) == (True, ["one"], False)
    tree = merging.read(f"{place}.merged").tree
    texts = [ast.get_docstring(node) for name, node in merging.documented(tree) if name]
    assert {str(merging.examples(text)) for text in texts} == {"[('one()\\n', '1\\n', [])]"}


def test_the_modules_own_docstring_and_another_encoding(tmp_path: Path) -> None:
    """A module's docstring goes to its beginning; the file keeps its encoding."""
    (tmp_path / "a.original").write_text('"""\n>>> 1\n1\n"""\n')
    (tmp_path / "a.answer").write_bytes("# coding: latin-1\nx = 'ä'\n".encode("latin-1"))
    place = str(tmp_path / "a")
    told = merging.judge({"path": "a.py", "place": place, "names": [""]})
    assert told["lost"] == [""]
    data = Path(f"{place}.merged").read_bytes()
    assert data.startswith(b"# coding: latin-1\n'\\n>>> 1\\n1\\n'\nx = '\xe4'")


@pytest.mark.parametrize("text", ["two = 1\n", f"{'-' * 200_000}1\n", "#" * (5 << 20)])
def test_what_cannot_be_compared_is_unclear(tmp_path: Path, text: str) -> None:
    """Missing objects, expressions too deep and files too large end in no exception."""
    (tmp_path / "a.original").write_text(ORIGINAL)
    (tmp_path / "a.answer").write_text(text)
    told = merging.judge({"path": "a.py", "place": str(tmp_path / "a"), "names": ["one"]})
    assert (told["lost"], told["unclear"]) == ([], True)


def test_modules_that_tests_use_only_gain_names(repository: Repository) -> None:
    """In a protected package an answer may add; what is there stays."""
    path = "src/redkata/testing/ratio.py"
    new = "import math\n\n\ndef inside(value):\n    return math.floor(value)\n"
    patch = repository.patch({path: f"{new}\n\ndef ratio(left, right):\n    return 1\n"})
    done, changed = repository.apply(repository.task(), patch)
    assert (done.kept, done.ignored, list(changed)) == ([path], [path], [path])
    assert changed[path].startswith(str(PROJECT[path]))
    assert "return 1" not in changed[path] and "return math.floor(value)" in changed[path]
    patch = repository.patch({path: "def ratio(left, right):\n    return 1\n", **FIX})
    done, changed = repository.apply(repository.task(), patch)
    assert (done.kept, done.ignored, list(changed)) == ([*FIX], [path], [*FIX])


@pytest.mark.parametrize(
    "text",
    [
        "check = print",
        "from redkata import core as check",
        "import other.check as check",
        "def check(): pass",
        "check, new = print, 1",
        "if new: check = print",
        "del check",
        "globals()['check'] = print",
        "check.__code__ = new",
        "for check in []: pass",
        "from other import *",
        "from __future__ import annotations",
        "'words'",
    ],
)
def test_what_is_no_addition(tmp_path: Path, text: str) -> None:
    """A statement that binds a known name, or that is more than a binding, adds nothing."""
    (tmp_path / "a.original").write_text("def check():\n    assert 0\n")
    (tmp_path / "a.answer").write_text(f"def check():\n    assert 0\n{text}\n")
    told = merging.judge({"path": "a.py", "place": str(tmp_path / "a"), "names": None})
    assert (told["merged"], told["unclear"]) == (False, True)


@pytest.mark.parametrize(
    "crowd",
    [
        {f"docs/{'x' * 200}/{'y' * 200}/{number}{'z' * 200}.md": "1\n" for number in range(198)},
        {f"docs/{number}.md": "1\n" for number in range(300)},
        {"e/a.md": "1\n"},
    ],
    ids=["long names", "many", "a word in every line"],
)
def test_a_golden_file_cannot_hide_in_a_crowd(repository: Repository, crowd: Files) -> None:
    """If the words of the tests cannot be searched for all files, the tests read all of them."""
    patch = repository.patch({**FIX, "golden/list.txt": "- a\n", **crowd})
    done, changed = repository.apply(repository.task(), patch)
    assert "golden/list.txt" in done.ignored and "golden/list.txt" not in changed
    assert done.kept[-1] == "src/redkata/core.py"


def test_a_patch_of_very_many_modules_is_a_problem_of_the_patch(repository: Repository) -> None:
    """It would take the program that looks at modules longer than it may."""
    head = "new file mode 100644\n--- /dev/null\n+++ b/"
    names = [f"new/m{number}.py" for number in range(5001)]
    diffs = [f"diff --git a/{name} b/{name}\n{head}{name}\n@@ -0,0 +1 @@\n+1\n" for name in names]
    done, changed = repository.apply(repository.task(), "".join(diffs))
    assert (done.kept, done.problem, changed) == ([], "the patch adds too many modules", {})


def test_a_file_that_ends_the_program_is_not_taken(repository: Repository) -> None:
    """A file whose tree takes more time or memory than there is makes no attempt lost."""
    setup = repository.task().setup.model_copy(update={"python": "false"})
    task = repository.task().model_copy(update={"setup": setup})
    done, changed = repository.apply(task, repository.patch({**FIX, "notes.md": "1\n"}))
    assert (done.kept, done.ignored) == (["notes.md"], ["src/redkata/core.py"])
    assert list(changed) == ["notes.md"]
