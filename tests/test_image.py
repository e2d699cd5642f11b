"""Builds of small projects of each kind, their records and their refusals."""

from pathlib import Path

import pytest
from conftest import write_project

from forager.errors import BuildError, SourceError, UsageError
from forager.images.base import ensure_base
from forager.images.build import build
from forager.images.image import Image, find_image, stored_images
from forager.images.infer import infer
from forager.images.recipe import Recipe
from forager.images.settings import BuildSettings
from forager.programs import copy_name, names
from forager.sandboxes.engine import connect

pytestmark = pytest.mark.engine

_PYPROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"
    [project]
    name = "{name}"
    version = "1.0"
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests' records apart; the base image is shared."""
    ensure_base(connect())
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))


def _shell(image: Image, script: str) -> str:
    output = connect().containers.run(
        image.digest, ["bash", "-c", script], remove=True, network_disabled=True
    )
    return str(output.decode())


def _remove(image: Image) -> None:
    connect().images.remove(image.reference, force=True)


def test_a_test_that_fails_on_a_busy_machine_decides_nothing(tmp_path: Path) -> None:
    """It asks a clock, and fails on a fifth of a processor core; others of its file still count."""
    source = write_project(
        tmp_path,
        {
            "pyproject.toml": _PYPROJECT.format(name="widget"),
            "widget.py": "def double(x):\n    return 2 * x\n",
            "tests/test_speed.py": """
                import time
                from widget import double

                def test_speed():
                    began, used = time.perf_counter(), time.process_time()
                    while time.process_time() - used < 0.4:
                        assert double(2) == 4
                    assert time.perf_counter() - began < 1.2

                def test_double():
                    assert double(3) == 6

                def test_again():
                    assert double(4) == 8
            """,
        },
    )
    steps: list[str] = []
    image = build(source, report=steps.append)
    assert image.passing == [f"tests/test_speed.py::test_{name}" for name in ("again", "double")]
    assert [*image.flaky, *image.failing] == ["tests/test_speed.py::test_speed"]
    assert "running the tests that ask a clock, slowly" in steps
    _remove(image)


def test_src_layout_leaves_one_commit_and_no_copy(tmp_path: Path) -> None:
    """A build gives outcomes, one commit, a clean tree, and nothing of the host or cache."""
    source = write_project(
        tmp_path,
        {
            "pyproject.toml": _PYPROJECT.format(name="widget"),
            "src/widget/__init__.py": "def double(x):\n    return 2 * x\n" + "# a comment\n" * 30,
            "tests/test_widget.py": """
                import os, random
                import pytest
                from widget import double

                SEEN = []

                def test_first():
                    SEEN.append(1)

                @pytest.mark.parametrize("x", range(5))
                def test_order(x):
                    assert SEEN, "only after test_first"

                def test_double():
                    assert double(2) == 4

                @pytest.mark.parametrize("x", range(9))
                def test_more(x):
                    assert double(x) == x + x

                def test_wrong():
                    assert double(2) == 5

                @pytest.mark.skip
                def test_skipped():
                    pass
            """,
            "build/lib/widget/__init__.py": "left by an earlier build\n",
        },
    )
    image = build(source)
    assert "tests/test_widget.py::test_double" in image.passing
    assert image.failing == ["tests/test_widget.py::test_wrong"]
    assert image.skipped == 1
    assert image.flaky
    assert all("test_order" in test for test in image.flaky)
    assert image.setup.protected == ["tests"]
    assert image.python_version.startswith("3.")
    script = (
        "git rev-list --all --count; git rev-parse HEAD; git status --porcelain; git remote;"
        "find / -name '__init__.py' -path '*widget*' 2>/dev/null;"
        "ls -d build .git/logs /opt/forager-* ~/.cache; find /tmp /root -mindepth 1;"
        "find /opt/forager ! -user root -o -perm /022; cd /opt/forager/opt/venv/bin/python && ls;"
        "env | grep -i -E 'cert|proxy|index'; stat -c %U /testbed/src; true"
    )
    lines = [line for line in _shell(image, script + " 2>/dev/null").splitlines() if line]
    programs = sorted(map(copy_name, names()))
    assert lines == ["1", image.commit, "/testbed/src/widget/__init__.py", *programs, "agent"]

    again: list[str] = []
    assert build(source, report=again.append) == image
    assert again[-1].endswith("was built before")
    assert list(stored_images()) == [image]
    assert find_image(image.reference) == find_image(image.key) == image
    with pytest.raises(BuildError, match="tests pass"):
        build(source, settings=BuildSettings(minimum_pass=0.99))
    _remove(image)


