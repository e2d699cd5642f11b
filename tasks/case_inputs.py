"""Further inputs of coding tasks, like those of their cases.

What a statement allows is not known. So an input is one of the task's own with some values changed,
and all that the own inputs have in common stays: the number of arguments or lines, the range of
each number, the characters and lengths of each text, sorted and distinct lists, and which of two
numbers or lengths is the greater one (`n` stays the length of the list that follows it).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from random import Random
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from forager.environments.answer.prediction import literal
from forager.environments.function.task import CodingTask, JudgedCase

_TRIES = 20  # drawn inputs for each wanted one
_CHANGED = 3  # most values that an input changes
_SIZES = 30  # numbers and lengths of an input that are compared with one another
_DIGITS = 40  # of a number; longer ones are words
_LONGEST = 1 << 14  # characters of an input that is varied
_FEW = 3  # different texts at a place; fewer may be commands, whose letters mean something


class InputForm(NamedTuple):
    """Inputs with the same places: their values, and how values become an input again."""

    rows: list[list[Any]]
    write: Callable[[Sequence[Any]], str]


def more_inputs(task: CodingTask, count: int, seed: int) -> list[JudgedCase]:
    """At most `count` inputs that the task lacks; none where its own cannot be read."""
    forms = _calls(task.cases) if task.function else _texts(task.cases)
    known = {case.arguments if task.function else case.stdin for case in task.cases}
    name = "arguments" if task.function else "stdin"
    found = varied(forms, known, count, f"{seed} {task.instance_id}")
    return [JudgedCase.model_validate({name: text}) for text in found]


def varied(forms: Sequence[InputForm], known: set[str], count: int, seed: str) -> list[str]:
    """At most `count` inputs of these forms that are not known."""
    rules = [_orders(form.rows) for form in forms]
    random = Random(seed)
    found: dict[str, None] = {}
    for _ in range(_TRIES * count if forms else 0):
        place = random.randrange(len(forms))
        values = _changed(forms[place].rows, random)
        text = forms[place].write(values)
        if text not in known and _allowed(values, rules[place]):
            found[text] = None
        if len(found) == count:
            break
    return list(found)


CallArguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments by position and by name."""
_ARGUMENTS: TypeAdapter[CallArguments] = TypeAdapter(CallArguments)


def noted_arguments(text: str, most: int) -> CallArguments | None:
    """The arguments in a text that a sandbox printed; None if it is anything else."""
    found = literal(text, most)
    try:
        return _ARGUMENTS.validate_python(found[0], strict=True) if found else None
    except ValueError:
        return None


def call_text(arguments: CallArguments) -> str:
    """Arguments as a call has them between its brackets."""
    by_position, by_name = arguments
    named = (f"{name}={value!r}" for name, value in by_name.items())
    return ", ".join([*map(repr, by_position), *named])


def call_forms(calls: Iterable[CallArguments]) -> list[InputForm]:
    """The arguments of calls, by their number and names."""
    forms: defaultdict[tuple[int, tuple[str, ...]], list[list[Any]]] = defaultdict(list)
    for by_position, by_name in calls:
        if by_position or by_name:
            values = [*by_position, *by_name.values()]
            forms[len(by_position), tuple(by_name)].append(values)
    return [_call_form(count, names, rows) for (count, names), rows in forms.items()]


def _call_form(count: int, names: Sequence[str], rows: list[list[Any]]) -> InputForm:
    def write(values: Sequence[Any]) -> str:
        return call_text((tuple(values[:count]), dict(zip(names, values[count:], strict=True))))

    return InputForm(rows, write)


def _calls(cases: Iterable[JudgedCase]) -> list[InputForm]:
    """The arguments of calls that are literals."""
    found = (literal(f"({case.arguments},)", _LONGEST) for case in cases if case.arguments.strip())
    return call_forms((value, {}) for (value,) in filter(None, found) if isinstance(value, tuple))


def _texts(cases: Iterable[JudgedCase]) -> list[InputForm]:
    """The inputs of programs, by their number of lines."""
    groups: defaultdict[int, list[list[list[str]]]] = defaultdict(list)
    for case in cases:
        lines = [line.split(" ") for line in case.stdin.split("\n")]
        if case.stdin.strip() and len(case.stdin) <= _LONGEST:
            groups[len(lines)].append(lines)
    return [_text_form(group) for group in groups.values()]


