"""Before and after, a row a case: what each mutator makes of a piece of code."""

import re
import tomllib
from pathlib import Path

import libcst as cst
import pytest
from mutations import expressions, mutate, text

from forager.mutation.candidates import Mutator, variants
from mutators import FAMILIES, REVERSIBLE, load_families
from mutators.arguments import remove_parameter, swap_arguments
from mutators.functions import delete_body, delete_part
from mutators.operators import (
    AUGMENTED,
    BINARY,
    BOOLEAN,
    COMPARISON,
    UNARY,
    Table,
    swap_augmented,
    swap_binary,
    swap_boolean,
    swap_comparison,
    swap_unary,
)
from mutators.statements import remove_import, remove_imported_name, remove_return
from mutators.variables import swap_variables

EXPRESSIONS = [
    # every binary operator
    (swap_binary, "a + b", ["a - b"]),
    (swap_binary, "a - b", ["a + b"]),
    (swap_binary, "a * b", ["a / b", "a // b"]),
    (swap_binary, "a / b", ["a * b", "a // b"]),
    (swap_binary, "a // b", ["a / b", "a * b"]),
    (swap_binary, "a % b", ["a // b", "a * b"]),
    (swap_binary, "a @ b", ["a * b"]),
    (swap_binary, "a ** b", ["a * b"]),
    (swap_binary, "a << b", ["a >> b"]),
    (swap_binary, "a >> b", ["a << b"]),
    (swap_binary, "a & b", ["a | b", "a ^ b"]),
    (swap_binary, "a | b", ["a & b", "a ^ b"]),
    (swap_binary, "a ^ b", ["a & b", "a | b"]),
    # formatting stays, inside and out
    (swap_binary, "(a  +\n      b)", ["(a  -\n      b)"]),
    (swap_binary, "a+b*c", ["a-b*c", "a+b/c", "a+b//c"]),
    (swap_binary, "a + \\\n  b", ["a - \\\n  b"]),
    # strings have no other operator that makes sense
    (swap_binary, "'é' + a", []),
    (swap_binary, "'%s' % a", []),
    (swap_binary, "a + f'{b}'", []),
    # in an f-string, after characters of several bytes
    (swap_binary, "f'é{a + b!r:>{c}}é'", ["f'é{a - b!r:>{c}}é'"]),
    # an operator that binds otherwise would group otherwise
    (swap_binary, "a | b & c", ["a ^ b & c", "a | b ^ c"]),
    (swap_binary, "(a | b) & c", ["(a & b) & c", "(a ^ b) & c", "(a | b) | c", "(a | b) ^ c"]),
    (swap_binary, "a ** b ** c", ["a * b ** c"]),
    (swap_binary, "-a ** b", []),
    (swap_binary, "-(a ** b)", ["-(a * b)"]),
    (swap_binary, "a ** -b", ["a * -b"]),
    (swap_binary, "a ** b * c", ["a * b * c", "a ** b / c", "a ** b // c"]),
    (swap_binary, "c / a ** b", ["c * a ** b", "c // a ** b"]),
    # every unary operator
    (swap_unary, "not a", ["a"]),
    (swap_unary, "-a", ["a"]),
    (swap_unary, "+a", ["-a"]),
    (swap_unary, "~a", ["a"]),
    (swap_unary, "not(a\n or b)", ["(a\n or b)"]),
    (swap_unary, "(not a in b)", ["(a in b)"]),
    (swap_unary, "a - -b", ["a - b"]),
    (swap_unary, "a if not b else-c", ["a if b else-c", "a if not b else c"]),
    (swap_unary, "-1", ["1"]),
    # every boolean operator
    (swap_boolean, "a and b", ["a or b"]),
    (swap_boolean, "a or b", ["a and b"]),
    (swap_boolean, "(a)and(b)", ["(a)or(b)"]),
    (swap_boolean, "a and b and c", ["a and b or c"]),
    (swap_boolean, "a or b and c", []),
    (swap_boolean, "a or (b and c)", ["a and (b and c)", "a or (b or c)"]),
    (swap_boolean, "a and b or c", ["a or b or c", "a and b and c"]),
    (swap_boolean, "not a or b", ["not a and b"]),
    (swap_boolean, "a == b and c", ["a == b or c"]),
    (swap_boolean, "(a and b) == c", ["(a or b) == c"]),
    (swap_boolean, "a if b and c else d", ["a if b or c else d"]),
    (swap_boolean, "[a and b for a in c]", ["[a or b for a in c]"]),
    (swap_boolean, "[a for a in b or c if d]", ["[a for a in b and c if d]"]),
    (swap_boolean, "lambda: a and b", ["lambda: a or b"]),
    (swap_boolean, "(a := b or c)", ["(a := b and c)"]),
    (swap_boolean, "a and await b", ["a or await b"]),
    # every comparison
    (swap_comparison, "a < b", ["a <= b", "a > b"]),
    (swap_comparison, "a <= b", ["a < b", "a >= b"]),
    (swap_comparison, "a > b", ["a >= b", "a < b"]),
    (swap_comparison, "a >= b", ["a > b", "a <= b"]),
    (swap_comparison, "a == b", ["a != b"]),
    (swap_comparison, "a != b", ["a == b"]),
    (swap_comparison, "a in b", ["a not in b"]),
    (swap_comparison, "a not  in b", ["a in b"]),
    (swap_comparison, "a is b", ["a is not b"]),
    (swap_comparison, "a is \\\n not b", ["a is b"]),
    (swap_comparison, "(a)in(b)", ["(a)not in(b)"]),
    (swap_comparison, "a == b in c", ["a != b in c", "a == b not in c"]),
    (swap_comparison, "f'{a==b}'", ["f'{a!=b}'"]),
    # arguments of calls
    (swap_arguments, "a(b)", []),
    (swap_arguments, "a(b, b)", []),
    (swap_arguments, "a(b, c)", ["a(c, b)"]),
    (swap_arguments, "a(b , c, )", ["a(c , b, )"]),
    (swap_arguments, "a(b, c, d)", ["a(c, b, d)", "a(d, c, b)", "a(b, d, c)"]),
    (swap_arguments, "a(b, *c, d, key=b, **d)", ["a(d, *c, b, key=b, **d)"]),
    (swap_arguments, "a((b, c), (lambda: d))", ["a((lambda: d), (b, c))"]),
    (swap_arguments, "a(b(c, d), d)", ["a(d, b(c, d))", "a(b(d, c), d)"]),
    (swap_arguments, "a(\n  b,  # é\n  'é',\n )", ["a(\n  'é',  # é\n  b,\n )"]),
    (swap_arguments, "a(1, 2, 3, 4, 5, 6)", [
        "a(2, 1, 3, 4, 5, 6)",
        "a(1, 3, 2, 4, 5, 6)",
        "a(1, 2, 4, 3, 5, 6)",
        "a(1, 2, 3, 5, 4, 6)",
        "a(1, 2, 3, 4, 6, 5)",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("mutator", "before", "after"), EXPRESSIONS)
def test_expressions(mutator: Mutator, before: str, after: list[str]) -> None:
    """The mutator changes an expression in exactly these ways, in this order."""
    assert expressions(mutator, before) == after


AUGMENTED_ROWS = [
    (f"a {token} b\n", [f"a {text} b\n" for text in texts])
    for token, texts in {
        "+=": ["-="],
        "-=": ["+="],
        "*=": ["/=", "//="],
        "/=": ["*=", "//="],
        "//=": ["/=", "*="],
        "%=": ["//=", "*="],
        "@=": ["*="],
        "**=": ["*="],
        "<<=": [">>="],
        ">>=": ["<<="],
        "&=": ["|=", "^="],
        "|=": ["&=", "^="],
        "^=": ["&=", "|="],
    }.items()
]


@pytest.mark.parametrize(("before", "after"), [*AUGMENTED_ROWS, ("a += 'text'\n", [])])
def test_augmented(before: str, after: list[str]) -> None:
    """Every augmented assignment has its swaps, except with string literals."""
    start = "def f(a, b):\n    "
    assert mutate(swap_augmented, start + before) == [start + change for change in after]


TABLES = [
    (BINARY, cst.BaseBinaryOp),
    (AUGMENTED, cst.BaseAugOp),
    (UNARY, cst.BaseUnaryOp),
    (BOOLEAN, cst.BaseBooleanOp),
    (COMPARISON, cst.BaseCompOp),
]


@pytest.mark.parametrize(("table", "base"), TABLES)
def test_tables_are_complete(table: Table, base: type[cst.CSTNode]) -> None:
    """Tables list every operator of their kind, and never as its own replacement."""
    kinds = {kind for kind in vars(cst).values() if isinstance(kind, type)}
    assert set(table) == {kind for kind in kinds if issubclass(kind, base) and kind is not base}
    for operator, texts in table.items():
        assert texts
        assert cst.Module([]).code_for_node(operator()).strip() not in texts


STATEMENTS = [
    # functions: the whole body; the docstring and the header comment stay
    (delete_body, """
        def f(a):  # head
            '''Doc.'''
            # lead
            x = a  # tail
            return x
        """, ["""
        def f(a):  # head
            '''Doc.'''
            # lead
        """]),
    (delete_body, """
        def f(a):  # head
            # lead
            x = a
            return x  # tail
            # foot
        """, ["""
        def f(a):  # head
            # lead
            pass
            # foot
        """]),
    (delete_body, "def f(a): 'Doc.'; return a\n", ["def f(a): 'Doc.'; pass\n"]),
    (delete_body, "def f(a): b(); return a  # c\n", ["def f(a): pass  # c\n"]),
    (delete_body, "def f(a):\n\treturn a;", ["def f(a):\n\tpass"]),
    (delete_body, "def f():\r\n    g()\r\n    h()\r\n", ["def f():\r\n    pass\r\n"]),
    (delete_body, "def f(a): ...\n", []),
    (delete_body, "def f(a):\n    'Doc.'\n    raise NotImplementedError('later')\n", []),
    # functions: a part of it, in any block
    (delete_part, """
        async def f(a):
            a()

            # between
            await b()
            return a
        """, ["""
        async def f(a):

            # between
            await b()
            return a
        """, """
        async def f(a):
            return a
        """, """
        async def f(a):
            pass
        """, """
        async def f(a):
            a()

            # between
            return a
        """, """
        async def f(a):
            a()

            # between
        """, """
        async def f(a):
            a()

            # between
            await b()
        """]),
    (delete_part, """
        def f(a):
            if a: return 1
            elif b:
                # why
                c()  # what
            else: d(); e()
        """, ["""
        def f(a):
            pass
        """, """
        def f(a):
            if a: pass
            elif b:
                # why
                c()  # what
            else: d(); e()
        """, """
        def f(a):
            if a: return 1
            elif b:
                # why
                pass
            else: d(); e()
        """, """
        def f(a):
            if a: return 1
            elif b:
                # why
                c()  # what
            else: pass; e()
        """, """
        def f(a):
            if a: return 1
            elif b:
                # why
                c()  # what
            else: pass
        """, """
        def f(a):
            if a: return 1
            elif b:
                # why
                c()  # what
            else: d(); pass
        """]),
    (delete_part, """
        def f(a):
            match a:
                case [x, *_]: return x
            @cache
            def g():
                '''Doc.'''
            return g
        """, ["""
        def f(a):
            @cache
            def g():
                '''Doc.'''
            return g
        """, """
        def f(a):
            return g
        """, """
        def f(a):
            pass
        """, """
        def f(a):
            match a:
                case [x, *_]: pass
            @cache
            def g():
                '''Doc.'''
            return g
        """, """
        def f(a):
            match a:
                case [x, *_]: return x
            return g
        """, """
        def f(a):
            match a:
                case [x, *_]: return x
        """, """
        def f(a):
            match a:
                case [x, *_]: return x
            @cache
            def g():
                '''Doc.'''
        """]),
    (delete_part, """
        class A:
            def f(a): x = 1; \\
                y = 2
        """, ["""
        class A:
            def f(a): pass; \\
                y = 2
        """, """
        class A:
            def f(a): pass
        """, """
        class A:
            def f(a): x = 1; \\
                pass
        """]),
    # arguments: the definition stays legal, `self` and its like stay
    (remove_parameter, """
        class A:
            def f(this, a, /, b: int = 1, *args, c=(2,), **kw) -> int:
                return this
        """, ["""
        class A:
            def f(this, /, b: int = 1, *args, c=(2,), **kw) -> int:
                return this
        """, """
        class A:
            def f(this, a, /, *args, c=(2,), **kw) -> int:
                return this
        """, """
        class A:
            def f(this, a, /, b: int = 1, *, c=(2,), **kw) -> int:
                return this
        """, """
        class A:
            def f(this, a, /, b: int = 1, *args, **kw) -> int:
                return this
        """, """
        class A:
            def f(this, a, /, b: int = 1, *args, c=(2,)) -> int:
                return this
        """]),
    (remove_parameter, "def f(a, /, *, b): pass\n", [
        "def f(*, b): pass\n", "def f(a, /): pass\n",
    ]),
    (remove_parameter, "def f(a, /, b): pass\n", ["def f(b): pass\n", "def f(a, /): pass\n"]),
    (remove_parameter, """
        def f(
            a,  # first
            b=2,  # é
            c=3,
        ): pass
        """, ["""
        def f(
            b=2,  # é
            c=3,
        ): pass
        """, """
        def f(
            a,  # first
            c=3,
        ): pass
        """, """
        def f(
            a,  # first
            b=2,
        ): pass
        """]),
    (remove_parameter, """
        class A:
            @staticmethod
            def f(a): pass
            @classmethod
            def g(cls): pass
        """, ["""
        class A:
            @staticmethod
            def f(): pass
            @classmethod
            def g(cls): pass
        """]),
    (remove_parameter, "def f(): g(lambda a, *, b=1: c)\n", [
        "def f(): g(lambda *, b=1: c)\n", "def f(): g(lambda a: c)\n",
    ]),
    (remove_parameter, "def f(): g(lambda a,: a)", ["def f(): g(lambda : a)"]),
    (remove_parameter, "def f(a, (b)): pass\n", []),
    # statements
    (remove_return, """
        def f(a):
            if a: return 1
            for x in a:
                return x  # found
            # none
            return None
        """, ["""
        def f(a):
            if a: pass
            for x in a:
                return x  # found
            # none
            return None
        """, """
        def f(a):
            if a: return 1
            for x in a:
                pass
            # none
            return None
        """]),
    (remove_return, "def f(a): return (a)", ["def f(a): pass"]),
    (remove_import, """
        from __future__ import annotations
        import a, b  # both
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import c
        try:
            from d import *
        except ImportError: import e
        def g():
            import h
        """, ["""
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import c
        try:
            from d import *
        except ImportError: import e
        def g():
            import h
        """, """
        from __future__ import annotations
        import a, b  # both
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import c
        try:
            pass
        except ImportError: import e
        def g():
            import h
        """, """
        from __future__ import annotations
        import a, b  # both
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import c
        try:
            from d import *
        except ImportError: pass
        def g():
            import h
        """, """
        from __future__ import annotations
        import a, b  # both
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import c
        try:
            from d import *
        except ImportError: import e
        def g():
            pass
        """]),
    (remove_imported_name, """
        from a import (
            b as c,  # é
            d
        )
        import e.f as g, h
        """, ["""
        from a import (
            d
        )
        import e.f as g, h
        """, """
        from a import (
            b as c
        )
        import e.f as g, h
        """, """
        from a import (
            b as c,  # é
            d
        )
        import h
        """, """
        from a import (
            b as c,  # é
            d
        )
        import e.f as g
        """]),
    # variables: parameters are swapped everywhere but in the signature …
    (swap_variables, """
        def f(a: int, b=c):
            a.b = g(b, a=a)[b:]
            b: a = f'é{a}{b!r}'
            return a
        """, ["""
        def f(a: int, b=c):
            b.b = g(a, a=b)[a:]
            a: a = f'é{b}{a!r}'
            return b
        """]),
    (swap_variables, "def f(self, cls, a): return self.a + a\n", []),
    # … two other variables keep their assignments, and the uses are swapped
    (swap_variables, """
        def f():
            x, (y, *_) = g()
            return x, y
        """, ["""
        def f():
            x, (y, *_) = g()
            return y, x
        """, """
        def f():
            x, (y, *_) = g()
            return _, y
        """, """
        def f():
            x, (y, *_) = g()
            return x, _
        """]),
    # a name that is bound elsewhere too belongs to no pair
    (swap_variables, """
        def f(a, b, c, d, e):
            global g
            g = a
            import h
            i = lambda b: b
            [c for c in a]
            class k:
                d = 1
            def e(): pass
            match a:
                case k(a=l): return i
        """, ["""
        def f(a, b, c, d, e):
            global g
            g = i
            import h
            a = lambda b: b
            [c for c in i]
            class k:
                d = 1
            def e(): pass
            match i:
                case k(a=l): return a
        """, """
        def f(a, b, c, d, e):
            global g
            g = l
            import h
            i = lambda b: b
            [c for c in l]
            class k:
                d = 1
            def e(): pass
            match l:
                case k(a=a): return i
        """, """
        def f(a, b, c, d, e):
            global g
            g = a
            import h
            i = lambda b: b
            [c for c in a]
            class k:
                d = 1
            def e(): pass
            match a:
                case k(a=l): return l
        """]),
]  # fmt: skip


@pytest.mark.parametrize(("mutator", "before", "after"), STATEMENTS)
def test_statements(mutator: Mutator, before: str, after: list[str]) -> None:
    """The mutator changes code in exactly these ways and leaves the rest unchanged."""
    assert mutate(mutator, text(before)) == [text(change) for change in after]


LEFT_OUT = [
    "x = 1 < 2\n",
    "class A:\n    x = -1\n",
    "@overload\n@g(1 < 2, not a)\ndef f(): pass\n",
    "def f() -> g(1 < 2, not a): pass\n",
    "def f():\n    x: g(1 < 2, not a)\n",
    "def f():\n    if TYPE_CHECKING:\n        import a\n        a(1 < 2)\n",
    "@overload\ndef f(a): return a\n",
    "class A(Protocol[T]):\n    def f(self, a): return a\n",
    "__all__ = ['a'] + ['b']\n",
    "from __future__ import annotations, division\n",
    "def f():\n    logger.debug('seen %d', 1 + g(1, 2))\n",
    "def f():\n    self._log.info(f'{1 + 2}')\n",
]


@pytest.mark.parametrize("before", LEFT_OUT)
def test_left_out(before: str) -> None:
    """Code that runs at import, stubs, and code for type checkers never change."""
    assert list(variants(before, FAMILIES)) == []


MESSAGES = [
    "'%d' % (1 + a)",
    "f'{1 + a}'",
    "'{}'.format(1 + a)",
    "'a' 'b' + str(1 + a)",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_are_left_alone(message: str) -> None:
    """An exception's message never changes; its other arguments may."""
    start = "def f(a):\n    raise KeyError("
    operators = {"operators": FAMILIES["operators"]}
    assert list(variants(f"{start}{message})\n", operators)) == []
    assert list(variants(f"{start}{message}, 1 + a)\n", operators)) != []


def test_families() -> None:
    """CWM's five families come first, and all stay when installed packages add to them."""
    assert set(list(FAMILIES)[:5]) == {
        *("functions", "arguments", "variables", "statements", "operators")
    }
    loaded = load_families()
    assert all(loaded[name][: len(own)] == own for name, own in FAMILIES.items())


def test_reversible() -> None:
    """The repair policy's mutators are members of the families."""
    assert all(set(own) <= set(FAMILIES[name]) for name, own in REVERSIBLE.items())


PAGE = Path(__file__).parent.parent / "docs" / "mutator.md"


def test_example_of_a_third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten lines of docs/mutator.md are a mutator, and its entry point makes it a family."""
    code, toml = re.findall(r"```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)[:2]
    points = tomllib.loads(toml)["project"]["entry-points"]["forager.mutators"]
    (tmp_path / "my_mutators.py").write_text(code)
    installed = tmp_path / "my_mutators-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: my-mutators\nVersion: 1\n")
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (installed / "entry_points.txt").write_text("".join(["[forager.mutators]\n", *lines]))
    monkeypatch.syspath_prepend(tmp_path)
    families = load_families()
    assert list(families) == [*FAMILIES, "coroutines"]
    before, after = "async def f(a):\n    return g(await a)\n", "async def f(a):\n    return g(a)\n"
    found = [variant for variant in variants(before, families) if variant.text == after]
    assert [(variant.family, variant.operator) for variant in found] == [
        ("coroutines", "forget_await")
    ]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
