"""Traces of programs, suites and functions, recorded in a sandbox, and where they are kept."""

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from forager.cli.main import main
from forager.environments.repository.task import TestSetup
from forager.errors import UsageError
from forager.images.image import Image
from forager.programs.tracer.observing import access, caches, functions
from forager.records import write_records
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.tracing.functions import FunctionTracer, FunnelFile
from forager.tracing.programs import (
    LIMITS,
    ProgramInput,
    TracedProgram,
    jobs_of,
    read_programs,
    trace_programs,
)
from forager.tracing.recording import SandboxRecorder
from forager.tracing.store import DROPPED, TRACES, SourceTexts, TraceDirectory, TraceWriter
from forager.tracing.suites import SuiteTracer, TracedSuite, batches
from forager.tracing.views.compact import compact_text
from forager.tracing.views.events import event_objects

CODE = """\
import random


def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result


def shout(text, mark="!"):
    return text.upper() + mark


def any_number():
    return random.random()


def placed(text):
    return hash(Stack) + len(text)


class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)
        return len(self.items)

    @property
    def size(self):
        return len(self.items)


def words(text):
    yield from text.split()
"""
TESTS = """\
import sys
from sums import Stack, any_number, shout, total, words


def test_total():
    assert total([1, 2, 3]) == 6


def test_shout():
    assert shout("a") == "A!"
    assert shout("b", mark="?") == "B?"


def test_stack():
    assert Stack().push(1) == 1


def test_words():
    assert list(words("a b")) == ["a", "b"] and Stack().size == 0

def test_random():
    assert any_number() < 1


def test_knows_its_tracer():
    assert sys.gettrace() is None


def test_address():
    assert repr(object()).startswith("<object")


def test_wrong():
    assert total([1]) == 2
"""


HARD = """\
def code(text):
    letters, _, number = text.partition("-")
    if letters != "AB":
        raise ValueError(text)
    return int(number) * 2


class Box:
    def __init__(self, size):
        self.size = int(size) / 0
"""

CACHED = """\
KNOWN = {}


def square(number):
    if number not in KNOWN:
        KNOWN[number] = number * number
    return KNOWN[number]
"""
CACHED_TESTS = """\
from square import square


def test_first():
    assert square(3) == 9


def test_second():
    assert square(3) == 9
"""


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[SandboxRecorder]:
    """Return the recorder in a small project."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "sums.py").write_text(CODE)
    (root / "test_sums.py").write_text(TESTS)
    sandbox = LocalSandbox(root)
    yield SandboxRecorder(sandbox, TestSetup(workdir=str(root), python=sys.executable))
    sandbox.close()


def suite(*names: str) -> TracedSuite:
    """Return some of the project's tests."""
    tests = [f"test_sums.py::test_{name}" for name in names]
    return TracedSuite(reference="local/sums", tests=tests, test_seconds=1)


def test_tests_are_recorded_if_they_do_the_same_each_time(
    tmp_path: Path, recorder: SandboxRecorder
) -> None:
    """One call tree a test; what tracing changes and what differs is dropped with its reason."""
    names = ("total", "stack", "random", "knows_its_tracer", "address", "wrong")
    chosen = suite(*names)
    with TraceWriter(tmp_path / "out") as writer:
        for batch in batches(chosen, writer):
            SuiteTracer(chosen, writer).trace(recorder, batch)
        assert list(batches(chosen, writer)) == []
    found = {trace.name.partition("test_sums.py::test_")[2]: trace
             for trace in TraceDirectory(tmp_path / "out").traces()}  # fmt: skip
    assert set(found) == {"total", "stack", "address", "wrong"}
    reasons = {
        drop.id.rpartition("_")[2]: drop.reason
        for drop in TraceDirectory(tmp_path / "out").dropped()
    }
    assert reasons == {"random": "two runs differ", "tracer": "tracing changes the outcome"}
    assert found["wrong"].outcome.kind == "failed"
    assert found["wrong"].outcome.value == "AssertionError"
    text = compact_text(found["total"], SourceTexts(tmp_path / "out").of(found["total"]))
    assert text.startswith("> test_total()\n6 assert total([1, 2, 3]) == 6\n> total(numbers=[1")
    assert "@py" not in text and [file.path for file in found["total"].files] == [
        "test_sums.py",
        "sums.py",
    ]


