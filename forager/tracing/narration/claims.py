"""Checks what a text states about an execution, value by value.

Values stand between backticks:

| written | true if |
|---|---|
| `` `name = value` `` | the variable has this value, after those that the text stated before |
| `` `function(...) -> value` `` | the function returns or yields this, in the order of the text |
| `` `raise value` `` | this exception is raised |
| anything else between backticks | it is code of the files, a name, or a value or a part of one |

Elsewhere a number must be one of the trace: a line, a value, or how often a line is executed. A
long value may end with `…` after twenty characters. What a text does not say in this way, such as a
number in words, is refused, so that nothing stated is left unchecked.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from forager.tracing.cutting import Cut, EpisodeStep, steps
from forager.tracing.record import Sources, Trace
from forager.tracing.values import literal

SHORTEST = 20  # characters before … that a value must share
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_VARIABLE = re.compile(r"(\.\d+|[^\W\d]\w*) = (.+)", re.DOTALL)
_RESULT = re.compile(r"([\w.<>]+)\(.*?\) -> (.+)", re.DOTALL)
_RAISED = re.compile(r"raises? (.+)", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?!\w)")
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_WORDS = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty-\w+|twenty|thirty"
    r"|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|twice|thrice)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"(?<!\w)(\"[^\"\n]{1,200}\"|'[^'\n]{2,200}'(?!\w))")
_CONSTANT = re.compile(r"\b(True|False|None|nan|inf)\b")


@dataclass
class Facts:
    """What can truly be said of an episode."""

    history: dict[str, list[str]] = field(default_factory=dict)
    """The values of each variable, in order."""
    results: dict[str, list[str]] = field(default_factory=dict)
    """What each function returns or yields, by its qualified and its plain name."""
    raised: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    """Variables, functions, files."""
    visits: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How often each line of a file is executed."""
    code: str = ""
    outcome: tuple[str, str, str] = ("", "", "")
    """The first function's name; `return`, `raise` or nothing; the value."""

    @cached_property
    def values(self) -> set[str]:
        """All values."""
        lists = [*self.history.values(), *self.results.values()]
        return {value for values in lists for value in values} | self.raised

    @cached_property
    def text(self) -> str:
        """All values and the code, in which parts are looked up."""
        return "\n".join([self.code, *sorted(self.values)])

    @cached_property
    def numbers(self) -> set[str]:
        """Numbers of values, code and lines, and counts of lines."""
        found = set(_DIGITS.findall(self.text))
        for (_, line), count in self.visits.items():
            found |= {str(line), str(count)}
        return found


def facts_of(trace: Trace, sources: Sources, cut: Cut) -> Facts:
    """Collect the facts of an episode. Raises Malformed."""
    facts = Facts(code="\n".join(sources.values()), names=set(sources))
    for step in steps(trace, cut):
        _add(facts, step)
        if step.event.frame == cut.root:
            _conclude(facts, step)
    return facts


def _add(facts: Facts, step: EpisodeStep) -> None:
    event = step.event
    plain = event.code.name.rpartition(".")[2]
    facts.names |= {event.code.name, plain}
    for change in event.changes:
        facts.names.add(change.name)
        if change.new is not None:
            facts.history.setdefault(change.name, []).append(change.new)
    if event.kind == "line":
        facts.visits[event.code.file, event.line] += 1
    elif event.kind in ("return", "yield"):
        for name in {event.code.name, plain}:
            facts.results.setdefault(name, []).append(event.value or "")
    elif event.kind == "exception":
        facts.raised.add(event.value or "")


def _conclude(facts: Facts, step: EpisodeStep) -> None:
    event = step.event
    if event.kind == "return":
        facts.outcome = event.code.name, "return", event.value or ""
    elif event.kind == "exception":
        facts.outcome = event.code.name, "raise", event.value or ""
    elif event.kind == "line":  # an exception that was handled
        facts.outcome = event.code.name, "", ""


@dataclass(frozen=True)
class CheckedText:
    """What a check found."""

    statements: int
    """Values that were checked."""
    problems: list[str]
    """What is not in the trace, in the words that a model reads."""


def check(text: str, facts: Facts) -> CheckedText:
    """Check all that a text states, and that it says how the execution ends."""
    checker = _Checker(facts)
    for span in _spans(text):
        checker.span(span)
    for problem in _prose(_SPAN.sub(" ", text), facts):
        checker.problems.append(problem)
    name, kind, value = facts.outcome
    if kind and not checker.concluded:
        wanted = f"{name}(...) -> {value}" if kind == "return" else f"raise {value}"
        checker.problems.append(f"it must say how the execution ends: `{shortened(wanted)}`")
    return CheckedText(checker.statements, checker.problems)


