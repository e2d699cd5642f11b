"""What `--json` prints fits the schema that `forager schema` prints."""

import json
from pathlib import Path

import click
import jsonschema
import pytest
from attempts import make_attempt, make_task
from click.testing import CliRunner
from test_cli import verbs

from forager.cli.main import main
from forager.cli.outputs import OUTPUTS, schema_of
from forager.records import write_records
from forager.rollout.settings import RunSettings
from forager.trajectories.store import Run

COMMANDS = [
    "doctor --url http://127.0.0.1:9/v1",
    "evaluate tasks.jsonl -o run -m m --url http://127.0.0.1:9/v1 --against run",
    "export run -o out.jsonl --format jsonl",
    "filter run -o kept --filter resolved",
    "image list",
    "list run",
    "report run",
    "tasks import swe-bench rows.jsonl -o new.jsonl",
    "tasks list tasks.jsonl",
    "tasks show tasks.jsonl a",
    "tasks stats tasks.jsonl",
    "watch run",
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a run, tasks, and rows to import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    settings = RunSettings(models=["m"])
    write_records(tmp_path / "tasks.jsonl", [make_task("a"), make_task("b")])
    with Run.write(tmp_path / "run", settings, [make_task("a"), make_task("b")]) as run:
        run.append(make_attempt("a"))
        run.append(make_attempt("b", resolved=False))
    row = make_task("c", image="x").model_dump(mode="json")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n" + '{"no": "row"}\n')
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_verb_prints_fits_its_schema(place: Path, command: str) -> None:
    """Nothing but one JSON value goes to stdout."""
    words = command.split()
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == (1 if words[0] == "doctor" else 0), result.stderr
    verb = next(verb for verb in OUTPUTS if command.startswith(f"{verb} ") or command == verb)
    schema = json.loads(CliRunner().invoke(main, ["schema", *verb.split()]).stdout)
    assert schema == schema_of(verb)
    value = json.loads(result.stdout)
    assert value or command == "image list"
    jsonschema.validate(value, schema)


def test_every_verb_with_json_has_a_schema() -> None:
    """And no other verb."""

    def has_json(command: click.Command) -> bool:
        return any("--json" in param.opts for param in command.params)

    found = {words.removeprefix("forager ") for words, verb in verbs(main) if has_json(verb)}
    assert found == set(OUTPUTS)
    for verb in OUTPUTS:
        jsonschema.Draft202012Validator.check_schema(schema_of(verb))


def test_an_unknown_verb_has_no_schema() -> None:
    """The message names the one that was meant; without a verb all are listed."""
    result = CliRunner().invoke(main, ["schema", "taks", "list"])
    assert (result.exit_code, "did you mean 'tasks list'?" in result.stderr) == (2, True)
    assert CliRunner().invoke(main, ["schema"]).stdout.split("\n")[:-1] == list(OUTPUTS)
