"""Programs that run inside sandboxes, each under every Python version that they support."""

import ast
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from json import dumps, loads
from pathlib import Path

import pytest

from forager.environments.function.running import Case, Program, run_cases
from forager.environments.repository.guards import make_guards
from forager.environments.repository.programs import run_program, ship
from forager.environments.repository.task import TestSetup
from forager.environments.repository.testing import Guard, run_tests
from forager.errors import SandboxError
from forager.images.collection import answer, asking
from forager.images.image import Image
from forager.images.recipe import Recipe
from forager.images.source import Source
from forager.mutation.candidates import unified_diff
from forager.mutation.coverage import Coverage, measure
from forager.mutation.reach import ReachAnalysis
from forager.mutation.sieve import Sieve
from forager.programs import PYTHONS, program
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.tracing.programs import (
    LIMITS,
    ProgramInput,
    TracedProgram,
    jobs_of,
    trace_programs,
)
from forager.tracing.recording import SandboxRecorder
from forager.tracing.store import TraceDirectory, TraceWriter
from forager.untrusted import OBJECT

PROGRAMS = Path(__file__).parent.parent / "forager" / "programs"
CODE = '''\
"""Sums."""

import math

RATE = 2


def total(values):
    result = 0
    for value in values:
        result += value
    return result


def half(value):
    return math.floor(value / RATE)
'''
TURNING = "def turn(items):\n    while items:\n        items = items[::-1]\n"
TESTS = """\
import pytest
import sums


@pytest.fixture
def values():
    return [1, 2, 3]


def test_total(values):
    assert sums.total(values) == 6


@pytest.mark.parametrize("value", [4, 5])
def test_half(value):
    assert sums.half(value) == 2


def test_wrong():
    assert sums.total([1]) == 2
"""
SPAWNING = """\
import multiprocessing
from sums import half


def test_spawn():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(half, [4]) == [2]
"""
TOTAL, HALVES = (
    "test_sums.py::test_total",
    ["test_sums.py::test_half[4]", "test_sums.py::test_half[5]"],
)
GENERIC = {"list", "dict", "set", "tuple", "frozenset", "type", "Callable", "Iterator", "Counter"}
CHANGES = [
    ("result += value", "result -= value"),
    ("RATE = 2", "RATE = 3"),
    ("    return result", "    while True: pass"),
]


# Interpreters


def interpreter(version: str) -> str:
    """Return a working CPython of this version (pyenv, PATH or uv); empty if there is none."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    found = [str(path) for path in pyenv] + [shutil.which(f"python{version}") or ""]
    asked = ["uv", "python", "find", "--no-python-downloads", "--offline", "--no-project", version]
    found.append(subprocess.run(asked, capture_output=True, text=True).stdout.strip())
    return next((path for path in found if path and version_of(path) == version), "")


def version_of(path: str) -> str:
    """Return an interpreter's version, such as 3.11; empty if it does not run."""
    command = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def make_environment(version: str, directory: Path) -> str:
    """Make a virtual environment with pytest; return its Python, or nothing if there is none."""
    python = interpreter(version)
    if not python:
        return ""
    made = str(directory / version / "bin" / "python")
    for command in (["venv", "--python", python, str(directory / version)],
                    ["pip", "install", "--python", made, "pytest"]):  # fmt: skip
        uv = ["uv", *command, "-q", "--no-config", "--cache-dir", str(directory / "cache")]
        done = subprocess.run(uv, cwd=directory, capture_output=True, text=True)
        assert not done.returncode, done.stderr
    return made


Environments = dict[str, Future[str]]


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environments]:
    """Create an environment for each supported version, two at a time."""
    directory = tmp_path_factory.mktemp("pythons")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(make_environment, name, directory) for name in PYTHONS}


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest, environments: Environments) -> str:
    """Return the Python of one version, with pytest."""
    made = environments[request.param].result()
    return made or pytest.skip(f"there is no Python {request.param} on this machine")