def shortened(value: str, most: int = 200) -> str:
    """A value that may be long, as a text may state it."""
    return value if len(value) <= most else f"{value[:most]}…"


def quoted(text: str) -> str:
    """A text between as many backticks as it needs."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    return (
        f"{fence} {text} {fence}" if text[:1] == "`" or text[-1:] == "`" else fence + text + fence
    )


def _spans(text: str) -> Iterator[str]:
    for fence, content in _SPAN.findall(text):
        yield content[1:-1] if len(fence) > 1 and content[:1] == content[-1:] == " " else content


class _Checker:
    """Follows a text; what it states of a variable must come in the order of the trace."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._places: dict[str, int] = {}
        self.statements = 0
        self.problems: list[str] = []
        self.concluded = False

    def span(self, text: str) -> None:
        """Check what stands between backticks."""
        self.statements += 1
        if not (self._claim(text) or self._mention(text)):
            self.problems.append(f"`{shortened(text)}` is not in the trace, or not in this order")

    def _claim(self, text: str) -> bool:
        if found := _RAISED.fullmatch(text):
            raised = any(_means(found[1], value) for value in self._facts.raised)
            self._ends("raise", found[1], raised)
            return raised
        if found := _RESULT.fullmatch(text):
            known = self._in_order(f"{found[1]}()", found[2], self._facts.results.get(found[1], []))
            name = self._facts.outcome[0]
            if found[1] in (name, name.rpartition(".")[2]):
                self._ends("return", found[2], known)
            return known
        if found := _VARIABLE.fullmatch(text):
            return self._in_order(found[1], found[2], self._facts.history.get(found[1], []))
        return False

    def _in_order(self, key: str, value: str, values: list[str]) -> bool:
        start = self._places.get(key, 0)
        for place in range(start, len(values)):
            if _means(value, values[place]):
                self._places[key] = place
                return True
        return False

    def _ends(self, kind: str, value: str, known: bool) -> None:
        _, ended, outcome = self._facts.outcome
        self.concluded = self.concluded or (known and kind == ended and _means(value, outcome))

    def _mention(self, text: str) -> bool:
        """Whether a text is a name, a value, or code of the files; never `name = value`."""
        bare = text.removesuffix("()")
        if bare in self._facts.names or any(_means(text, value) for value in self._facts.values):
            return True
        if _RESULT.fullmatch(text):
            return False
        variable = _VARIABLE.fullmatch(text)
        if variable and variable[1] in self._facts.history:
            return self._executed(text)
        return _within(text, self._facts.text)

    def _executed(self, text: str) -> bool:
        """Whether an assignment is a line of the code, and no value that is claimed."""
        lines = {line.strip() for line in self._facts.code.splitlines()}
        return text in lines and not _is_literal(text.partition(" = ")[2])


def _is_literal(text: str) -> bool:
    try:
        literal(text)
    except ValueError:
        return False
    return True


def _means(stated: str, value: str) -> bool:
    """Whether a stated value is a value; it may lack the end after `…`."""
    if stated.endswith("…"):
        return len(stated) > SHORTEST and value.startswith(stated[:-1])
    return stated == value


def _within(part: str, text: str) -> bool:
    """Whether a text holds a part, which is no part of a longer word there."""
    before = r"(?<!\w)" if part[:1].isalnum() else ""
    after = r"(?!\w)" if part[-1:].isalnum() else ""
    return bool(re.search(before + re.escape(part) + after, text))


def _prose(text: str, facts: Facts) -> Iterator[str]:
    """What is wrong outside of backticks."""
    for number in _NUMBER.findall(text):
        if number.replace(",", "") not in facts.numbers:
            yield f"the number {number} is not in the trace"
    for word in _WORDS.findall(text):
        yield f"write {word!r} in digits"
    yield from _unknown(_QUOTED.findall(text), facts)
    yield from _unknown(_CONSTANT.findall(text), facts)


def _unknown(parts: Iterable[str], facts: Facts) -> Iterator[str]:
    for part in parts:
        if not (_within(part, facts.text) or part[1:-1] in facts.text):
            yield f"{part} is not in the trace"
