"""Compares growth rates such as `O(n log n)`: equal up to constants, lower terms and names.

A rate is a sum of products of powers of variables, of logarithms, and of exponentials. Terms that
another term bounds are dropped, bases of logarithms and constant factors do not count, and two
rates are equal if some renaming of the variables makes them so. BigO(Bench) lists pairs of equal
classes instead, and reads no brackets.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import islice, permutations
from typing import NamedTuple

_LONGEST = 200  # characters
_LONGEST_WRITTEN = 4000  # of what is compared; a power of sums repeats its parts
_DEEPEST, _MOST_TERMS, _MOST_VARIABLES, _HIGHEST = 12, 64, 6, 12
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)|(?P<word>log2|log10|log|lg|ln|sqrt|max|[^\W\d_](?:_?\d+\b)?)|(?P<sign>\S)"
)
_WORDS = {"√": "sqrt", "·": "*", "×": "*", "⋅": "*", "²": "^2", "³": "^3", "**": "^"}
_TEX = re.compile(r"\\(?:left|right|,|;|!|operatorname|mathrm|text|cdot|times)?|[{}$]")
_BASE = re.compile(r"(?<=log)_\s*\d+")
_LOGARITHMS = ("log", "log2", "log10", "lg", "ln")


class NoGrowthRate(ValueError):
    """A text is no growth rate."""


class Atom(NamedTuple):
    """A variable, or a logarithm, exponential or factorial of something."""

    kind: str
    text: str


Term = frozenset[tuple[Atom, Fraction]]  # a product of powers
Rate = frozenset[Term]

_ONE: Term = frozenset()


def same_growth(one: str, other: str) -> bool:
    """Whether two texts name one growth rate. Raises NoGrowthRate."""
    first, second = _parsed(one), _parsed(other)
    names, others = _variables(first), _variables(second)
    if len(names) != len(others) or len(names) > _MOST_VARIABLES:
        return False
    wanted = _written(second, {name: name for name in others})
    return any(
        _written(first, dict(zip(names, order, strict=True))) == wanted
        for order in permutations(others)
    )


def _parsed(text: str) -> Rate:
    if len(text) > _LONGEST:
        raise NoGrowthRate("it is too long")
    return _without_bounded(_Parser(_tokens(text)).whole())


def _tokens(text: str) -> list[str]:
    text = _TEX.sub(lambda found: "*" if found[0] in (r"\cdot", r"\times") else " ", text.strip())
    for word, plain in _WORDS.items():
        text = text.replace(word, plain)
    text = _BASE.sub("", text.replace("|", "")).strip().rstrip(".")
    if found := re.fullmatch(r"[OoΘθ]\s*\((.*)\)", text, re.DOTALL):
        text = found[1]
    return [found[0] for found in _TOKEN.finditer(text.lower())]


class _Parser:
    """sum = product {(+|,) product}; product = power {[*] power}; power = item [^ item]."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._depth = tokens, 0

    def whole(self) -> Rate:
        found = self._sum()
        if self._tokens:
            raise NoGrowthRate(f"unexpected {self._tokens[0]!r}")
        return found

    def _next(self, *wanted: str) -> str:
        """Take the next token if it is one of these; else an empty text."""
        return self._tokens.pop(0) if self._tokens and self._tokens[0] in wanted else ""

    def _sum(self) -> Rate:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NoGrowthRate("it is too deep")
        found = self._product()
        while self._next("+", ","):
            found |= self._product()
        self._depth -= 1
        return found

    def _product(self) -> Rate:
        found = self._power()
        while self._next("*") or (self._tokens and self._tokens[0] not in "+,)^*"):
            found = _product(found, self._power())
        return found

    def _power(self) -> Rate:
        base = self._item()
        if not self._next("^"):
            return base
        return _power(base, self._tokens[0] if self._tokens else "", self._item())

    def _item(self) -> Rate:
        if not self._tokens:
            raise NoGrowthRate("it ends too early")
        token = self._tokens.pop(0)
        if token == "(":
            found = self._sum()
            if not self._next(")"):
                raise NoGrowthRate("a bracket is open")
        elif token in _LOGARITHMS:
            found = self._logarithm()
        elif token in ("sqrt", "max"):
            inner = self._item()
            found = _power(inner, "0.5", inner) if token == "sqrt" else inner
        elif token[0].isdigit():
            found = frozenset([_ONE])
            if self._tokens[:1] == ["^"] and token != "1":  # an exponential
                self._tokens.pop(0)
                found = _atom("exp", f"{token}^", self._item())
        elif token[0].isalpha():
            found = frozenset([frozenset([(Atom("var", token), Fraction(1))])])
        else:
            raise NoGrowthRate(f"unexpected {token!r}")
        return _atom("fact", "", found) if self._next("!") else found

    def _logarithm(self) -> Rate:
        power = ""
        if self._next("^"):  # log^2 n
            power = self._tokens.pop(0) if self._tokens else ""
        found = _logarithm(self._power())
        return _power(found, power, found) if power else found


