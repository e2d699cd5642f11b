"""The failing test of a task before and after the fix, and what attempts gain from it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attempts import STEPS, make_attempt, make_task
from chat_templates import OURS, QWEN_2_5, SPECIALS, make_tokenizer
from test_cli import forager

from forager.environments.repository.task import RepositoryTask, TestSetup
from forager.errors import UsageError
from forager.learning.dataset import DatasetSettings
from forager.learning.dataset.inner import InnerTraces
from forager.learning.dataset.samples import SampleBuilder
from forager.learning.dataset.tokenizer import Tokenizer
from forager.records import write_records
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.tracing.fixes import FixTracer, FixWriter, TracedFix, read_fixes
from forager.tracing.store import DROPPED, TraceDirectory, TraceWriter

CODE = """\
def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result


def largest(numbers):
    return max(numbers)
"""
TESTS = """\
import random
from sums import total


def test_total():
    assert total([1, 2]) == 3


def test_random():
    assert total([random.random(), 2]) > 2.5


def test_other():
    assert True
"""
BUG = """\
diff --git a/sums.py b/sums.py
--- a/sums.py
+++ b/sums.py
@@ -1,5 +1,5 @@
 def total(numbers):
     result = 0
     for number in numbers:
-        result += number
+        result -= number
     return result
"""
FIX = BUG.replace("-        result += number\n+        result -= number\n",
                  "-        result -= number\n+        result += number\n")  # fmt: skip
NAMES = ("total", "random", "other")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository, from which each sandbox gets a copy."""
    root = tmp_path_factory.mktemp("fixes")
    (root / "origin").mkdir()
    (root / "origin" / "sums.py").write_text(CODE)
    (root / "origin" / "test_sums.py").write_text(TESTS)
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "add", "."],
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"],
    ):
        subprocess.run(command, cwd=root / "origin", check=True)
    return root


def sandboxes(place: Path) -> Callable[..., LocalSandbox]:
    """Return what opens a sandbox with a fresh copy."""

    def opened(image: str, **_: Any) -> LocalSandbox:
        shutil.rmtree(place / "work", ignore_errors=True)
        shutil.copytree(place / "origin", place / "work")
        return LocalSandbox(place / "work")

    return opened


def task(place: Path, **fields: Any) -> RepositoryTask:
    """Return the task of the bug."""
    setup = TestSetup(workdir=str(place / "work"), python=sys.executable)
    tests = [f"test_sums.py::test_{name}" for name in NAMES]
    given = {"setup_patch": BUG, "patch": FIX, "setup": setup, "FAIL_TO_PASS": tests}
    return make_task(**{**given, **fields})


def traced(place: Path, output: Path, *tasks: RepositoryTask) -> list[TracedFix]:
    """Record tasks, and return the pairs of the directory."""
    with TraceWriter(output) as writer, FixWriter(output, writer) as fixes:
        for chosen in tasks:
            FixTracer(sandboxes(place), fixes, 3, fallback=True).trace(chosen)
    return list(read_fixes(output))


@pytest.fixture(scope="module")
def output(place: Path) -> Iterator[Path]:
    """The traces of the task."""
    traced(place, place / "out", task(place))
    yield place / "out"


def test_a_test_is_recorded_before_and_after_the_fix(place: Path, output: Path) -> None:
    """Aligned at the first state that differs; what gives no pair has its reason."""
    (fix,) = read_fixes(output)
    assert (fix.test, fix.patch) == ("test_sums.py::test_total", FIX)
    assert (fix.difference.kind, fix.difference.names) == ("state", ["result"])
    assert fix.difference.before == fix.difference.after is not None
    traces = {trace.id: trace for trace in TraceDirectory(output).traces()}
    assert set(traces) == {fix.before, fix.after}
    assert traces[fix.before].outcome.kind == "failed"
    assert traces[fix.after].labels == {"task": "pkg-1", "side": "after"}
    reasons = {drop.id.rpartition("_")[2]: drop.reason for drop in TraceDirectory(output).dropped()}
    assert reasons["random"].startswith("two runs differ")
    assert reasons["other"] == "passed before the fix"


def test_nothing_is_recorded_twice(place: Path, output: Path, tmp_path: Path) -> None:
    """The same command goes on; a kill between the traces and the pair loses nothing."""
    shutil.copytree(output, tmp_path / "out")

    def closed(image: str, **_: Any) -> LocalSandbox:
        raise AssertionError("a sandbox was opened")

    with TraceWriter(tmp_path / "out") as writer, FixWriter(tmp_path / "out", writer) as fixes:
        FixTracer(closed, fixes, 3).trace(task(place))
        assert fixes.kept == 1
    (tmp_path / "out" / "fixes.jsonl").unlink()
    assert len(traced(place, tmp_path / "out", task(place))) == 1
    assert len(list(TraceDirectory(tmp_path / "out").traces())) == 2