def test_a_test_runs_with_the_same_neighbours_after_a_kill(
    tmp_path: Path, recorder: SandboxRecorder
) -> None:
    """What a test leaves in a cache changes the next one's trace; a kill between them does not."""
    root = tmp_path / "project"
    (root / "square.py").write_text(CACHED)
    (root / "test_square.py").write_text(CACHED_TESTS)
    tests = [f"test_square.py::test_{name}" for name in ("first", "second")]
    chosen = TracedSuite(reference="local/square", tests=tests, test_seconds=1)
    path = tmp_path / "out" / TRACES
    written = []
    for _ in range(2):
        with TraceWriter(tmp_path / "out") as writer:
            for batch in batches(chosen, writer):
                SuiteTracer(chosen, writer).trace(recorder, batch)
        found = list(TraceDirectory(tmp_path / "out").traces())
        written.append([(trace.id, trace.digest) for trace in found])
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert written[0] == written[1]
    assert [id for id, _ in written[0]] == [chosen.id(test) for test in tests]


def test_a_model_writes_inputs_for_functions_with_too_few(
    tmp_path: Path, recorder: SandboxRecorder
) -> None:
    """Literals only; it is asked once for what is not covered, and not for methods."""
    (tmp_path / "project" / "sums.py").write_text(HARD)
    asked: list[str] = []

    def write(question: str) -> str:
        asked.append(question)
        calls = [f"code('AB-{number}')" for number in (12, 34, 56, 78, 90)]
        return "\n".join(["Here:", *calls, "code(open('/etc/passwd'))", "code('AB-1'", "`code()`"])

    chosen = TracedSuite(reference="local/hard", tests=[], test_seconds=1)
    for _ in range(2):
        funnel = FunnelFile(tmp_path)
        with TraceWriter(tmp_path) as writer:
            FunctionTracer(chosen, writer, funnel, write=write).trace(recorder)
        funnel.close()
    (question,) = asked
    assert "def code(text):" in question and "class Box" not in question
    last = {tried.function: tried for tried in funnel.functions}["sums.py:code"]
    assert last.written == 7 and last.covered
    calls = [trace for trace in TraceDirectory(tmp_path).traces() if trace.name == "code"]
    assert {trace.labels["input"] for trace in calls} >= {"written"}
    assert "code('AB-12')" in {trace.entry for trace in calls}
    assert funnel.steps()["functions"] == 2


def test_a_test_that_does_the_same_in_another_version_is_recorded_once(
    tmp_path: Path, recorder: SandboxRecorder
) -> None:
    """Also after another start; what differs in its events or sources is kept."""
    for reference in ("local/sums:1", "local/sums:2"):
        chosen = TracedSuite(reference=reference, tests=suite("total").tests, test_seconds=1)
        with TraceWriter(tmp_path / "out") as writer:
            SuiteTracer(chosen, writer).trace(recorder, list(chosen.tests))
    found = TraceDirectory(tmp_path / "out")
    assert [trace.origin.source for trace in found.traces()] == ["local/sums:1"]
    assert [drop.reason for drop in found.dropped()] == ["the same as in another version"]


@pytest.mark.engine
def test_what_loses_its_sandboxes_costs_itself_alone(kata_image: Image, tmp_path: Path) -> None:
    """Tests of the other image are recorded and counted; then one line says what is missing."""
    gone = kata_image.model_copy(update={"reference": "forager/gone:1"})
    images, out = tmp_path / "images.jsonl", tmp_path / "out"
    write_records(images, [gone, kata_image])
    done = CliRunner().invoke(
        main, ["trace", "suites", str(images), "-o", str(out), "--limit", "2"]
    )
    assert done.exit_code == 1, done.output
    assert ["kept", "2"] in [line.split() for line in done.stdout.splitlines()]
    assert {trace.origin.source for trace in TraceDirectory(out).traces()} == {kata_image.reference}
    told = "forager: 1 parts of the work were lost to infrastructure, the last because "
    assert told in done.stderr and done.stderr.endswith("; run again to record them\n")


def test_commits_need_a_history(tmp_path: Path) -> None:
    """A file of images has none; at most four commits are taken."""
    command = ["trace", "suites", "images.jsonl", "-o", str(tmp_path / "out"), "--commits"]
    done = CliRunner().invoke(main, [*command, "2"])
    assert done.exit_code == 2 and "needs the history" in done.stderr
    assert CliRunner().invoke(main, [*command, "5"]).exit_code == 2


