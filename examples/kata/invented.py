"""Invents functions of a few lines, of numbers, lists and texts.

A grammar makes them, so they may run here: they call only builtins and methods of plain values.
"""

import ast
import random
from collections.abc import Callable, Iterator

_WORDS = {
    "n": "n count size low high limit width index step rate number age total days left",
    "l": "items values numbers row scores points prices",
    "s": "text word name line title code",
    "verb": "scaled last kept plain joined next inner total first split shifted bounded even odd",
    "noun": "sum part items score price word text length place count limit value range code level",
}
NAMES = {kind: words.split() for kind, words in _WORDS.items()}
_OPERATORS = ["+", "+", "-", "-", "*", "*", "//", "/", "%", "&", "|", "^"]
LETTERS = ["a", "e", "-", ",", " ", "x", ".", "_"]


class Grammar:
    """Draws expressions of a type: n a number, l a list of numbers, s a text, b a truth value."""

    def __init__(self, source: random.Random, scope: dict[str, str]) -> None:
        self._source, self.scope = source, scope

    def known(self, kind: str) -> list[str]:
        """The variables of a type."""
        return [name for name, of in self.scope.items() if of == kind]

    def draw(self, kind: str, depth: int = 2) -> str:
        """An expression."""
        names = self.known(kind)
        if names and (depth <= 0 or self._source.random() < 0.45):
            return self._source.choice(names)
        if depth <= 0:
            return self.constant(kind)
        kinds = {"n": self._n, "l": self._l, "s": self._s, "b": self._b}
        return self._source.choice(kinds[kind](depth - 1))

    def constant(self, kind: str) -> str:
        """A literal."""
        pick = self._source.choice
        if kind == "n":
            return pick(["0", "1", "1", "2", "2", "3", "4", "5", "7", "10", "12", "60", "100"])
        if kind == "l":
            return "[]"
        return f'"{pick(LETTERS)}"' if kind == "s" else pick(["True", "False"])

    def _pair(self, depth: int) -> tuple[str, str]:
        left = self.draw("n", depth)
        right = self.constant("n") if self._source.random() < 0.6 else self.draw("n", depth)
        return left, right

    def _n(self, depth: int) -> list[str]:
        left, right = self._pair(depth)
        operator = self._source.choice(_OPERATORS)
        found = [self.constant("n"), f"{left} {operator} {right}", f"{left} {operator} {right}"]
        found += [f"abs({left})", f"max({left}, {right})", f"min({left}, {right})"]
        for items in self.known("l"):
            place = self._source.choice(["0", "-1", "1", "-2", f"len({items}) // 2"])
            found += [f"{name}({items})" for name in ("len", "sum", "max", "min")]
            found += [f"{items}[{place}]", f"{items}.count({right})", f"len({items}) - 1"]
            found += [f"sum(x for x in {items} if {self.test('x')})"]
        for text in self.known("s"):
            letter = self.constant("s")
            found += [f"len({text})", f"{text}.count({letter})", f"{text}.find({letter})"]
            found += [f"len({text}.split())"]
        return found

    def test(self, name: str) -> str:
        """A condition of a number."""
        compare = self._source.choice(["<", "<=", ">", ">=", "==", "!="])
        number = self.draw("n", 0) if self._source.random() < 0.4 else self.constant("n")
        return self._source.choice(
            [
                f"{name} {compare} {number}",
                f"{name} {compare} {number}",
                f"{name} % {self._source.choice('235')} == {self._source.choice('01')}",
            ]
        )

    def _slice(self, of: str) -> str:
        edge = ["", "", "1", "2", "-1", "-2", *self.known("n")]
        first, last = self._source.choice(edge), self._source.choice(edge)
        return f"{of}[{first}:{last}]" if first or last else f"{of}[::-1]"

    def _l(self, depth: int) -> list[str]:
        number = self.draw("n", depth)
        found = [f"list(range({number}))", f"list(range(1, {number} + 1))"]
        for items in self.known("l"):
            changed = self._source.choice(["x * 2", "x + 1", "x - 1", "x % 10", "x // 2", "x * x"])
            found += [
                self._slice(items),
                self._slice(items),
                f"[{changed} for x in {items}]",
                f"[x for x in {items} if {self.test('x')}]",
                f"[{changed} for x in {items} if {self.test('x')}]",
                f"sorted({items})",
                f"sorted({items}, reverse=True)",
                f"{items} + [{self.constant('n')}]",
                f"[y - x for x, y in zip({items}, {items}[1:])]",
            ]
        return found

    def _s(self, depth: int) -> list[str]:
        found = [f"str({self.draw('n', depth)})"]
        for text in self.known("s"):
            letter, other = self.constant("s"), self.constant("s")
            found += [
                self._slice(text),
                self._slice(text),
                f"{text}.upper()",
                f"{text}[0].upper() + {text}[1:]",
                f"{text}.replace({letter}, {other})",
                f"{text} + {letter}",
                f"{letter} + {text} + {letter}",
                f"{text} * {self.constant('n')}",
                f"{letter}.join({text}.split())",
                f"{text}.split({letter})[{self._source.choice(['0', '-1', '1'])}]",
                f'f"{{{text}}}{other[1:-1]}{{{self.draw("n", 0)}}}"',
            ]
        return found

    def _b(self, depth: int) -> list[str]:
        left, right = self._pair(depth)
        compare = self._source.choice(["<", "<=", ">", ">=", "==", "!="])
        plain = f"{left} {compare} {right}"
        found = [plain, plain, self.test(left if left.isidentifier() else f"({left})")]
        found += [f"{plain} and {self.test(self.draw('n', 0))}"]
        found += [f"{plain} or {self.test(self.draw('n', 0))}", f"not {plain}"]
        for items in self.known("l"):
            found += [f"{right} in {items}", f"{right} not in {items}", f"not {items}"]
            found += [f"all({self.test('x')} for x in {items})"]
            found += [f"any({self.test('x')} for x in {items})"]
        for text in self.known("s"):
            letter = self.constant("s")
            found += [f"{letter} in {text}", f"{text}.startswith({letter})"]
            found += [f"{text} == {text}[::-1]", f"{text}[0] == {text}[-1]"]
        return found


