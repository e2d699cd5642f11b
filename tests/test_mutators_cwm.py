"""Before and after, a row a case: the operators with which CWM's families are complete."""

import pytest
from mutations import expressions, mutate, text

from forager.mutation.candidates import Mutator
from mutators.arguments import change_default, remove_keyword, swap_keywords
from mutators.operators import shift_bound, shift_number, swap_truth
from mutators.statements import (
    remove_guard,
    remove_import,
    remove_imported_name,
    remove_statement,
    swap_statements,
    unwrap_try,
    unwrap_with,
)
from mutators.variables import replace_variable

EXPRESSIONS = [
    # keyword arguments of calls
    (swap_keywords, "a(b, k=c)", []),
    (swap_keywords, "a(b, k=c, l=c)", []),
    (swap_keywords, "a(b, k=c, l=(d), **d)", ["a(b, l=c, k=(d), **d)"]),
    (swap_keywords, "a(\n  k = 1,  # é\n  l = 2,\n)", ["a(\n  l = 1,  # é\n  k = 2,\n)"]),
    (remove_keyword, "a(b, *c, **d)", []),
    (remove_keyword, "a(b, k=c)", ["a(b)"]),
    (remove_keyword, "a(k=c, l=d)", ["a(l=d)", "a(k=c)"]),
    # constants
    (swap_truth, "a(True, b=False)", ["a(False, b=False)", "a(True, b=True)"]),
    (swap_truth, "a.True_ is None", []),
    (shift_number, "0", ["1"]),
    (shift_number, "7 + a", ["8 + a", "6 + a"]),
    (shift_number, "a-1", ["a-2", "a-0"]),
    (shift_number, "(-1)", ["(-2)", "(0)"]),
    (shift_number, "-3", ["-4", "-2"]),
    (shift_number, "0.5", ["1.5"]),
    (shift_number, "0xFF", ["0x100", "0xfe"]),
    (shift_number, "0b1", ["0b10", "0b0"]),
    (shift_number, "1_000", ["1001", "999"]),
    (shift_number, "2j", []),
    (shift_number, "sys.version_info >= (3, 12)", []),
    # slices, indices and ranges
    (shift_number, "a[0]", ["a[1]", "a[-1]"]),
    (shift_number, "a[-1]", ["a[-2]", "a[0]"]),
    (shift_number, "a[1:]", ["a[2:]", "a[0:]"]),
    (shift_number, "a[b::2]", ["a[b::3]", "a[b::1]"]),
    (shift_number, "range(1, a)", ["range(2, a)", "range(0, a)"]),
    (shift_number, "a[b + 1]", ["a[b + 2]", "a[b + 0]"]),
    (shift_bound, "a[b:]", ["a[b - 1:]", "a[b + 1:]"]),
    (shift_bound, "a[len(b):c * d]", [
        "a[len(b) - 1:c * d]", "a[len(b) + 1:c * d]", "a[len(b):c * d - 1]", "a[len(b):c * d + 1]",
    ]),
    (shift_bound, "a[1:b + 1]", []),
    (shift_bound, "a[b or c:]", []),
    (shift_bound, "range(b)", ["range(b - 1)", "range(b + 1)", "range(1, b)"]),
    (shift_bound, "range(b, c, d)", [
        "range(b - 1, c, d)", "range(b + 1, c, d)", "range(b, c - 1, d)", "range(b, c + 1, d)",
    ]),
    (shift_bound, "range(*a)", []),
    # what may be the key of a dict is no index, what is a number elsewhere is
    (shift_bound, "a[b]", []),
    (shift_bound, "a[b] + (b - c)", ["a[b - 1] + (b - c)", "a[b + 1] + (b - c)"]),
]  # fmt: skip


@pytest.mark.parametrize(("mutator", "before", "after"), EXPRESSIONS)
def test_expressions(mutator: Mutator, before: str, after: list[str]) -> None:
    """An expression is changed in these ways, in this order, and in no other."""
    assert expressions(mutator, before) == after


SIMPLE = """
def f(a):
    '''Doc.'''
    global b
    a()  # called
    if a: b = a; del a[0]
    for c in a:
        a.d += c
        if c: continue
        break
    logging.info("seen %s", a)
    assert a
    raise KeyError from a
""".lstrip()

REMOVED = [
    ("    global b\n", ""),
    ("    a()  # called\n", ""),
    ("b = a;", "pass;"),
    ("del a[0]", "pass"),
    ("        a.d += c\n", ""),
    ("continue", "pass"),
    ("        break\n", ""),
    ("    raise KeyError from a\n", ""),
]


def test_remove_statement() -> None:
    """Every simple statement goes once, but for docstrings, log messages and assertions."""
    assert mutate(remove_statement, SIMPLE) == [SIMPLE.replace(*removed) for removed in REMOVED]
    assert mutate(remove_statement, "def f(a):\n    raise NotImplementedError\n") == []


