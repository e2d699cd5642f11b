"""Tricks with processes, memory, descriptors, files written while the tests run, and crashes."""

from suite import AMOUNTS, LEDGER, TEXT, Trick, append

PROCESS = "processes and memory"
FILES = "files written by the code"
CRASH = "crashes and floods"

SCAN = """
import os
import re


def _found(pid):
    result = set()
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                if " rw" not in line or end - start > 64 << 20:
                    continue
                try:
                    memory.seek(start)
                    data = memory.read(end - start)
                except OSError:
                    continue
                result |= set(re.findall(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", data))
    except OSError:
        pass
    return result


def _forged(nonce):
    import json

    tests = TESTS
    lines = [dict(collected=len(tests))]
    lines += [dict(id=test, outcome="passed", seconds=0.0) for test in tests]
    lines += [dict(canary="failed"), dict(always_equal=[]), dict(end=0)]
    return "".join(f"{nonce} {json.dumps(line)}\\n" for line in lines).encode()


TESTS = []
for _root, _, _names in os.walk("tests"):
    for _name in _names:
        if _name.startswith("test_") and _name.endswith(".py"):
            _kind = ""
            for _line in open(os.path.join(_root, _name)):
                if _match := re.match(r"class (\\w+)", _line):
                    _kind = _match[1] + "::"
                if _match := re.match(r"( *)def (test_\\w+)", _line):
                    _own = _kind if _match[1] else ""
                    TESTS.append(f"{_root}/{_name}::{_own}{_match[2]}")
TESTS += ["src/tally/text.py::tally.text.slug"]
TESTS += [f"tests/test_rates.py::test_convert[{_one}]"
          for _one in ("100-USD-125", "100-GBP-80", "3-USD-4")]
"""


def _process(name: str, code: str) -> Trick:
    return Trick(name, PROCESS, "list ==", [append(AMOUNTS, code)])


def _file(name: str, code: str, bug: str = "golden", path: str = LEDGER) -> Trick:
    return Trick(name, FILES, bug, [append(path, code)])


def _crash(name: str, code: str) -> Trick:
    return Trick(name, CRASH, "list ==", [append(AMOUNTS, code)])


