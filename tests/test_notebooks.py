"""Pages that show Python, and the notebooks made of them: the same, and they run."""

import subprocess
import sys
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from attempts import make_attempt, make_task
from conftest import KATA

import forager
from forager.rollout.settings import RunSettings
from forager.trajectories.store import Run

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "examples/notebooks"
SHORT = ("mutator", "tool", "filter", "policy", "environment")
_LINES = 25
CODE = run_path(str(ROOT / "scripts/notebooks"))["code"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a run."""
    monkeypatch.chdir(tmp_path)
    tasks = [make_task(name) for name in "ab"]
    with Run.write(Path("runs/repair"), RunSettings(models=["repair"]), tasks) as writer:
        writer.append(make_attempt("a"))
        writer.append(make_attempt("b", resolved=False, family="functions"))
    return tmp_path


def executed(name: str, cells: int | None = None, **replaced: str) -> dict[str, Any]:
    """Execute the cells of a notebook in turn; return what they defined."""
    scope: dict[str, Any] = {"__name__": name}
    for cell in list(CODE((NOTEBOOKS / f"{name}.ipynb").read_text()))[:cells]:
        for old, new in replaced.items():
            cell = cell.replace(f"path/to/{old}", new)
        exec(compile(cell, f"{name}.ipynb", "exec"), scope)
    return scope


def test_the_notebooks_are_those_of_the_pages(tmp_path: Path) -> None:
    """After a change of a page, scripts/notebooks makes them again."""
    subprocess.run([sys.executable, ROOT / "scripts/notebooks", tmp_path], check=True)
    made = {path.name: path.read_text() for path in tmp_path.glob("*.ipynb")}
    assert made == {path.name: path.read_text() for path in NOTEBOOKS.glob("*.ipynb")}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", SHORT)
def test_an_extension_is_short_and_works(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Less than 25 lines of code; what the page says to try does what it says."""
    first = next(CODE((NOTEBOOKS / f"{name}.ipynb").read_text()))
    assert sum(bool(line.strip()) for line in first.splitlines()[1:]) < _LINES
    executed(name)
    told = {
        "mutator": "-    return await shop.ask()\n+    return shop.ask()\n",
        "tool": "prices.py:2:price = 2\n",
        "filter": "2 attempts with at most one edit\n",
        "policy": "<tool: bash>\npython -m pytest -q | tail -n 5\n</tool>\n",
        "environment": "cause='the last number is not 2'",
    }
    assert told[name] in capsys.readouterr().out


@pytest.mark.usefixtures("place")
def test_a_run_is_read() -> None:
    """Attempts one by one, and as a table."""
    scope = executed("library", 1)
    assert scope["attempt"].id == "b.0"
    assert list(scope["table"].resolved) == [True, False]


@pytest.mark.engine
def test_tasks_are_made_attempted_and_graded(place: Path) -> None:
    """The whole page, with a project that has a few functions."""
    for name, text in KATA.items():
        path = place / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    scope = executed("library", project=str(place / "project"))
    assert scope["attempt"].outcome.verdict in ("resolved", "not resolved")
    assert scope["attempt"].instance_id == scope["tasks"][0].instance_id


def test_the_names_of_the_library_exist() -> None:
    """Each is imported when it is used; another is an error as usual."""
    assert all(getattr(forager, name) for name in forager.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Rum'"):
        forager.Rum  # noqa: B018
