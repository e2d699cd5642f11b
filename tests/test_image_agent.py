"""The builder `agent` and the environment `image`, with scripted models."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import KATA
from test_chat import completion, serving
from test_rollout import run

from forager.agent.loop import Agent
from forager.agent.model import ScriptedModel
from forager.agent.syntax import SYNTAXES, assistant
from forager.agent.tool import Call
from forager.cli.main import main
from forager.environments.registry import environments
from forager.environments.task import Task
from forager.images.base import ensure_base
from forager.images.builder import Diagnosis, SourceProject
from forager.images.image import Image
from forager.images.recipe import Recipe
from forager.records import read_records
from forager.rollout.settings import RunSettings
from forager.sandboxes.engine import connect
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.record import AttemptLimits, Message, Trajectory
from forager.trajectories.store import Run
from tasks.image_builder import AgentBuilder
from tasks.image_project import fetched
from tools import TOOLBOX

ROOT = Path(__file__).parent.parent
SUBMIT = Call("submit", {})
NEEDS = "import os\n\nos.environ['KATA_DATA']\n"  # which no rule finds
FIRST = Recipe(install=["uv pip install -e ."])


@pytest.fixture(autouse=True)
def _registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the entry points of this checkout, which may be installed from another."""
    environments.cache_clear()
    if "image" not in environments():
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        points = project["entry-points"]["forager.environments"]
        metadata = tmp_path / "entries" / "forager_here-1.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Name: forager-here\nVersion: 1\n")
        lines = [f"{name} = {value}\n" for name, value in points.items()]
        (metadata / "entry_points.txt").write_text("".join(["[forager.environments]\n", *lines]))
        monkeypatch.syspath_prepend(metadata.parent)
        environments.cache_clear()
    yield
    environments.cache_clear()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceProject]:
    """A project whose tests import what no rule would find, built with each recipe once."""
    root = tmp_path_factory.mktemp("kata")
    wrong = KATA["tests/test_core.py"] + "\n\ndef test_of_later():\n    assert total([]) == 1\n"
    files = {**KATA, "tests/test_core.py": f"{NEEDS}{wrong}", "README.md": "Set KATA_DATA.\n"}
    files["tests/test_more.py"] = "def test_more():\n    pass\n"
    files[".github/workflows/tests.yml"] = "steps:\n- run: KATA_DATA=/ pytest\n"
    for name, text in files.items():
        path = root / "kata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(root / "home"))
        ensure_base(connect())
        with fetched(str(root / "kata")) as found:
            known: dict[str, Diagnosis] = {}

            def attempt(recipe: Recipe) -> Diagnosis:
                key = recipe.model_dump_json()
                known[key] = known.get(key) or found.attempt(recipe)
                return known[key]

            yield found._replace(attempt=attempt)


def _write(text: str) -> Call:
    return Call("bash", {"command": f"cat >~/recipe.toml <<'END'\n{text}\nEND"})


def _recipe(*commands: str, more: str = "") -> Call:
    install = ["uv pip install -e .", *commands]
    return _write(f"install = {json.dumps(install)}\nvariables.KATA_DATA = '/'\n{more}")


def _attempted(
    path: Path, project: SourceProject, messages: list[Message], **options: int
) -> tuple[Trajectory, list[Recipe], ScriptedModel]:
    """Let a scripted model build; return the stored attempt, and the recipes of the changes."""
    model = ScriptedModel(messages)
    settings = RunSettings(models=["scripted"], limits=AttemptLimits(format_errors=3))
    failure = project.attempt(FIRST)
    assert not failure.sound
    with Run.write(path, settings, []) as run:
        builder = AgentBuilder(lambda *_: model, settings, TOOLBOX, run, **options)
        recipes = [change.recipe for change in builder.changes(project, FIRST, failure)]
    (made,) = Run(path).trajectories()
    return made, recipes, model


def _script(*calls: Call) -> list[Message]:
    return assistant(SYNTAXES["functions"], TOOLBOX, calls)


def test_a_refused_submission_is_answered_and_recorded(tmp_path: Path) -> None:
    """The attempt goes on after a refusal, and ends with the submission that is accepted."""
    refusals = iter(["The tests fail.", ""])
    with LocalSandbox(tmp_path) as sandbox:
        model = ScriptedModel(_script(SUBMIT, SUBMIT))
        agent = Agent(model, sandbox, TOOLBOX, SYNTAXES["functions"], AttemptLimits())
        agent.review = lambda: next(refusals)
        assert agent.run("Make them pass.") == "submitted"
    assert model.seen[1][-1]["content"].startswith("The tests fail.\n")
    assert [(call.error, call.reason) for call in agent.tool_calls] == [
        (True, "refused"),
        (False, ""),
    ]


