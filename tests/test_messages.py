"""Mistakes of any kind end every verb with one line and an exit code that tells, no traceback."""

import math
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from attempts import make_attempt, make_task
from click.testing import CliRunner, Result
from pydantic import BaseModel

from forager.cli.main import main
from forager.config import resolve_settings
from forager.errors import UsageError
from forager.learning.bootstrap.settings import BootstrapSettings
from forager.learning.rl.settings import RlSettings
from forager.records import write_records
from forager.rollout.settings import RunSettings
from forager.trajectories.store import Run

WRONG = {"nope", "DIR", "RUN", "tasks.jsonl", "x.jsonl", "x.bin", "empty.jsonl", "x.txt"}
ATTEMPTS = {"RUN", "empty.jsonl"}  # what holds attempts, or none of them
VERBS = {  # how a verb is called, and the inputs that it takes
    "list {}": ATTEMPTS,
    "report {}": ATTEMPTS,
    "tokens {}": ATTEMPTS,
    "replay {} --print": ATTEMPTS | {"tasks.jsonl"},
    "filter {} -o out": ATTEMPTS,
    "export {} -o out --format jsonl": {"RUN"},
    "watch {}": {"RUN"},
    "run {} -o out -m repair": {"tasks.jsonl"},
    "evaluate {} -o out -m repair": {"tasks.jsonl"},
    "evaluate tasks.jsonl -o out -m repair --against {}": {"RUN"},
    "run tasks.jsonl -o out -m repair --branch-from {}": {"RUN"},
    "run tasks.jsonl -o out -m repair --budget {}": {"empty.jsonl"},
    "tasks check {}": {"tasks.jsonl"},
    "tasks import swe-bench {} -o out": {"tasks.jsonl", "DIR", "RUN"},
    "tasks mutate-fix {} -o out --dry-run": {"DIR", "RUN", "empty.jsonl"},
    "image import {}": set(),
    "image show {}": set(),
    "trace programs {} -o out": set(),
    "serve {}": set(),
    "train {} -o out --base nope": set(),
    "bootstrap {} -o out --dry-run": set(),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a run, tasks, and files of the wrong kind."""
    monkeypatch.chdir(tmp_path)
    write_records(tmp_path / "tasks.jsonl", [make_task("a")])
    with Run.write(tmp_path / "RUN", RunSettings(models=["m"]), [make_task("a")]) as run:
        run.append(make_attempt("a"))
    (tmp_path / "x.jsonl").write_text('{"hello": 1}\n')
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "x.txt").write_text("some words\n")
    (tmp_path / "DIR").mkdir()
    (tmp_path / "DIR/file").touch()
    return tmp_path


def forager(words: str) -> Result:
    """Run a verb where no variable names an endpoint."""
    return CliRunner(env={"OPENAI_BASE_URL": None}).invoke(main, shlex.split(words))


def check(result: Result, words: str) -> None:
    """Check that a verb ended with one line, and not with 0."""
    assert result.exception is None or isinstance(result.exception, SystemExit), words
    assert result.exit_code in (1, 2), words
    lines = [line for line in result.stderr.splitlines() if line.startswith("forager: ")]
    assert len(lines) == 1 or lines[-1].endswith("the reasons are above"), (words, lines)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_wrong_inputs(place: Path, verb: str) -> None:
    """A missing file, a directory and files of other kinds are no tracebacks, and no success."""
    for wrong in sorted(WRONG - VERBS[verb]):
        words = verb.format(wrong)
        check(forager(words), words)
    assert not (place / "out").exists() or not any((place / "out").glob("[!.]*"))


@pytest.mark.parametrize("output", [".", "..", "/", "DIR", "RUN"])
def test_every_verb_refuses_wrong_outputs(place: Path, output: str) -> None:
    """A directory that holds something else is never written to."""
    for verb in (
        *(f"export RUN --format {name}" for name in ("jsonl", "parquet", "hf", "swe-bench")),
        "filter RUN",
        "report RUN",
        "tasks import swe-bench tasks.jsonl",
        "tasks mutate-fix pypi:toolz",
        "image build pypi:toolz",
    ):
        check(forager(f"{verb} -o {output}"), verb)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run tasks.jsonl -o out -m reapir", "did you mean `-m repair`?"),
        (
            "list RUN --sort secnds",
            "there is no field 'secnds' to sort by; did you mean 'seconds'?",
        ),
        ("filter RUN -o out --filter reslved", "no filter 'reslved'; did you mean 'resolved'?"),
        ("list tasks.jsonl", "tasks.jsonl:1 is not an attempt, but a task"),
        ("run RUN -o out -m repair", "cannot read RUN: Is a directory; its tasks are in RUN/tasks"),
        ("watch tasks.jsonl", "is not a run directory, but a file"),
        ("filter RUN -o RUN", "RUN is an input as well; name another one to write"),
        ("export tasks.jsonl -o out --format harbor --unresolved", "--unresolved chooses among"),
        ("export tasks.jsonl -o out --format harbor --sample 2", "--sample chooses among attempts"),
        ("tasks import swe-bench empty.jsonl -o out", "gave no task of the format swe-bench"),
        ("trace suites empty.jsonl -o out", "empty.jsonl: no image; `forager image build`"),
        ("base empty.jsonl -o out", "there is no text in empty.jsonl"),
        ("base tasks.jsonl x.bin -o out", "x.bin is no text file"),
        ("list ''", "the name is empty"),
        ("filter RUN -o ''", "the name is empty"),
        ("doctor --url http://127.0.0.1:9/v1", ""),
    ],
)
def test_messages_name_the_remedy(place: Path, words: str, told: str) -> None:
    """What was probably meant, and what a file is instead."""
    result = forager(words)
    assert result.exit_code in (1, 2) and told in result.stderr


def test_a_line_that_is_cut_off_is_named(place: Path) -> None:
    """A file of tasks does not become shorter in silence; a last line without its end is whole."""
    whole = (place / "tasks.jsonl").read_bytes()
    told = "the last line is cut off and left out"
    for text, cut in ((whole + whole[:-9], True), (whole + whole[:-1], False), (whole, False)):
        (place / "torn.jsonl").write_bytes(text)
        result = forager("tasks list torn.jsonl")
        assert result.exit_code == 0
        assert (f"torn.jsonl: {told}" in result.stderr) == cut


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (RlSettings, {"group_seconds": math.inf}, "group_seconds: write a finite number"),
        (RlSettings, {"train": {"learning_rate": math.inf}}, "train.learning_rate: write a finite"),
        (BootstrapSettings, {"draw": {"pass_rate": [0.9, 0.1]}}, "the lower pass rate first"),
        (BootstrapSettings, {"draw": {"pass_rate": [0.1, 1.9]}}, "less than or equal to 1"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(
    kind: type[BaseModel], given: dict[str, Any], told: str
) -> None:
    """Settings are finite, and in order."""
    with pytest.raises(UsageError, match=told):
        resolve_settings(kind, {"tasks": ["t.jsonl"], "base": "b", **given})


def test_files_that_a_bootstrap_lacks_are_named(place: Path) -> None:
    """A dry run reads what the real one would read, whose first failure fixes no settings."""
    settings = 'tasks = ["{}.jsonl"]\nbase = "{}"\n[split]\nheld_out = {}\n'
    for given, told in (
        (("nope", "owner/name", 1), "tasks: nope.jsonl does not exist"),
        (("tasks", "../name", 1), "../name is not a Hugging Face model"),
        (("tasks", "owner/name", 9), "cannot hold out 9 of 1 tasks"),
    ):
        (place / "b.toml").write_text(settings.format(*given))
        assert told in forager("bootstrap b.toml -o out --dry-run").stderr
    (place / "model").mkdir()
    (place / "model" / "config.json").write_text("{}")
    for held_out in (9, 8):
        (place / "b.toml").write_text(settings.format("tasks", "model", held_out))
        told = forager("bootstrap b.toml -o out").stderr
        assert "made with other settings" not in told


def test_a_missing_extra_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb without its packages says what to install."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = forager("base x.txt -o out")
    check(result, "base")
    assert "pip install -e '.[" in result.stderr


def test_a_failed_first_start_accepts_other_settings(place: Path) -> None:
    """Settings hold once there are attempts that were made with them."""
    task, first, second = make_task("a"), RunSettings(models=["a"]), RunSettings(models=["b"])
    Run.write(place / "new", first, [task]).close()
    with Run.write(place / "new", second, [make_task("a", patch="")]) as run:
        assert run.settings()["models"] == ["b"] and [*run.tasks()] == [make_task("a", patch="")]
        run.append(make_attempt("a"))
    with pytest.raises(UsageError, match="made with other settings: models"):
        Run.write(place / "new", first, [task])


def test_an_interrupted_verb_says_that_it_resumes(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verbs that write go on; those that only read do not."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("forager.cli.run.make_attempts", interrupted)
    monkeypatch.setattr("forager.cli.listing.open_attempts", interrupted)
    result = forager("run tasks.jsonl -o out -m repair")
    assert (result.exit_code, result.stderr) == (
        130,
        "forager: interrupted; the same command resumes\n",
    )
    assert forager("list RUN").stderr == "forager: interrupted\n"
