"""Text that UTF-8 cannot encode: what becomes of it in records, stores, exports and patches."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attempts import STEPS, Settings, make_attempt, make_task
from chat_templates import QWEN_2_5, make_tokenizer
from click.testing import CliRunner
from test_history import opened, tree

from forager.agent.loop import Agent
from forager.agent.oracle import OracleModel
from forager.agent.syntax import SYNTAXES
from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.errors import LoggedError
from forager.images.git import git
from forager.records import Record, parse_record, read_records, writable
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.export import FORMATS
from forager.trajectories.record import AttemptLimits, ToolCall, Trajectory
from forager.trajectories.store import Run
from tools import TOOLBOX

__all__ = ["tree"]
HALVES = ["\ud83d", "\ude00", "\udcff", "a\ud800\udbffb", "\ude00\ud83d"]
LETTERS = [*HALVES, "", "x", "é", "😀", "\n", "\x00", '"', "\\ud83d", "\u2028", "\x1b["]


class Chance(random.Random):
    """Makes JSON-able values; half characters may be in all texts."""

    def text(self) -> str:
        """A short text."""
        return "".join(self.choices(LETTERS, k=self.randrange(5)))

    def value(self, levels: int = 3) -> Any:
        """Any value of JSON."""
        make: list[Callable[[], Any]] = [self.text, self.text, self.random, lambda: None]
        if levels:
            make += [
                lambda: [self.value(levels - 1) for _ in range(self.randrange(4))],
                lambda: {self.text(): self.value(levels - 1) for _ in range(self.randrange(4))},
            ]
        return self.choice(make)()

    def call(self) -> dict[str, Any]:
        """A call whose arguments are any JSON, or none."""
        arguments = self.choice([json.dumps({"command": self.text()}), self.text()])
        function = {"name": self.choice(["bash", self.text()]), "arguments": arguments}
        return {"id": self.text(), "type": "function", "function": function}

    def change(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message with other contents."""
        made = {**message, "content": self.choice([self.text(), self.value()])}
        if message["role"] == "assistant":
            made["tool_calls"] = [self.call() for _ in range(self.randrange(3))]
            made["reasoning_content"] = self.text()
        return {**made, f"more{self.text()}": self.value()}