def test_functions_are_recorded_with_observed_and_changed_inputs(
    tmp_path: Path, recorder: SandboxRecorder
) -> None:
    """Distinct inputs that return, and return the same; the funnel counts the others."""
    funnel = FunnelFile(tmp_path)
    with TraceWriter(tmp_path) as writer:
        chosen = suite("total", "shout", "stack", "random", "words")
        FunctionTracer(chosen, writer, funnel, count=6).trace(recorder)
        kept = writer.kept
        FunctionTracer(chosen, writer, funnel, count=6).trace(recorder)
        assert writer.kept == kept
    funnel.close()
    found = {tried.function.partition(":")[2]: tried for tried in funnel.functions}
    methods = {"Stack.__init__", "Stack.push", "Stack.size"}
    assert set(found) == {"total", "shout", "any_number", "placed", "words"} | methods
    assert found["total"].covered and found["shout"].covered and found["Stack.push"].kept
    assert found["any_number"].valid and not found["any_number"].steady
    assert found["placed"].steady and not found["placed"].kept  # a hash of an address
    entries = {trace.name: trace.entry for trace in TraceDirectory(tmp_path).traces()}
    assert entries["Stack.size"].startswith("Stack.size.fget(")
    assert entries["words"].startswith("list(words(")
    traces = [trace for trace in TraceDirectory(tmp_path).traces() if trace.name == "shout"]
    assert len({trace.entry for trace in traces}) == len(traces) == 6
    assert {"observed", "mutated"} & {trace.labels["input"] for trace in traces}
    assert all(trace.outcome.value.startswith("'") for trace in traces)


HELD = """\
import contextlib, functools

class A:
    def plain(self): return 1
    @staticmethod
    def static(): return 1
    @classmethod
    def made(cls): return cls()
    @property
    def size(self): return 1
    @functools.cached_property
    def kept(self): return 1

@functools.lru_cache(maxsize=None)
def cached(n): return n

@contextlib.contextmanager
def given(n): yield n
"""
PROGRAMS = [
    ("sum", "n = int(input())\nprint(sum(range(n)))\n", "5\n", "10", ""),
    ("wrong", "print(1)\n", "", "2", ""),
    ("exits", "import sys\nsys.exit(3)\n", "", None, ""),
    ("raises", "print(1 // int(input()))\n", "0\n", None, ""),
    ("old", "print 1\n", "", None, "not valid Python"),
    ("random", "import random\nprint(random.random())\n", "", None, "two runs differ"),
    ("long", "for i in range(9000):\n    x = i\n    y = i\n", "", None, "more than 10,000 lines"),
    ("notices", "import sys\nprint(sys.gettrace() is None)\n", "", None,
     "tracing changes the outcome"),
    ("leaves", "import os\nos._exit(0)\n", "", None, "ends its process itself"),
    ("prints", "print('x' * 2_000_000)\n", "", None, "prints more than 1 MiB"),
    ("is stopped", "import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)\n", "", None,
     "takes too long or too much"),
]  # fmt: skip
ENDS = [  # how Python would end them
    ("forks", "import os, sys\nif not os.fork():\n    sys.exit(3)\nprint(os.wait()[1] >> 8)\n",
     "3"),
    ("fails in a fork", "import os\nif not os.fork():\n    1 / 0\nprint(os.wait()[1] >> 8)\n", "1"),
    ("ends in a fork", "import os\nif os.fork():\n    os.wait()\n    print('parent')\n", "parent"),
    ("registers", "import atexit\natexit.register(print, 'ok')\n", "ok"),
    ("deletes", "class A:\n    def __del__(self): print('gone')\na = A()\nprint('end')\n",
     "end gone"),
    ("waits", "import threading, time\ndef late():\n    time.sleep(0.2)\n    print('late')\n"
     "threading.Thread(target=late).start()\n", "late"),
    ("exits with False", "import sys\nprint('ok')\nsys.exit(False)\n", "ok"),
]  # fmt: skip


