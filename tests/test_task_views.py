"""What people see of tasks and of runs with several models."""

import json
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from attempts import make_attempt, make_task
from click.testing import CliRunner
from test_answers import question

from forager.cli.main import main
from forager.records import write_records
from forager.rollout.settings import RunSettings
from forager.trajectories.store import Run


def forager(*words: object) -> str:
    """Run a verb; return what it prints."""
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Two tasks of repositories and one question."""
    path = tmp_path / "tasks.jsonl"
    bug = "--- a/pkg/core.py\n+++ b/pkg/core.py\n@@ -1 +1 @@\n-good()\n+bad()\n"
    labels = {"repository": "someone/pkg", "family": "loops", "difficulty": {"calls": 3}}
    hard = make_task("hard-1", setup_patch=bug, labels=labels)
    write_records(path, [hard, make_task("easy-1"), question()])
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two models, of which only the first resolves."""
    path, settings = tmp_path / "run", RunSettings(models=["first", "second"])
    with Run.write(path, settings, [make_task("a", setup_patch="--- bug")]) as writer:
        for number, model in enumerate(settings.models):
            made = make_attempt("a", number, resolved=not number)
            writer.append(made.model_copy(update={"model": model}))
    return path


def test_tasks_are_listed_and_counted(tasks: Path) -> None:
    """By family and project, of any environment; the JSON has the same facts."""
    listed: list[dict[str, Any]] = json.loads(forager("tasks", "list", tasks, "--json"))
    assert [task["id"] for task in listed] == ["hard-1", "easy-1", "twice-1"]
    assert listed[0]["tests"] == {"FAIL_TO_PASS": 1, "PASS_TO_PASS": 1}
    (only,) = json.loads(forager("tasks", "list", tasks, "--family", "prediction", "--json"))
    assert only["environment"] == "output-prediction"
    assert "hard-1" in forager("tasks", "list", tasks, "--limit", 1)
    counted = json.loads(forager("tasks", "stats", tasks, "--json"))
    assert counted["tasks"] == 3 and counted["family"]["loops"] == 1
    assert counted["difficulty"]["calls"] == {"tasks": 1, "least": 3, "median": 3, "greatest": 3}
    assert "3 tasks" in forager("tasks", "stats", tasks)


def test_a_task_is_shown_with_its_solution_and_tests(tasks: Path) -> None:
    """By the beginning of its id, in `tasks show` and in `replay`; without a terminal as text."""
    shown = forager("tasks", "show", tasks, "hard")
    for words in ("+bad()", "reference patch", "tests/test_core.py::test_last", "Some tests fail."):
        assert words in shown
    assert forager("replay", tasks / "hard-1") == shown
    assert "[3, 3]" in forager("tasks", "show", tasks, "twice-1")
    assert json.loads(forager("tasks", "show", tasks, "easy", "--json"))["instance_id"] == "easy-1"
    assert f"forager replay {tasks}/hard-1" in forager("replay", tasks)
    missing = CliRunner().invoke(main, ["tasks", "show", str(tasks), "esay-1"])
    assert (missing.exit_code, "did you mean 'easy-1'?" in missing.stderr) == (2, True)


def test_an_outcome_shows_the_bug_and_the_reference(run: Path) -> None:
    """Next to the patch of the agent."""
    shown = forager("replay", f"{run}/a.1")
    patch, bug, reference, outcome = (
        shown.index(f"\n{title} ─") for title in ("patch", "bug", "reference patch", "outcome")
    )
    assert patch < bug < reference < outcome


def test_models_are_apart_in_lists_and_reports(run: Path) -> None:
    """A run of several models never shows their sum alone."""
    assert forager("list", run).split("\n")[1].endswith(" first")
    report = forager("report", run)
    assert report.count("first") >= 3 and report.count("second") >= 3
    counted = json.loads(forager("report", run, "--json"))
    shares = {row["name"]: row["share"] for row in counted["models"]}
    assert shares == {"first": 1, "second": 0}
    families = [(row["model"], row["resolved"]) for row in counted["families"]]
    assert families == [("first", 1), ("second", 0)]


def test_a_page_without_its_packages_is_markdown(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the extra and the file that is written instead."""

    def find_spec(name: str) -> ModuleSpec | None:
        return None if name == "jinja2" else ModuleSpec(name, None)

    monkeypatch.setattr("forager.evaluation.findings.writers.find_spec", find_spec)
    words = ["report", str(run), "-o", str(tmp_path / "report.html")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0 and "pip install -e '.[report]'" in result.stderr
    assert not (tmp_path / "report.html").exists()
    assert (tmp_path / "report.md").read_text().startswith("# Report on run")