def _text_form(group: list[list[list[str]]]) -> InputForm:
    """A value for each word of lines with the same number of words, else one for the line."""
    lines = list(zip(*group, strict=True))
    counts = [len(line[0]) if len(set(map(len, line))) == 1 else 0 for line in lines]
    rows = [
        [value for line, count in zip(text, counts, strict=True) for value in _values(line, count)]
        for text in group
    ]

    def write(values: Sequence[Any]) -> str:
        left = iter(values)
        return "\n".join(
            " ".join(str(next(left)) for _ in range(count)) if count else _line(next(left))
            for count in counts
        )

    return InputForm(rows, write)


def _values(words: list[str], count: int) -> list[Any]:
    values = [_value(word) for word in words]
    if count:
        return values
    return [values] if all(isinstance(value, int) for value in values) else [" ".join(words)]


def _value(word: str) -> int | str:
    digits = word.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < _DIGITS
    return int(word) if is_number and str(int(word)) == word else word


def _line(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _changed(rows: list[list[Any]], random: Random) -> list[Any]:
    values = list(random.choice(rows))
    for place in random.sample(range(len(values)), min(len(values), random.randint(1, _CHANGED))):
        values[place] = _like(values[place], [row[place] for row in rows], random)
    return values


def _like(value: Any, seen: list[Any], random: Random) -> Any:
    """Another value like those seen in its place."""
    seen = [other for other in seen if type(other) is type(value)]
    other = random.choice(seen)
    if type(value) is int:
        low, high = min(seen), max(seen)
        near = min(high, max(low, value + random.choice((-1, 1))))
        return random.choice((other, near, random.randint(low, high)))
    if isinstance(value, str) and len(set(seen)) >= _FEW:
        letters = sorted(set("".join(seen)))
        return "".join(random.choice(letters) for _ in range(len(other)))
    if isinstance(value, list):
        return _list_like(value, seen, random)
    if isinstance(value, tuple) and all(len(known) == len(value) for known in seen):
        places = zip(value, *seen, strict=True)
        return tuple(_like(item, [item, *others], random) for item, *others in places)
    return other


def _list_like(value: list[Any], seen: list[list[Any]], random: Random) -> list[Any]:
    """A list of the length of one that was seen, with what their lists have in common."""
    items = [item for other in seen for item in other]
    length = len(random.choice((value, random.choice(seen))))
    if not items:
        return value
    if any(isinstance(item, list | tuple | dict) for item in items):  # such as rows of a matrix
        return random.sample(value, len(value))
    made = [_like(random.choice(items), items, random) for _ in range(length)]
    if all(len(set(other)) == len(other) for other in seen):
        made = list(dict.fromkeys(made))
    if all(other == _sorted(other) for other in seen):
        made = _sorted(made)
    return made


def _sorted(items: list[Any]) -> list[Any]:
    """The list in order; as it is where items cannot be compared."""
    try:
        return sorted(items)
    except TypeError:
        return items


def _sizes(values: Sequence[Any]) -> list[int | None]:
    """The numbers, and the lengths of lists and texts; None for other values."""
    return [
        len(value) if isinstance(value, list | str) else value if type(value) is int else None
        for value in values[:_SIZES]
    ]


_Order = dict[tuple[int, int], set[int]]


def _signs(values: Sequence[Any]) -> dict[tuple[int, int], int]:
    sizes = [(place, size) for place, size in enumerate(_sizes(values)) if size is not None]
    return {(i, j): (a > b) - (a < b) for (i, a), (j, b) in combinations(sizes, 2)}


def _orders(rows: Iterable[Sequence[Any]]) -> _Order:
    """Which of two sizes is the greater one (1, -1, or 0 if equal), as the inputs show it."""
    found: _Order = {}
    for row in rows:
        for pair, sign in _signs(row).items():
            found.setdefault(pair, set()).add(sign)
    return found


def _allowed(values: Sequence[Any], orders: _Order) -> bool:
    return all(sign in orders.get(pair, {sign}) for pair, sign in _signs(values).items())