BLOCKS = [
    (remove_guard, """
        def f(a):
            # lead
            if not a:
                return None  # none
            if a == 1: raise KeyError
            elif a: return 2
            for b in a:
                if b:
                    a()
                    continue
                if a:
                    a()
        """, ["""
        def f(a):
            # lead
            if a == 1: raise KeyError
            elif a: return 2
            for b in a:
                if b:
                    a()
                    continue
                if a:
                    a()
        """, """
        def f(a):
            # lead
            if not a:
                return None  # none
            if a == 1: raise KeyError
            elif a: return 2
            for b in a:
                if a:
                    a()
        """]),
    (unwrap_with, """
        def f(a):
            with a, a.b as c, (a.c) as (d, e):  # why
                # lead
                if d:
                    c(
              e)

            # foot
            with a: c(); return d  # é
        """, ["""
        def f(a):
            c = a.b
            (d, e) = (a.c)
            if d:
                c(
              e)

            # foot
            with a: c(); return d  # é
        """, """
        def f(a):
            with a, a.b as c, (a.c) as (d, e):  # why
                # lead
                if d:
                    c(
              e)

            # foot
            c(); return d  # é
        """]),
    (unwrap_with, "def f(a):\r\n\twith a as b:\r\n\t\tc()\r\n\t\td()\r\n", [
        "def f(a):\r\n\tb = a\r\n\tc()\r\n\td()\r\n",
    ]),
    # the beginning of a line in a text is no indentation
    (unwrap_with, 'def f(a):\n    with a:\n        return """\n        b"""\n', []),
    (unwrap_try, """
        def f(a):
            try:
                b = a
                # between
                c = b
            except KeyError:
                return 1
            else:
                d()
            finally:
                e()
            return c
        """, ["""
        def f(a):
            b = a
            # between
            c = b
            d()
            return c
        """]),
    (unwrap_try, "def f(a):\n    try: a()\n    finally: b()\n", ["def f(a):\n    a()\n"]),
    # on the same object, or with a value that the other one changes
    (swap_statements, """
        def f(self, a):
            self.b = 1  # one
            self.c()
        """, ["""
        def f(self, a):
            self.c()  # one
            self.b = 1
        """]),
    (swap_statements, "def f(a):\n    a.b()\n    a.c()\n", ["def f(a):\n    a.c()\n    a.b()\n"]),
    (swap_statements, "def f(a):\n    a = a + 1\n    b = a\n", [
        "def f(a):\n    b = a\n    a = a + 1\n",
    ]),
    (swap_statements, "def f(a):\n    yield 1\n    yield a\n", [
        "def f(a):\n    yield a\n    yield 1\n",
    ]),
    (swap_statements, "def f(a):\n    b[0], c = 1, 2\n    b.sort(key=c)\n", []),
    (swap_statements, "def f(a, b):\n    b[0], c = 1, 2\n    b.sort(key=a)\n", [
        "def f(a, b):\n    b.sort(key=a)\n    b[0], c = 1, 2\n",
    ]),
    (swap_statements, """
        def f(a):
            if not a:
                return 1
            # then
            if a[0]: return 2
            return 3
        """, ["""
        def f(a):
            if a[0]: return 2
            # then
            if not a:
                return 1
            return 3
        """]),
    # without an effect, or with one that everybody sees
    (swap_statements, "def f(a):\n    b = 1\n    c = 2\n", []),
    (swap_statements, "def f(self, a):\n    self.b = 1\n    self.c = a\n", []),
    (swap_statements, "def f(a):\n    b = len(a)\n    c = a.strip()\n", []),
    (swap_statements, "def f(a):\n    b = a()\n    b.c()\n", []),
    (swap_statements, "class A:\n    def __init__(self):\n        self.b = []\n"
                      "        self.b.append(1)\n", []),
    (swap_statements, "def f(a):\n    a()\n    raise a\n", []),
    # without what is used at import time nothing can be imported
    (remove_import, "import a, b\nfrom c import d as e\nclass A(a.B): x = e\n", []),
    (remove_import, "from a import b\ndef f(c: b): pass\n", []),
    (remove_import, "import a\ndef f(a): return a\n", ["def f(a): return a\n"]),
    (remove_imported_name, "from a import b, c\n@b\ndef f(): c\n", [
        "from a import b\n@b\ndef f(): c\n",
    ]),
    # defaults
    (change_default, "def f(a, b=None, *, c: int = True, d=False): pass\n", [
        "def f(a, b=False, *, c: int = True, d=False): pass\n",
        "def f(a, b=None, *, c: int = False, d=False): pass\n",
        "def f(a, b=None, *, c: int = True, d=True): pass\n",
    ]),
    (change_default, "def f(a=0, b=2): pass\n", [
        "def f(a=1, b=2): pass\n", "def f(a=0, b=3): pass\n", "def f(a=0, b=1): pass\n",
    ]),
    (change_default, "def f(a='b', c=''): g(lambda d=_E: d)\n", [
        "def f(a='', c=''): g(lambda d=_E: d)\n",
        "def f(a='b', c=None): g(lambda d=_E: d)\n",
        "def f(a='b', c=''): g(lambda d=None: d)\n",
    ]),
    # another variable that has a value there …
    (replace_variable, """
        def f(a, b):
            c = g(a)
            return c
        """, ["""
        def f(a, b):
            c = g(b)
            return c
        """, """
        def f(a, b):
            c = g(a)
            return b
        """, """
        def f(a, b):
            c = g(a)
            return a
        """]),
    (replace_variable, """
        def f(a):
            for b in a: pass
            c: int = a
        """, ["""
        def f(a):
            for b in a: pass
            c: int = b
        """]),
    # … and is of the same kind, as far as the uses show
    (replace_variable, "def f(a, b, c):\n    a()\n    b[0], b.d\n    return c + 1\n", []),
    (replace_variable, "def f(a, b):\n    a + 1\n    for c in b: c()\n    return g(a)\n", []),
    (replace_variable, "def f(a, b):\n    return a + 1 < b\n", [
        "def f(a, b):\n    return b + 1 < b\n", "def f(a, b):\n    return a + 1 < a\n",
    ]),
    (replace_variable, "def f(a):\n    b = a\n", []),
]  # fmt: skip


@pytest.mark.parametrize(("mutator", "before", "after"), BLOCKS)
def test_blocks(mutator: Mutator, before: str, after: list[str]) -> None:
    """A piece of code is changed in these ways and in no other; all else stays as it was."""
    assert mutate(mutator, text(before)) == [text(change) for change in after]
