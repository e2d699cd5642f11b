"""Repairs of recipes: what is kept, what is recorded, and which images count as hollow."""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import write_project

from forager.errors import BuildError
from forager.images.base import ensure_base
from forager.images.build import build
from forager.images.builder import Diagnosis, RecipeChange, RepairStep, SourceProject
from forager.images.image import Image
from forager.images.recipe import Recipe
from forager.records import read_records
from forager.sandboxes.engine import connect

pytestmark = pytest.mark.engine

PYPROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"
    [project]
    name = "widget"
    version = "1.0"
    dependencies = ["iniconfig"]
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_base(connect())
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))


def steps(tmp_path: Path) -> list[RepairStep]:
    """The repair trace."""
    path = tmp_path / "home" / "repairs.jsonl"
    return list(read_records(path, RepairStep)) if path.exists() else []


def unnamed_images(source: str) -> int:
    """The number of images of a source that have no name."""
    label = f"forager.source={json.dumps(source)}"
    return len(connect().images.list(filters={"dangling": True, "label": label}))


def remove(image: Image) -> None:
    """Remove the image of a test."""
    connect().images.remove(image.reference, force=True)


class Three:
    """A builder that proposes a harmful, a useless and a helpful change."""

    name = "three"

    def changes(
        self, _project: SourceProject, recipe: Recipe, _failure: Diagnosis, /
    ) -> Iterator[RecipeChange]:
        """Propose them in this order."""
        variables = {"WIDGET": "yes"}
        for rule, update in (
            ("harmful", {"install": [*recipe.install, "exit 3"]}),
            ("useless", {"variables": {"OTHER": "yes"}}),
            ("helpful", {"variables": variables}),
        ):
            if recipe.variables != variables:
                yield RecipeChange(recipe.model_copy(update=update), rule, f"{rule}, as a test")


def test_a_change_is_kept_only_if_more_tests_pass(tmp_path: Path) -> None:
    """Each change is tried from scratch and recorded; images of the others are removed."""
    source = write_project(
        tmp_path,
        {
            "widget.py": "import os\nON = os.environ.get('WIDGET')\n",
            "test_widget.py": """
                import pytest, widget

                @pytest.mark.parametrize("number", range(3))
                def test_on(number):
                    assert widget.ON

                def test_import():
                    pass
            """,
        },
    )
    image = build(source, builders=[Three()])
    assert (len(image.passing), image.failing) == (4, [])
    assert image.recipe.variables["WIDGET"] == "yes"
    assert [(step.rule, step.kept) for step in steps(tmp_path)] == [
        ("harmful", False),
        ("useless", False),
        ("helpful", True),
    ]
    helpful = steps(tmp_path)[-1]
    assert (helpful.failure.passing, helpful.result.passing) == (1, 4)
    assert "test_on" in helpful.failure.log
    assert unnamed_images(source) == 0
    remove(image)


def test_a_project_that_cannot_be_built_shows_the_cause(tmp_path: Path) -> None:
    """Its dependencies alone make an image, whose record names why the rest was left out.

    Repairs go on from there: the tests want a variable.
    """
    source = write_project(
        tmp_path,
        {
            "pyproject.toml": PYPROJECT,
            "setup.py": "raise RuntimeError('the frobnicator of this machine is too old')\n",
            "widget.py": "import iniconfig\n",
            "test_widget.py": "import widget\n\ndef test_widget():\n    assert widget.iniconfig\n",
            "conftest.py": "import os\nKEY = os.environ['WIDGET_KEY']\n",
        },
    )
    image = build(source)
    (dropped,) = image.dropped
    assert "frobnicator" in dropped
    assert image.recipe.variables == {"PYTHONPATH": "/testbed", "WIDGET_KEY": "test"}
    assert [step.rule for step in steps(tmp_path)] == ["leave out", "variables"]
    remove(image)


def test_a_hollow_image_is_refused(tmp_path: Path) -> None:
    """Few collected tests are not enough, even if all pass, unless a person chose them."""
    many = "".join(f"def test_{number}():\n    pass\n\n" for number in range(12))
    source = write_project(
        tmp_path,
        {
            "pyproject.toml": PYPROJECT + '\n[tool.pytest.ini_options]\ntestpaths = ["few"]\n',
            "widget.py": "",
            "few/test_few.py": "def test_one():\n    pass\n",
            "many/test_many.py": many,
        },
    )
    with pytest.raises(BuildError, match=r"hollow: pytest collects 1 of the 13 test functions"):
        build(source)
    assert unnamed_images(source) == 0
    image = build(source, recipe=Recipe(tests=["few"]))
    assert image.passing == ["few/test_few.py::test_one"]
    remove(image)


def test_a_change_for_which_no_time_is_left_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """forager's own commands fail once the time is over; the sound image is kept, not lost."""

    class Late:
        """Proposes what forager's own commands fail at, while the time passes."""

        name = "late"

        def changes(
            self, _project: SourceProject, recipe: Recipe, _failure: Diagnosis, /
        ) -> Iterator[RecipeChange]:
            """Propose it."""
            begins = iter([time.monotonic(), time.monotonic()])
            clock = SimpleNamespace(monotonic=lambda: next(begins, math.inf))
            monkeypatch.setattr("forager.images.workshop.time", clock)
            install = [*recipe.install, "chmod a-w /testbed"]
            yield RecipeChange(recipe.model_copy(update={"install": install}), "late", "a test")

    files = {"widget.py": "", "test_widget.py": "def test_one():\n    pass\n"}
    image = build(write_project(tmp_path, files), builders=[Late()])
    (step,) = steps(tmp_path)
    assert step.result.message.startswith("no time is left")
    assert image.passing == ["test_widget.py::test_one"]
    remove(image)


def test_a_test_that_ends_the_run_in_another_order_is_left_out(tmp_path: Path) -> None:
    """The tests come to an end in their own order only; the rules repair the second run, too."""
    after = "".join(
        f"""
            def test_after_{number}():
                if not widget.READY:
                    os._exit(3)
        """
        for number in range(2)
    )
    source = write_project(
        tmp_path,
        {
            "widget.py": "READY = []\n",
            "test_widget.py": f"""
            import os, widget

            def test_before():
                widget.READY.append(1)
            {after}
            def test_other():
                pass
            """,
        },
    )
    image = build(source)
    assert {"test_widget.py::test_before", "test_widget.py::test_other"} <= {*image.passing}
    trace = steps(tmp_path)
    assert trace
    for step in trace:
        assert (step.rule, step.kept) == ("crashes", True)
        assert step.failure.message.startswith("in another order, test_widget.py::test_after_")
    left_out = [step.failure.broken.running for step in trace if step.failure.broken]
    assert image.recipe.tests == [f"--deselect={test}" for test in left_out]
    assert unnamed_images(source) == 0
    remove(image)


def test_a_path_to_the_project_is_no_copy_of_it(tmp_path: Path) -> None:
    """Flit installs a module with -e as NAME.pth; poetry and others do so for packages."""
    pyproject = PYPROJECT.replace("setuptools.build_meta", "flit_core.buildapi")
    pyproject = pyproject.replace("setuptools", "flit_core") + '    description = "a module"\n'
    source = write_project(
        tmp_path,
        {
            "pyproject.toml": pyproject,
            "widget.py": "from importlib.metadata import version\nVERSION = version('widget')\n",
            "test_widget.py": "import widget\n\ndef test_it():\n    assert widget.VERSION\n",
        },
    )
    image = build(source)
    assert (len(image.passing), image.recipe.variables) == (1, {})
    remove(image)