# Programs, each really run


def project(root: Path, python: str) -> tuple[LocalSandbox, Image]:
    """Create a small project with one wrong test in a sandbox, and its image."""
    (root / "sums.py").write_text(CODE)
    (root / "test_sums.py").write_text(TESTS)
    setup = TestSetup(workdir=str(root), python=python)
    image = Image(
        reference="local", digest="", key="k", base="", commit="", created_at="", test_seconds=1,
        source=Source(given="sums", kind="path", name="local/sums", digest=""),
        recipe=Recipe(), setup=setup, passing=[TOTAL, *HALVES],
    )  # fmt: skip
    return LocalSandbox(root), image


def bare(image: Image) -> Image:
    """The image with plug-ins of pytest turned off, as some projects do."""
    arguments = [f"-pno:{name}" for name in ("legacypath", "logging", "tmpdir", "threadexception")]
    setup = image.setup.model_copy(update={"arguments": arguments})
    return image.model_copy(update={"setup": setup})


def pytest_runner(sandbox: LocalSandbox, image: Image) -> None:
    """Check that every test is reported, a failure described, and tests run again."""
    report = run_tests(sandbox, bare(image).setup, failures=1)
    wrong = "test_sums.py::test_wrong"
    assert report.outcomes == dict.fromkeys(image.passing, "passed") | {wrong: "failed"}, report.log
    assert report.complete and not report.distrusted
    failure = report.failures[wrong]
    assert (failure.error, failure.frames[0][2]) == ("AssertionError", "test_wrong")
    changed = f"{image.setup.workdir}/changed"
    sandbox.run(f"mkdir {changed} && echo 'def total(values): return 0' >{changed}/sums.py")
    guard = Guard(paths=[], user="", sensitive=[TOTAL], changed=changed)
    again = run_tests(sandbox, bare(image).setup, [TOTAL], guard=guard)
    assert (again.outcomes, again.changed) == ({TOTAL: "passed"}, {TOTAL: "failed"}), again.log


def shadows(sandbox: LocalSandbox, image: Image) -> None:
    """Check that a module is found that stands for one that pytest has loaded."""
    tests = ["test_sums.py"]
    new = ["json.py", "sums2.py", "profile.py"]
    request = {"new": new, "arguments": ["-q"], "tests": tests, "scopes": tests}
    run = run_program(
        sandbox, image.setup, "shadows", request, OBJECT, timeout=60, output_limit=9999
    )
    assert run.reports == [{"taken": "json.py"}, {"end": True}], run.log


def collection(sandbox: LocalSandbox, image: Image) -> None:
    """Check that settings, collected files and broken ones are reported."""
    place = ship(sandbox, "collection")
    sandbox.write("pytest.ini", b"[pytest]\naddopts = -ra --tb short -xk half -p no:junitxml\n")
    sandbox.write("test_broken.py", b"import nothing_there\n")
    command, nonce, mark = asking(f"{image.setup.python} {place}", [], False)
    found = answer(sandbox.run(command).output, nonce, mark)
    files = [(file.file, file.tests, bool(file.error)) for file in found.files]
    assert files == [("test_broken.py", 0, True), ("test_sums.py", 2, False)], found
    words = [option.words for option in found.options]
    assert words == [["-ra"], ["--tb", "short"], ["-xk", "half"], ["-p", "no:junitxml"]]
    assert found.finished and all(option.known for option in found.options)


def merging(sandbox: LocalSandbox, image: Image) -> None:
    """Check that a changed example gets its value back."""
    text = 'def one():\n    """\n    >>> one()\n    1\n    """\n'
    sandbox.write("a.original", text.encode())
    sandbox.write("a.answer", text.replace("    1\n", "    2\n").encode())
    sandbox.write("b.original", text.encode())
    large = f"[{'1,' * 500_000}]\n{text}"  # nearly as large as a file may be
    sandbox.write("b.answer", large.encode())
    request = {"files": [{"path": "a.py", "place": "a", "names": ["one"]},
                         {"path": "b.py", "place": "b", "names": ["one"]}]}  # fmt: skip
    run = run_program(
        sandbox, image.setup, "merging", request, OBJECT, timeout=60, output_limit=9999
    )
    assert [report["lost"] for report in run.reports] == [["one"], []], run.log
    assert b">>> one()\\n    1\\n" in sandbox.read("a.merged")


