"""Tasks without tools: the model's message is the answer, and every verb serves them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_templates import CHATML, make_tokenizer
from click.testing import CliRunner
from test_chat import Script, completion, serving
from test_rollout import run

from forager.agent.model import Reply
from forager.cli.main import main
from forager.environments.answer.expressions import arguments_of
from forager.environments.answer.prediction import (
    OUTPUT,
    OutputPrediction,
    PredictionTask,
)
from forager.environments.answer.question import verdict
from forager.environments.environment import Grade, OpenedTask
from forager.environments.registry import environment_of, environments
from forager.environments.task import Labels
from forager.errors import LoggedError, TaskError, UsageError
from forager.records import write_records
from forager.sandboxes.kinds import SANDBOXES
from forager.sandboxes.sandbox import Limits
from forager.trajectories.record import Outcome
from forager.trajectories.store import Run

CODE = "def f(n):\n    return [n] * 2"


def question(name: str = "twice-1", number: int = 3) -> PredictionTask:
    """A task of output prediction."""
    return PredictionTask(
        instance_id=name,
        environment=OUTPUT,
        kind="output-prediction",
        problem_statement=f"{CODE}\nassert f({number}) == ??",
        labels=Labels(family="prediction"),
        code=CODE,
        input=str(number),
        output=f"[{number}, {number}]",
    )


def says(text: str, finish_reason: str = "stop") -> Reply:
    """A model's whole reply."""
    return Reply({"role": "assistant", "content": text}, finish_reason=finish_reason)


@pytest.mark.parametrize(
    ("text", "answer", "resolved", "kind"),
    [
        ("[ANSWER]\nassert f(3) == [3, 3]\n[/ANSWER]", "[3, 3]", True, ""),
        ("<think>[ANSWER]1[/ANSWER]</think>So [ANSWER] [3,3]", "[3,3]", True, ""),
        ("[ANSWER][4, 4][/ANSWER]", "[4, 4]", False, "policy"),
        ("[ANSWER]f( 3)[/ANSWER]", "f( 3)", False, "format"),
        ("[ANSWER]" + "(" * 9000 + "[/ANSWER]", "(" * 9000, False, "format"),
        ("I think it is [3, 3].", "", False, "format"),
    ],
)
def test_a_message_is_an_answer(
    tmp_path: Path, text: str, answer: str, resolved: bool, kind: str
) -> None:
    """One model call without tools or a system prompt; no engine, no sandbox."""
    (attempt,), (model,), _ = run(tmp_path / "run", question(), [says(text)])
    outcome = attempt.outcome
    assert (outcome.exit_reason, outcome.answer) == ("answered", answer)
    assert (outcome.resolved, outcome.cause_kind, bool(outcome.cause)) == (
        resolved,
        kind,
        not resolved,
    )
    assert attempt.tools == [] and attempt.tool_calls == []
    assert [message["role"] for message in attempt.messages] == ["user", "assistant"]
    assert [message["role"] for message in model.seen[0]] == ["user"]


def test_numbers_of_thousands_of_digits_are_answers_like_others() -> None:
    """Python writes none of them out: a call with one is refused; a task with one says so."""
    call = f"f(0x{'f' * 5000})"
    assert arguments_of(call, "f") is None
    task = question().model_copy(update={"output": "9" * 20_000})
    with pytest.raises(TaskError, match="is not a literal of up to 16,384 characters"):
        OutputPrediction().grade(task, "1", Limits(), SANDBOXES["bubblewrap"])


def test_an_answer_that_is_cut_off_ended_by_its_length(tmp_path: Path) -> None:
    """The exit reason says so; what there is of the answer is graded."""
    (attempt,), _, _ = run(tmp_path / "run", question(), [says("[ANSWER][3, 3]", "length")])
    assert (attempt.outcome.exit_reason, attempt.outcome.resolved) == ("token_limit", True)


def forager(*arguments: object) -> str:
    """Run a verb; return what it prints."""
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def server() -> Iterator[Script]:
    """A scripted server, which answers right, wrong and not at all, in turn."""
    with serving() as script:
        texts = ("[ANSWER][3, 3][/ANSWER]", "[ANSWER]3[/ANSWER]", "no idea")
        script.answers = [completion({"content": text}) for text in texts]
        yield script


