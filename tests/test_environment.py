"""The Environment interface, and an environment from another package."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_rollout import run

from forager.agent.syntax import SYNTAXES, assistant
from forager.agent.tool import Call
from forager.cli.main import main
from forager.environments.registry import environment_of, environments
from forager.environments.task import Task
from forager.errors import UsageError
from forager.images.image import Image
from forager.learning.bootstrap.split import split
from forager.trajectories.record import Message
from forager.trajectories.store import Run
from tools import TOOLBOX

PAGE = Path(__file__).parent.parent / "docs" / "environment.md"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Install the package of the docs page; return the page's line of tasks.jsonl."""
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    points = tomllib.loads(blocks["toml"])["project"]["entry-points"]["forager.environments"]
    (tmp_path / "my_environment.py").write_text(blocks["python"])
    _install(tmp_path, points)
    monkeypatch.syspath_prepend(tmp_path)
    environments.cache_clear()
    yield blocks["json"]
    environments.cache_clear()


def _install(place: Path, points: dict[str, str]) -> None:
    """Write the metadata of a distribution with these entry points."""
    metadata = place / "my_environment-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: my-environment\nVersion: 1\n")
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (metadata / "entry_points.txt").write_text("".join(["[forager.environments]\n", *lines]))


def _says(*texts: str) -> list[Message]:
    """Return model messages that hold these texts and call submit."""
    syntax = SYNTAXES["functions"]
    return [
        {**assistant(syntax, TOOLBOX, [Call("submit", {})])[0], "content": text} for text in texts
    ]


def test_a_task_becomes_its_environments_record(page: str) -> None:
    """A Task loads as its environment's own type, and survives writing."""
    task = Task.model_validate_json(page)
    assert type(task).__name__ == "CountTask"
    assert Task.model_validate_json(task.model_dump_json()) == task
    assert environment_of(task) is environments()["count"]


@pytest.mark.engine
@pytest.mark.parametrize(("text", "resolved"), [("There are 2", True), ("There are 3", False)])
def test_a_third_party_environment_is_run_and_reported(
    tmp_path: Path, page: str, kata_image: Image, text: str, resolved: bool
) -> None:
    """run, list, report, replay and export need no knowledge of how it grades."""
    task = Task.model_validate_json(page).model_copy(update={"image": kata_image.reference})
    (attempt,), _, _ = run(tmp_path / "run", task, _says(text))
    outcome = attempt.outcome
    assert (outcome.answer, outcome.resolved, outcome.reward) == (text, resolved, float(resolved))
    assert (outcome.cause == "") is resolved
    assert attempt.environment == "count"
    (summary,) = Run(tmp_path / "run").summaries()
    assert (summary.family, summary.reward) == ("counting", float(resolved))
    for arguments in (
        ["list", "RUN"],
        ["report", "RUN", "-o", "OUT.md"],
        ["replay", "RUN/count-1.0", "--print"],
        ["export", "RUN", "-o", "OUT.jsonl", "--format", "jsonl"],
        ["filter", "RUN", "-o", "OUT", "--filter", "resolved"],
    ):
        given = [
            argument.replace("RUN", str(tmp_path / "run")).replace("OUT", str(tmp_path / "out"))
            for argument in arguments
        ]
        result = CliRunner().invoke(main, given)
        assert result.exit_code == 0, result.output
    assert "By length" in (tmp_path / "out.md").read_text()


def test_splits_follow_the_labels_of_any_environment(page: str) -> None:
    """Tasks that share a subject stay on one side."""
    task = Task.model_validate_json(page)
    tasks = [
        task.model_copy(
            update={
                "instance_id": f"count-{number}",
                "labels": task.labels.model_copy(update={"functions": [f"text-{number // 2}"]}),
            }
        )
        for number in range(6)
    ]
    found = split(tasks, by="function", held_out=2, seed=0)
    assert len(found.held_out) == 2
    assert int(found.held_out[0][-1]) // 2 == int(found.held_out[1][-1]) // 2
    assert len(found.training) == 4


def test_a_task_of_an_unknown_environment_is_refused() -> None:
    """One line lists the known environments and says what to install."""
    with pytest.raises(UsageError, match="no environment 'chess' is installed; there are"):
        Task.model_validate_json(
            '{"instance_id": "a", "environment": "chess", "problem_statement": "Mate in two."}'
        )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise ValueError('no')", "does not load: no"),
        ("environment = 1", "is not an Environment: it lacks task_type, prompt"),
    ],
)
def test_an_entry_point_that_is_wrong_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    """The error names the entry point."""
    (tmp_path / "wrong_environment.py").write_text(code)
    _install(tmp_path, {"wrong": "wrong_environment:environment"})
    monkeypatch.syspath_prepend(tmp_path)
    environments.cache_clear()
    try:
        with pytest.raises(UsageError, match=message):
            environments()
    finally:
        environments.cache_clear()
        import sys

        sys.modules.pop("wrong_environment", None)
