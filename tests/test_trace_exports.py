"""Traces as lines of JSON, and questions that are made of them."""

import json
import sys
from pathlib import Path

import pytest
from test_cli import forager

from forager.environments.answer.prediction import PredictionTask
from forager.environments.repository.task import TestSetup
from forager.records import read_records
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.tracing import TRACE_FORMATS
from forager.tracing.programs import LIMITS, ProgramInput, TracedProgram, jobs_of, trace_programs
from forager.tracing.recording import SandboxRecorder
from forager.tracing.source import entered_source
from forager.tracing.store import TraceWriter

PROGRAM = """\
def unused():
    return 1


def double(text):
    return text * 2


print(double(input()))
"""
LONG = """\
import sys

rows = ["x" * 400] * 38
for number in range(2400 if input() == "long" else 1):
    rows[0] = str(number)
"""
SOURCE = """\
import math
RATE = 2


@math.odd
def used(x):
    return x


def unused():
    pass


class Kept:
    field = 1

    def used(self):
        return 1

    def unused(self):
        return 2


class Gone:
    def unused(self):
        return 2
"""


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The traces of a program on two inputs."""
    given = [ProgramInput(stdin="ab\n"), ProgramInput(stdin="<|end_of_text|>\n")]
    return recorded(tmp_path_factory.mktemp("traces"), "double.py", PROGRAM, given)


def recorded(
    root: Path, name: str, source: str, given: list[ProgramInput], fallback: bool = True
) -> Path:
    """Trace a program on two inputs."""
    (root / "work").mkdir()
    program = TracedProgram(id=name, source=source, inputs=given)
    with LocalSandbox(root / "work") as sandbox, TraceWriter(root / "found") as writer:
        setup = TestSetup(workdir=str(root / "work"), python=sys.executable)
        recorder = SandboxRecorder(sandbox, setup, fallback=fallback)
        trace_programs(recorder, [*jobs_of([program], 2)], writer, "tests", LIMITS)
        assert writer.kept == 2, writer.reasons
    return root / "found"


@pytest.mark.parametrize("format", TRACE_FORMATS)
def test_each_trace_is_a_line(traces: Path, tmp_path: Path, format: str) -> None:
    """Every format names the trace, and the same command gives the same bytes."""
    texts = []
    for name in ("one.jsonl", "two.jsonl"):
        done = forager("export", traces, "-o", tmp_path / name, "--format", format)
        assert done.stdout == f"{tmp_path / name}\t2 traces\n", done.stderr
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    rows = [json.loads(line) for line in texts[0].splitlines()]
    assert [row["name"] for row in rows] == ["double.py", "double.py"]


@pytest.mark.parametrize("format", ["parquet", "hf"])
def test_traces_are_tables(traces: Path, tmp_path: Path, format: str) -> None:
    """`parquet` and `hf` hold a view's text, and a card with licences."""
    from datasets import load_dataset

    out = tmp_path / ("out.parquet" if format == "parquet" else "out")
    done = forager("export", traces, "-o", out, "--format", format, "--view", "compact")
    assert done.stdout == f"{out}\t2 traces\n", done.stderr
    kind, where = ("parquet", str(out)) if format == "parquet" else (str(out), None)
    rows = load_dataset(kind, data_files=where, split="train", cache_dir=str(tmp_path / "cache"))
    assert rows["name"] == ["double.py"] * 2 and rows[0]["text"].startswith("> <module>()")
    if format == "hf":
        assert "unknown 2" in (out / "README.md").read_text()
    refused = forager(
        "export", traces, "-o", tmp_path / "x", "--format", format, "--view", "output"
    )
    assert refused.exit_code == 2 and not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short trace, and one whose values have 37 million characters in all."""
    given = [ProgramInput(stdin="long\n"), ProgramInput(stdin="short\n")]
    return recorded(tmp_path_factory.mktemp("long"), "rows.py", LONG, given, fallback=False)


@pytest.mark.parametrize("format", [f for f in (*TRACE_FORMATS, "parquet") if f != "input-output"])
def test_a_trace_too_long_for_a_text_is_left_out(long: Path, tmp_path: Path, format: str) -> None:
    """One trace of a loop does not fill the memory: it is counted, and the others are written."""
    done = forager("export", long, "-o", tmp_path / "out", "--format", format)
    assert done.stdout == f"{tmp_path / 'out'}\t1 traces\n", done.stderr
    assert "its values are too long; --depth or --step-in shows fewer calls" in done.stderr
    assert len(exported_ids(tmp_path / "out")) == 1


@pytest.mark.parametrize("format", ["compact", "parquet"])
def test_a_sample_of_traces_is_the_seeds(traces: Path, tmp_path: Path, format: str) -> None:
    """`--sample` draws traces by seed and id, so that a larger sample holds a smaller one."""
    found = {}
    for seed in range(6):
        for count in (1, 2):
            out = tmp_path / f"{seed}-{count}"
            chosen = ("--format", format, "--sample", str(count), "--seed", str(seed))
            done = forager("export", traces, "-o", out, *chosen)
            assert done.stdout == f"{out}\t{count} traces\n", done.stderr
            found[seed, count] = exported_ids(out)
    assert all(found[seed, 1] < found[seed, 2] for seed in range(6))
    assert set.union(*(found[seed, 1] for seed in range(6))) == found[0, 2]


def exported_ids(path: Path) -> set[str]:
    """Return the ids in a file of JSON or Parquet."""
    from pyarrow.parquet import read_table

    data = path.read_bytes()
    if data.startswith(b"PAR1"):
        return set(read_table(path)["id"].to_pylist())
    return {json.loads(line)["id"] for line in data.splitlines()}


def test_an_export_of_nothing_is_refused(tmp_path: Path) -> None:
    """A directory without traces, and an attempt's format for traces, get one line."""
    done = forager("export", tmp_path, "-o", tmp_path / "x", "--format", "cwm")
    assert done.exit_code == 2
    assert "holds no traces" in done.stderr
    assert not (tmp_path / "x").exists()


