"""Before and after, a row a case: the families that CWM does not have."""

import pytest
from mutations import expressions, mutate, text

from forager.mutation.candidates import Mutator
from mutators.attributes import (
    FUNCTIONS,
    METHODS,
    swap_attribute,
    swap_function,
    swap_method,
    swap_sibling,
)
from mutators.branches import (
    choose_side,
    drop_condition,
    drop_filter,
    invert_condition,
    keep_branch,
    remove_branch,
)
from mutators.classes import remove_base, remove_decorator, remove_method
from mutators.exceptions import (
    OTHERS,
    drop_raise,
    narrow_caught,
    remove_handler,
    return_raised,
    swap_caught,
    swap_raised,
)
from mutators.loops import shift_limit, stop_early, swap_jump, unwrap_iterable

EXPRESSIONS = [
    (invert_condition, "a if b else c", ["a if not b else c"]),
    (invert_condition, "a if (b) else c", ["a if (not (b)) else c"]),
    (invert_condition, "a if b < c else d", ["a if b >= c else d"]),
    (invert_condition, "a if b <= c else d", ["a if b > c else d"]),
    (invert_condition, "a if b > c else d", ["a if b <= c else d"]),
    (invert_condition, "a if b >= c else d", ["a if b < c else d"]),
    (invert_condition, "a if b < c < d else d", ["a if not b < c < d else d"]),
    (invert_condition, "a if b and c else d", ["a if not (b and c) else d"]),
    (invert_condition, "[a for a in b if a]", ["[a for a in b if not a]"]),
    # the operators' own
    (invert_condition, "a if not b else c if a == b else d if a in b else a is b", []),
    (drop_condition, "a and b", ["a", "b"]),
    (drop_condition, "(a or b) and not c", ["(a or b)", "not c", "(a) and not c", "(b) and not c"]),
    (drop_filter, "[a for a in b if a]", ["[a for a in b]"]),
    (drop_filter, "[a for b in c if b if (d) for a in b]", [
        "[a for b in c if (d) for a in b]", "[a for b in c if b for a in b]",
    ]),
    (choose_side, "a if b else (c)", ["a", "(c)"]),
    (unwrap_iterable, "[a for a in reversed(b)]", ["[a for a in b]"]),
    (unwrap_iterable, "{a for a in sorted(b, key=c)}", []),
    (unwrap_iterable, "reversed(b)", []),
    (swap_function, "min(a, key=max)", ["max(a, key=max)"]),
    (swap_function, "a.min(b)", []),
    (swap_method, "a.lower().strip", ["a.upper().strip"]),
    (swap_method, "self.append(a)", []),
]  # fmt: skip


@pytest.mark.parametrize(("mutator", "before", "after"), EXPRESSIONS)
def test_expressions(mutator: Mutator, before: str, after: list[str]) -> None:
    """An expression is changed in these ways, in this order, and in no other."""
    assert expressions(mutator, before) == after


@pytest.mark.parametrize("table", [FUNCTIONS, METHODS, OTHERS])
def test_tables(table: dict[str, str]) -> None:
    """Nothing becomes itself, and the rows stand in order, so that none is there twice."""
    assert all(name != other for name, other in table.items())
    assert list(table) == sorted(table)


