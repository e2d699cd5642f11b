"""Recipes: loading, writing, and inference from a project's own files."""

import os
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from forager.errors import SourceError, UsageError
from forager.images.distributions import distribution
from forager.images.infer import infer
from forager.images.layout import (
    guess_licence,
    links_outside,
    modules,
    project_name,
    required_python,
)
from forager.images.recipe import Recipe, dump, load, options

_TEST = "import widget\n\ndef test_value():\n    assert widget.VALUE == 1\n"
_PYPROJECT = '[project]\nname = "widget"\nversion = "1.0"\n'


def _project(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return root


def test_dump_is_read_back(tmp_path: Path) -> None:
    """A written recipe explains its keys and loads unchanged."""
    recipe = Recipe(install=["uv pip install -e '.[a]'"], variables={"TZ": "UTC"}, tests=["t"])
    (tmp_path / "recipe.toml").write_text(dump(recipe))
    assert load(tmp_path / "recipe.toml") == recipe
    assert all(f"#   {name}" in dump(recipe) for name in Recipe.model_fields)


def test_memory_may_have_a_unit(tmp_path: Path) -> None:
    """Memory sizes may have the usual units."""
    (tmp_path / "recipe.toml").write_text('memory = "4g"')
    assert load(tmp_path / "recipe.toml").memory == 4 << 30


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("instal = []", "instal: no such key; there are python, system, install"),
        ("install = 'x'", "install: Input should be a valid list"),
        ("timeout = 0", "timeout: Input should be greater than 0"),
        ("memory = 'much'", "memory: Input should be a valid integer"),
        ("python = '2.7'", "python: write it as in '3.12'"),
        ("python = '3.7'", "python: forager's programs need Python 3.8 or later"),
        ("system = ['-o=x']", "system: '-o=x' is not the name of a Debian package"),
        ("protected = ['../x']", "protected: '../x' is not inside the project"),
        ("install = [", "is not TOML"),
    ],
)
def test_mistakes_name_the_key(tmp_path: Path, text: str, words: str) -> None:
    """A mistake gives one line with the file and the key."""
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "recipe.toml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    """A recipe that does not exist is an error."""
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path / "recipe.toml")


# One row: the project's file that states requirements, and the install commands inferred.
_STATED: list[tuple[str, str, list[str]]] = [
    ("pyproject.toml", _PYPROJECT, ["uv pip install -e ."]),
    (
        "pyproject.toml",
        _PYPROJECT + '[dependency-groups]\ntest = ["hypothesis>=6", {include-group = "more"}]\n'
        'more = ["mock"]\nlint = ["ruff"]\n',
        ["uv pip install -e .", "uv pip install 'hypothesis>=6' mock"],
    ),
    (
        "pyproject.toml",
        _PYPROJECT + '[dependency-groups]\ntest = [{include-group = "test"}, "mock"]\n',
        ["uv pip install -e .", "uv pip install mock"],
    ),
    (
        "pyproject.toml",
        _PYPROJECT + '[dependency-groups]\ndev = ["hypothesis", "ruff", "tox", "pytest"]\n',
        ["uv pip install -e .", "uv pip install hypothesis"],
    ),
    (
        "pyproject.toml",
        _PYPROJECT + '[project.optional-dependencies]\ntests = ["mock"]\ndocs = ["sphinx"]\n',
        ["uv pip install -e '.[tests]'"],
    ),
    (
        "pyproject.toml",
        _PYPROJECT + '[project.optional-dependencies]\ndev = ["mock", "ruff", "widget[x]"]\n',
        ["uv pip install -e .", "uv pip install mock"],
    ),
    (
        "pyproject.toml",
        '[tool.poetry]\nname = "widget"\n[tool.poetry.group.test.dependencies]\n'
        'mock = "^5.0"\nsix = "*"\nanyio = {version = ">=3,<5", extras = ["trio"]}\n',
        ["uv pip install -e .", "uv pip install 'mock>=5.0' six 'anyio[trio]>=3,<5'"],
    ),
    (
        "pyproject.toml",
        _PYPROJECT + '[tool.pdm.dev-dependencies]\ntest = ["mock"]\n',
        ["uv pip install -e .", "uv pip install mock"],
    ),
    (
        "pyproject.toml",
        _PYPROJECT + '[tool.hatch.envs.hatch-test]\nextra-dependencies = ["mock"]\n',
        ["uv pip install -e .", "uv pip install mock"],
    ),
    (
        "setup.cfg",
        "[metadata]\nname = widget\n[options.extras_require]\ntesting =\n    mock\n    six\n",
        ["uv pip install -e '.[testing]'"],
    ),
    (
        "setup.py",
        "from setuptools import setup\nextras = {'test': ['mock']}\n"
        "setup(name='widget', extras_require=extras, tests_require=['six'])\n",
        ["uv pip install -e '.[test]'", "uv pip install six"],
    ),
    (
        "tox.ini",
        "[testenv]\ndeps =\n    mock>=4  # for old code\n    py27: six\n    {[base]deps}\n",
        ["uv pip install 'mock>=4'"],
    ),
    (
        "noxfile.py",
        "def tests(session):\n    session.install('-e', '.[x]', 'mock')\n"
        "    session.install('-r', 'more.txt', *session.posargs)\n",
        ["uv pip install mock"],
    ),
    (
        "requirements-test.txt",
        "-r more/requirements.txt\nmock==5.0 \\\n    --hash=sha256:00\n-e .\n# no\nhttps://x/y.whl\n",
        ["uv pip install mock==5.0"],
    ),
    (
        "test-requirements.txt",
        "six;python_version>='3'\n",
        ["uv pip install \"six;python_version>='3'\""],
    ),
    ("requirements/test.txt", "mock\n", ["uv pip install mock"]),
    ("requirements.txt", "six\n", ["uv pip install six"]),
]


@pytest.mark.parametrize(("name", "text", "expected"), _STATED)
def test_requirements(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    """Inference reads every place in which projects state test requirements."""
    _project(tmp_path, {"widget.py": "VALUE = 1\n", "tests/test_widget.py": _TEST, name: text})
    assert infer(tmp_path).install == expected


def test_no_tests(tmp_path: Path) -> None:
    """A project without a test function, doctest, conftest.py or settings of pytest is refused."""
    _project(tmp_path, {"widget.py": "VALUE = 1\n", "tests/test_nothing.py": "X = 1\n"})
    with pytest.raises(SourceError, match=r"no tests found.*such as the project's git repository$"):
        infer(tmp_path)
    (tmp_path / "PKG-INFO").write_text(
        "Name: widget\nHome-page: https://widget.example\n"
        "Project-URL: Source, http://github.com/of/widget.git\n\nhttps://github.com/not/this\n"
    )
    with pytest.raises(SourceError, match=r"such as https://github\.com/of/widget$"):
        infer(tmp_path)


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "setup.cfg", "tox.ini", "setup.py", "noxfile.py"]
)
def test_broken_files_state_nothing(tmp_path: Path, name: str) -> None:
    """Inference skips broken files; the installation reports what is wrong."""
    _project(tmp_path, {"tests/test_a.py": _TEST, name: "[[[ = \0 ("})
    assert "uv pip install" not in infer(tmp_path).install


def test_odd_trees_are_read(tmp_path: Path) -> None:
    """Inference reads trees with links in a loop, unreadable files, and very deep directories."""
    _project(tmp_path, {"tests/test_a.py": _TEST, "test_odd.py/x.py": ""})
    for name in ("tests/loop", "test_loop.py"):
        (tmp_path / name).symlink_to(tmp_path / name)
    (tmp_path / "tests/round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "tests/test_b.py").write_bytes(b"import six\0\xff\n")
    (tmp_path / "tests" / ("test_" + "n" * 200 + ".py")).write_text(_TEST)
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python's stack, and its path longer than a path may be
        os.mkdir("deep", dir_fd=deep)
        below = os.open("deep", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)
    recipe, requirement = infer(tmp_path), distribution(tmp_path, "yaml")
    subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)  # pytest cannot
    assert (recipe.install, requirement) == ([], "PyYAML")


def test_links_out_of_the_project_are_not_followed(tmp_path: Path) -> None:
    """A hostile project reads none of the host's files."""
    (tmp_path / "secret.txt").write_text("mock\n")
    project = _project(tmp_path / "project", {"tests/test_a.py": _TEST})
    (project / "requirements-test.txt").symlink_to(tmp_path / "secret.txt")
    (project / "more").symlink_to("/")
    assert infer(project).install == []