def _product(one: Rate, other: Rate) -> Rate:
    if len(one) * len(other) > _MOST_TERMS:
        raise NoGrowthRate("it has too many terms")
    return frozenset(_joined(first, second) for first in one for second in other)


def _joined(*terms: Term) -> Term:
    powers: dict[Atom, Fraction] = {}
    for term in terms:
        for atom, power in term:
            powers[atom] = powers.get(atom, Fraction()) + power
    return frozenset(powers.items())


def _power(base: Rate, exponent: str, whole: Rate) -> Rate:
    """A rate to a number; to a variable, as in (1 + 1)^n, where `whole` is the exponent."""
    if not exponent[:1].isdigit():
        return _atom("exp", "?^", whole)
    number = Fraction(exponent)
    if number > _HIGHEST:
        raise NoGrowthRate("its power is too high")
    if len(base) == 1:
        (term,) = base
        return frozenset([frozenset((atom, power * number) for atom, power in term)])
    if number.denominator != 1:
        return _atom("root", str(number), base)
    found = frozenset([_ONE])
    for _ in range(int(number)):
        found = _without_bounded(_product(found, base))
    return found


def _logarithm(inner: Rate) -> Rate:
    """The logarithm of a product is the sum of those of its variables."""
    inner = _without_bounded(inner)
    if len(inner) > 1:
        return _atom("log", "", inner)
    (term,) = inner
    if any(atom.kind != "var" for atom, _ in term):
        return _atom("log", "", inner)
    return frozenset(
        frozenset([(Atom("log", atom.text), Fraction(1))]) for atom, _ in term
    ) or frozenset([_ONE])


def _atom(kind: str, beginning: str, inner: Rate) -> Rate:
    text = beginning + _written(inner, {name: f"<{name}>" for name in _variables(inner)})
    return frozenset([frozenset([(Atom(kind, text), Fraction(1))])])


def _without_bounded(rate: Rate) -> Rate:
    """Only the terms that no other term bounds."""
    return frozenset(
        term for term in rate if not any(_bounds(other, term) for other in rate - {term})
    )


def _bounds(upper: Term, lower: Term) -> bool:
    """Whether a product of variables and their logarithms grows at least as fast as another."""
    above, below = _powers(upper), _powers(lower)
    if above is None or below is None:
        return not lower
    nothing = (Fraction(), Fraction())
    return all(pair <= above.get(name, nothing) for name, pair in below.items())


def _powers(term: Term) -> dict[str, tuple[Fraction, Fraction]] | None:
    """The powers of each variable and of its logarithm; None where the term has other parts."""
    found: dict[str, tuple[Fraction, Fraction]] = {}
    for atom, power in term:
        if atom.kind not in ("var", "log") or "<" in atom.text:
            return None
        whole, logarithm = found.get(atom.text, (Fraction(), Fraction()))
        found[atom.text] = (
            (whole + power, logarithm) if atom.kind == "var" else (whole, logarithm + power)
        )
    return found


def _names(rate: Rate) -> Iterator[str]:
    for term in rate:
        for atom, _ in term:
            if "<" in atom.text:
                yield from re.findall(r"<(\w+)>", atom.text)
            elif atom.kind in ("var", "log"):
                yield atom.text


def _variables(rate: Rate) -> list[str]:
    return sorted(set(_names(rate)))


def _written(rate: Rate, names: Mapping[str, str]) -> str:
    """A rate as one text, with its variables renamed. Raises NoGrowthRate."""
    text = " + ".join(sorted("*".join(sorted(_parts(term, names))) for term in rate))
    if len(text) > _LONGEST_WRITTEN:
        raise NoGrowthRate("it is too long")
    return text


def _parts(term: Term, names: Mapping[str, str]) -> Iterable[str]:
    for atom, power in term:
        text = (
            re.sub(r"<(\w+)>", lambda found: f"<{names[found[1]]}>", atom.text)
            if "<" in atom.text
            else names.get(atom.text, atom.text)
        )
        yield f"{atom.kind}({text})^{power}"


def rates_in(text: str) -> list[str]:
    """The texts such as `O(…)` in a message, with balanced brackets."""
    found = []
    for start in islice(re.finditer(r"(?<![^\W_])[OΘ]\s?\(", text), 1000):
        depth = 0
        for place in range(start.end() - 1, min(len(text), start.end() + _LONGEST)):
            depth += {"(": 1, ")": -1}.get(text[place], 0)
            if not depth:
                found.append(text[start.start() : place + 1])
                break
    return found