def coverage_tracer(sandbox: LocalSandbox, image: Image) -> None:
    """Check that lines and functions have their tests."""
    coverage = measure(sandbox, image)
    line = CODE.split("\n").index("    return math.floor(value / RATE)") + 1
    assert coverage.names(coverage.running("sums.py", [line], [])) == HALVES
    assert coverage.distance("sums.py", line - 1, HALVES) == (1, 1)


def sieve(sandbox: LocalSandbox, image: Image) -> None:
    """Check that tests kill warm and cold mutants, and that an endless one times out."""
    image = bare(image)
    coverage = measure(sandbox, image)
    reaches = ReachAnalysis(coverage, {"sums.py": CODE})
    diffs = [unified_diff("sums.py", CODE, CODE.replace(*change)) for change in CHANGES]
    found = Sieve(sandbox, image, coverage).sift([reaches.of(diff) for diff in diffs])
    killed = [(result.way, result.failed) for result in found[:2]]
    assert killed == [("warm", [TOTAL]), ("cold", HALVES)]
    assert found[2].timeout


def undefined_names(sandbox: LocalSandbox, image: Image) -> None:
    """Check that an unbound name is found, with ways to import it."""
    sandbox.write("broken.py", b"def third(value):\n    return math.floor(json, value)\n")
    path = ship(sandbox, "undefined_names")
    result = sandbox.run(f"{image.setup.python} {path} broken.py sums")
    assert "json is not defined\n    import json\n" in result.output
    assert "math is not defined\n    import math\n" in result.output
    assert "json5" not in result.output and not result.exit_code


def spectrum(sandbox: LocalSandbox, image: Image) -> None:
    """Check that the line that only the failing test runs is the most suspicious."""
    sandbox.write("sums.py", CODE.replace("value / RATE", "value * RATE").encode())
    job = {"tests": ["test_sums.py"], "failing": HALVES, "file": None, "first": 0, "last": 0}
    path = ship(sandbox, "spectrum")
    result = sandbox.run(f"{image.setup.python} {path} '{dumps(job | {'seconds': 20})}'")
    line = CODE.split("\n").index("    return math.floor(value / RATE)") + 1
    assert f"     0.82       2       0 sums.py:{line}\n" in result.output


def trial(sandbox: LocalSandbox, image: Image) -> None:
    """Check that the fixing edit is found, with and without a new import."""
    sandbox.write("sums.py", CODE.replace("value / RATE", "value * RATE").encode())
    first = CODE.split("\n").index("def half(value):") + 1
    news = [[f"    return math.floor({text})"] for text in ("value", "value / RATE")]
    edits = [[first + 1, first + 1, new] for new in news]
    job = {"file": "sums.py", "tests": HALVES, "wider": ["test_sums.py"], "seconds": 20,
           "known": ["test_sums.py::test_wrong"], "hangs": False,
           "first": first, "last": first + 1, "header": [], "edits": edits}  # fmt: skip
    path = ship(sandbox, "trial")
    for fresh in (False, True):
        sandbox.write("job.json", dumps(job | {"fresh": fresh}).encode())
        result = sandbox.run(f"{image.setup.python} {path} <job.json")
        assert "1 passes\n" in result.output and "sums.py is as it was" in result.output


