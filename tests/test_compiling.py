"""What both runs of a grading import is compiled once, and a run cannot choose the byte code."""

import marshal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from forager.environments.repository.task import TestSetup
from forager.environments.repository.testing import Guard, run_tests
from forager.programs.pytest_runner.compiling import ByteCode
from forager.sandboxes.local_sandbox import LocalSandbox

SERVER = """
import os, socket, sys
from forager.programs.pytest_runner.compiling import Answers, ByteCode, share

code = ByteCode()
answers = Answers(code)
process = os.fork()
if not process:
    end = answers.to_run()
    share(code, end, {sys.argv[1] + "/alone.py"})
    sys.path.insert(0, sys.argv[1])
    exec(sys.argv[2])
    sys.stdout.flush()
    os._exit(0)
status = answers.until_end(process)
print(status, *sorted(os.path.basename(path) for path, _ in code._made))
"""
FILES = {
    "good.py": "VALUE = 1\n",
    "coded.py": "# -*- coding: UTF-8 -*-\nVALUE = 1\n",
    "latin.py": "# coding: latin-1\nVALUE = 1\n",
    "warns.py": "VALUE = 1\nVALUE is 1\n",
    "wrong.py": "VALUE = \n",
    "large.py": f"VALUE = 1{' ' * (1 << 20)}\n",
    "alone.py": "VALUE = 1\n",
}
WARNS = "import warnings; warnings.simplefilter('error'); import warns"


@pytest.mark.parametrize(
    ("run", "told", "kept"),
    [
        ("import good, coded, latin, large, alone; print(good.VALUE)", "1", "coded.py good.py"),
        (f"try: {WARNS}\nexcept SyntaxError as error: print(error.lineno)", "2", ""),
        ("try: import wrong\nexcept SyntaxError as error: print(error.lineno)", "1", ""),
        ("end.sendall(bytes(3)); import good; print(good.VALUE)", "1", ""),
        ("end.sendall(b'\\xff' * 9); import good; print(good.VALUE)", "1", ""),
        ("end.close(); import good; print(good.VALUE)", "1", ""),
        ("os.fork() or (sys.stdin.read(), os._exit(0)); print(1); end.sendall(b'x')", "1", ""),
        ("os.fork() or (__import__('good'), os._exit(0)); os.wait(); print(1)", "1", ""),
    ],
    ids=["plain", "warning", "error", "garbage", "flood", "closed", "orphan", "child"],
)
def test_a_server_answers_its_run_only(run: str, told: str, kept: str, tmp_path: Path) -> None:
    """A run imports as always whatever it sends, and the server ends with it."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    done = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER, tmp_path, run],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        text=True,
    )
    with done:
        assert done.stdin and done.stdout
        lines = [done.stdout.readline().strip() for _ in range(2)]
        done.stdin.close()  # now what the run left behind may end
    assert lines == [told, f"0 {kept}".strip()]


def test_byte_code_is_that_of_path_and_source() -> None:
    """Another path or another source has other byte code; the total is bounded."""
    code = ByteCode()
    made = code.make("a.py", b"x = 1\n")
    assert made == marshal.dumps(compile(b"x = 1\n", "a.py", "exec", dont_inherit=True))
    assert code.get("a.py", b"x = 1\n") == made
    assert code.get("b.py", b"x = 1\n") == code.get("a.py", b"x = 2\n") == b""
    assert code.make("c.py", b"#" * (65 << 20)) == b""


MODULE = """
VALUE = 1
open(__file__, "w").write("VALUE = 2\\n")
"""


def test_the_second_run_loads_what_the_files_hold_then(tmp_path: Path) -> None:
    """A module that the first run changed is not remembered as it was."""
    (tmp_path / "values.py").write_text(MODULE)
    (tmp_path / "test_values.py").write_text(
        "import values\n\ndef test(): assert values.VALUE == 1"
    )
    (tmp_path / "changed").mkdir()
    setup = TestSetup(workdir=str(tmp_path), python=sys.executable)
    test = "test_values.py::test"
    guard = Guard(paths=[], user="", sensitive=[test], changed=str(tmp_path / "changed"))
    with closing(LocalSandbox(tmp_path)) as sandbox:
        report = run_tests(sandbox, setup, [test], guard=guard)
    assert (report.outcomes, report.changed) == ({test: "passed"}, {test: "failed"}), report.log