def attempt(seed: int) -> Trajectory:
    """An attempt whose messages, calls and outcome hold half characters."""
    chance = Chance(seed)
    base = make_attempt(f"odd-{seed}\udcff", steps=STEPS[:2])
    calls = [
        {**dict(call), "arguments": {"command": chance.text()}, "reason": chance.text()}
        for call in base.tool_calls
    ]
    outcome = {**dict(base.outcome), "log": chance.text(), "tests": {chance.text(): "passed"}}
    return Trajectory(
        **{
            **dict(base),
            "messages": [chance.change(message) for message in base.messages],
            "tool_calls": calls,
            "outcome": {**outcome, "left_out": [chance.text()], "cause": chance.text()},
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of forty odd attempts."""
    path = tmp_path_factory.mktemp("odd") / "run"
    with Run.write(path, Settings(), []) as writer:
        for seed in range(40):
            writer.append(attempt(seed))
    return path


@pytest.mark.parametrize("format", [*FORMATS, "policy", "world"])
def test_every_message_goes_through_every_export(run: Path, format: str) -> None:
    """No text in a message costs an export; each attempt is in it."""
    target = run.parent / format
    options = []
    if format in ("policy", "world"):
        options = ["--tokenizer", str(make_tokenizer(run.parent / "t" / format, QWEN_2_5))]
    command = ["export", str(run), "-o", str(target), "--format", format, *options]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    if format in ("policy", "world"):
        assert json.loads((target / "dataset.json").read_text())["attempts"] == 40
    else:
        assert "40 attempts" in done.output
    for file in [target] if target.is_file() else target.rglob("*.json*"):
        if file.suffix != ".parquet" and format != "parquet":
            assert not any(map(half, json.dumps(list(lines(file)), ensure_ascii=False)))


def half(letter: str) -> bool:
    """Whether a character is half of one."""
    return "\ud800" <= letter <= "\udfff"


def lines(file: Path) -> list[Any]:
    """The values of a JSON file, or of its lines."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".json":
        return [json.loads(text)]
    return [json.loads(line) for line in text.split("\n") if line.startswith("{")]


def test_a_record_is_the_same_before_and_after_the_disk(run: Path) -> None:
    """Cleaning happens when a record is made: nothing changes later."""
    stored = {attempt.id: attempt for attempt in Run(run).trajectories()}
    for seed in range(40):
        made = attempt(seed)
        assert stored[made.id].messages == made.messages
        assert stored[made.id].outcome == made.outcome
    assert writable({"a\ud83d": ["\udc00b", ("\ude00",)]}) == {"a\ufffd": ["\ufffdb", ("\ufffd",)]}


class Note(Record):
    """A record for these tests."""

    text: str
    more: dict[str, Any] = {}
    inner: "Note | None" = None


@pytest.mark.parametrize("seed", range(20))
def test_no_way_into_a_record_leaves_a_half_character(seed: int) -> None:
    """Made, validated, copied or read: the record can be written, and reads back the same."""
    chance = Chance(seed)
    given = {"text": chance.text(), "more": {chance.text(): chance.value()}}
    deep = {**given, "inner": given}
    assert len(Note(**given).text) == len(given["text"])
    for note in (
        Note(**deep),
        Note.model_validate(deep),
        Note(text="").model_copy(update=given),
        Note(text="", inner=Note(**given)),
        parse_record(Note, json.dumps(deep).encode()),
        parse_record(Note, json.dumps(deep, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    ):
        assert Note.model_validate_json(note.model_dump_json()) == note


def test_rows_and_records_of_others_are_read(tmp_path: Path) -> None:
    """Files that Python's json wrote hold half characters as escapes; they load as tasks."""
    task = {"instance_id": "a", "repo": "b/c", "patch": "", "problem_statement": "half \ud83d"}
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps({**task, "FAIL_TO_PASS": ["t\udc00"], "PASS_TO_PASS": []}) + "\n")
    (found,) = read_records(path, RepositoryTask)
    assert (found.problem_statement, found.FAIL_TO_PASS) == ("half \ufffd", ["t\ufffd"])


def test_a_call_with_half_a_character_is_made() -> None:
    """Arguments are JSON in a text; the half character in them is replaced, and the call runs."""
    call = {"function": {"name": "bash", "arguments": '{"command": "echo \\ud83d"}'}}
    read = SYNTAXES["functions"].read({"tool_calls": [call]}, TOOLBOX)
    assert read.arguments == {"command": "echo \ufffd"}
    assert ToolCall(message=1, tool="bash", arguments={"command": "\ud83d"}).arguments == {
        "command": "\ufffd"
    }


def test_an_error_with_half_a_character_is_recorded(tmp_path: Path) -> None:
    """A lost attempt's message and log may quote anything."""
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        writer.append_lost("a.0", LoggedError("\ud83d", "log \udcff"))
    (lost,) = Run(tmp_path / "run").lost()
    assert (lost.error, lost.log) == ("LoggedError: \ufffd", "log \ufffd")


def test_a_fix_of_files_that_are_not_utf_8_keeps_its_bytes(tree: Path) -> None:
    """A diff of a history becomes a record; git and the oracle make the new bytes of it."""
    files: dict[str | bytes, tuple[bytes, bytes | None]] = {
        "latin.py": (b'x = "caf\xe9"\n', b'x = "caf\xe8"\ny = 1\n'),
        "plain.py": (b"x = 1\n", b"x = 2\r\n\x0c\n"),
        "gone\xff.py".encode("latin-1"): (b"\xff\n", None),
    }
    for name, (old, _) in files.items():
        (tree / os_name(name)).write_bytes(old)
    git(tree, "add", "--all", ".")
    git(tree, "commit", "--quiet", "--message", "caf\udce9")
    for name, (_, new) in files.items():
        (tree / os_name(name)).write_bytes(new) if new else (tree / os_name(name)).unlink()
    git(tree, "add", "--all", ".")
    git(tree, "commit", "--quiet", "--message", "Fix caf\udce9")
    history = opened(tree)
    change = next(history.changes())
    assert change.message.startswith("Fix caf")
    patch = history.diff(change.base, change.commit, change.files)
    task = make_task(problem_statement=change.message, patch=patch)
    read = RepositoryTask.model_validate_json(task.model_dump_json())
    assert read.patch == patch
    assert "+x = 2\r\n" in patch
    git(tree, "checkout", "--quiet", "HEAD~1")
    subprocess.run(["git", "apply", "-"], cwd=tree, input=read.patch.encode(), check=True)
    _check_bytes(tree, files)
    git(tree, "checkout", "--quiet", "--force", "HEAD")
    with LocalSandbox(tree) as sandbox:
        model = OracleModel(read, SYNTAXES["functions"], TOOLBOX)
        agent = Agent(model, sandbox, TOOLBOX, SYNTAXES["functions"], AttemptLimits(turns=9))
        assert agent.run("p") == "submitted"
    _check_bytes(tree, files)


def _check_bytes(tree: Path, files: dict[str | bytes, tuple[bytes, bytes | None]]) -> None:
    for name, (_, new) in files.items():
        path = tree / os_name(name)
        assert (path.read_bytes() if path.exists() else None) == new


def os_name(name: str | bytes) -> str:
    """A file name as Python's functions take it."""
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
