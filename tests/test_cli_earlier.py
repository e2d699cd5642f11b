"""Settings, files and command lines of version 0.1.0 still work; help shows only current names."""

import json
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from forager.cli.main import main
from forager.cli.train import train_settings
from forager.config import load_settings, save_settings, saved_settings
from forager.learning.bootstrap.layout import MAY_CHANGE
from forager.learning.bootstrap.settings import BootstrapSettings
from forager.rollout.settings import Budget

EARLIER = Path(__file__).parent / "data" / "earlier"
RUN: list[str | Path] = ["run", EARLIER / "run" / "tasks.jsonl", "-m", "repair", "-o"]


def forager(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def plan(*arguments: str | Path) -> Any:
    """Return the settings that --dry-run prints."""
    result = forager(*arguments, "--dry-run")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.engine
def test_a_run_is_resumed(tmp_path: Path) -> None:
    """Resuming renames fields in settings.json, and refuses other settings."""
    run = tmp_path / "run"
    shutil.copytree(EARLIER / "run", run)
    assert "enough" in saved_settings(run)
    assert plan(*RUN, run, "--attempts", "2")["finished"] == 3
    refused = forager(*RUN, run, "--max-turns", "7")
    assert refused.exit_code == 2
    assert "limits is " in refused.stderr
    resumed = forager(*RUN, run, "--attempts", "1", "--stop-after", "3")
    assert resumed.exit_code == 0, resumed.stderr
    assert (saved_settings(run)["stop_after"], "enough" in saved_settings(run)) == (3, False)


def test_a_bootstrap_is_resumed(tmp_path: Path) -> None:
    """A bootstrap's settings file and settings.json mean the same as before."""
    settings = load_settings(EARLIER / "bootstrap" / "bootstrap.toml", BootstrapSettings)
    assert settings.mix_in == ["rehearsal"]
    assert settings.train.pack_length == 2048
    assert settings.run_settings("rollout", "model", ["http://x"]).stop_after == 1
    shutil.copytree(EARLIER / "bootstrap", tmp_path / "out")
    save_settings(tmp_path / "out", settings, MAY_CHANGE)
    assert saved_settings(tmp_path / "out")["mix_in"] == ["rehearsal"]


def test_a_budget_is_read() -> None:
    """An earlier budget is read with its table of prices."""
    budget = load_settings(EARLIER / "budget.toml", Budget)
    assert (budget.tokens, budget.prices["NAME"].completion) == (50_000_000, 2.0)


@pytest.fixture
def train() -> click.Command:
    """Run the verb `forager train`."""
    return main.commands["train"]


def test_a_training_is_read_and_options_take_precedence(train: click.Command) -> None:
    """Files and options may use current and earlier spellings."""
    config = EARLIER / "kata" / "pretraining.toml"
    words = ["data", "-o", "out", "--base", "base", "--config", str(config)]
    for spelled in (
        ["--row-tokens", "512", "--zero", "1", "--no-pack", "--steps=9"],
        ["--pack-length", "512", "--zero-stage", "1", "--no-packing", "--max-steps=9"],
    ):
        params = train.make_context("train", [*words, *spelled]).params
        settings = train_settings(config, params)
        assert (settings.pack_length, settings.zero_stage, settings.max_steps) == (512, 1, 9)
        assert (settings.packing, settings.learning_rate, settings.batch_size) == (False, 1.5e-3, 2)


def test_options_of_a_run_keep_their_earlier_spelling(tmp_path: Path) -> None:
    """`run` accepts earlier spellings, which help does not show."""
    found = plan(*RUN, tmp_path / "run", "--attempts", "3", "--enough", "2")
    assert found["settings"]["stop_after"] == 2
    assert "--enough" not in forager("run", "--help").stdout


def test_options_of_other_verbs_keep_their_earlier_spelling() -> None:
    """Other verbs accept the earlier names of renamed fields."""
    for verb, words, expected in (
        (
            "serve",
            "model --name m --context 9 --devices 2 --gpu-memory .5 --cpu-cache 3 --tool-parser t "
            "--start-seconds 7",
            {
                "served_model_name": "m",
                "max_model_len": 9,
                "tensor_parallel_size": 2,
                "gpu_memory_utilization": 0.5,
                "cpu_kvcache_space": 3,
                "tool_call_parser": "t",
                "start_timeout": 7,
            },
        ),
        (
            "export",
            "run -o out --format policy --context 77 --cut",
            {"max_length": 77, "truncate": True},
        ),
        (
            "tasks mutate-fix",
            "pypi:toolz -o tasks.jsonl --settings rules.toml",
            {"config": Path("rules.toml")},
        ),
        ("tasks issue-fix", "pypi:toolz -o tasks.jsonl --most-files 9", {"max_files": 9}),
    ):
        command: click.Command = main
        for name in verb.split():
            assert isinstance(command, click.Group)
            command = command.commands[name]
        params = command.make_context(verb, words.split()).params
        assert {name: params[name] for name in expected} == expected
