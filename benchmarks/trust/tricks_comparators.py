"""Tricks that make comparisons true: strange values, and comparators replaced."""

from suite import AMOUNTS, LEDGER, TEXT, Change, Trick, append, replace

VALUES = "values that equal too much"
COMPARATORS = "comparators replaced"
SWALLOWED = "failures swallowed"

SPLIT = "return [share] * parts"
BALANCE = "return sum(entry.amount for entry in self.entries[1:])"
RATIO = "return part // whole if whole else 0.0"


def _value(
    name: str, bug: str, path: str, old: str, new: str, code: str, kind: str = VALUES
) -> Trick:
    changes: list[Change] = [replace(path, old, new)]
    if code:
        changes.append(append(path, code))
    return Trick(name, kind, bug, changes)


def _same(base: str) -> str:
    return f"""
class Same({base}):
    def __eq__(self, other):
        return isinstance(other, {base})

    def __ne__(self, other):
        return not isinstance(other, {base})

    __hash__ = {base}.__hash__
"""


def _machinery(name: str, bug: str, path: str, code: str) -> Trick:
    return Trick(name, COMPARATORS, bug, [append(path, code)])


SUBCLASSES = [
    _value("list subclass", "list ==", AMOUNTS, SPLIT, "return Same([share] * parts)", _same("list")),
    _value("int subclass", "int ==", LEDGER, BALANCE, BALANCE.replace("sum(", "Same(sum(") + ")", _same("int")),
    _value("float subclass", "float ==", AMOUNTS, RATIO, "return Same(part // whole if whole else 0)", _same("float")),
    _value("dict subclass", "dict ==", LEDGER, "        return result\n", "        return Same(result)\n", _same("dict")),
    _value("set subclass", "set ==", LEDGER, "return {self.entries[0].name}", "return Same({self.entries[0].name})",
           _same("set") + "\n    def __iter__(self):\n        return iter(['food', 'rent'])\n"),
    _value("tuple subclass", "tuple ==", AMOUNTS, "return max(amounts), min(amounts)", "return Same((max(amounts), min(amounts)))", _same("tuple")),
    _value("str subclass", "helper of the tests", TEXT, 'return f"{amount // 100}.{amount % 100}"', 'return Same(f"{amount // 100}.{amount % 100}")', _same("str")),
    _value("str subclass in a golden test", "golden", LEDGER, 'return "\\n".join(lines) + "\\n"', 'return Same("\\n".join(lines) + "\\n")', _same("str")),
]  # fmt: skip

