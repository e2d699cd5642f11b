"""What pytest itself says that a project's tests are; real pytest, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from forager.errors import BuildError, SourceError
from forager.images import soundness
from forager.images.collection import Ask, Collection, answer, asking
from forager.images.distributions import distribution
from forager.images.layout import likely_tests
from forager.images.suite import Suite, find_suite
from forager.programs import program

_TEST = "def test_one():\n    assert True\n\ndef test_two():\n    assert True\n"
_DOCTESTS = '''
def half(n):
    """
    >>> half(4)
    2
    """
    return n // 2
'''
_PAIRS = """
import pytest

def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".pairs":
        return Pairs.from_parent(parent, path=file_path)

class Pairs(pytest.File):
    def collect(self):
        yield Pair.from_parent(self, name="pair")

class Pair(pytest.Item):
    def runtest(self): pass
"""
_STYLE = _PAIRS.replace('".pairs"', '".py"')
_WARNS = """
import warnings
from pytest import PytestDeprecationWarning
def pytest_configure(config): warnings.warn({}("old"))
"""
_INI = "[pytest]\n"
Find = Callable[..., tuple[Suite, list[str]]]


@pytest.fixture
def find(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Find:
    """Write a project and ask for its tests; nothing can be installed."""
    place = tmp_path_factory.mktemp("program") / "collection.py"
    place.write_bytes(program("collection"))
    variables = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
    variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # of this environment

    def ask(arguments: Sequence[str], settings: bool) -> Collection:
        command, nonce, mark = asking(f"{sys.executable} {place}", arguments, settings)
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=variables, capture_output=True, text=True
        )
        return answer(done.stdout, nonce, mark)

    def found(
        files: dict[str, str], ask: Ask = ask, ignored: Sequence[str] = ()
    ) -> tuple[Suite, list[str]]:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        wanted: list[str] = []

        def install(requirement: str) -> bool:
            wanted.append(requirement)
            return False

        known = partial(distribution, tmp_path)
        likely = soundness.test_functions(tmp_path, likely_tests(tmp_path))
        suite = find_suite(ask, install, known, sorted(files), likely, ignored)
        return suite, wanted

    return found


# Where tests are: files of the project, the arguments of pytest, the protected paths.
_PLACES: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "tests": ({"tests/test_a.py": _TEST}, [], ["tests"]),
    "conftest": ({"test/test_a.py": _TEST, "conftest.py": ""}, [], ["conftest.py", "test"]),
    "top": ({"test_a.py": _TEST, "b_test.py": _TEST}, [], ["b_test.py", "test_a.py"]),
    "capitals": (
        {"pytest.ini": _INI + "testpaths = Tests/**.py\npython_files = test*\n"}
        | {"Tests/Data/test_a.py": _TEST},
        [],
        ["Tests"],
    ),
    "dot": ({"pytest.ini": _INI + "testpaths = .\n", "checks/test_a.py": _TEST}, [],
            ["checks/test_a.py"]),
    "names": (
        {"setup.cfg": "[tool:pytest]\npython_files = check_*.py\npython_functions = check_*\n"}
        | {"checks/check_a.py": "def check_x(): pass\n"},
        [],
        ["checks/check_a.py"],
    ),
    "doctests": (
        {"tox.ini": _INI + "addopts = --doctest-modules\n", "num/core.py": _DOCTESTS},
        [],
        [],
    ),
    "texts": (
        {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["--doctest-glob=*.rst"]\n'}
        | {"docs/use.rst": ">>> 1 + 1\n2\n", "tests/test_a.py": _TEST},
        [],
        ["docs/use.rst", "tests"],
    ),
    "items": ({"conftest.py": _PAIRS, "data/a.pairs": "1 1\n"}, [],
              ["conftest.py", "data/a.pairs"]),
    "style": ({"conftest.py": _STYLE, "num/core.py": "", "tests/test_a.py": _TEST}, [],
              ["conftest.py", "tests"]),
    "inside": (
        {"num/__init__.py": "", "num/core.py": "", "num/test_core.py": _TEST}
        | {"num/deep/__init__.py": "", "num/deep/tests/test_b.py": _TEST},
        [],
        ["num/deep/tests", "num/test_core.py"],
    ),
    "toml": ({"pytest.toml": '[pytest]\ntestpaths = ["checks"]\naddopts = ["-q", "-sv"]\n'}
             | {"checks/test_a.py": _TEST, "tests/test_b.py": _TEST},
             ["-o", "addopts=-sv"], ["checks/test_a.py"]),
    "imports from the root": (
        {"helpers/tools.py": "X = 1\n", "tests/test_a.py": f"from helpers.tools import X\n{_TEST}"},
        [],
        ["tests"],
    ),
    "other names": (
        {"tests/models.py": _TEST, "tests/base.py": _TEST, "test_all.py": _TEST},
        ["-o", "python_files=*.py", "tests"],
        ["tests"],
    ),
    "most in unittest's names": (
        {"test/test_few.py": _TEST, "test/test.py": f"{_TEST}def test_y(): pass\n"},
        ["-o", "python_files=test*.py tests.py *test.py *tests.py"],
        ["test"],
    ),
    "unittest": (
        {"tests/testwidget.py": "import unittest\nclass T(unittest.TestCase):\n"
         "    def test_x(self): pass\n"},
        ["-o", "python_files=test*.py tests.py *test.py *tests.py"],
        ["tests"],
    ),
    "nothing stated holds tests": (
        {"pytest.ini": _INI + "testpaths = num\n", "num/core.py": "", "tests/test_a.py": _TEST},
        ["."],
        ["tests"],
    ),
    "settings below": (
        {"tests/pytest.ini": "[pytest]\npython_files = check_*.py\n", "scripts/test_b.py": _TEST}
        | {"tests/check_a.py": _TEST},
        ["tests"],
        ["tests"],
    ),
    "equal names": (
        {"one/tests/test_a.py": _TEST, "two/tests/test_a.py": _TEST},
        ["--import-mode=importlib"],
        ["one/tests", "two/tests"],
    ),
    "speed": (
        {"benchmarks/test_fast.py": _TEST, "tests/test_a.py": _TEST},
        ["--ignore=benchmarks"],
        ["tests"],
    ),
    "broken example": (
        {"examples/test_no.py": "import nothing_there\n", "tests/test_a.py": _TEST},
        ["--ignore=examples/test_no.py"],
        ["tests"],
    ),
    **{
        name: (
            {file: text, "tests/test_a.py": _TEST},
            ["-c", "/dev/null", "--rootdir=."],
            ["tests"],
        )
        for name, file, text in (
            ("settings of an older pytest", "setup.cfg", "[pytest]\ntestpaths = checks\n"),
            ("broken TOML", "pyproject.toml", "[tool.pytest\n"),
            ("broken INI", "pytest.ini", "[pytest]\nverbose\n"),
        )
    },
    **{
        name: (
            {"pytest.ini": f"{_INI}filterwarnings = error\n", "tests/test_a.py": _TEST}
            | {"conftest.py": _WARNS.format(name.rpartition(".")[2])},
            ["-W", f"ignore::{name}"],
            ["conftest.py", "tests"],
        )
        for name in ("pytest.PytestDeprecationWarning", "DeprecationWarning")
    },
    "broken test": (
        {"tests/test_no.py": "import nothing_there\n", "tests/test_a.py": _TEST},
        [],
        ["tests"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _PLACES)
def test_places(find: Find, name: str) -> None:
    """Pytest finds the tests; their files are protected, and source never is."""
    files, arguments, protected = _PLACES[name]
    suite, _ = find(files)
    assert (suite.arguments, suite.protected) == (arguments, protected)


# Settings of `pytest.ini`, the arguments that let pytest collect, and what is to be installed.
_SETTINGS: dict[str, tuple[str, list[str], list[str]]] = {
    "kept": (
        "addopts = --strict-markers --strict-config --ignore tests/no -m 'not slow' -p no:doctest\n"
        "cache_dir = .cache/x\nxfail_strict = true\nminversion = 6\nfilterwarnings = error\n"
        "norecursedirs = other\nmarkers = slow\n",
        [],
        [],
    ),
    "measuring": (
        "addopts = -n auto --cov num --cov-report term -ra --tb short -k one --dist=loadfile\n",
        ["-o", "addopts=-k one"],
        [],
    ),
    "attached": (
        "addopts = -nlogical --max-worker-restart=2 -p xdist -ppytest_cov -qq -x\n",
        ["-o", "addopts="],
        [],
    ),
    "required measuring": (
        "required_plugins = pytest-cov pytest-sugar>=1\n",
        ["-o", "required_plugins="],
        [],
    ),
    "required": (
        "required_plugins = pytest-nothing-there>=2 pytest-cov\n",
        ["-o", "required_plugins="],
        ["pytest-nothing-there>=2"],
    ),
    "known plug-in": (
        "addopts = --strict-config\nasyncio_mode = auto\n",
        ["-o", "addopts="],
        ["pytest-asyncio"],
    ),
    "plug-in by name": (
        "addopts = -p pytest_httpserver -p nobodys.plugin\n",
        ["-o", "addopts="],
        ["pytest-httpserver"],
    ),
    "unknown option": (
        "addopts = --nobodys=1 --nobodys-other value -k one\n",
        ["-o", "addopts=-k one"],
        [],
    ),
    "strict setting": (
        "strict_config = true\nnobodys = 1\n",
        ["-o", "strict_config=false"],
        [],
    ),
    "warning": (
        "filterwarnings = error\nnobodys = 1\n",
        ["-W", "ignore::pytest.PytestConfigWarning"],
        [],
    ),
    "cache": ("addopts = --cache-clear\n", [], []),
    "no cache": ("addopts = -p no:cacheprovider --strict-config\n", [], []),
    "too new": ("minversion = 999\n", ["-o", "minversion="], ["pytest>=999"]),
    "wrong value": ("addopts = --import-mode=nobodys\n", ["-o", "addopts="], []),
    "missing path": ("addopts = tests/test_gone.py\n", ["-o", "addopts="], []),
}


@pytest.mark.parametrize("name", _SETTINGS)
def test_settings(find: Find, name: str) -> None:
    """The project's settings stay, except those that measure and those that pytest refuses."""
    text, arguments, wanted = _SETTINGS[name]
    suite, asked = find({"pytest.ini": _INI + text, "tests/test_a.py": _TEST})
    assert (suite.arguments, asked) == (arguments, wanted)
    assert suite.protected == ["tests"]