def test_programs_are_recorded_on_their_inputs(tmp_path: Path, recorder: SandboxRecorder) -> None:
    """Verdicts compare the output; each program that gives no trace has a reason."""
    programs = [
        TracedProgram(id=name, source=source, inputs=[ProgramInput(stdin=given, expected=expected)])
        for name, source, given, expected, _ in PROGRAMS
    ]
    with TraceWriter(tmp_path / "out") as writer:
        trace_programs(recorder, list(jobs_of(programs, 3)), writer, "tests", LIMITS)
    found = {trace.name: trace for trace in TraceDirectory(tmp_path / "out").traces()}
    reasons = {
        drop.id.partition("#")[0]: drop.reason
        for drop in TraceDirectory(tmp_path / "out").dropped()
    }
    assert reasons == {name: reason for name, *_, reason in PROGRAMS if reason}
    outcomes = {name: (t.outcome.kind, t.outcome.verdict) for name, t in found.items()}
    assert outcomes["sum"] == ("exited", "accepted") and outcomes["wrong"] == ("exited", "wrong")
    assert outcomes["exits"] == ("exited", "error") and found["exits"].outcome.value == "3"
    assert outcomes["raises"][0] == "raised"
    assert found["raises"].outcome.value.startswith("ZeroDivisionError(")
    assert found["sum"].outcome.output == "10\n" and found["sum"].input == "5\n"


def test_programs_end_as_python_ends_them(tmp_path: Path, recorder: SandboxRecorder) -> None:
    """Forked processes, handlers, other threads and the module's objects are part of a program."""
    programs = [
        TracedProgram(id=name, source=source, inputs=[ProgramInput(expected=expected)])
        for name, source, expected in ENDS
    ]
    with TraceWriter(tmp_path / "out") as writer:
        trace_programs(recorder, list(jobs_of(programs, 3)), writer, "tests", LIMITS)
    assert not list(TraceDirectory(tmp_path / "out").dropped())
    traces = list(TraceDirectory(tmp_path / "out").traces())
    ends = {trace.name: (trace.outcome.output, trace.outcome.verdict) for trace in traces}
    assert {name: verdict for name, (_, verdict) in ends.items()} == {
        name: "accepted" for name, *_ in ENDS
    }, ends


def test_events_of_other_threads_are_exported(tmp_path: Path, recorder: SandboxRecorder) -> None:
    """As objects; what is a token in a source or an input is not stored."""
    token = "ghp_" + "a" * 36
    source = "from concurrent.futures import ThreadPoolExecutor\n"
    source += f"token = '{token}'\ndef other(n):\n    return n\n"
    source += "print(list(ThreadPoolExecutor(1).map(other, [1])))\n"
    program = TracedProgram(id="two", source=source, inputs=[ProgramInput(stdin=token)])
    with TraceWriter(tmp_path / "out") as writer:
        trace_programs(recorder, list(jobs_of([program], 1)), writer, "tests", LIMITS)
    (trace,) = TraceDirectory(tmp_path / "out").traces()
    texts = SourceTexts(tmp_path / "out").of(trace)
    events = list(event_objects(trace, texts))
    assert "other" in {event["function"] for event in events if event["thread"]}
    assert token not in trace.model_dump_json() and token not in "".join(texts.values())


def test_ids_of_programs_are_their_own(tmp_path: Path) -> None:
    """Two programs of one id, and two inputs of one name, are refused."""
    once = TracedProgram(id="a", source="", inputs=[ProgramInput(), ProgramInput(name="b")])
    assert [job.id for job in jobs_of([once], 9)] == ["a#0", "a#b"]
    twice = TracedProgram(id="a", source="", inputs=[ProgramInput(name="b")] * 2)
    for programs in ([once, once], [twice]):
        with pytest.raises(UsageError, match="occurs twice"):
            list(jobs_of(programs, 9))


