"""Writes a bug report from observed failures: what ran, the expected and the actual result.

The only sources are the tests' code and pytest's output. The report does not name the functions,
classes or files of the bug.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from forager.environments.repository.testing import Failure
from forager.mutation.doctest_failures import doctest_failure
from forager.mutation.names import RevealingNames
from forager.mutation.reproduction import reproduction

_EXAMPLES = 3
_COLUMNS = 400  # most characters of a value
_SILENT = re.compile(r"DID NOT RAISE.*?<class '([^']+)'>")
_DIFFER = re.compile(r"^(?:Lists|Tuples|Sequences|Sets|Items in the \w+ set) differ: ")
_CONSTANT = re.compile(r" is not (?:true|false|None)$|(?<=^False)$|(?<=^True)$")
_TIMEOUT = re.compile(r"^[\w.]*TestTimeout: the test took more than")
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_WORDINGS = (  # the report uses the first that contains no name of the bug
    ("What I ran", "Expected", "Got", "Wrong result", "Unexpected", "no error", "Also"),
    ("Example", "Should be", "Is", "Not as documented", "Fails with", "nothing raised", "And"),
    ("Input", "Wanted", "Output", "Incorrect", "Breaks:", "success", "Too"),
)


@dataclass(frozen=True, slots=True)
class ObservedFailure:
    """One failure as a user would see it; the texts are code or values."""

    ran: str
    call: str  # the last expression of `ran`, if it makes sense alone
    expected: str  # empty: nothing known, or no error if there was one
    got: str | None  # empty: no error; None: not known
    is_error: bool


def bug_report(
    failures: Mapping[str, Failure],
    tests: Mapping[str, str],
    names: RevealingNames,
    fits: Callable[[str], bool] = bool,
) -> str:
    """Write the report; `tests` maps the paths of test files to their texts.

    Code that does not fit is cut to its last expression, or left out.
    """
    seen: dict[str, ObservedFailure] = {}
    for name in sorted(failures):
        failure = observed(name, failures[name], tests)
        code = next((code for code in (failure.ran, failure.call) if fits(code)), "")
        failure = replace(failure, ran=code)
        seen.setdefault(f"{failure.got}\0{failure.expected}\0{failure.call}", failure)
    # Examples with few names of the bug come first: fewer words have to be removed.
    found = sorted(
        seen.values(), key=lambda failure: (not failure.ran, len(names.found_in(failure.ran)))
    )
    texts = [_written(found[:_EXAMPLES], names, wording) for wording in _WORDINGS]
    return next((text for text in texts if not names.found_in(text)), texts[0])


def observed(name: str, failure: Failure, tests: Mapping[str, str]) -> ObservedFailure:
    """Reduce a failing test to what it ran, what it wanted and what it got."""
    if not failure.error and (doctest := doctest_failure(without_addresses(failure.text))):
        values = (_short(doctest.expected), _short(doctest.got))
        return ObservedFailure(doctest.ran, doctest.call, *values, doctest.is_error)
    line = without_addresses(failure.error.strip()).partition("\n")[0] or "a failure"
    ran = reproduction(name, failure, tests)
    is_plain = ran.operator in _PLAIN
    wanted = _short(ran.wanted if is_plain else f"{ran.operator} {ran.wanted}")
    if silent := _SILENT.search(line):
        return ObservedFailure(ran.code, ran.call, silent[1].rpartition(".")[2], "", False)
    if not line.startswith(("assert ", "AssertionError")):
        line = _TIMEOUT.sub("no answer for", line)
        if is_plain:
            return ObservedFailure(ran.code, ran.call, wanted, _short(line), True)
        return ObservedFailure(f"{ran.code} {wanted}", "", "True", _short(line), True)
    line = line.removeprefix("AssertionError").removeprefix(": ").removeprefix("assert ")
    got, shown = _sides(line, ran.operator)
    if got == shown:  # not told, or objects that look the same
        return ObservedFailure(
            ran.code, ran.call, "" if line else wanted, _short(line) or None, False
        )
    if shown and is_plain and "..." not in shown:
        wanted = _short(shown)
    return ObservedFailure(ran.code, ran.call, wanted, _short(got) or None, False)


_PLAIN = ("==", "is", "raises", "")


def _sides(line: str, operator: str) -> tuple[str, str]:
    """What an assertion got and wanted, as far as its message shows them.

    pytest shows `GOT == WANTED`, unittest `GOT != WANTED` or `GOT is not true`.
    """
    line = _DIFFER.sub("", line).partition(" : ")[0]
    for sign in (f" {operator} ", " != "):
        sides = line.split(sign)
        if operator and len(sides) == 2:
            return sides[0], sides[1]
    got = _CONSTANT.sub("", line)
    return got, "" if got != line or operator else line


def without_addresses(text: str) -> str:
    """The text without memory addresses, which differ from run to run."""
    return _ADDRESS.sub("0x…", text)


def _written(
    found: Sequence[ObservedFailure], names: RevealingNames, wording: tuple[str, ...]
) -> str:
    ran, expected, got, wrong, unexpected, fine, also = wording
    first = found[0]
    title = f"{unexpected} `{first.got}`" if first.is_error else wrong
    parts = [names.out_of(title) if first.is_error else title]
    for number, failure in enumerate(found):
        if number:
            parts.append(f"{also}:")
        if failure.ran:
            parts.append(f"{ran}:\n\n```python\n{names.out_of(failure.ran)}\n```")
        if failure.expected or failure.is_error:
            parts.append(f"{expected}: {_quoted(names.out_of(failure.expected), fine)}")
        if failure.got is not None:
            parts.append(f"{got}: {_quoted(names.out_of(failure.got), fine)}")
    return "\n\n".join(parts)


def _quoted(value: str, nothing: str) -> str:
    return f"`{value}`" if value else nothing


def _short(value: str) -> str:
    value = value.replace("`", "'")
    return value if len(value) <= _COLUMNS else f"{value[:_COLUMNS]} …"