def test_flat_module_with_unittest_tests(tmp_path: Path) -> None:
    """A project may lack packaging, use names that pytest would skip, and require plug-ins."""
    source = write_project(
        tmp_path,
        {
            "flat.py": "VALUE = 1\n",
            "pytest.ini": "[pytest]\nrequired_plugins = pytest-cov pytest-timeout>=2\n",
            "tests/testflat.py": """
                import unittest
                import flat

                class FlatTest(unittest.TestCase):
                    def test_value(self):
                        self.assertEqual(flat.VALUE, 1)
            """,
        },
    )
    image = build(source)
    assert image.passing == ["tests/testflat.py::FlatTest::test_value"]
    assert image.recipe.variables == {"PYTHONPATH": "/testbed"}
    assert image.recipe.install == ["uv pip install 'pytest-timeout>=2'"]
    names = "python_files=test*.py tests.py *test.py *tests.py"
    assert image.recipe.tests == ["-o", "required_plugins='pytest-timeout>=2'", "-o", names]
    assert image.notes == [f"pytest runs with -o '{names}': tests have unittest's names"]
    _remove(image)


def test_a_test_whose_id_is_cut_belongs_to_no_image(tmp_path: Path) -> None:
    """Parameters may make an id of any length; by a cut one pytest finds no test.

    One of 3,999 characters is still whole, so the runner and the image agree on the bound.
    """
    text = """
        import pytest

        @pytest.mark.parametrize("text", [1, 2], ids=["a" * 4000, "b" * 3974])
        def test_long(text):
            pass
    """
    image = build(write_project(tmp_path, {"test_long.py": text}))
    assert image.passing == [f"test_long.py::test_long[{'b' * 3974}]"]
    assert image.skipped == 1
    _remove(image)


def test_a_test_that_a_plugin_repeats_passes_if_it_passes_then(tmp_path: Path) -> None:
    """pytest-rerunfailures reports an outcome of its own, "rerun", before the one that counts."""
    source = write_project(
        tmp_path,
        {
            "test_again.py": """
                import pytest

                seen = []

                @pytest.mark.flaky(reruns=2)
                def test_second_time():
                    seen.append(1)
                    assert len(seen) > 1

                @pytest.mark.flaky(reruns=2)
                def test_never():
                    assert False

                def test_plain():
                    pass
            """,
        },
    )
    image = build(source, recipe=Recipe(install=["uv pip install pytest-rerunfailures"]))
    assert image.passing == ["test_again.py::test_plain", "test_again.py::test_second_time"]
    assert image.failing == ["test_again.py::test_never"]
    _remove(image)