@pytest.mark.engine
def test_an_agent_is_refused_until_its_recipe_is_sound(
    tmp_path: Path, project: SourceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`image build` asks a model that a server has; the attempt is stored like all others."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    run, images = tmp_path / "run", tmp_path / "images.jsonl"
    look = Call("bash", {"command": "uv pip install six && python -c 'import six' && git status"})
    with serving() as server:
        server.answers = [
            completion(message) for message in _script(look, SUBMIT, _recipe(), SUBMIT)
        ]
        told = _forager(
            *("image", "build", project.source.given, "-o", str(images), "--builders", "agent"),
            *("-m", "scripted", "--url", server.url, "--attempts", str(run)),
        )
        seen = [body["messages"] for body in server.seen]
    assert "9 tests pass" in told
    (image,) = read_records(images, Image)
    assert image.recipe.untrusted
    assert image.recipe.variables == {"KATA_DATA": "/"}
    assert image.recipe.protected == ["tests"]
    assert seen[0][0]["content"].startswith("You are a software engineer who makes the tests")
    for text in ("Set KATA_DATA.", "KATA_DATA=/ pytest", "KeyError: 'KATA_DATA'"):
        assert text in seen[0][1]["content"]
    assert "nothing to commit" in seen[1][-1]["content"]
    assert "KeyError: 'KATA_DATA'" in seen[2][-1]["content"]
    assert "7 submissions left" in seen[2][-1]["content"]
    (made,) = Run(run).trajectories()
    outcome = made.outcome
    assert (outcome.exit_reason, outcome.resolved, outcome.reward) == ("submitted", True, 0.9)
    assert [call.reason for call in made.tool_calls] == ["", "refused", "", ""]
    for arguments in (
        ["list", str(run)],
        ["report", str(run), "-o", f"{tmp_path}/out.md"],
        ["replay", f"{run}/{made.id}", "--print"],
        ["export", str(run), "-o", f"{tmp_path}/out.jsonl", "--format", "jsonl"],
        ["filter", str(run), "-o", f"{tmp_path}/out", "--filter", "resolved"],
    ):
        _forager(*arguments)
    connect().images.remove(image.reference, force=True)


def _forager(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.engine
def test_a_model_that_answers_nonsense_gives_no_recipe(
    tmp_path: Path, project: SourceProject
) -> None:
    """Words, calls of nothing, and an invalid recipe end without a change."""
    words: list[Message] = [{"role": "assistant", "content": "Sure! 🙂"}]
    nonsense = [_write("install = 'no list'"), SUBMIT, _write("= = ="), SUBMIT]
    made, recipes, model = _attempted(
        tmp_path / "run", project, [*words, *_script(*nonsense), *words * 3]
    )
    assert "install" in model.seen[3][-1]["content"]
    assert "is not TOML" in model.seen[5][-1]["content"]
    assert made.outcome.exit_reason == "format_errors"
    assert (made.outcome.resolved, made.outcome.reward, recipes) == (False, 0, [])


CHEATS = {
    "rm tests/test_more.py": "tests/test_more.py",
    "printf 'def test_it(): pass' >tests/test_core.py": "tests/test_core.py",
    "echo 'collect_ignore = [\"test_core.py\"]' >tests/conftest.py": "tests/conftest.py",
    "echo 'def test_a(): pass' >tests/test_a.py": "tests/test_a.py",
    "printf '[pytest]\naddopts = -k total' >pytest.ini": "pytest.ini",
    "mkdir six && touch six/__init__.py": "six/__init__.py",
    "cp -r . ~/stub && rm ~/stub/kata/core.py && uv pip install ~/stub": "/home/agent/stub",
    "touch ~/evil.py": "/home/agent/evil.py",
    "cd /opt/venv/lib/python3*/site-packages && touch sitecustomize.py": "sitecustomize.py",
    "echo '#' >>/opt/venv/lib/python3*/site-packages/_pytest/python.py": "_pytest/python.py",
}


@pytest.mark.engine
def test_a_model_that_cheats_is_refused_with_each_reason(
    tmp_path: Path, project: SourceProject
) -> None:
    """Tests cannot be deleted, edited, ignored or added, nor pytest changed, by a recipe."""
    script = _script(_recipe(*CHEATS), SUBMIT, _recipe(), SUBMIT)
    made, recipes, model = _attempted(tmp_path / "run", project, script)
    told = model.seen[2][-1]["content"]
    assert "refused: the recipe changes tracked files" in told
    for command, name in CHEATS.items():
        assert name in told, command
    assert made.outcome.resolved
    assert len(recipes) == 1


HOLLOW = {
    'tests = ["-k", "test_total"]': "2 of the 10 test functions",
    'tests = ["-p", "six"]': "-p six is not allowed",
    'tests = ["-oaddopts=--collect-only"]': "--collect-only is not allowed",
    'variables.PYTEST_ADDOPTS = "-x"': "PYTEST_ADDOPTS is not allowed",
    'variables.PYTHONOPTIMIZE = "1"': "PYTHONOPTIMIZE is not allowed",
}


@pytest.mark.engine
def test_hollow_recipes_are_refused(tmp_path: Path, project: SourceProject) -> None:
    """What is deselected counts as failing; options and variables load nothing into pytest."""
    calls = [call for more in HOLLOW for call in (_recipe(more=more), SUBMIT)]
    made, _, model = _attempted(tmp_path / "run", project, _script(*calls), submissions=len(HOLLOW))
    told = [messages[-1]["content"] for messages in model.seen[2::2]]
    for reason, text in zip([*HOLLOW.values()][:-1], told, strict=True):
        assert reason in text
    assert not made.outcome.resolved
    assert made.outcome.reward < 0.3


@pytest.mark.engine
def test_image_tasks_are_made_and_run_like_all_others(
    tmp_path: Path, project: SourceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tasks image` begins with the empty recipe; a run opens, reviews and grades the task."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    tasks = tmp_path / "tasks.jsonl"
    assert "image.local__kata." in _forager(
        "tasks", "image", project.source.given, "-o", str(tasks)
    )
    (task,) = read_records(tasks, Task)
    (made,), _, _ = run(tmp_path / "run", task, _script(_recipe(), SUBMIT))
    assert made.outcome.resolved
    assert made.sandbox_limits.network
    assert made.environment == made.kind == "image"