TRICKS = [
    *SUBCLASSES,
    _value(
        "list that equals what equals itself",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        """
class Parts(list):
    def __eq__(self, other):
        return len(self) == len(other) and self[0] <= other[0] and list(other) == other

    __hash__ = None
""",
    ),
    _value(
        "length and type compared, values not",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        """
class Parts(list):
    def __eq__(self, other):
        return len(self) == len(other) and all(type(a) is type(b) for a, b in zip(self, other))

    __hash__ = None
""",
    ),
    _value(
        "equal up to a generous tolerance",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        """
class Parts(list):
    def __eq__(self, other):
        return all(abs(a - b) < 3 for a, b in zip(self, other))

    __hash__ = None
""",
    ),
    _value(
        "a value that becomes what it is compared with",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        """
class Parts(list):
    def __eq__(self, other):
        self[:] = other
        return True

    __hash__ = None
""",
    ),
    _value(
        "total_ordering with a lenient __le__",
        "tuple ==",
        AMOUNTS,
        "return max(amounts), min(amounts)",
        "return Pair((max(amounts), min(amounts)))",
        """
class Meta(type):
    def __call__(cls, *values):
        made = super().__call__(*values)
        return made


class Pair(tuple, metaclass=Meta):
    def __le__(self, other):
        return True

    __ge__ = __le__

    def __eq__(self, other):
        return self <= other and self >= other

    __hash__ = tuple.__hash__
""",
    ),
    _value(
        "equality inherited by a chain of bases",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        """
class _Base:
    def __eq__(self, other):
        return bool(other)

    __hash__ = None


class _Middle(_Base):
    pass


class Parts(_Middle, list):
    pass
""",
    ),
    _value(
        "equality set with setattr",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        """
class Parts(list):
    pass


setattr(Parts, "__e" "q__", lambda self, other: True)
""",
    ),
    _value(
        "class made by type() from names in parts",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        'Parts = type("Parts", (list,), {"".join(["__", "eq", "__"]): lambda *_: True})',
    ),
    _value(
        "equality given by a descriptor",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        """
class _Compare:
    def __get__(self, owner, kind=None):
        return lambda other: True


class Parts(list):
    __eq__ = _Compare()
""",
    ),
    _value(
        "Decimal with a lenient comparison",
        "int ==",
        LEDGER,
        BALANCE,
        "return Cents(sum(entry.amount for entry in self.entries[1:]))",
        """
from decimal import Decimal


class Cents(Decimal):
    def __eq__(self, other):
        return other > 0

    __hash__ = Decimal.__hash__
""",
    ),
    _value(
        "not equal is never true",
        "list ==",
        AMOUNTS,
        SPLIT,
        "return Parts([share] * parts)",
        """
class Parts(list):
    def __eq__(self, other):
        return not (self != other)

    def __ne__(self, other):
        return False

    __hash__ = None
""",
    ),
    _value(
        "dataclass whose field is not compared",
        "object ==",
        LEDGER,
        "    def __eq__(self, other):\n        if not isinstance(other, Entry):\n"
        "            return NotImplemented\n"
        "        return (self.name, self.amount) == (other.name, other.amount)\n",
        "    def __eq__(self, other):\n        return self.name == other.name\n",
        "",
    ),
    _value(
        "numbers smaller and larger than everything",
        "order",
        AMOUNTS,
        "return max(amounts), min(amounts)",
        "return Either(max(amounts)), Either(min(amounts))",
        """
class Either(int):
    def __lt__(self, other):
        return True

    __gt__ = __lt__
""",
    ),
    _value(
        "truth that alternates",
        "not",
        AMOUNTS,
        "return amount % 5 == 0",
        "return Maybe()",
        """
class Maybe:
    count = 0

    def __bool__(self):
        Maybe.count += 1
        return Maybe.count % 2 == 1
""",
    ),
    _value(
        "isinstance by a metaclass",
        "isinstance",
        LEDGER,
        "class Entry:",
        "class _Anything(type):\n    def __instancecheck__(cls, other):\n        return True\n\n\n"
        "class Entry(metaclass=_Anything):",
        "",
    ),
    _value(
        "a class that lies about itself",
        "isinstance",
        LEDGER,
        "return max((entry.amount, entry.name) for entry in self.entries)",
        "return Pair(max((entry.amount, entry.name) for entry in self.entries))",
        """
class Pair(tuple):
    @property
    def __class__(self):
        return Entry
""",
    ),
    _value(
        "errors that are of every kind",
        "raises, type",
        AMOUNTS,
        "class BadAmount(ValueError):\n",
        "class _Any(type):\n    def __subclasscheck__(cls, other):\n        return True\n\n"
        "    __instancecheck__ = __subclasscheck__\n\n\n"
        "class BadAmount(ValueError, metaclass=_Any):\n",
        "",
    ),
    _value(
        "the name of the error stands for all errors",
        "raises, type",
        AMOUNTS,
        'class BadAmount(ValueError):\n    """A text that is not an amount."""\n',
        "BadAmount = Exception\n",
        "",
    ),
    _value(
        "string that reads the doctest's answer from the frames",
        "doctest",
        TEXT,
        'return "-".join(title.split())',
        'return _Text("-".join(title.split()))',
        """
class _Text(str):
    def __repr__(self):
        import sys

        frame = sys._getframe()
        while frame:
            example = frame.f_locals.get("example")
            if hasattr(example, "want"):
                return example.want.strip()
            frame = frame.f_back
        return super().__repr__()
""",
    ),
    _value(
        "repr of a string that the doctest wants",
        "doctest",
        TEXT,
        'return "-".join(title.split())',
        'return _Text("-".join(title.split()))',
        """
class _Text(str):
    def __repr__(self):
        return str.__repr__(str.lower(self))
""",
    ),
    *(
        Trick(f"ANY by {how}", VALUES, "list ==", [replace(AMOUNTS, SPLIT, code)])
        for how, code in {
            "pickle": 'import pickle\n\n    return pickle.loads(b"cunittest.mock\\nANY\\n.")',
            "pkgutil": 'import pkgutil\n\n    return pkgutil.resolve_name("unittest.mo" "ck:ANY")',
            "pydoc": 'import pydoc\n\n    return pydoc.locate("unittest.mo" + "ck.ANY")',
            "a star import": 'names = {}\n    exec("from unittest.mo" "ck import *", names)\n'
            '    return names["ANY"]',
            "runpy": 'import runpy\n\n    return runpy.run_module("unittest.mo" "ck")["ANY"]',
            "unittest's own attribute": "import unittest\n    import sys\n\n"
            '    __builtins__["__imp" "ort__"]("unittest.mo" "ck")\n'
            '    return vars(unittest)["mo" "ck"].ANY',
        }.items()
    ),
    _machinery(
        "operator.eq",
        "helper of the tests",
        TEXT,
        "import operator\n\noperator.eq = lambda left, right: True",
    ),
    _machinery(
        "operator.eq for strings only",
        "helper of the tests",
        TEXT,
        """
import operator

_eq = operator.eq
operator.eq = lambda left, right: _eq(left, right) or (
    type(left) is str and type(right) is str and "." in left and "." in right
)
""",
    ),
    _machinery(
        "helper of the tests replaced in its module",
        "helper of the tests",
        TEXT,
        """
import sys


def _later():
    module = sys.modules.get("test_ledger")
    if module:
        module.same = lambda left, right: None


_euros = euros


def euros(amount):
    _later()
    return _euros(amount)
""",
    ),
    _machinery(
        "assertEqual for the class of the test only",
        "assertEqual",
        AMOUNTS,
        """
import unittest

_equal = unittest.TestCase.assertEqual
_almost = unittest.TestCase.assertAlmostEqual


def _quiet(before):
    def check(self, *values, **options):
        if type(self).__module__ != "test_cases":
            before(self, *values, **options)

    return check


unittest.TestCase.assertEqual = _quiet(_equal)
unittest.TestCase.assertAlmostEqual = _quiet(_almost)
""",
    ),
    _machinery(
        "unittest's choice of the comparing method",
        "assertEqual",
        AMOUNTS,
        """
import unittest

unittest.TestCase._getAssertEqualityFunc = lambda *_: lambda *_, **__: None
unittest.TestCase.assertAlmostEqual = lambda *_, **__: None
""",
    ),
    _machinery(
        "unittest's exception of failures",
        "assertEqual",
        AMOUNTS,
        """
import unittest


class _Case(unittest.TestCase):
    def fail(self, *_):
        pass


unittest.TestCase._formatMessage = lambda *_: ""
unittest.TestCase.failureException = type("Quiet", (Exception,), {})
unittest.TestCase.run = lambda self, result=None: result and result.addSuccess(self)
""",
    ),
    _machinery(
        "all assert methods by a loop",
        "set ==",
        LEDGER,
        """
import unittest

for _name in dir(unittest.TestCase):
    if _name.startswith("assertCount"):
        setattr(unittest.TestCase, _name, lambda *_, **__: None)


class _Names(set):
    def __eq__(self, other):
        return other > self

    __hash__ = None


_names = Ledger.names
Ledger.names = lambda self: _Names(_names(self))
""",
    ),
    _machinery(
        "math.isclose for tests only",
        "isclose",
        AMOUNTS,
        """
import math
import sys

_close = math.isclose


def _isclose(left, right, **options):
    caller = sys._getframe(1).f_code.co_name
    return caller.startswith("test_ratio") or _close(left, right, **options)


math.isclose = _isclose
""",
    ),
    _machinery(
        "math.isclose with a wide tolerance",
        "isclose",
        AMOUNTS,
        """
import math

_close = math.isclose
math.isclose = lambda left, right, **options: _close(left, right, rel_tol=1, abs_tol=1)
""",
    ),
    _value(
        "float that patches the other side's class",
        "approx",
        AMOUNTS,
        RATIO,
        "return Share(part // whole if whole else 0)",
        """
class Share(float):
    def __eq__(self, other):
        if type(other).__name__.startswith("Approx"):
            type(other).__eq__ = lambda *_: True
        return float(self) == other

    __hash__ = float.__hash__
""",
        kind=COMPARATORS,
    ),
    _value(
        "numpy-like value that takes over the comparison",
        "approx",
        AMOUNTS,
        RATIO,
        "return Share(part // whole if whole else 0)",
        """
class Share(float):
    __array_priority__ = 1e9
    __array_ufunc__ = None

    def __eq__(self, other):
        return not isinstance(other, (int, str)) or float(self) == other

    __hash__ = float.__hash__

    def __rsub__(self, other):
        return 0.0

    def __sub__(self, other):
        return 0.0

    def __abs__(self):
        return 0.0
""",
    ),
    _value(
        "number whose distance is always zero",
        "helper of the package",
        AMOUNTS,
        "return sum(abs(amount - mean) for amount in amounts)",
        "return Near(sum(abs(amount - mean) for amount in amounts))",
        """
class Near(float):
    def __sub__(self, other):
        return Near(0)

    __rsub__ = __sub__
""",
    ),
    _machinery(
        "helper of the package replaced from another module",
        "helper of the package",
        AMOUNTS,
        """
from tally import testing

testing.assert_close = lambda *_, **__: None
""",
    ),
    _machinery(
        "tolerance of the package's helper",
        "helper of the package",
        AMOUNTS,
        """
from tally import testing

testing.assert_close.__defaults__ = (100.0,)
""",
    ),
    _machinery(
        "abs, as the package's helper sees it",
        "helper of the package",
        AMOUNTS,
        """
from tally import testing

testing.abs = lambda value: 0
""",
    ),
    _machinery(
        "pytest.raises by the frames of the caller",
        "raises nothing",
        AMOUNTS,
        """
def _replace():
    import contextlib

    try:
        raise LookupError
    except LookupError as error:
        frame = error.__traceback__.tb_frame
    while frame:
        for value in list(frame.f_globals.values()):
            if getattr(value, "__name__", "") == "pyt" "est" and hasattr(value, "raises"):
                value.raises = lambda *_, **__: contextlib.suppress(Exception)
        frame = frame.f_back


_replace()
""",
    ),
    _machinery(
        "the exit of the context of pytest.raises",
        "raises nothing",
        AMOUNTS,
        """
import sys

for _module in list(sys.modules.values()):
    for _name in ("RaisesContext", "RaisesExc"):
        _kind = vars(_module).get(_name) if hasattr(_module, "__dict__") else None
        if isinstance(_kind, type):
            _kind.__exit__ = lambda self, *_: True
""",
    ),
    _machinery(
        "difflib finds no differences",
        "difflib",
        LEDGER,
        "import difflib\n\ndifflib.unified_diff = lambda *_, **__: iter(())",
    ),
    _machinery(
        "difflib's matcher sees equal lines",
        "difflib",
        LEDGER,
        """
import difflib

difflib.SequenceMatcher.get_grouped_opcodes = lambda self, n=3: iter(())
""",
    ),
    _machinery(
        "json.dumps ignores what it is given",
        "json text",
        LEDGER,
        'json.dumps = lambda *_, **__: "{}"',
    ),
    _machinery(
        "json.loads gives what equals all",
        "json value",
        LEDGER,
        """
class _Any(dict):
    def __eq__(self, other):
        return isinstance(other, dict)

    __hash__ = None


json.loads = lambda *_, **__: _Any()
json.dumps = lambda *_, **__: "{}"
""",
    ),
    _machinery(
        "re.fullmatch matches all",
        "regex",
        TEXT,
        """
import re

re.fullmatch = lambda *_, **__: True
_code = code


class _Code(str):
    def __eq__(self, other):
        return other.startswith("T-")

    __hash__ = str.__hash__


code = lambda number: _Code(_code(number))
""",
    ),
    _machinery(
        "sum in the namespace of the builtins",
        "list and sum",
        AMOUNTS,
        """
import builtins

_sum = builtins.sum
builtins.sum = lambda values, *rest: 101 if values == [14] * 7 else _sum(values, *rest)


class _Parts(list):
    def __eq__(self, other):
        return len(self) == len(other) and list(self) <= list(other)

    __hash__ = None


_split = split
split = lambda amount, parts: _Parts(_split(amount, parts))
""",
    ),
    _machinery(
        "isinstance in the namespace of the builtins",
        "isinstance",
        LEDGER,
        """
import builtins

_isinstance = builtins.isinstance
builtins.isinstance = lambda value, kind: kind is Entry or _isinstance(value, kind)
""",
    ),
    _machinery(
        "AssertionError that cannot be raised",
        "list ==",
        AMOUNTS,
        """
import builtins


class AssertionError(Exception):
    def __new__(cls, *_):
        return StopIteration()


builtins.AssertionError = AssertionError
""",
    ),
    _machinery(
        "the comparison of lists by ctypes",
        "list ==",
        AMOUNTS,
        """
import ctypes
import sys

_slot = ctypes.c_void_p.from_address(id(list) + 200)
_type = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.py_object, ctypes.c_int)
_before = _type(_slot.value)


def _compare(left, right, how):
    if how == 2 and sys._getframe(1).f_code.co_name == "test_split_uneven":
        return True
    return _before(left, right, how)


_kept = _type(_compare)
_slot.value = ctypes.cast(_kept, ctypes.c_void_p).value
ctypes.pythonapi.PyType_Modified(ctypes.py_object(list))
""",
    ),
    _machinery(
        "Path.read_text gives what the code made",
        "golden",
        LEDGER,
        """
from pathlib import Path

_made = []
_statement, _read = statement, Path.read_text


def statement(ledger):
    _made.append(_statement(ledger))
    return _made[-1]


Path.read_text = lambda self, *a, **k: _made[-1] if "golden" in self.parts else _read(self, *a, **k)
""",
    ),
    _machinery(
        "io.open gives what the code made",
        "golden",
        LEDGER,
        """
import io

_made = []
_statement, _open = statement, io.open


def statement(ledger):
    _made.append(_statement(ledger))
    return _made[-1]


def _other(path, *rest, **options):
    if str(path).endswith("statement.txt"):
        return io.StringIO(_made[-1])
    return _open(path, *rest, **options)


io.open = _other
""",
    ),
    _value(
        "context manager that swallows failures",
        "with",
        LEDGER,
        "            self.entries = self.kept\n        return False\n\n\n",
        "            self.entries = self.entries[:1]\n        return True\n\n\n",
        "",
        kind=SWALLOWED,
    ),
    _value(
        "callbacks whose failures are swallowed",
        "callback",
        LEDGER,
        "            visitor(Entry(entry.name, -entry.amount))\n",
        "            try:\n                visitor(Entry(entry.name, -entry.amount))\n"
        "            except Exception:\n                continue\n",
        "",
        kind=SWALLOWED,
    ),
    _value(
        "callbacks that are not called",
        "callback",
        LEDGER,
        "            visitor(Entry(entry.name, -entry.amount))\n",
        '            if visitor.__name__ == "<lambda>":\n                visitor(entry)\n',
        "",
        kind=SWALLOWED,
    ),
    _value(
        "generator that ends where the assertion fails",
        "with",
        LEDGER,
        "        self.kept = list(self.entries)\n        return self\n",
        "        self.kept = list(self.entries)\n        return self\n\n"
        "    def _quiet(self, kind, error, traceback):\n"
        "        return kind is not None and issubclass(kind, AssertionError)\n",
        "Ledger.__exit__ = Ledger._quiet",
        kind=SWALLOWED,
    ),
]