def test_tasks_that_cannot_be_recorded_are_counted(place: Path, tmp_path: Path) -> None:
    """A patch that does not apply, and tests that a command runs."""
    setup = TestSetup(command="./run-tests")
    odd = task(place, instance_id="odd", patch=FIX.replace("result", "resolt"))
    assert traced(place, tmp_path, odd, task(place, instance_id="own", setup=setup)) == []
    text = (tmp_path / DROPPED).read_text()
    assert text.count("does not fit its image") == text.count("a command of their own") == 3
    write_records(tmp_path / "none.jsonl", [])
    done = forager("trace", "tasks", tmp_path / "none.jsonl", "-o", tmp_path / "x")
    assert done.exit_code == 2 and "no task" in done.stderr


def test_the_exchange_says_where_the_executions_differ(output: Path) -> None:
    """The question has the fix; the answer the values, and both executions around them."""
    (exchange,) = InnerTraces(output).exchanges("pkg-1")
    assert "+        result += number" in exchange.question and "< 3" not in exchange.question
    answer = exchange.answer
    assert answer.startswith(
        "The executions first differ in `total` (sums.py:3): "
        "`result` is -1 before the fix and 1 after it."
    )
    assert "> total(numbers=[1, 2])\n2 result = 0" in answer
    assert "4 result -= number" in answer and "4 result += number" in answer
    assert list(InnerTraces(output).exchanges("other")) == []


@pytest.mark.parametrize("template", [(QWEN_2_5, SPECIALS["qwen"]), (OURS, SPECIALS["ours"])])
def test_an_attempt_is_followed_by_what_happens_inside(
    output: Path, tmp_path: Path, template: tuple[str, str]
) -> None:
    """Its own ids and masks stay; the answer has loss, and the text is what the template shows."""
    tokenizer = Tokenizer(make_tokenizer(tmp_path / "tokenizer", *template))
    attempt = make_attempt(syntax="text", steps=STEPS[:2])
    settings = DatasetSettings(kind="world", observations=0)
    (plain,) = SampleBuilder(tokenizer, settings).samples(attempt)
    builder = SampleBuilder(tokenizer, settings, InnerTraces(output))
    (joined,) = builder.samples(attempt)
    assert builder.notes["traces of tests added to attempts"] == 1
    count = len(plain.input_ids)
    assert joined.input_ids[:count] == plain.input_ids
    assert joined.loss_mask[:count] == plain.loss_mask
    (exchange,) = InnerTraces(output).exchanges("pkg-1")
    added = joined.loss_mask[count:]
    answer = [id for id, loss in zip(joined.input_ids[count:], added, strict=True) if loss]
    assert tokenizer.decode(answer, specials=False).strip() == exchange.answer.strip()
    assert tokenizer.answer_end(tokenizer.decode(answer)) == len(tokenizer.decode(answer))
    messages = [
        *attempt.messages,
        {"role": "user", "content": exchange.question},
        {"role": "assistant", "content": exchange.answer},
    ]
    whole = tokenizer.render(messages, attempt.tools, "24 Nov 2026")
    assert tokenizer.decode(joined.input_ids) == whole.rstrip()
    short = settings.model_copy(update={"max_length": count + 10})
    (kept,) = SampleBuilder(tokenizer, short, InnerTraces(output)).samples(attempt)
    assert kept.input_ids == plain.input_ids


def test_the_export_joins_runs_and_traces(output: Path, tmp_path: Path) -> None:
    """`--traces` counts what was added; a policy, or a directory without pairs, is refused."""
    write_records(tmp_path / "run.jsonl", [make_attempt(syntax="text")])
    make_tokenizer(tmp_path / "tokenizer", QWEN_2_5, SPECIALS["qwen"])
    command = ("export", tmp_path / "run.jsonl", "--tokenizer", tmp_path / "tokenizer", "--traces")
    done = forager(*command, output, "-o", tmp_path / "a", "--format", "world")
    assert done.exit_code == 0, done.stderr
    assert "1 traces of tests added to attempts" in done.stderr
    done = forager(*command, output, "-o", tmp_path / "b", "--format", "policy")
    assert done.exit_code == 2 and "world" in done.stderr
    done = forager(*command, tmp_path, "-o", tmp_path / "c", "--format", "world")
    assert done.exit_code == 2 and "trace tasks" in done.stderr
    with pytest.raises(UsageError, match="no traces of tasks"):
        InnerTraces(tmp_path)