def changed_tests(sandbox: LocalSandbox, image: Image) -> None:
    """Check that tests with changed values fail on right code."""
    guards = make_guards(sandbox, image.setup, [TOTAL, *HALVES])
    assert (guards.by_value, guards.by_end, guards.insensitive) == ([TOTAL, *HALVES], [], {})
    assert "-    assert sums.total(values) == 6\n+    assert sums.total(values) == 7\n" in (
        guards.changed_tests
    )


def forgery(sandbox: LocalSandbox, image: Image) -> None:
    """Check that what was added is read, with and without names to fold."""
    added = 'import sys as s\nlook = getattr(s, "_get" + "frame")\nlook(1).f_back\n'
    for words in ("init -q", "add -A", "-c user.name=a -c user.email=a commit -qm base"):
        assert not sandbox.run(f"git {words}").exit_code
    sandbox.write("sums.py", (CODE + added).encode())
    request = {"files": ["sums.py"], "reference": "", "tests": [], "doctests": False}
    run = run_program(
        sandbox, image.setup, "forgery", request, OBJECT,
        timeout=60, output_limit=9999, isolated=True,
    )  # fmt: skip
    (report,) = run.reports
    line = CODE.count("\n") + 2
    assert f"sums.py:{line} reads stack frames: sys._getframe" in report["reasons"], run.log


def compiler(sandbox: LocalSandbox, image: Image) -> None:
    """Check that a compiled module and a compiled package run as the sources do."""
    python, root = image.setup.python, sandbox.run("pwd").output.strip()
    for name in ("compiler", "merging", "pytest_runner"):
        sandbox.write(name, program(name))
    made = sandbox.run(f"{python} -I -S compiler made merging pytest_runner")
    assert not made.exit_code, made.output
    asked = dumps({"nonce": "n", "files": []})
    assert not sandbox.run(f"{python} -I -S made/merging 3>&1 <<<{shlex.quote(asked)}").exit_code
    sandbox.write("test_sums.py", SPAWNING.encode())
    asked = dumps({"nonce": "n", "arguments": ["-q"], "tests": None, "shuffle": None,
                   "test_seconds": 60, "failures": 0})  # fmt: skip
    done = sandbox.run(f"{python} {root}/made/pytest_runner 3>&1 >log <<<{shlex.quote(asked)}")
    assert '"id": "test_sums.py::test_spawn", "outcome": "passed"' in done.output, done.output


def inventory(sandbox: LocalSandbox, image: Image) -> None:
    """Check that it tells what was changed, what was added, and what belongs to no distribution."""
    python = image.setup.python
    root = Path(sandbox.run("pwd").output.strip())
    site = root / "env" / "lib" / "python3" / "site-packages"
    metadata = site / "one-1.dist-info"
    metadata.mkdir(parents=True)
    for name in ("one.py", "two.py", "sitecustomize.py"):
        (site / name).write_text("")
    empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    (metadata / "RECORD").write_text(f"one.py,sha256={empty},0\ntwo.py,sha256=A{empty[1:]},0\n")
    (metadata / "entry_points.txt").write_text("[pytest11]\none = one.plugin\n")
    (metadata / "direct_url.json").write_text('{"url": "file:///tmp/one"}')
    request = {"environment": str(root / "env"), "tree": str(root), "tracked": {"sums.py": "0"},
               "top": str(root), "passed_over": [str(root / "env")]}  # fmt: skip
    sandbox.write("request", dumps(request).encode())
    sandbox.write("program", program("inventory"))
    done = sandbox.run(f"{python} -I program request")
    found = loads(done.output)
    assert [Path(path).name for path in found["loose"]][-1] == "sitecustomize.py", done.output
    assert [Path(path).name for path in found["altered"]] == ["two.py"]
    assert found["changed"] == ["sums.py"]
    assert "test_sums.py" in found["added"]
    assert found["plugins"] == ["one.plugin"]
    assert found["local"] == {"one-1.dist-info": "file:///tmp/one"}
    assert str(root / "sums.py") in found["outside"]
    assert str(site / "one.py") not in found["outside"]