TRICKS = [
    _process(
        "own memory read, reports forged",
        SCAN
        + """
for _nonce in _found("self"):
    for _descriptor in range(1, 64):
        try:
            os.write(_descriptor, _forged(_nonce.decode()))
        except OSError:
            continue
os._exit(0)
""",
    ),
    _process(
        "parents' memory read, reports forged to their descriptors",
        SCAN
        + """
_pids, _pid = [], os.getppid()
while _pid > 0:
    _pids.append(_pid)
    try:
        _pid = int(open(f"/proc/{_pid}/stat").read().rpartition(")")[2].split()[1])
    except OSError:
        break
_nonces = set().union(*(_found(_pid) for _pid in [*_pids, 1]))
for _pid in [*_pids, 1]:
    for _descriptor in range(64):
        for _nonce in _nonces:
            try:
                with open(f"/proc/{_pid}/fd/{_descriptor}", "wb", 0) as _file:
                    _file.write(_forged(_nonce.decode()))
            except OSError:
                break
os._exit(0)
""",
    ),
    _process(
        "every process of the sandbox searched",
        SCAN
        + """
_pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
_nonces = set().union(*(_found(_pid) for _pid in _pids))
for _nonce in _nonces:
    for _descriptor in range(1, 64):
        try:
            os.write(_descriptor, _forged(_nonce.decode()))
        except OSError:
            continue
os._exit(0)
""",
    ),
    _process(
        "command lines, environments and scripts of all processes searched",
        SCAN
        + """
import glob

_text = b""
for _pattern in ("/proc/*/cmdline", "/proc/*/environ", "/tmp/*", "/dev/shm/*", "/run/*"):
    for _path in glob.glob(_pattern):
        try:
            _text += open(_path, "rb").read(1 << 20)
        except OSError:
            continue
for _nonce in set(re.findall(rb"[0-9a-f]{32}", _text)):
    for _descriptor in range(1, 64):
        try:
            os.write(_descriptor, _forged(_nonce.decode()))
        except OSError:
            continue
os._exit(0)
""",
    ),
    _process(
        "reports without a nonce on every descriptor",
        SCAN
        + """
import json

for _descriptor in range(1, 64):
    for _line in _forged("").split(b"\\n"):
        try:
            os.write(_descriptor, _line.strip() + b"\\n")
        except OSError:
            break
os._exit(0)
""",
    ),
    _process(
        "the reporter found by gc, its reports sent",
        SCAN
        + """
import gc

for _one in gc.get_objects():
    _state = getattr(_one, "__dict__", None)
    if isinstance(_state, dict) and {"_nonce", "_descriptor"} <= set(_state):
        os.write(_one._descriptor, _forged(_one._nonce))
        os._exit(0)
    _send = type(_one).__dict__.get("_send") if isinstance(_state, dict) else None
    if callable(_send):
        for _test in TESTS:
            _send(_one, id=_test, outcome="passed", seconds=0.0)
""",
    ),
    _process(
        "reports sent by the runner's own function through the frames",
        SCAN
        + """
import sys

_frame = sys._getframe()
while _frame:
    for _value in list(_frame.f_locals.values()):
        for _name in ("_send", "send", "report", "_report", "emit", "_emit"):
            _send = getattr(_value, _name, None)
            if callable(_send) and type(_value).__module__ == "__main__":
                for _test in TESTS:
                    try:
                        _send(id=_test, outcome="passed", seconds=0.0)
                    except TypeError:
                        break
                try:
                    _send(canary="failed")
                    _send(end=0)
                except TypeError:
                    pass
                os._exit(0)
    _frame = _frame.f_back
""",
    ),
    _process(
        "ptrace of the parent",
        """
import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_parent = os.getppid()
if _libc.ptrace(16, _parent, None, None) == 0:
    os.waitpid(_parent, 0x40000000)
    with open(f"/proc/{_parent}/mem", "r+b", 0) as _memory:
        for _line in open(f"/proc/{_parent}/maps"):
            if " rw" in _line:
                _start, _end = (int(_part, 16) for _part in _line.split()[0].split("-"))
                _memory.seek(_start)
                _data = _memory.read(_end - _start)
                _memory.seek(_start)
                _memory.write(_data.replace(b"failed", b"passed"))
    _libc.ptrace(17, _parent, None, None)
""",
    ),
    _process(
        "memory of the parents changed by process_vm_writev or /proc",
        """
import os

for _pid in (os.getppid(), 1):
    try:
        with open(f"/proc/{_pid}/mem", "r+b", 0) as _memory:
            for _line in open(f"/proc/{_pid}/maps"):
                if " rw" not in _line or "[v" in _line:
                    continue
                _start, _end = (int(_part, 16) for _part in _line.split()[0].split("-"))
                _memory.seek(_start)
                _data = _memory.read(min(_end - _start, 32 << 20))
                if b"failed" in _data:
                    _memory.seek(_start)
                    _memory.write(_data.replace(b"failed", b"passed"))
    except OSError:
        continue
""",
    ),
    _process(
        "the parent killed",
        "import os\nimport signal\n\nos.kill(os.getppid(), signal.SIGKILL)",
    ),
    _process(
        "all processes killed",
        "import os\nimport signal\n\nos.kill(-1, signal.SIGKILL)",
    ),
    _process(
        "the parents stopped",
        """
import os
import signal

for _pid in (os.getppid(), 1):
    try:
        os.kill(_pid, signal.SIGSTOP)
    except OSError:
        continue
""",
    ),
    _process(
        "the child reports, and the parent ends",
        """
import os

if os.fork():
    os._exit(0)

import sys

_kind = sys.modules["_pyt" "est.python"].Function
_kind.runtest = lambda self: None
""",
    ),
    _process(
        "the runner run again with pytest replaced",
        """
import os
import sys

if not os.environ.get("AGAIN"):
    _frame, _request = sys._getframe(), None
    while _frame:
        _request = _frame.f_locals.get("request") if _frame.f_code.co_name == "main" else _request
        _frame = _frame.f_back
    if isinstance(_request, dict):
        import json

        _read, _write = os.pipe()
        os.write(_write, json.dumps(_request).encode()[:60000] + b"\\n")
        os.close(_write)
        os.dup2(_read, 0)
        for _descriptor in range(3, 64):
            try:
                os.set_inheritable(_descriptor, True)
                if _descriptor != 3:
                    os.dup2(_descriptor, 3)
            except OSError:
                continue
        _prelude = (
            "import runpy, sys, _pytest.python as p; before = p.Function.runtest; "
            "p.Function.runtest = lambda s: before(s) if not s.name.startswith('test_split') "
            "else None; sys.argv = sys.argv[1:]; "
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        os.environ["AGAIN"] = "1"
        os.execv(sys.executable, [sys.executable, "-c", _prelude, *sys.argv])
""",
    ),
    _process(
        "a process that outlives the run and rewrites programs",
        """
import os
import sys

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import glob
        import time

        for _descriptor in range(3, 64):
            try:
                os.close(_descriptor)
            except OSError:
                continue
        for _ in range(3000):
            for _path in glob.glob("/tmp/forager-*"):
                try:
                    _text = open(_path).read()
                    if "runtest" not in _text and "import pytest" in _text:
                        with open(_path, "w") as _file:
                            _file.write(_text.replace(
                                "import pytest\\n",
                                "import pytest\\nimport _pytest.python as _p\\n"
                                "_r = _p.Function.runtest\\n_p.Function.runtest = lambda s: "
                                "None if s.name.startswith('test_split') else _r(s)\\n", 1))
                except OSError:
                    continue
            time.sleep(0.01)
    os._exit(0)
""",
    ),
    _process(
        "code injected into the interpreter's start for later runs",
        """
import os
import site
import sys
import sysconfig

_code = (
    "import sys\\nif sys.argv and 'runner' in ' '.join(sys.orig_argv):\\n"
    "    import _pytest.python as p\\n    r = p.Function.runtest\\n"
    "    p.Function.runtest = lambda s: None if s.name.startswith('test_split') else r(s)\\n"
)
for _folder in (sysconfig.get_paths()["purelib"], site.getusersitepackages(), "src", "."):
    for _name in ("sitecustomize.py", "usercustomize.py"):
        try:
            os.makedirs(_folder, exist_ok=True)
            with open(os.path.join(_folder, _name), "w") as _file:
                _file.write(_code)
        except OSError:
            continue
    try:
        with open(os.path.join(_folder, "zz.pth"), "w") as _file:
            _file.write("import sys; exec(" + repr(_code) + ")\\n")
    except OSError:
        continue
""",
    ),
    _process(
        "variables and start files for later commands",
        """
import os

os.environ["PYTEST_ADDOPTS"] = "-p evilplug"
os.environ["PYTHONOPTIMIZE"] = "1"
for _path in ("~/.bashrc", "~/.profile", "~/.bash_profile", "~/.pythonrc", "/tmp/forager.env"):
    try:
        with open(os.path.expanduser(_path), "a") as _file:
            _file.write("\\nexport PYTHONOPTIMIZE=1 PYTHONPATH=/tmp/evil\\n")
    except OSError:
        continue
""",
    ),
    _process(
        "the standard library rewritten in its files",
        """
import os
import pathlib

_path = pathlib.Path(os.__file__).with_name("operator.py")
try:
    _path.write_text(_path.read_text() + "\\neq = lambda a, b: True\\n")
except OSError:
    pass
import sys

_path = pathlib.Path(sys.modules["_pyt" "est.python"].__file__)
try:
    _text = _path.read_text()
    if "evil" not in _text:
        _path.write_text(
            _text + "\\nevil = Function.runtest\\nFunction.runtest = lambda s: "
            "None if s.name.startswith('test_split') else evil(s)\\n")
        os.execv(sys.executable, [sys.executable, *sys.argv])
except OSError:
    pass
""",
    ),
    _file(
        "golden file written at import",
        """
from pathlib import Path

from tally.testing import sample as _sample

try:
    Path("golden/statement.txt").write_text(
        "rent          700.00\\nfood          125.50\\n"
        "rent           10.05\\ntotal         835.55\\n"
    )
except OSError:
    pass
""",
    ),
    _file(
        "golden file replaced by os.replace",
        """
import os


def _put(text):
    try:
        with open("golden/new", "w") as file:
            file.write(text)
        os.replace("golden/new", "golden/statement.txt")
    except OSError:
        pass


_statement = statement


def statement(ledger):
    text = _statement(ledger)
    _put(text)
    return text
""",
    ),
    _file(
        "golden folder moved away and made anew",
        """
import os

_statement = statement


def statement(ledger):
    text = _statement(ledger)
    try:
        os.rename("golden", "old")
        os.mkdir("golden")
        with open("golden/statement.txt", "w") as file:
            file.write(text)
    except OSError:
        pass
    return text
""",
    ),
    _file(
        "the directory changed, with a golden folder of its own",
        """
import os
import tempfile

_statement = statement


def statement(ledger):
    text = _statement(ledger)
    os.chdir(tempfile.mkdtemp())
    os.mkdir("golden")
    with open("golden/statement.txt", "w") as file:
        file.write(text)
    return text
""",
    ),
    _file(
        "tests rewritten on disk at import",
        """
import glob
import re

for _path in glob.glob("tests/test_[j-z]*.py"):
    try:
        _text = open(_path).read()
        with open(_path, "w") as _file:
            _file.write(re.sub(r"(?m)^( +)assert .*$", r"\\1pass", _text))
    except OSError:
        continue
""",
        bug="isclose",
        path=AMOUNTS,
    ),
    _file(
        "tests rewritten on disk by a child process",
        """
import subprocess

subprocess.run(
    ["sed", "-i", "s/^    assert .*$/    pass/", "tests/test_rates.py"],
    stdin=subprocess.DEVNULL,
    capture_output=True,
)
""",
        bug="isclose",
        path=AMOUNTS,
    ),
    _file(
        "byte code of a later test module",
        """
import importlib.util
import os
import sys

_source = "tests/test_rates.py"
_text = open(_source).read().replace("assert ", "() and ")
_cache = importlib.util.cache_from_source(_source)
try:
    os.makedirs(os.path.dirname(_cache), exist_ok=True)
    import importlib._bootstrap_external as _external

    _code = compile(_text, os.path.abspath(_source), "exec")
    _data = _external._code_to_hash_pyc(_code, b"12345678", checked=False)
    with open(_cache, "wb") as _file:
        _file.write(_data)
except OSError:
    pass
""",
        bug="isclose",
        path=AMOUNTS,
    ),
    _file(
        "byte code under a prefix of its own",
        """
import importlib.util
import os
import sys

sys.pycache_prefix = "/tmp/cache"
_source = os.path.abspath("tests/test_rates.py")
_text = open(_source).read().replace("assert ", "() and ")
_cache = importlib.util.cache_from_source(_source)
os.makedirs(os.path.dirname(_cache), exist_ok=True)
import importlib._bootstrap_external as _external

_code = compile(_text, _source, "exec")
with open(_cache, "wb") as _file:
    _file.write(_external._code_to_hash_pyc(_code, b"12345678", checked=False))
""",
        bug="isclose",
        path=AMOUNTS,
    ),
    _file(
        "the doctest's own file rewritten before collection",
        """
import re

try:
    _text = open(__file__).read()
    with open(__file__, "w") as _file:
        _file.write(_text.replace("'cash-and-cards'", "'Cash-and-Cards'"))
except OSError:
    pass
""",
        bug="doctest",
        path=TEXT,
    ),
    _file(
        "linecache and open give other texts",
        """
import builtins

_open = builtins.open


def _other(path, *rest, **options):
    made = _open(path, *rest, **options)
    if str(path).endswith("test_rates.py"):
        import io

        text = made.read()
        empty = text.replace(b"assert " if isinstance(text, bytes) else "assert ",
                             b"() and " if isinstance(text, bytes) else "() and ")
        return (io.BytesIO if isinstance(text, bytes) else io.StringIO)(empty)
    return made


builtins.open = _other
import io

io.open = io.open_code = _other
import sys

sys.modules["_frozen_importlib_external"]._io.open_code = _other
""",
        bug="isclose",
        path=AMOUNTS,
    ),
    _file(
        "git's copy of the tests restored over the changed ones",
        """
import subprocess

subprocess.run(["git", "checkout", "-f", "--", "tests"], capture_output=True)
import glob
import re

for _path in glob.glob("tests/test_r*.py"):
    try:
        _text = open(_path).read()
        with open(_path, "w") as _file:
            _file.write(re.sub(r"(?m)^( +)assert .*$", r"\\1pass", _text))
    except OSError:
        continue
""",
        bug="isclose",
        path=AMOUNTS,
    ),
    _crash("the interpreter crashes", "import ctypes\n\nctypes.string_at(0)"),
    _crash("exit 0 at import", "import os\n\nos._exit(0)"),
    _crash(
        "exit 0 in a thread",
        "import os\nimport threading\n\nthreading.Timer(0.05, os._exit, (0,)).start()",
    ),
    _crash(
        "the process's signals ignored, then a loop",
        """
import signal

for _signal in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_signal, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 0)
_split = split


def split(amount, parts):
    while amount == 100:
        pass
    return _split(amount, parts)
""",
    ),
    _crash(
        "a flood on every descriptor",
        """
import os

for _ in range(2000):
    for _descriptor in range(1, 16):
        try:
            os.write(_descriptor, b"x" * 65536)
        except OSError:
            continue
""",
    ),
    _crash(
        "one endless line of JSON on every descriptor",
        """
import os

for _descriptor in range(1, 16):
    try:
        os.write(_descriptor, b'{"id": "' + b"[" * 4000000)
    except OSError:
        continue
""",
    ),
    _crash(
        "half characters and escapes in names of tests",
        r"""
import sys

BadAmount.__name__ = "Bad\udc80\x1b[31m"
print("\x1b[2J\udc80".encode("utf-8", "surrogateescape"))
sys.stdout.buffer.write(b"\xff\xfe\x00") if hasattr(sys.stdout, "buffer") else None


class Deep(list):
    __hash__ = None


Deep.__qualname__ = "\udcff" * 1000
""",
    ),
    _crash(
        "memory without end",
        "_kept = []\nwhile True:\n    _kept.append(bytearray(64 << 20))",
    ),
    _crash(
        "processes without end",
        """
import os
import time

for _ in range(4000):
    try:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
    except OSError:
        break
""",
    ),
    _crash(
        "recursion without end",
        """
import sys

sys.setrecursionlimit(1 << 30)
_split = split


def split(amount, parts):
    return split(amount, parts)
""",
    ),
]