def test_a_file_that_ends_pytest_is_ignored(find: Find) -> None:
    """Whether it exits, dies or makes pytest fail, the others are collected."""
    files = {
        "tests/test_a.py": _TEST,
        "scripts/test_exit.py": "import sys\nsys.exit(3)\n",
        "scripts/test_die.py": "import os\nos._exit(0)\n",
        "scripts/test_kill.py": "import os\nos.kill(os.getpid(), 9)\n",
    }
    suite, _ = find(files)
    ignored = [f"--ignore=scripts/test_{name}.py" for name in ("die", "exit", "kill")]
    assert suite.arguments == ignored
    assert [note.split()[0] for note in suite.notes] == [text[9:] for text in ignored]


def test_an_option_that_does_harm_is_dropped(find: Find) -> None:
    """If pytest collects without one of the options, this one goes, with the reason."""
    check = "def pytest_configure(config):\n    assert config.option.keyword != 'two', 'no two'\n"
    files = {"pytest.ini": _INI + "addopts = -s -k two\n", "conftest.py": check}
    suite, _ = find({**files, "tests/test_a.py": _TEST})
    assert suite.arguments == ["-o", "addopts=-s"]
    assert "no two" in suite.notes[0]


def test_an_internal_error_is_told(find: Find) -> None:
    """If pytest itself fails, its last words are the reason."""
    hook = "def pytest_collection_modifyitems():\n    raise RuntimeError('no such order')\n"
    with pytest.raises(BuildError, match="RuntimeError: no such order"):
        find({"conftest.py": hook, "tests/test_a.py": _TEST})