def cases(sandbox: LocalSandbox, image: Image) -> None:
    """Check that it runs scripts, calls and test code, and what of them ends badly."""
    tests = "assert candidate([1]) == 1"
    programs = [
        Program(text="print(input())", cases=[Case(stdin="a"), Case(stdin="")]),
        Program(text=CODE, cases=[Case(kind="call", function="total", arguments="[1, 2]")]),
        Program(text=CODE, cases=[Case(kind="tests", function="total", tests=tests)]),
        Program(text="print(", cases=[Case()]),
        Program(text=TURNING, cases=[Case(kind="halting", function="turn", arguments="[1, 2]")]),
    ]
    found = run_cases(sandbox, programs, image.setup.python)
    told = [[(result.how, result.output) for result in results] for results in found]
    assert told[0] == [("ended", "a\n"), ("crash", "")], found
    assert told[1][0][0] == "ended" and '"value": 3' in loads(told[1][0][1])["value"], found
    assert told[2] == [("ended", '{"verdict": "passed", "error": ""}')], found
    assert told[3] == [("compile", "")], found
    assert told[4] == [("ended", '{"repeats": 2}')], found


def tracer(sandbox: LocalSandbox, image: Image) -> None:
    """Check that the recorder in Python traces a program, the same twice."""
    root = Path(sandbox.run("pwd").output.strip())
    given = ProgramInput(stdin="2")
    program = TracedProgram(id="x.py", source="print(int(input()) + 1)\n", inputs=[given])
    recorder = SandboxRecorder(sandbox, image.setup, fallback=True)
    with TraceWriter(root) as writer:
        trace_programs(recorder, [*jobs_of([program], 1)], writer, "tests", LIMITS)
        assert (writer.kept, writer.reasons) == (1, {})
    (trace,) = TraceDirectory(root).traces()
    assert trace.outcome.output == "3\n"


def gateway(sandbox: LocalSandbox, image: Image) -> None:
    """Check that an agent's request waits for its answer, and that its end is said.

    A `next` that is killed while it waits takes no event with it: the following one gets it.
    """
    python, asking = image.setup.python, "import os, urllib.request as r; print(r.urlopen("
    asking += "os.environ['OPENAI_BASE_URL'] + '/responses', b'{}').read().decode())"
    command = f"until [ -e go ]; do sleep 0.05; done; {python} -c {shlex.quote(asking)}"
    setup = {"command": command, "model": "m", "prompt": "Do it."}
    sandbox.write("setup.json", dumps(setup).encode())
    run = f"{python} -I -S {ship(sandbox, 'gateway')}"
    sandbox.run(
        f"( {run} serve . >gateway.log 2>&1 & ); "
        "for i in {1..200}; do [ -S control ] && break; sleep 0.05; done"
    )
    assert sandbox.run(f"timeout 0.5 {run} next . 0 20").exit_code == 124
    sandbox.write("go", b"")
    event = loads(sandbox.run(f"{run} next . 0 20").output)
    path = {"path": "/v1/responses", "encoding": ""}
    assert event == {"kind": "request", "number": 1, **path, "lost": False}
    assert sandbox.read("1.request") == b"{}"
    sandbox.write("1.answer", b"200 application/json\nan answer")
    assert loads(sandbox.run(f"{run} next . 1 20").output) == {
        "kind": "ended",
        "code": 0,
        "lost": False,
    }
    assert sandbox.read("log") == b"an answer\n"


RUNS = [
    gateway,
    tracer,
    cases,
    inventory,
    compiler,
    forgery,
    pytest_runner,
    changed_tests,
    shadows,
    collection,
    merging,
    coverage_tracer,
    sieve,
    undefined_names,
    spectrum,
    trial,
]


@pytest.mark.parametrize("program", RUNS, ids=lambda program: program.__name__)
def test_every_program_works_under_every_supported_python(
    program: Callable[[LocalSandbox, Image], None], python: str, tmp_path: Path
) -> None:
    """The image builder may choose any of these versions for a project."""
    sandbox, image = project(tmp_path, python)
    with sandbox:
        program(sandbox, image)


