"""Random small functions, each called on several lists; those of the test are no others' twins.

usage: programs.py TRAIN.jsonl TEST.jsonl FUNCTIONS TESTS SEED

A line is a program of `forager trace programs`; its id is FUNCTION-CALL. A program ends by printing
what its function returns for one list. A function of the test has another text than each function
of the training, and of functions that return the same for all lists only one is kept.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

CALLS = 3  # lists that each function is called on
_STARTS = ("0", "1", "values[0]", "values[-1]", "len(values)", "[]")
_CONDITIONS = (
    "value % 2 == 0",
    "value % 3 == 1",
    "value > {k}",
    "value < {k}",
    "value > result",
    "value != values[0]",
    "value * 2 < {k}",
)
_NUMBERS = (
    "result += value",
    "result -= value",
    "result += {k}",
    "result = max(result, value)",
    "result = min(result, value)",
    "result = value - result",
    "result = result * 2 - value",
    "result = (result + value) % {k}",
)
_LISTS = (
    "result.append(value)",
    "result.append(value + {k})",
    "result.append(value * 2)",
    "result = [value] + result",
    "result = result[1:] + [value]",
)
_ENDS = ("result", "result", "result + {k}", "abs(result)", "-result")
_LIST_ENDS = ("result", "len(result)", "sum(result)", "result[::-1]", "sorted(result)")


def function(random: Random) -> str:
    """The text of a function of one list."""
    start = random.choice(_STARTS)
    lists = start == "[]"
    changes, ends = (_LISTS, _LIST_ENDS) if lists else (_NUMBERS, _ENDS)
    conditions = [text for text in _CONDITIONS if not (lists and "result" in text)]

    def drawn(texts: tuple[str, ...] | list[str]) -> str:
        return random.choice(texts).format(k=random.randint(2, 9))

    lines = [f"    result = {start}", "    for value in values:"]
    if random.random() < 0.7:
        lines += [f"        if {drawn(conditions)}:", f"            {drawn(changes)}"]
        if random.random() < 0.5:
            lines += ["        else:", f"            {drawn(changes)}"]
    else:
        lines.append(f"        {drawn(changes)}")
    lines.append(f"    return {drawn(ends)}")
    return "\n".join(["def f(values):", *lines, ""])


def functions(random: Random, count: int) -> Iterator[str]:
    """Yield functions that differ in what they return."""
    probes = [[random.randint(0, 12) for _ in range(5)] for _ in range(12)]
    known: set[str] = set()
    while count:
        text = function(random)
        scope: dict[str, object] = {}
        exec(text, scope)  # nosec B102  # our own text, made of the tables above
        behaviour = repr([scope["f"](list(probe)) for probe in probes])  # type: ignore[operator]
        if behaviour not in known:
            known.add(behaviour)
            count -= 1
            yield text


def write(path: Path, texts: list[tuple[int, str]], random: Random) -> None:
    """Write the programs of functions, with their numbers."""
    with path.open("w") as file:
        for number, text in texts:
            for call in range(CALLS):
                values = [random.randint(0, 9) for _ in range(random.randint(3, 4))]
                source = f"{text}\n\nprint(f({values}))\n"
                row = {"id": f"{number}-{call}", "source": source, "inputs": [{"stdin": ""}]}
                file.write(f"{json.dumps({**row, 'licence': 'MIT'})}\n")


def main(train: str, test: str, count: str, tests: str, seed: str) -> None:
    """Write both files."""
    random = Random(int(seed))
    made = list(enumerate(functions(random, int(count) + int(tests))))
    write(Path(train), made[int(tests) :], random)
    write(Path(test), made[: int(tests)], random)


if __name__ == "__main__":
    main(*sys.argv[1:])