def test_questions_show_the_code_that_ran(traces: Path, tmp_path: Path) -> None:
    """What a trace does not enter is left out, but for what the module binds."""
    forager("export", traces, "-o", tmp_path / "x", "--format", "input-output")
    row = json.loads((tmp_path / "x").read_text().splitlines()[0])
    assert (row["input"], row["output"]) == ("ab\n", "abab\n")
    assert "unused" not in row["files"]["double.py"]
    shown = entered_source(SOURCE, {5, 17})
    assert "unused" not in shown and "Gone" not in shown
    assert all(part in shown for part in ("RATE = 2", "@math.odd\ndef used", "field = 1"))
    assert entered_source("def f(:\n", {1}) == "def f(:\n"


def test_calls_become_questions(tmp_path: Path) -> None:
    """A call that returned a literal is a task; what says nothing, or is cut, is refused."""
    base = {
        "kind": "function", "name": "shout", "source": "local/x", "outcome": "returned",
        "files": {"x.py": "def shout(text):\n    return text.upper()\n"},
    }  # fmt: skip
    rows = [
        {"id": "a", "input": "shout('a')", "output": "'A'", **base},
        {"id": "b", "input": "shout('a')", "output": "None", **base},
        {"id": "c", "input": "shout([<+9>])", "output": "1", **base},
        {"id": "d", "input": "shout('a')", "output": "Namespace()", **base},
        {"id": "e", "input": "shout('a')", "output": "1", **base, "files": []},
        {"id": "f", "input": "shout('a')", "output": "1", **base, "outcome": "raised"},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = forager("tasks", "import", "traces", tmp_path / "rows.jsonl", "-o", tmp_path / "t.jsonl")
    assert done.exit_code == 0, done.stderr
    (task,) = read_records(tmp_path / "t.jsonl", PredictionTask)
    assert (task.function, task.input, task.output) == ("shout", "'a'", "'A'")
    assert task.labels.functions == ["local/x:x.py:shout"]
    assert "shout('a')" in task.problem_statement and not task.contaminated
    assert forager("tasks", "check", tmp_path / "t.jsonl").exit_code == 0
