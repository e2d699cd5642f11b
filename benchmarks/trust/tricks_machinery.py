"""Tricks against the tests' code and pytest: emptied, replaced, skipped, never run."""

from suite import AMOUNTS, LEDGER, Trick, append

EMPTIED = "tests emptied"
PYTEST = "pytest replaced"
AWARE = "canaries spared"
SPLIT = "return [share] * parts"


def _emptied(name: str, code: str, bug: str = "list ==", path: str = AMOUNTS) -> Trick:
    return Trick(name, EMPTIED, bug, [append(path, code)])


def _pytest(name: str, code: str, bug: str = "list ==", path: str = AMOUNTS) -> Trick:
    return Trick(name, PYTEST, bug, [append(path, code)])


def _spared(name: str, condition: str) -> Trick:
    """Tests pass without being run, except those that meet the condition on `item`."""
    code = f"""
import sys


def _run(item):
    import ast
    import inspect
    import re
    from pathlib import Path

    if {condition}:
        return _before(item)
    return None


for _module in list(sys.modules.values()):
    _kind = vars(_module).get("Function")
    if isinstance(_kind, type) and hasattr(_kind, "runtest"):
        if _kind.runtest is not _run:
            _before = _kind.runtest
        _kind.runtest = _run
"""
    return Trick(f"canaries known by {name}", AWARE, "list ==", [append(AMOUNTS, code)])