def function(source: random.Random) -> str:
    """The code of a function."""
    kinds = source.choice(
        ["n", "nn", "nn", "nnn", "l", "l", "ln", "ln", "s", "s", "sn", "ll", "ss"]
    )
    scope: dict[str, str] = {}
    for kind in kinds:
        scope[source.choice([name for name in NAMES[kind] if name not in scope])] = kind
    grammar = Grammar(source, scope)
    body = source.choice(_BODIES)(grammar, source)
    name = f"{source.choice(NAMES['verb'])}_{source.choice(NAMES['noun'])}"
    return f"def {name}({', '.join(list(scope)[: len(kinds)])}):\n" + "\n".join(
        f"    {line}" for line in body
    )


def _one(grammar: Grammar, source: random.Random) -> list[str]:
    return [f"return {grammar.draw(source.choice('nnllssb'), 3)}"]


def _choice(grammar: Grammar, source: random.Random) -> list[str]:
    kind = source.choice("nls")
    return [
        f"if {grammar.draw('b', 2)}:",
        f"    return {grammar.draw(kind, 1)}",
        f"return {grammar.draw(kind, 2)}",
    ]


def _either(grammar: Grammar, source: random.Random) -> list[str]:
    kind = source.choice("nns")
    yes, no = grammar.draw(kind, 1), grammar.draw(kind, 1)
    return [f"return {yes} if {grammar.draw('b', 2)} else {no}"]


def _named(grammar: Grammar, source: random.Random) -> list[str]:
    kind = source.choice("nls")
    name = {"n": "size", "l": "found", "s": "label"}[kind]
    made = grammar.draw(kind, 2)
    grammar.scope[name] = kind
    return [f"{name} = {made}", f"return {grammar.draw(source.choice('nlsb'), 2)}"]


def _levels(grammar: Grammar, source: random.Random) -> list[str]:
    name = source.choice(grammar.known("n") or ["10"])
    first, second = sorted(source.sample([2, 3, 5, 6, 10, 12, 18, 20, 50, 60, 65, 100], 2))
    up = source.random() < 0.5
    compare = source.choice(["<", "<="] if up else [">", ">="])
    edges = (first, second) if up else (second, first)
    kind = source.choice("ns")
    words = source.sample(["low", "high", "free", "full", "no", "yes", "cold", "warm", "up"], 3)
    answers = (
        [f'"{word}"' for word in words]
        if kind == "s"
        else [str(source.choice([0, 1, 2, 3, 5, 10])) for _ in range(3)]
    )
    return [
        f"if {name} {compare} {edges[0]}:",
        f"    return {answers[0]}",
        f"return {answers[1]} if {name} {compare} {edges[1]} else {answers[2]}",
    ]


def _loop(grammar: Grammar, source: random.Random) -> list[str]:
    items = source.choice([*grammar.known("l"), f"range({grammar.draw('n', 1)})"])
    start = source.choice(["0", "0", "1"])
    add = source.choice(["total += item", "total += 1", "total = total * 2 + item", "total *= 2"])
    lines = [f"total = {start}", f"for item in {items}:"]
    if source.random() < 0.6:
        lines += [f"    if {grammar.test('item')}:", f"        {add}"]
    else:
        lines += [f"    {add}"]
    return [*lines, "return total"]


def _gather(grammar: Grammar, source: random.Random) -> list[str]:
    items = source.choice([*grammar.known("l"), f"range({grammar.draw('n', 1)})"])
    add = source.choice(["item", "item * 2", "item + 1", "item - 1", "[item]", "(item, item + 1)"])
    end = source.choice(["break", "continue"])
    return [
        "found = []",
        f"for item in {items}:",
        f"    if {grammar.test('item')}:",
        *(
            [f"        {end}", f"    found.append({add})"]
            if source.random() < 0.4
            else [f"        found.append({add})"]
        ),
        "return found",
    ]


def _while(grammar: Grammar, source: random.Random) -> list[str]:
    name = source.choice(grammar.known("n") or ["size"])
    given = [] if name in grammar.scope else ["size = 20"]
    by = source.choice(["2", "3", "10"])
    add = source.choice(
        [f"found += {name} % {by}", "found += 1", f"found = found * 10 + {name} % {by}"]
    )
    return [
        *given,
        "found = 0",
        f"while {name} > 0:",
        f"    {add}",
        f"    {name} //= {by}",
        "return found",
    ]


_BODIES: list[Callable[[Grammar, random.Random], list[str]]] = [
    *[_one] * 4,
    _choice,
    _choice,
    _either,
    _named,
    _named,
    _levels,
    _loop,
    _gather,
    _while,
]


def functions(source: random.Random) -> Iterator[str]:
    """Functions, each body once."""
    seen: set[str] = set()
    while True:
        code = function(source)
        body = code.partition("\n")[2]
        if body not in seen and len(code) < 300:
            seen.add(body)
            yield ast.unparse(ast.parse(code)).replace("'", '"')