def test_a_conftest_that_fails_is_told(find: Find) -> None:
    """So is a conftest.py that cannot be imported, with its file."""
    with pytest.raises(BuildError, match=r"nothing_there.*conftest.py"):
        find({"conftest.py": "import nothing_there\n", "tests/test_a.py": _TEST})


def test_what_a_plugin_raises_is_told(find: Find) -> None:
    """Not only its name, which is all that pytest 9.2 says: the rules need the cause."""
    plugins = {"conftest.py": "pytest_plugins = ['own']\n", "tests/test_a.py": _TEST}
    with pytest.raises(BuildError, match=r"ValueError: too old \(from own\)"):
        find({"own.py": "raise ValueError('too old')\n", **plugins})
    with pytest.raises(BuildError, match=r"No module named 'respx' \(from own\)"):
        find({"own.py": "import respx\n", **plugins})


def test_nothing_is_collected(find: Find) -> None:
    """A project in which pytest finds no test is refused."""
    with pytest.raises(SourceError, match="pytest collects none"):
        find({"tests/test_a.py": "def check(): pass\n", "pytest.ini": _INI})


def test_a_forged_report_names_no_file_that_the_project_lacks(find: Find) -> None:
    """The project's code runs while pytest collects; its word is bounded and checked."""

    def ask(arguments: Sequence[str], settings: bool) -> Collection:
        forged = [
            'n {"file": "../../etc/passwd", "tests": 1}',
            'n {"file": "tests", "tests": 1}',
            'n {"file": "tests/test_a.py", "tests": 1}',
            'n {"end": true, "collected": true}',
            "",
            "mark 0\n",
        ]
        return answer("\n".join(forged), "n", "mark")

    assert find({"tests/test_a.py": _TEST}, ask)[0].protected == ["tests"]