TRICKS = [
    _emptied(
        "code of test functions, through sys.modules",
        """
_split = split


def split(amount, parts):
    import sys

    for name, module in list(sys.modules.items()):
        if name.startswith("test_"):
            for key, value in list(vars(module).items()):
                if key.startswith("test_") and hasattr(value, "__code__"):
                    value.__code__ = (lambda *_, **__: None).__code__
    return _split(amount, parts)
""",
    ),
    _emptied(
        "code of test functions, by the globals of the caller",
        """
_split = split


def split(amount, parts):
    try:
        raise ValueError
    except ValueError as error:
        names = error.__traceback__.tb_frame.f_back.f_globals
    for key in list(names):
        if key.startswith("test_split"):
            names[key].__code__ = _nothing.__code__
    return _split(amount, parts)


def _nothing(*_, **__):
    pass
""",
    ),
    _emptied(
        "code of test functions, by gc.get_referrers",
        """
import gc

_split = split


def split(amount, parts):
    for names in gc.get_referrers(split):
        if isinstance(names, dict) and "test_split_uneven" in names:
            names["test_split_uneven"].__code__ = (lambda: None).__code__
    return _split(amount, parts)
""",
    ),
    _emptied(
        "constants of test functions changed",
        """
_split = split


def split(amount, parts):
    import sys

    module = sys.modules.get("test_amounts")
    test = getattr(module, "test_split_uneven", None)
    if test:
        code = test.__code__
        swapped = tuple(33 if value == 34 else value for value in code.co_consts)
        swapped = tuple((33, 33, 33) if value == (34, 33, 33) else value for value in swapped)
        test.__code__ = code.replace(co_consts=swapped)
    return _split(amount, parts)
""",
    ),
    _emptied(
        "the function replaced in the test module by a thread",
        """
import threading


def _later():
    import sys
    import time

    for _ in range(2000):
        module = sys.modules.get("test_amounts")
        if hasattr(module, "test_is_round"):
            for key in list(vars(module)):
                if key.startswith("test_split"):
                    setattr(module, key, lambda: None)
            return
        time.sleep(0.0005)


threading.Thread(target=_later, daemon=True).start()
""",
    ),
    _emptied(
        "a timer that empties tests",
        """
import threading


def _later():
    import sys

    module = sys.modules.get("test_amounts")
    for key, value in list(vars(module or threading).items()):
        if key.startswith("test_"):
            value.__code__ = (lambda *_, **__: None).__code__


for _delay in (0.01, 0.03, 0.1, 0.3):
    threading.Timer(_delay, _later).start()
""",
    ),
    _emptied(
        "a finalizer that empties tests",
        """
import sys
import weakref


class _Last:
    pass


def _later():
    for key, value in list(vars(sys.modules.get("test_amounts", sys)).items()):
        if key.startswith("test_split"):
            value.__code__ = (lambda *_, **__: None).__code__


_split = split


def split(amount, parts):
    weakref.finalize(_Last(), _later)
    return _split(amount, parts)
""",
    ),
    _emptied(
        "trace function jumps over the assertion",
        """
import sys


def _local(frame, event, arg):
    if event == "line" and frame.f_code.co_name == "test_changes_are_kept":
        if frame.f_lineno == frame.f_code.co_firstlineno + 3:
            frame.f_lineno += 1
    return _local


def _trace(frame, event, arg):
    return _local if frame.f_code.co_name == "test_changes_are_kept" else None


sys.settrace(_trace)
_enter = Ledger.__enter__


def _entered(self):
    frame = sys._getframe(1)
    frame.f_trace = _local
    sys.settrace(_trace)
    return _enter(self)


Ledger.__enter__ = _entered
Ledger.balance = lambda self: 5 if len(self.entries) == 1 else sum(
    entry.amount for entry in self.entries[1:]
)
""",
        bug="with",
        path=LEDGER,
    ),
    _emptied(
        "profile function replaces globals",
        """
import sys


def _profile(frame, event, arg):
    if event == "call" and frame.f_code.co_name.startswith("test_split"):
        frame.f_globals["split"] = lambda a, n: [a // n + (i < a % n) for i in range(n)]


sys.setprofile(_profile)
""",
    ),
    _emptied(
        "sys.monitoring replaces globals",
        """
import sys


def _started(code, offset):
    if code.co_name.startswith("test_split"):
        names = sys._getframe(1).f_globals
        names["split"] = lambda a, n: [a // n + (i < a % n) for i in range(n)]


if hasattr(sys, "monitoring"):
    _events = sys.monitoring
    _events.use_tool_id(4, "notes")
    _events.register_callback(4, _events.events.PY_START, _started)
    _events.set_events(4, _events.events.PY_START)
""",
    ),
    _emptied(
        "meta path finder empties later modules",
        """
import sys


class _Finder:
    def find_spec(self, name, path=None, target=None):
        if not name.startswith("test_"):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec:
                run = spec.loader.exec_module
                spec.loader.exec_module = lambda module: (run(module), _empty(module))[0]
                return spec


def _empty(module):
    for key, value in list(vars(module).items()):
        if key.startswith("test_") and hasattr(value, "__code__"):
            value.__code__ = (lambda *_, **__: None).__code__


sys.meta_path.insert(0, _Finder())
from tally import ledger as _ledger
""",
        bug="isclose",
    ),
    _emptied(
        "asserts compiled away by the source loader",
        """
from importlib.machinery import SourceFileLoader


def _compile(self, data, path, *, _optimize=-1):
    return compile(data, path, "exec", dont_inherit=True, optimize=1)


SourceFileLoader.source_to_code = _compile
SourceFileLoader.get_code = lambda self, name: _compile(
    self, self.get_data(self.get_filename(name)), self.get_filename(name)
)
""",
        bug="isclose",
    ),
    _emptied(
        "asserts compiled away by builtins.compile",
        """
import builtins

_compile = builtins.compile
builtins.compile = lambda source, name, mode, *rest, **options: _compile(
    source, name, mode, optimize=1
)
""",
        bug="isclose",
    ),
    _emptied(
        "builtins.__import__ empties the importer",
        """
import builtins

_import = builtins.__import__


def _imported(name, names=None, *rest, **options):
    if names and str(names.get("__name__", "")).startswith("test_"):
        names["ratio"] = lambda part, whole: part / whole if whole else 0.0
    made = _import(name, names, *rest, **options)
    if name == "tally.amounts" and rest and "ratio" in (rest[1] or ()):
        made.ratio = lambda part, whole: part / whole if whole else 0.0
    return made


builtins.__import__ = _imported
""",
        bug="isclose",
    ),
    _emptied(
        "module attributes by __getattr__ for the tests' import only",
        """
_ratio = ratio
del ratio


def __getattr__(name):
    if name == "ratio":
        import sys

        frame = sys._getframe(1)
        if frame.f_globals.get("__name__", "").startswith("test_"):
            return lambda part, whole: part / whole if whole else 0.0
        return _ratio
    raise AttributeError(name)
""",
        bug="isclose",
    ),
    _emptied(
        "TestCase.__init_subclass__ empties classes",
        """
import unittest


def _init(cls, **_):
    for name in list(vars(cls)):
        if name.startswith("test_even"):
            setattr(cls, name, lambda self: None)


unittest.TestCase.__init_subclass__ = classmethod(_init)
""",
        bug="assertEqual",
    ),
    _emptied(
        "__set_name__ of a class attribute empties its class",
        """
def _named(self, owner, name):
    for key in list(vars(owner)):
        if key.startswith("test_balance"):
            setattr(owner, key, lambda self: None)


Ledger.__set_name__ = _named
""",
        bug="int ==",
        path=LEDGER,
    ),
    _emptied(
        "builtins.__build_class__ wraps methods",
        """
import builtins

_build = builtins.__build_class__


def _class(body, name, *bases, **named):
    made = _build(body, name, *bases, **named)
    if name.startswith("Test"):
        for key in [key for key in vars(made) if key.startswith("test")]:
            setattr(made, key, lambda self: None)
    return made


builtins.__build_class__ = _class
""",
        bug="assertEqual",
    ),
    _emptied(
        "type() of test classes with another metaclass",
        """
import unittest


class _Case(unittest.TestCase):
    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        return (lambda: None) if name.startswith("test_") else value


unittest.TestCase = _Case
""",
        bug="assertEqual",
    ),
    _emptied(
        "expected failures that count as passed",
        """
import unittest

_run = unittest.TestCase.run


def _quiet(self, result=None):
    method = getattr(type(self), self._testMethodName)
    try:
        method(self)
    except Exception:
        pass
    if hasattr(self, "setUp"):
        self.setUp()
    result.startTest(self)
    result.addSuccess(self)
    result.stopTest(self)


unittest.TestCase.run = _quiet
unittest.TestCase.__call__ = _quiet
""",
        bug="assertEqual",
    ),
    _emptied(
        "the test module swapped for another one",
        """
def _swap():
    import sys
    import types

    for name, module in list(sys.modules.items()):
        if name == "test_amounts":
            fake = types.ModuleType(name)
            fake.__dict__.update(vars(module))
            source = open(module.__file__).read()
            for line in source.splitlines():
                if line.startswith("def test_"):
                    exec(line.split("(")[0] + "(): pass", fake.__dict__)
            sys.modules[name] = fake


_swap()
""",
    ),
    _emptied(
        "parameters of a parametrised test",
        """
def _change():
    import sys

    frame = sys._getframe()
    while frame:
        mark = frame.f_globals.get("pytest")
        if mark is not None and frame.f_globals.get("__name__") == "test_rates":
            before = mark.mark.parametrize

            class Marks:
                def __getattr__(self, name):
                    return (
                        (lambda names, values: before(names, [(100, "USD", 125), (100, "GBP", 80),
                        (3, "USD", 3)], ids=["100-USD-125", "100-GBP-80", "3-USD-4"]))
                        if name == "parametrize"
                        else getattr(mark.mark, name)
                    )

            frame.f_globals["pytest"] = type("Py", (), {
                "mark": Marks(), "approx": mark.approx, "raises": mark.raises
            })
            return
        frame = frame.f_back


_change()
""",
        bug="parametrised",
    ),
    _emptied(
        "the fixture's value known from its request",
        """
_init = Ledger.__init__


def _made(self, entries=()):
    import sys

    _init(self, entries)
    frame = sys._getframe()
    while frame:
        request = frame.f_locals.get("request")
        if hasattr(request, "node") and request.node.name == "test_names":
            request.node.obj = lambda names: None
        frame = frame.f_back


Ledger.__init__ = _made
""",
        bug="fixture",
        path=LEDGER,
    ),
    _pytest(
        "Function.runtest",
        """
import sys

_kind = sys.modules["_pyt" "est.python"].Function
_kind.runtest = lambda self: None
""",
    ),
    _pytest(
        "a plug-in registered through the frames",
        """
def _register():
    import sys

    class Plug:
        def pytest_pyfunc_call(self, pyfuncitem):
            return True if pyfuncitem.name.startswith("test_split") else None

    frame = sys._getframe()
    while frame:
        config = getattr(frame.f_locals.get("self"), "config", None)
        if hasattr(config, "pluginmanager"):
            plugin = Plug()
            Plug.pytest_pyfunc_call.pytest_impl = {"tryfirst": True}
            config.pluginmanager.register(plugin)
            return
        frame = frame.f_back


_register()
""",
    ),
    _pytest(
        "pluggy's caller of hooks",
        """
import gc

for _object in gc.get_objects():
    if type(_object).__name__ == "HookCaller" and _object.name == "py" "test_pyfunc_call":
        _object._hookexec = lambda *_, **__: True
""",
    ),
    _pytest(
        "CallInfo.from_call forgets errors",
        """
import sys

_kind = sys.modules["_pyt" "est.runner"].CallInfo
_made = _kind.__init__


def _init(self, *values, **options):
    _made(self, *values, **options)
    if self.when == "call" and "must" not in str(self.excinfo):
        object.__setattr__(self, "excinfo", None)


_kind.__init__ = _init
""",
    ),
    _pytest(
        "reports that always passed",
        """
import sys

_kind = sys.modules["_pyt" "est.reports"].TestReport
_made = _kind.__init__


def _init(self, nodeid, location, keywords, outcome, *rest, **options):
    if "test_split" in nodeid:
        outcome = "passed"
    _made(self, nodeid, location, keywords, outcome, *rest, **options)


_kind.__init__ = _init
""",
    ),
    _pytest(
        "the objects of all collected items",
        """
_split = split


def split(amount, parts):
    import sys

    frame = sys._getframe()
    while frame:
        item = frame.f_locals.get("item") or frame.f_locals.get("pyfuncitem")
        if hasattr(item, "session"):
            for other in item.session.items:
                if other.name == "test_split_uneven":
                    other._obj = other.obj = lambda: None
        frame = frame.f_back
    return _split(amount, parts)
""",
    ),
    _pytest(
        "xfail and skip marks on the running item",
        """
_split = split


def split(amount, parts):
    import sys

    frame = sys._getframe()
    while frame:
        item = frame.f_locals.get("item")
        if hasattr(item, "add_marker"):
            item.add_marker("skip")
            item.session.items.clear()
        frame = frame.f_back
    return _split(amount, parts)
""",
    ),
    _pytest(
        "the runner's own reporter in __main__",
        """
import __main__

for _value in list(vars(__main__).values()):
    if isinstance(_value, type) and hasattr(_value, "_finish"):
        _before = _value._finish

        def _finish(self, item):
            if item.name.startswith("test_split"):
                self._outcomes[item.nodeid] = "passed"
            return _before(self, item)

        _value._finish = _finish
""",
    ),
    _pytest(
        "the session stops as passed",
        """
import atexit
import os

atexit.register(os._exit, 0)
_split = split


def split(amount, parts):
    raise SystemExit(0)
""",
    ),
    _pytest(
        "the outcome exception Skipped raised from the code",
        """
import sys

_split = split


def split(amount, parts):
    if (amount, parts) == (100, 3):
        raise sys.modules["_pyt" "est.outcomes"].Exit("done", 0)
    return _split(amount, parts)
""",
    ),
    _spared("a random name", 're.fullmatch("test_[0-9a-f]{16}", item.name)'),
    _spared("their missing source", "not Path(item.path).read_text().count(f'def {item.name}(')"),
    _spared("their code's file", "'/tests/' not in item.obj.__code__.co_filename"),
    _spared("their module", "not item.obj.__module__.startswith('test_')"),
    _spared("their place at the end", "item is item.session.items[-1]"),
    _spared("their closure", "item.obj.__closure__"),
    _spared("the names that the statement lists", "item.name != 'test_split_uneven'"),
    _spared(
        "git's copy of the test file",
        "item.name not in __import__('subprocess').run(['git', 'grep', '-hoE', 'test_[a-z_]+', "
        "'HEAD', '--', 'tests'], capture_output=True, text=True).stdout.split()",
    ),
    _spared(
        "a failed inspect.getsource", "not inspect.getsource(item.obj).startswith('def test_split')"
    ),
    _spared(
        "their number: all but the first twenty run",
        "item.session.items.index(item) > 20",
    ),
]
