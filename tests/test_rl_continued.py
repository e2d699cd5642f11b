"""Runs that go on from the last round of a bootstrap."""

import json
from pathlib import Path
from typing import Any

import pytest
from attempts import make_attempt
from click.testing import CliRunner
from rl_program import TASKS

from forager.cli.main import main
from forager.config import save_settings
from forager.evaluation.estimates import estimate
from forager.learning.bootstrap.manifest import Evaluation, ModelId, RunId
from forager.learning.bootstrap.settings import BootstrapSettings
from forager.learning.bootstrap.split import Split
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.report import write_reports
from forager.learning.rl.settings import RlSettings
from forager.learning.saved import save
from forager.records import write_records
from forager.rollout.settings import RunSettings
from forager.trajectories.store import Run

HELD_OUT = [task.instance_id for task in TASKS[:4]]
TRAINING = [task.instance_id for task in TASKS[5:]]  # one task straddles


def evaluated(path: Path, resolved: int, model: str = "base") -> Evaluation:
    """A run that resolves so many of the held-out tasks, and what a bootstrap says of it."""
    with Run.write(path, RunSettings(models=[model]), TASKS[:4]) as store:
        for number, task in enumerate(HELD_OUT):
            store.append(make_attempt(task, resolved=number < resolved))
    run = RunId.of(path)
    success = estimate(run.success(), {task: task for task in HELD_OUT})
    return Evaluation(model=ModelId(name=model, path=f"models/{model}"), run=run, success=success)


@pytest.fixture
def rounds(tmp_path: Path) -> Path:
    """A bootstrap whose base was evaluated."""
    write_records(tmp_path / "tasks.jsonl", TASKS)
    given: dict[str, Any] = {
        "tasks": [str(tmp_path / "tasks.jsonl")],
        "base": "models/base",
        "rollout": {
            "syntax": "text",
            "limits": {"turns": 4, "tokens": 900},
            "sampling": {"temperature": 0.8, "max_tokens": 70},
        },
        "evaluate": {"limits": {"turns": 6}, "sampling": {"temperature": 0.5}},
    }
    out = tmp_path / "rounds"
    save_settings(out, BootstrapSettings.model_validate(given), ())
    straddling = [TASKS[4].instance_id]
    split = Split(by="function", training=TRAINING, held_out=HELD_OUT, straddling=straddling)
    save(out / "split.json", split)
    save(out / "base/evaluated.json", evaluated(out / "base/evaluation", 1))
    return out


def config(rounds: Path, more: str = "") -> Path:
    """A file of settings that names the bootstrap."""
    path = rounds.with_name("rl.toml")
    path.write_text(f'after = "{rounds}"\nsteps = 2\n{more}')
    return path


def test_base_attempts_and_evaluation_are_those_of_the_bootstrap(rounds: Path) -> None:
    """The file only says what differs; the policy itself is sampled, and the split is kept."""
    more = "[rollout]\nlimits = {turns = 3}\n[evaluate]\nevery = 1\n"
    settings = RlSettings.read(config(rounds, more), {})
    assert settings.base == "models/base"
    attempts, held_out = settings.run_settings(), settings.evaluation_settings([])
    assert (attempts.syntax, attempts.limits.turns, attempts.limits.tokens) == ("text", 3, 900)
    assert (attempts.sampling.temperature, attempts.sampling.max_tokens) == (1, 70)
    assert (held_out.limits.turns, held_out.limits.tokens) == (6, 900)
    assert (held_out.sampling.temperature, settings.evaluate.every) == (0.5, 1)
    saved = RlSettings.model_validate(settings.model_dump(mode="json"))
    assert saved == settings


def test_the_tasks_are_those_of_the_split(rounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run takes the training tasks alone, and a split that is gone is one line."""
    monkeypatch.chdir(rounds.parent)
    (rounds.parent / "models/base").mkdir(parents=True)
    (rounds.parent / "models/base/config.json").write_text("{}")
    command = ["rl", str(config(rounds)), "-o", "rl", "--dry-run"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["after"] == str(rounds)
    write_records(rounds.parent / "tasks.jsonl", TASKS[1:])
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and f"the tasks lack {HELD_OUT[0]}" in done.output
    (rounds / "split.json").unlink()
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and "`after` names the directory of a bootstrap" in done.output


@pytest.mark.parametrize("more", ['tasks = ["mine.jsonl"]', 'base = "b"', "evaluate.tasks = []"])
def test_what_the_bootstrap_decides_is_refused(rounds: Path, more: str) -> None:
    """Other tasks could be those of the held-out functions."""
    done = CliRunner().invoke(main, ["rl", str(config(rounds, more)), "-o", "rl", "--dry-run"])
    assert done.exit_code == 2
    assert "`after` gives base, tasks and held-out tasks; leave them out" in done.output


def test_a_directory_that_is_no_bootstrap_is_said(tmp_path: Path) -> None:
    """One line, before anything begins."""
    done = CliRunner().invoke(main, ["rl", str(config(tmp_path / "no")), "-o", "rl", "--dry-run"])
    assert done.exit_code == 2 and "cannot read" in done.output


def test_one_curve_shows_rounds_and_steps(rounds: Path) -> None:
    """Rows and points for each model of the rounds, then for each evaluated step."""
    (rounds / "round-0").mkdir()
    evaluated(rounds / "round-0/evaluation", 2, "round-0")
    (rounds / "round-0/manifest.json").write_text("{}")
    evaluated(rounds / "round-1/evaluation", 4, "round-1")  # this round is not over
    settings = RlSettings.model_validate(
        {"after": str(rounds), "base": "models/base", "tasks": ["tasks.jsonl"]}
    )
    layout = RlLayout(rounds.with_name("rl"))
    for step, count in ((0, 2), (50, 3)):
        evaluated(layout.evaluation(step), count, "policy")
    write_reports(settings, layout)
    lines = (layout.run / "report.md").read_text().splitlines()
    names = [line.split(" | ")[0].removeprefix("| ") for line in lines if "| 4 |" in line]
    assert names == ["base", "round-0", "step 0", "step 50"]
    shares = [line.split(" | ")[2] for line in lines if "| 4 |" in line]
    assert shares == ["25.0 %", "50.0 %", "50.0 %", "75.0 %"]
    assert "Step 0 has the weights of the last round" in "\n".join(lines)
    page = (layout.run / "report.html").read_text()
    assert "round-0" in page and "<svg" in page and "round, then step" in page