def test_compiled_extension(tmp_path: Path) -> None:
    """The extension is built in place, ignored by git, without its build directory.

    Its setup.py may import pkg_resources, and its tests what only a file of requirements states.
    """
    source = write_project(
        tmp_path,
        {
            "pyproject.toml": _PYPROJECT.format(name="fast"),
            "all-requirements.txt": "toolz==1.0.0\n",
            "setup.py": """
                import pkg_resources
                from setuptools import Extension, setup
                setup(ext_modules=[Extension("fast._core", ["fast/_core.c"])])
            """,
            "fast/__init__.py": "from fast._core import one\n",
            "fast/_core.c": """
                #include <Python.h>
                static PyObject *one(PyObject *s, PyObject *a) { return PyLong_FromLong(1); }
                static PyMethodDef methods[] = {{"one", one, METH_NOARGS, ""}, {0}};
                static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_core", 0, -1, methods};
                PyMODINIT_FUNC PyInit__core(void) { return PyModule_Create(&module); }
            """,
            "fast/tests/test_fast.py": """
                import fast
                import toolz

                def test_one():
                    assert toolz.pipe(1, lambda one: one) == fast.one() == 1
            """,
        },
    )
    image = build(source)
    assert image.passing == ["fast/tests/test_fast.py::test_one"]
    assert image.recipe.install == [
        "uv pip install --build-constraints <(printf '%s\\n' 'setuptools<81') -e .",
        "uv pip install toolz==1.0.0",
    ]
    assert _shell(
        image, "git status --porcelain; ls -d build 2>/dev/null; ls fast/*.so | wc -l"
    ) == ("1\n")
    _remove(image)


def test_what_cannot_be_installed_is_dropped_from_an_inferred_recipe(tmp_path: Path) -> None:
    """Inference drops a bad requirement alone; a handwritten recipe with one fails."""
    source = write_project(
        tmp_path,
        {
            "pyproject.toml": _PYPROJECT.format(name="thing")
            + '[tool.setuptools]\npy-modules = ["thing"]\n'
            '[dependency-groups]\ntest = ["iniconfig", "no-such-thing-in-the-world==9"]\n',
            "thing.py": "X = 1\n",
            "test_thing.py": "import thing\n\ndef test_x():\n    assert thing.X\n",
        },
    )
    image = build(source)
    dropped = "uv pip install no-such-thing-in-the-world==9: Because no-such-thing"
    assert [entry.startswith(dropped) for entry in image.dropped] == [True]
    assert image.recipe.install == ["uv pip install -e .", "uv pip install iniconfig"]
    assert image.passing == ["test_thing.py::test_x"]
    _remove(image)
    recipe = infer(Path(source))
    with pytest.raises(BuildError, match="failed") as caught:
        build(source, recipe=recipe)
    assert "no-such-thing-in-the-world" in caught.value.log


def test_installed_copies_are_refused_or_replaced(tmp_path: Path) -> None:
    """Even if a recipe installs a copy, the image has none."""
    source = write_project(
        tmp_path,
        {
            "pyproject.toml": _PYPROJECT.format(name="copied"),
            "src/copied/__init__.py": "X = 1\n",
            "tests/test_copied.py": "import copied\n\ndef test_x():\n    assert copied.X\n",
        },
    )
    recipe = infer(Path(source)).model_copy(update={"install": ["uv pip install ."]})
    image = build(source, recipe=recipe)
    assert image.recipe.variables == {"PYTHONPATH": "/testbed/src"}
    assert _shell(image, "find / -type d -name copied 2>/dev/null; true") == "/testbed/src/copied\n"
    assert image.passing == ["tests/test_copied.py::test_x"]
    _remove(image)


def test_failing_projects_are_refused_with_telling_lines(tmp_path: Path) -> None:
    """Too few passing tests give the telling lines, and no image."""
    source = write_project(
        tmp_path,
        {
            "thing.py": "X = 1\n",
            "test_thing.py": "import absent_module\n\ndef test_x():\n    pass\n",
        },
    )
    with pytest.raises(BuildError) as caught:
        build(source)
    assert "absent_module" in caught.value.log
    assert connect().images.list(filters={"label": f"forager.source={source}"}) == []
    assert list(stored_images()) == []


def test_projects_without_tests_are_refused(tmp_path: Path) -> None:
    """The error gives the reason and the remedy."""
    source = write_project(tmp_path, {"thing.py": "X = 1\n"})
    with pytest.raises(SourceError, match="no tests found"):
        build(source)


def test_unknown_image() -> None:
    """A name without a record is an error."""
    with pytest.raises(UsageError, match="forager image list"):
        find_image("nothing")