def test_what_leads_out_of_a_project_is_not_entered(find: Find) -> None:
    """A link to the root of the file system makes pytest collect no other tests."""
    files = {"test_a.py": _TEST, "outside/test_b.py": "raise SystemExit\n"}
    suite, _ = find(files, ignored=["outside"])
    assert suite.arguments[:1] == ["--ignore=outside"]
    assert suite.protected == ["test_a.py"]


def test_a_marker_does_not_keep_a_missing_module_out(tmp_path: Path) -> None:
    """A requirement for other Pythons counts too; a module that newer versions lack has a bound."""
    stated = "freezegun>=1; python_version < '3'\nsetuptools; python_version >= '3.12'\n"
    (tmp_path / "requirements.txt").write_text(stated)
    assert distribution(tmp_path, "freezegun") == "freezegun>=1"
    assert distribution(tmp_path, "pkg_resources") == "setuptools<81"


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("widget/freezegun/core.py", False),  # that is widget.freezegun
        ("widget/freezegun.py", False),
        ("tests/freezegun/test_a.py", False),  # tests of it
        ("tests/freezegun/__init__.py", False),
        ("test/freezegun/__init__.py", True),  # found from the folder of tests
        ("tests/freezegun.py", True),
        ("src/freezegun/core.py", True),
        ("native/_freezegun.c", False),
        ("native/freezegun.c", True),
    ],
)
def test_what_the_project_has_itself(tmp_path: Path, path: str, own: bool) -> None:
    """Files in a package are no modules of their own; folders in those of tests are tests."""
    for name in ("widget/__init__.py", "tests/__init__.py", path):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "requirements.txt").write_text("freezegun>=1\n")
    assert distribution(tmp_path, "freezegun") == ("" if own else "freezegun>=1")


def test_missing_modules_are_installed(find: Find) -> None:
    """The project's own files say which requirement brings a module; what it has itself is none."""
    _, wanted = find(
        {
            "requirements.txt": "respx>=0.20  # for tests\nproject-itself\n",
            "pyproject.toml": "[project]\nname = 'rusty'\n",
            "src/rusty.rs": "",
            "tests/test_mock.py": "import respx\n\n\ndef test_x():\n    assert 1\n",
            "tests/test_own.py": "import rusty.core\n\n\ndef test_x():\n    assert 1\n",
            "tests/test_word.py": "from dateutil_nowhere import x\nimport yaml\n",
            "tests/test_packed.py": "import umsgpack\n\n\ndef test_x():\n    assert 1\n",
            "tests/test_right.py": "def test_x():\n    assert 1\n",
        }
    )
    assert "respx>=0.20" in wanted
    assert "u-msgpack-python" in wanted
    assert not [text for text in wanted if text.startswith("rusty")]