def test_every_verb_serves_them(tmp_path: Path, server: Script) -> None:
    """run, list, report, replay, filter, export and data sets, without an engine."""
    tasks, made = tmp_path / "tasks.jsonl", tmp_path / "run"
    write_records(tasks, [question(f"twice-{number}") for number in range(3)])
    arguments = ["-m", "m", "--url", server.url, "--syntax", "text"]
    forager("run", tasks, "-o", made, *arguments)
    assert len(server.seen) == 3
    assert all("tools" not in request for request in server.seen)
    assert "answered" in forager("list", made)
    report = forager("report", made)
    assert "policy" in report and "format" in report
    forager("report", made, "-o", tmp_path / "report.html")
    forager("report", made, "-o", tmp_path / "report.md")
    (right,) = (attempt.id for attempt in Run(made).trajectories() if attempt.outcome.resolved)
    assert "[ANSWER][3, 3]" in forager("replay", f"{made}/{right}", "--print")
    forager("replay", f"{made}/{right}", "--execute")
    kept = tmp_path / "kept"
    forager("filter", made, "-o", kept, "--filter", "resolved", "--filter", "near-duplicates")
    assert [attempt.outcome.resolved for attempt in Run(kept).trajectories()] == [True]
    for format in ("parquet", "jsonl", "hf", "sharegpt", "atif", "swe-agent", "swe-bench"):
        forager("export", made, "-o", tmp_path / f"out-{format}.{format}", "--format", format)
    make_tokenizer(tmp_path / "tokenizer", CHATML)
    for format in ("policy", "world"):
        place = ["--tokenizer", tmp_path / "tokenizer", "-o", tmp_path / format]
        told = forager("export", made, "--format", format, *place, "--show", "1")
        assert "\t3 samples\t" in told
    branch = ["--branch-from", made, "--branch-turn", "failure"]
    forager("run", tasks, "-o", tmp_path / "again", *arguments, *branch)


class Unreliable(OutputPrediction):
    """An environment whose machine fails `faults` times before it grades."""

    def __init__(self, faults: int) -> None:
        self.left, self.asked = faults, 0

    def open(self, *_: object) -> OpenedTask:
        raise AssertionError("a task without tools is not opened")

    def grade(self, *given: Any) -> Grade:
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            return verdict("no machine", "infrastructure")
        return super().grade(*given)


@pytest.mark.parametrize("faults", [2, 99])
def test_infrastructure_never_counts_against_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: int
) -> None:
    """It is graded again, then lost and made again; no failed attempt is stored."""
    environment = Unreliable(faults)
    monkeypatch.setitem(environments(), "unreliable", environment)
    task = question().model_copy(update={"environment": "unreliable"})
    right = [says("[ANSWER][3, 3]")]
    if faults == 99:
        with pytest.raises(LoggedError, match="lost to infrastructure, the last because no mach"):
            run(tmp_path / "run", task, right)
        assert list(Run(tmp_path / "run").trajectories()) == []
        return
    (attempt,), models, _ = run(tmp_path / "run", task, right)
    assert (attempt.outcome.resolved, environment.asked, len(models)) == (True, 3, 2)


class Breakable(OutputPrediction):
    """An environment whose grading breaks at one answer."""

    def grade(self, *given: Any) -> Grade:
        if given[1] == "[6]":
            raise ZeroDivisionError("by zero")
        return super().grade(*given)


def test_an_answer_that_breaks_its_grading_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right answer can be graded, so the attempt is not lost."""
    monkeypatch.setitem(environments(), "breakable", Breakable())
    task = question().model_copy(update={"environment": "breakable"})
    (attempt,), models, _ = run(tmp_path / "run", task, [says("[ANSWER][6]")])
    assert (attempt.outcome.resolved, attempt.outcome.cause_kind) == (False, "policy")
    assert attempt.outcome.cause.startswith("the answer broke its grading: ZeroDivisionError")
    assert "Traceback" in attempt.outcome.log
    assert len(models) == 1


def test_records_of_earlier_versions_load() -> None:
    """They do not say what made an attempt fail."""
    old = {"exit_reason": "submitted", "resolved": False, "cause": "no"}
    assert Outcome.model_validate(old).cause_kind == ""
    assert Grade(resolved=False, reward=0).cause_kind == "policy"


def test_a_tool_that_is_not_installed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the tool."""
    task = question()
    monkeypatch.setattr(environment_of(task), "tools", lambda _: ("abacus",), raising=False)
    with pytest.raises(UsageError, match="needs the tool 'abacus', which no installed package"):
        run(tmp_path / "run", task, [says("")])