def test_names(tmp_path: Path) -> None:
    """Inference finds import names, distribution name and licence."""
    _project(
        tmp_path,
        {
            "src/widget/__init__.py": "",
            "flat.py": "",
            "setup.py": "setup(name='the-widget')",
            "setup.cfg": "[options]\npython_requires = >=3.9\n",
            "docs/__init__.py": "",
            "LICENSE.txt": "Apache License\nVersion 2.0",
        },
    )
    assert modules(tmp_path) == ["flat", "widget"]
    assert project_name(tmp_path) == "the-widget"
    assert required_python(tmp_path) == ">=3.9"
    assert guess_licence(tmp_path) == "Apache-2.0"


OPTIONS = [
    (["tests"], []),
    (["-o", "addopts=--strict", "tests", "more/tests"], ["-o", "addopts=--strict"]),
    (["--ignore", "tests/slow", "-x", "tests"], ["--ignore", "tests/slow", "-x"]),
    (["--ignore=tests/slow", "-p", "no:cov"], ["--ignore=tests/slow", "-p", "no:cov"]),
]


@pytest.mark.parametrize(("arguments", "expected"), OPTIONS)
def test_options_are_arguments_without_paths(arguments: list[str], expected: list[str]) -> None:
    """Options for every run of pytest are separated from those that select the whole suite."""
    assert options(arguments) == expected


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({"pyproject.toml": "[tool.ruff]\n"}, "/testbed"),
        ({"pyproject.toml": "[tool\n"}, "/testbed"),
        ({"setup.cfg": "[flake8]\n", "src/widget/__init__.py": ""}, "/testbed/src"),
        ({"lib/widget/__init__.py": ""}, "/testbed/lib"),
        ({"lib/notes.txt": ""}, "/testbed"),
        ({"pyproject.toml": _PYPROJECT}, ""),
        ({"pyproject.toml": "[build-system]\nrequires = ['x']\n"}, ""),
        ({"pyproject.toml": "[tool.poetry]\nname = 'widget'\n"}, ""),
        ({"setup.cfg": "[metadata]\nname = widget\n"}, ""),
        ({"setup.py": "setup()"}, ""),
    ],
)
def test_settings_of_tools_are_no_project(tmp_path: Path, files: dict[str, str], path: str) -> None:
    """Only what says how to install is installed; else modules are imported by their place."""
    recipe = infer(_project(tmp_path, {"test_widget.py": _TEST, **files}))
    assert recipe.variables == ({"PYTHONPATH": path} if path else {})
    assert recipe.install == ([] if path else ["uv pip install -e ."])


def test_links_that_lead_outside(tmp_path: Path) -> None:
    """A link counts by where it leads from the working tree, wherever that lies."""
    links = {
        "a/up": "..",
        "a/out": "../..",
        "b": "../x",
        "c": "/etc",
        "d": "a/../../x",
        "e": "a/.",
        "f": ".",
    }
    (tmp_path / "a").mkdir()
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    assert links_outside(tmp_path, [*links, "gone"]) == ["a/out", "a/up", "b", "c", "d", "f"]