CODE = [
    # classes: what the class itself uses while it is made stays
    (remove_method, """
        class A:
            def f(self):
                return 1

            # lead
            @property
            def g(self):
                return 2

            @g.setter
            def g(self, value): self.h = value

            def __add__(self, other): return other
            __radd__ = __add__

            @overload
            def i(self): return 3
            def j(self): ...
        """, ["""
        class A:

            # lead
            @property
            def g(self):
                return 2

            @g.setter
            def g(self, value): self.h = value

            def __add__(self, other): return other
            __radd__ = __add__

            @overload
            def i(self): return 3
            def j(self): ...
        """]),
    (remove_method, "class A:\n    class B:\n        def f(self): return 1\n", [
        "class A:\n    class B:\n        pass\n",
    ]),
    (remove_base, "class A(B, c.D, Generic[T], metaclass=E): pass\n", [
        "class A(c.D, Generic[T], metaclass=E): pass\n",
        "class A(B, Generic[T], metaclass=E): pass\n",
    ]),
    (remove_base, "class A(B):\n    pass\n", ["class A():\n    pass\n"]),
    (remove_decorator, """
        @a
        class A:
            @property  # why
            def f(self): pass

            @f.setter
            # between
            @b(c)
            def f(self, value): pass

            @final
            @abc.abstractmethod
            def g(self): pass
        """, ["""
        class A:
            @property  # why
            def f(self): pass

            @f.setter
            # between
            @b(c)
            def f(self, value): pass

            @final
            @abc.abstractmethod
            def g(self): pass
        """, """
        @a
        class A:
            @property  # why
            def f(self): pass

            # between
            @b(c)
            def f(self, value): pass

            @final
            @abc.abstractmethod
            def g(self): pass
        """, """
        @a
        class A:
            @property  # why
            def f(self): pass

            @f.setter
            # between
            def f(self, value): pass

            @final
            @abc.abstractmethod
            def g(self): pass
        """]),
    (remove_decorator, "def f():\n    @a\n    def g(): pass\n    return g\n", [
        "def f():\n    def g(): pass\n    return g\n",
    ]),
    # branches
    (invert_condition, "def f(a):\n    if a: return 1\n    elif (b): return 2\n", [
        "def f(a):\n    if not a: return 1\n    elif (b): return 2\n",
        "def f(a):\n    if a: return 1\n    elif (not (b)): return 2\n",
    ]),
    (keep_branch, """
        def f(a):
            # lead
            if a:
                b()  # why
                c()
            else: d()
            if a: e()
            elif a: b()
            if a: return 1
            if a:
                raise KeyError
            else:
                return 2
        """, ["""
        def f(a):
            # lead
            b()  # why
            c()
            if a: e()
            elif a: b()
            if a: return 1
            if a:
                raise KeyError
            else:
                return 2
        """, """
        def f(a):
            # lead
            if a:
                b()  # why
                c()
            else: d()
            e()
            if a: return 1
            if a:
                raise KeyError
            else:
                return 2
        """]),
    (remove_branch, """
        def f(a):
            if a:
                b()
            elif b:
                c()  # why
            else:
                # lead
                d()
        """, ["""
        def f(a):
            if b:
                c()  # why
            else:
                # lead
                d()
        """, """
        def f(a):
            if a:
                b()
            else:
                # lead
                d()
        """, """
        def f(a):
            if a:
                b()
            elif b:
                c()
        """]),
    (remove_branch, "def f(a):\n    if a: b()\n    else: c(); d()\n", [
        "def f(a):\n    c(); d()\n", "def f(a):\n    if a: b()\n",
    ]),
    # loops: none that would never end
    (swap_jump, """
        def f(a):
            for b in a:
                if b: continue
                else: break
            while a:
                for c in a: break
                if a: continue
                break
        """, ["""
        def f(a):
            for b in a:
                if b: break
                else: break
            while a:
                for c in a: break
                if a: continue
                break
        """, """
        def f(a):
            for b in a:
                if b: continue
                else: continue
            while a:
                for c in a: break
                if a: continue
                break
        """, """
        def f(a):
            for b in a:
                if b: continue
                else: break
            while a:
                for c in a: continue
                if a: continue
                break
        """, """
        def f(a):
            for b in a:
                if b: continue
                else: break
            while a:
                for c in a: break
                if a: break
                break
        """]),
    (stop_early, """
        def f(a):
            for b in a:
                if b:
                    c()  # why
            while a: b(); c()
            for b in a: return b
        """, ["""
        def f(a):
            for b in a:
                if b:
                    c()
                break  # why
            while a: b(); c()
            for b in a: return b
        """, """
        def f(a):
            for b in a:
                if b:
                    c()  # why
            while a: b(); c(); break
            for b in a: return b
        """]),
    (shift_limit, "def f(a, b):\n    while a < b and a != 3:\n        a += 1\n", [
        "def f(a, b):\n    while a < b - 1 and a != 3:\n        a += 1\n",
        "def f(a, b):\n    while a < b + 1 and a != 3:\n        a += 1\n",
    ]),
    (unwrap_iterable, "def f(a):\n    for b in list(a): c(b)\n", [
        "def f(a):\n    for b in a: c(b)\n",
    ]),
    # exceptions
    (swap_caught, """
        def f():
            try: a()
            except KeyError as e: pass
            except (a.Error, OSError, Own): pass
            except (TypeError, ValueError): pass
            except: pass
        """, ["""
        def f():
            try: a()
            except IndexError as e: pass
            except (a.Error, OSError, Own): pass
            except (TypeError, ValueError): pass
            except: pass
        """, """
        def f():
            try: a()
            except KeyError as e: pass
            except (a.Error, ValueError, Own): pass
            except (TypeError, ValueError): pass
            except: pass
        """]),
    (narrow_caught, "def f():\n    try: a()\n    except (A, B,) as e: pass\n", [
        "def f():\n    try: a()\n    except (B,) as e: pass\n",
        "def f():\n    try: a()\n    except (A,) as e: pass\n",
    ]),
    (remove_handler, """
        def f():
            try:
                a()
            except A:
                # lead
                pass  # tail
            except B: raise
        """, ["""
        def f():
            try:
                a()
            except B: raise
        """, """
        def f():
            try:
                a()
            except A:
                # lead
                pass  # tail
        """]),
    (remove_handler, "def f():\n    try: a()\n    except A: pass\n", []),
    (swap_raised, "def f():\n    if a: raise KeyError\n    raise ValueError('b') from c\n", [
        "def f():\n    if a: raise IndexError\n    raise ValueError('b') from c\n",
        "def f():\n    if a: raise KeyError\n    raise TypeError('b') from c\n",
    ]),
    (swap_raised, "def f():\n    if a: raise\n    raise Own('b')\n", []),
    (return_raised, "def f():\n    if a: raise\n    raise Own('b') from c  # d\n", [
        "def f():\n    if a: raise\n    return Own('b')  # d\n",
    ]),
    (return_raised, "def f():\n    raise NotImplementedError()\n", []),
    (drop_raise, "def f():\n    if a: raise\n    raise Own('b')\n", [
        "def f():\n    if a: pass\n    raise Own('b')\n", "def f():\n    if a: raise\n",
    ]),
    # attributes: what is set in the class and of one kind; like names ahead
    (swap_attribute, """
        class A:
            def __init__(self):
                self.old_lines = []
                self.count = 1
                self.size = 0
                self.new_lines = []
            def f(self):
                self.count = self.size
                return self.old_lines, self.f(), self.other
        """, ["""
        class A:
            def __init__(self):
                self.old_lines = []
                self.count = 1
                self.size = 0
                self.new_lines = []
            def f(self):
                self.count = self.count
                return self.old_lines, self.f(), self.other
        """, """
        class A:
            def __init__(self):
                self.old_lines = []
                self.count = 1
                self.size = 0
                self.new_lines = []
            def f(self):
                self.count = self.size
                return self.new_lines, self.f(), self.other
        """]),
    (swap_attribute, """
        class A:
            @property
            def a(self): return self.b
            @property
            def b(self): return 1
        """, []),
    # siblings that take such arguments
    (swap_sibling, """
        def f(a, b=1): return h(a)
        def g(a, b): return g(a, b=2)
        def h(a): return f(a, 2)
        def i(f): return f(1)
        """, ["""
        def f(a, b=1): return i(a)
        def g(a, b): return g(a, b=2)
        def h(a): return f(a, 2)
        def i(f): return f(1)
        """, """
        def f(a, b=1): return h(a)
        def g(a, b): return f(a, b=2)
        def h(a): return f(a, 2)
        def i(f): return f(1)
        """, """
        def f(a, b=1): return h(a)
        def g(a, b): return g(a, b=2)
        def h(a): return g(a, 2)
        def i(f): return f(1)
        """]),
    (swap_sibling, """
        class A:
            def __len__(self): return self.f()
            def f(self): return self.__len__(), f()
            @property
            def g(self): return 1
            def h(self): return self.f(*self.g)
            def i(self, a): return 1
        """, ["""
        class A:
            def __len__(self): return self.h()
            def f(self): return self.__len__(), f()
            @property
            def g(self): return 1
            def h(self): return self.f(*self.g)
            def i(self, a): return 1
        """]),
]  # fmt: skip


@pytest.mark.parametrize(("mutator", "before", "after"), CODE)
def test_code(mutator: Mutator, before: str, after: list[str]) -> None:
    """A piece of code is changed in these ways and in no other; all else stays as it was."""
    assert mutate(mutator, text(before)) == [text(change) for change in after]