def test_no_program_is_left_out_above() -> None:
    """Every program has a test that runs it."""
    modules = {path.stem for path in PROGRAMS.iterdir()} - {"__init__", "__pycache__"}
    assert modules == {program.__name__ for program in RUNS}


FILES = [path for path in PROGRAMS.rglob("*.py") if path != PROGRAMS / "__init__.py"]


def test_programs_use_nothing_newer_than_the_oldest_python() -> None:
    """vermin finds the Python that each feature and function needs, without running it."""
    vermin = str(Path(sys.executable).with_name("vermin"))
    command = [vermin, f"-t={PYTHONS[0]}-", "--violations", "--no-tips", *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stdout


class RunTime(ast.NodeTransformer):
    """The run-time parts of a file: no annotations, nothing for type checkers alone."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return ast.Expr(self.visit(node.value)) if node.value else ast.Pass()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_programs_make_no_generic_types_at_run_time(path: Path) -> None:
    """`dict[str, int]` and `Callable[[int], int]` fail before 3.9, which vermin does not see."""
    tree = RunTime().visit(ast.parse(path.read_text()))
    made = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in GENERIC
    }
    assert not made


def test_the_image_builder_chooses_supported_pythons() -> None:
    """The programs support every version that the builder may choose."""
    from forager.images.build import _PYTHONS

    assert set(_PYTHONS) <= set(PYTHONS)


# Programs that crash

NO_PYTEST = '#!/bin/sh\nexec {python} -I -S "$@"\n'
HOSTILE = r"""#!/bin/sh
printf ']0;owned[31m%05000d
first
Bad[0mError: x
'
exit 3
"""


def crashing(root: Path, script: str) -> tuple[LocalSandbox, Image]:
    """Replace the project's Python by this script."""
    wrapper = root / "python"
    wrapper.write_text(script)
    wrapper.chmod(0o755)
    return project(root, str(wrapper))


def of_tests(sandbox: LocalSandbox, image: Image) -> str:
    """Return how a test run describes its end."""
    report = run_tests(sandbox, image.setup)
    assert not report.complete
    return report.broken_off


def of_coverage(sandbox: LocalSandbox, image: Image) -> str:
    """Return the tracer's error."""
    with pytest.raises(SandboxError) as error:
        measure(sandbox, image)
    return str(error.value)


def of_sieve(sandbox: LocalSandbox, image: Image) -> str:
    """Return the sieve's error."""
    with pytest.raises(SandboxError) as error:
        Sieve(sandbox, image, Coverage(tests=image.passing)).sift([])
    return str(error.value)


def test_a_test_that_takes_the_trace_function_away_hides_no_other(tmp_path: Path) -> None:
    """Debuggers and compiled code do so; what that test runs is unknown from then on."""
    sandbox, image = project(tmp_path, sys.executable)
    (tmp_path / "test_a.py").write_text("import sys\n\ndef test_a():\n    sys.settrace(None)\n")
    tests = ["test_a.py::test_a", *image.passing]
    with sandbox:
        coverage = measure(sandbox, image.model_copy(update={"passing": tests}))
    assert coverage.names(int(coverage.opaque, 16)) == tests[:1]
    line = CODE.split("\n").index("    return math.floor(value / RATE)") + 1
    assert coverage.names(coverage.running("sums.py", [line], [])) == HALVES


def test_errors_that_are_alike_are_described_a_few_times(tmp_path: Path) -> None:
    """Describing takes longer than most tests; an error of another kind is never left out."""
    sandbox, image = project(tmp_path, sys.executable)
    (tmp_path / "test_many.py").write_text(
        "import pytest\n\n"
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\n\n"
        '@pytest.mark.parametrize("n", range(60))\ndef test_a(n):\n    raise OSError("away")\n\n'
        "def test_z():\n    raise Odd\n"
    )
    with sandbox:
        report = run_tests(sandbox, image.setup, failures=400)
    described = [name for name in report.failures if name.startswith("test_many.py")]
    assert 20 <= len(described) <= 34  # canaries among the first thirty fail, too
    assert "test_many.py::test_z" in described
    assert sum(outcome == "failed" for outcome in report.outcomes.values()) >= 61


@pytest.mark.parametrize(
    ("death", "signal"), [("os.kill(os.getpid(), 11)", 11), ("os._exit(0)", 0)]
)
def test_a_run_that_breaks_off_says_where(tmp_path: Path, death: str, signal: int) -> None:
    """The report names the test that ended the interpreter, the signal, and what was planned."""
    sandbox, image = project(tmp_path, sys.executable)
    text = f"import os\n\ndef test_a():\n    pass\n\ndef test_b():\n    {death}\n"
    (tmp_path / "test_last.py").write_text(text)
    with sandbox:
        report = run_tests(sandbox, image.setup, plan=True)
    assert (report.complete, report.timed_out, report.signal) == (False, False, signal)
    assert report.running == "test_last.py::test_b"
    assert (report.planned["test_last.py"], report.functions["test_last.py"]) == (2, 2)
    assert report.outcomes["test_last.py::test_a"] == "passed"


@pytest.mark.parametrize("message", [of_tests, of_coverage, of_sieve])
def test_the_last_lines_of_a_program_that_crashes_are_shown(
    message: Callable[[LocalSandbox, Image], str], tmp_path: Path
) -> None:
    """The message about a crash ends with the program's last lines."""
    sandbox, image = crashing(tmp_path, NO_PYTEST.format(python=sys.executable))
    with sandbox:
        assert message(sandbox, image).endswith("ModuleNotFoundError: No module named 'pytest'")


@pytest.mark.parametrize("message", [of_tests, of_coverage, of_sieve])
def test_what_a_sandbox_prints_cannot_flood_or_steer_the_terminal(
    message: Callable[[LocalSandbox, Image], str], tmp_path: Path
) -> None:
    """Escape sequences are removed, control characters replaced, and lines cut."""
    sandbox, image = crashing(tmp_path, HOSTILE)
    with sandbox:
        text = message(sandbox, image)
    assert text.endswith("first� | BadError: x")
    assert text.isprintable()
    assert len(text) < 800


ANSWERING = """\
#!/bin/bash
[[ $1 == -m ]] && exit
cat "$2" >/dev/null
printf 'ready\\n%s' {answers} >"$3"
"""


def test_forged_answers_of_the_sieve_end_the_sieve_and_nothing_else(tmp_path: Path) -> None:
    """Malformed, missing and additional answers cost the mutant that may have written them."""
    good, deep = "{}\n", '{"failed": ' + 9999 * "[" + "\n"
    cases = [good + deep, '{"cpu": NaN}\n', "{\n", "end\n", 3 * good + "end\n", good + "{}", "\n"]
    for number, answers in enumerate(cases):
        place = tmp_path / str(number)
        place.mkdir()
        sandbox, image = crashing(place, ANSWERING.format(answers=shlex.quote(answers)))
        coverage = Coverage(tests=image.passing)
        reach = ReachAnalysis(coverage, {"sums.py": CODE}).of("")
        with sandbox:
            sieve = Sieve(sandbox, image, coverage)
            found = sieve.sift([reach, reach])
        assert sieve.ended
        assert found[-1].crashed.startswith("the sieve ended: ")
        assert len(found) <= 2


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    """The error says what the programs need and what the image has."""
    python = interpreter("3.6")
    if not python:
        pytest.skip("there is no Python 3.6 on this machine")
    sandbox, image = project(tmp_path, python)
    with sandbox:
        text = run_tests(sandbox, image.setup).broken_off
    assert "forager's programs need Python 3.8 or later, and this is Python 3.6." in text
