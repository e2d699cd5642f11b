import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from attempts import make_attempt, make_task
from click.testing import CliRunner, Result

from forager.cli.attempts import make_attempts
from forager.cli.main import main
from forager.records import write_records
from forager.rollout.settings import RunSettings
from forager.trajectories.record import Usage
from forager.trajectories.shards import SUFFIX, encode
from forager.trajectories.store import Run
from forager.trajectories.summary import Summary

BUDGET = """\
tokens = 5_000_000
money = 20
seconds = 3600
requests_per_minute = 600
concurrent_requests = 32
prices.small = {prompt = 0.1, completion = 0.4}
prices.large = {prompt = 1.25, completion = 10}
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Write a file of three tasks."""
    path = tmp_path / "tasks.jsonl"
    write_records(path, [make_task(name) for name in "abc"])
    return path


def run(tasks: Path, *options: str | Path) -> Result:
    """Run `forager run` in this process; no environment variable names an endpoint."""
    arguments = ["run", str(tasks), "-o", str(tasks.parent / "run"), *map(str, options)]
    return CliRunner(env={"OPENAI_BASE_URL": None}).invoke(main, arguments)


def plan(tasks: Path, *options: str) -> Any:
    """Return what --dry-run prints."""
    result = run(tasks, "--dry-run", *options)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_dry_run_prints_the_resolved_settings_and_counts(tasks: Path) -> None:
    """A dry run creates no files."""
    found = plan(tasks, "-m", "repair", "--attempts", "2", "-w", "3")
    expected = RunSettings(models=["repair"], attempts=2, workers=3)
    assert found["settings"] == expected.model_dump(mode="json")
    assert (found["tasks"], found["attempts"], found["finished"]) == (3, 6, 0)
    assert not (tasks.parent / "run").exists()


def test_every_option_reaches_the_settings(tasks: Path) -> None:
    """Every option sets the field that the record names."""
    options = (
        "-m qwen --url http://127.0.0.1:8000/v1 --key-env MINE --max-turns 7 --max-tokens 900 "
        "--time-limit 60 --command-timeout 5 --temperature 0.7 --top-p 0.9 --completion-tokens 80 "
        '--seed 3 --stop A --stop B --extra-body {"top_k":20} --syntax text --token-ids --limit 1'
    )
    found = plan(tasks, *options.split())
    assert found["tasks"] == 1
    settings = RunSettings.model_validate(found["settings"])
    assert (settings.urls, settings.key_env) == (["http://127.0.0.1:8000/v1"], "MINE")
    assert (settings.syntax, settings.token_ids) == ("text", True)
    limits, sampling = settings.limits, settings.sampling
    assert (limits.turns, limits.tokens, limits.seconds, limits.command_seconds) == (7, 900, 60, 5)
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.7, 0.9, 80)
    assert (sampling.seed, sampling.stop, sampling.extra_body) == (3, ["A", "B"], {"top_k": 20})


def test_several_models_endpoints_and_temperatures(tasks: Path, tmp_path: Path) -> None:
    """Each model attempts each round; rounds beyond the last temperature repeat it."""
    (tmp_path / "budget.toml").write_text(BUDGET)
    options = (
        "-m small -m large --url http://a:1 --url http://b:1 --attempts 3 --temperature 0,0.8 "
        f"--seed 5 --stop-after 2 --budget {tmp_path / 'budget.toml'}"
    )
    found = plan(tasks, *options.split())
    assert found["attempts"] == 3 * 3 * 2
    settings = RunSettings.model_validate(found["settings"])
    assert (settings.urls, settings.stop_after) == (["http://a:1", "http://b:1"], 2)
    assert [settings.model_of(number) for number in settings.numbers] == ["small", "large"] * 3
    drawn = [settings.sampling_of(number) for number in settings.numbers]
    assert [sampling.temperature for sampling in drawn] == [0, 0, 0.8, 0.8, 0.8, 0.8]
    assert [sampling.seed for sampling in drawn] == [5, 5, 6, 6, 7, 7]
    assert settings.budget.money == 20
    assert settings.budget.prices["large"].of(Usage(prompt_tokens=2_000_000)) == 2.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("money = 1", "has no price of 'gpt'; add [prices.gpt]"),
        ("tokens = -1", "budget.toml: tokens: Input should be greater than 0"),
        ("colour = 1", "budget.toml: colour: no such key; there are tokens"),
        ("tokens =", "is not TOML"),
    ],
)
def test_a_wrong_budget_is_one_line(tasks: Path, text: str, message: str) -> None:
    """A budget in money needs a price for every model, or it could not hold."""
    budget = tasks.parent / "budget.toml"
    budget.write_text(text)
    result = run(tasks, *["-m", "gpt", "--url", "http://x", "--budget"], budget)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr


def test_finished_attempts_are_counted(tasks: Path) -> None:
    """Finished attempts count only if the run asks for them."""
    settings = RunSettings(models=["repair"])
    with Run.write(tasks.parent / "run", settings, [make_task("a")]) as writer:
        writer.append(make_attempt("a"))
        writer.append(make_attempt("other"))
    assert plan(tasks, "-m", "repair")["finished"] == 1


def test_a_batch_holds_nothing_of_each_attempt_that_is_finished(tmp_path: Path) -> None:
    """20,000 finished attempts need about a bit each; a set of ids would take 3 MB."""
    count, held = 20_000, list[int]()
    settings = RunSettings(models=["repair"], attempts=count, sandbox="bubblewrap")
    Run.write(tmp_path / "run", settings, []).close()
    base = make_attempt("a", steps=[])
    head = Summary.of(base).model_dump_json(exclude={"tokens"})
    (tmp_path / "run" / "trajectories").mkdir()
    with (tmp_path / "run" / "trajectories" / f"1-host-1{SUFFIX}").open("wb") as file:
        for number in range(count):
            line = head.replace('"a.0"', f'"a.{number}"')
            line = line.replace('"attempt":0', f'"attempt":{number}')
            file.write(encode(line.encode(), b"{}\n"))
    Run(tmp_path / "run").index().close()
    tracemalloc.start()
    try:
        make_attempts(
            settings,
            [make_task("a")],
            tmp_path / "run",
            at_end=lambda _: held.append(tracemalloc.get_traced_memory()[0]),
        )
    finally:
        tracemalloc.stop()
    assert held[0] < 2_000_000  # the modules that are imported, mostly


def test_a_task_that_is_there_twice_counts_once(tasks: Path) -> None:
    """A repeated task counts once, for --limit too; two tasks with one id are an error."""
    write_records(tasks, [make_task(name) for name in "aabca"])
    assert plan(tasks, *["-m", "repair", "--attempts", "2"])["attempts"] == 6
    assert plan(tasks, *["-m", "repair", "--limit", "2"])["tasks"] == 2
    write_records(tasks, [make_task("a"), make_task("a", problem_statement="Another.")])
    result = run(tasks, "-m", "repair")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "two tasks are called a and differ" in result.stderr
    assert not (tasks.parent / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("-m repair --temperature hot", "is not a number, nor numbers between commas"),
        ("-m repair --temperature 0,nan", "is not a number, nor numbers between commas"),
        ("-m repair --time-limit inf", "--time-limit: Input should be a finite number"),
        ("-m repair --top-p nan", "--top-p: Input should be a finite number"),
        ("-m repair --budget nowhere.toml", "cannot read nowhere.toml"),
        ("-m gpt", "the model 'gpt' needs an endpoint: give --url"),
        ("-m gpt --url http://x --extra-body [1]", "'--extra-body': '[1]' is not a JSON object"),
        ("-m gpt --url http://x --extra-body {", "'--extra-body': '{' is not JSON"),
        ("", "Missing option '-m' / '--model'"),
        ("-m repair --syntax xml", "Invalid value for '--syntax'"),
    ],
)
def test_a_mistake_is_one_line(tasks: Path, options: str, message: str) -> None:
    """A mistake gives one line with the remedy, and exit code 2."""
    result = run(tasks, *options.split())
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_tasks_is_a_mistake(tmp_path: Path) -> None:
    """An empty or missing file of tasks gives one line of error."""
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert "holds no tasks" in run(empty, "-m", "repair").stderr
    assert "cannot read" in run(tmp_path / "none.jsonl", "-m", "repair").stderr


def test_mutate_fix_says_what_it_would_do(tmp_path: Path) -> None:
    """A dry run lists families in the catalogue's order, with the preset's weights."""
    options = "--mutators operators,arguments --preset cwm --limit 5 --seed 7 --dry-run"
    arguments = ["tasks", "mutate-fix", "pypi:toolz", "-o", str(tmp_path / "t.jsonl")]
    result = CliRunner().invoke(main, [*arguments, *options.split()])
    found = json.loads(result.stdout)
    assert found["mutators"] == ["operators", "arguments"]
    assert (found["weights"]["operators"], found["limit"], found["seed"]) == (12, 5, 7)


def test_an_unknown_family_is_said(tmp_path: Path) -> None:
    """The error lists the known families."""
    arguments = ["tasks", "mutate-fix", "pypi:toolz", "-o", str(tmp_path / "t.jsonl")]
    result = CliRunner().invoke(main, [*arguments, "--mutators", "colours"])
    assert result.exit_code == 2
    assert "no family 'colours'; there are statements, functions" in result.stderr