def test_programs_are_read_in_their_encoding(tmp_path: Path) -> None:
    """As Python reads them; what it would not read is no program, and no input is changed."""
    for name, content in (
        ("cookie", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n"),
        ("bom", b"\xef\xbb\xbfx = '\xc3\xa9'\n"),
        ("broken", b"x = '\xe9'\n"),
        ("hex", b"# coding: hex\n78\n"),
        ("slow", b"# coding: punycode\nx = 1\n"),
    ):
        (tmp_path / f"{name}.py").write_bytes(content)
        (tmp_path / f"{name}1.in").write_bytes(b"a\r\n")
        (tmp_path / f"{name}2.in").write_bytes(b"\xff\xfe")
    found = {program.id: program for program in read_programs(tmp_path)}
    assert found["cookie.py"].source.splitlines()[1] == "x = 'é'"
    assert found["bom.py"].source == "x = 'é'\n"
    for name in ("broken.py", "hex.py", "slow.py"):
        with pytest.raises((SyntaxError, ValueError), match="null"):
            compile(found[name].source, "", "exec")
    assert [given.stdin for given in found["bom.py"].inputs] == ["a\r\n"]


def test_an_entry_is_what_was_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stands for a property or a wrapper is followed to the function itself."""
    (tmp_path / "held_here.py").write_text(HELD)
    monkeypatch.syspath_prepend(tmp_path)
    held_here = import_module("held_here")

    found = {
        name: access(function)
        for name, function in functions(lambda file: Path(file).name * (file == held_here.__file__))
    }
    assert found == {
        "held_here.py:A.plain": "",
        "held_here.py:A.static": "",
        "held_here.py:A.made": ".__func__",
        "held_here.py:A.size": ".fget",
        "held_here.py:A.kept": ".func",
        "held_here.py:cached": ".__wrapped__",
        "held_here.py:given": ".__wrapped__",
    }
    for name, follows in found.items():
        eval(f"held_here.{name.partition(':')[2]}{follows}.__code__")
    assert [
        cache.__name__ for cache in caches(lambda file: file * (file == held_here.__file__))
    ] == ["cached"]


def test_a_directory_of_problems_is_read(tmp_path: Path) -> None:
    """As problem packages are: submissions, and data further up."""
    problem = tmp_path / "sum"
    (problem / "submissions" / "accepted").mkdir(parents=True)
    (problem / "data" / "secret").mkdir(parents=True)
    (problem / "submissions" / "accepted" / "a.py").write_text("print(1)\n")
    (problem / "data" / "secret" / "1.in").write_text("1\n")
    (problem / "data" / "secret" / "1.ans").write_text("1\n")
    (tmp_path / "no_inputs.py").write_text("print(1)\n")
    (tmp_path / "own.py").write_text("print(2)\n")
    (tmp_path / "own1.in").write_text("")
    found = list(read_programs(tmp_path))
    assert [program.id for program in found] == ["own.py", "sum/submissions/accepted/a.py"]
    assert found[1].verdict == "accepted" and found[1].inputs[0].expected == "1\n"


def test_links_and_pipes_in_a_directory_of_problems_are_no_programs(tmp_path: Path) -> None:
    """What leads to other files of this machine is not read, and a pipe does not hang."""
    folder = tmp_path / "problems"
    folder.mkdir()
    (tmp_path / "outside.py").write_text("print('secret')\n")
    (folder / "linked.py").symlink_to(tmp_path / "outside.py")
    (folder / "broken.py").symlink_to("nothing.py")
    (folder / "folder.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    (folder / "own.py").write_text("print(2)\n")
    for stem in ("linked", "broken", "folder", "pipe", "own"):
        (folder / f"{stem}.in").write_text("1\n")
    (folder / "own.ans").symlink_to(tmp_path / "outside.py")
    (found,) = read_programs(folder)
    assert (found.id, found.inputs[0].expected) == ("own.py", None)


def test_a_torn_trace_is_cut_off_and_made_again(tmp_path: Path, recorder: SandboxRecorder) -> None:
    """A kill at any moment leaves whole traces; the next start goes on with the others."""
    programs = [
        TracedProgram(id=str(n), source=f"x = {n}\n", inputs=[ProgramInput()]) for n in range(4)
    ]
    jobs = list(jobs_of(programs, 1))
    with TraceWriter(tmp_path / "out") as writer:
        trace_programs(recorder, jobs, writer, "tests", LIMITS)
    path = tmp_path / "out" / TRACES
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert len(list(TraceDirectory(tmp_path / "out").traces())) == 3
    with TraceWriter(tmp_path / "out") as writer:
        assert writer.kept == 3
        trace_programs(recorder, jobs, writer, "tests", LIMITS)
    traces = list(TraceDirectory(tmp_path / "out").traces())
    assert sorted(trace.id for trace in traces) == [job.id for job in jobs]
    assert not (tmp_path / "out" / DROPPED).read_bytes()


def test_an_empty_directory_says_what_to_do(tmp_path: Path) -> None:
    """One line that names the verbs."""
    with pytest.raises(UsageError, match="forager trace"):
        list(TraceDirectory(tmp_path).traces())


def test_the_verbs_explain_themselves() -> None:
    """Each verb of `forager trace` has an example."""
    for verb in ("programs", "suites", "functions"):
        shown = CliRunner().invoke(main, ["trace", verb, "--help"])
        assert shown.exit_code == 0 and f"forager trace {verb}" in dedent(shown.output)
