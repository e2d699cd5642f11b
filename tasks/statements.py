"""Problem statements of mutations: CWM's form, the code with the output of its tests, a bug report,
or a report that a model writes."""

import ast
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from forager.environments.repository.mutation import ModelCost, Part
from forager.mutation.bug_report import ObservedFailure, bug_report, observed, without_addresses
from forager.mutation.candidates import Candidate
from forager.mutation.files import parse, reverse
from forager.mutation.judge import Verdict
from forager.mutation.names import RevealingNames, told_lines
from forager.mutation.reach import edits_of
from tasks.author import Author

Form = Literal["cwm", "shown", "issue", "model"]
FORMS: tuple[Form, ...] = get_args(Form)

_TESTS_NAMED = 10  # failing tests that CWM's form lists
_SEEN = 2  # failures that stand next to the code
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SHORTEST, _LONGEST = 40, 4000  # characters of an issue
_SHOWN = 6000  # most characters of the diff, and of the failures, in the question to a model
_QUESTION = """\
A bug was put into a project by this change:

```diff
{diff}
```

Its tests now fail like this:

{failures}

Write the issue that a user of the project would file who has met the bug and does not know its
code: a title line, what was done, what was expected, what happened instead. Do not say where the
bug is or how it is fixed. Do not quote a line of the change. Do not use these words, nor words that
contain them: {names}. Answer with the text of the issue alone."""


def cwm(candidate: Candidate, failing: Sequence[str]) -> str:
    """CWM's form: look at the function, run its tests, fix the bug."""
    named = failing[:_TESTS_NAMED]
    listed = [f"- {test}" for test in named]
    if len(failing) > len(named):
        listed.append(f"- and {len(failing) - len(named)} more")
    command = " ".join(_word(test) for test in named)
    return (
        f"{_where(candidate)} so that they pass. Do not change the tests.\n\n"
        "These tests fail:\n" + "\n".join(listed) + "\n\n"
        f"Run them with:\npython -m pytest {command}"
    )


def _where(candidate: Candidate) -> str:
    if candidate.parts:
        places = dict.fromkeys(_place(part.family, part) for part in candidate.parts)
        return (
            f"There are {len(candidate.parts)} bugs {' and '.join(places)}. Look at each place, "
            "run its tests, and fix all bugs"
        )
    kind = _kind(candidate.family)
    look = f"the {kind}" if candidate.function != "<module>" else "the file"
    place = _place(candidate.family, candidate)
    return f"There is a bug {place}. Look at {look}, run its tests, and fix the bug"


def _kind(family: str) -> str:
    return "class" if family == "classes" else "function"


def _place(family: str, at: Candidate | Part) -> str:
    if at.function == "<module>":
        return f"in `{at.file}`, outside its functions"
    return f"in the {_kind(family)} `{at.function}` of `{at.file}`"


def _word(text: str) -> str:
    plain = all(character.isalnum() or character in "_-./:" for character in text)
    return text if plain else "'" + text.replace("'", "'\\''") + "'"


def with_code(
    candidate: Candidate,
    verdict: Verdict,
    sources: Mapping[str, str],
    tests: Mapping[str, str],
) -> str:
    """The broken code, the failures that the proof saw, and the command that runs the tests.

    Short, so that a small model can learn from it. `sources` and `tests` are the original texts by
    path.
    """
    failing = verdict.fail_to_pass[:_SEEN]
    known = [test for test in failing if test in verdict.failures]
    seen = dict.fromkeys(_told(observed(test, verdict.failures[test], tests)) for test in known)
    more = len(verdict.fail_to_pass) - len(failing)
    rest = [f"- and {more} more tests fail"] if more else []
    command = f"python -m pytest {' '.join(map(_word, failing))}"
    code = [_shown(part, candidate.diff, sources) for part in candidate.parts or [candidate]]
    return "\n\n".join([*dict.fromkeys(code), *seen, *rest, command])


def _shown(at: Candidate | Part, diff: str, sources: Mapping[str, str]) -> str:
    """The place of a bug, with its numbered code."""
    code = _code(_broken(sources[at.file], diff, at.file), at.function)
    return f"There is a bug {_place(at.family, at)}" + (f":\n\n{code}" if code else ".")


def _told(seen: ObservedFailure) -> str:
    got = "" if seen.got is None else f"Got: {seen.got or 'no error'}"
    return "\n".join(filter(None, (seen.ran, seen.expected and f"Expected: {seen.expected}", got)))


def _broken(text: str, diff: str, path: str) -> str:
    """Apply a diff's edits of this path to its text."""
    lines = text.split("\n")
    for first, last, new in reversed(edits_of(diff)[path]):
        lines[first - 1 : last] = new
    return "\n".join(lines)


def _code(text: str, function: str) -> str:
    """The numbered lines of a function or class; empty if the parser does not find it."""
    try:
        nodes: Sequence[ast.stmt] = parse(text).body
    except (SyntaxError, ValueError, RecursionError):  # for example code for a later Python
        return ""
    first = last = 0
    for name in function.split("."):
        named = [node for node in nodes if isinstance(node, _DEFINITIONS) and node.name == name]
        if not named:
            return ""
        first = min(node.lineno for node in (named[-1], *named[-1].decorator_list))
        last = named[-1].end_lineno or first
        nodes = named[-1].body
    lines = text.split("\n")[first - 1 : last]
    return "\n".join(f"{number} {line}".rstrip() for number, line in enumerate(lines, first))


def issue(candidate: Candidate, verdict: Verdict, tests: Mapping[str, str]) -> str:
    """A user's bug report of the failures in the proof; `tests` are texts by path."""
    return bug_report(verdict.failures, tests, RevealingNames(candidate))


def by_model(
    author: Author, candidate: Candidate, verdict: Verdict, tests: Mapping[str, str]
) -> tuple[str, Form, ModelCost]:
    """An issue that a model writes without giving the bug away, with its cost.

    If every try gives the bug away, falls back to `issue`. Raises ModelError.
    """
    names = RevealingNames(candidate)
    text, costs = author.text(
        _question(candidate, verdict, names), lambda text: _problem(candidate, text, names)
    )
    form: Form = "model" if text else "issue"
    return text or issue(candidate, verdict, tests), form, _sum(costs)


def _question(candidate: Candidate, verdict: Verdict, names: RevealingNames) -> str:
    texts = (verdict.failures[test].text for test in sorted(verdict.failures))
    failures = without_addresses("\n\n".join(texts))  # so that the question is equal in each run
    return _QUESTION.format(
        diff=candidate.diff[:_SHOWN], failures=failures[:_SHOWN], names=", ".join(names.all)
    )


def _problem(candidate: Candidate, text: str, names: RevealingNames) -> str:
    """What is wrong with an issue, as a message to the model; "" if nothing is."""
    if not _SHORTEST <= len(text) <= _LONGEST:
        return f"It has {len(text)} characters; it must have {_SHORTEST} to {_LONGEST}."
    if found := names.found_in(text):
        return f"It gives the bug away by the words {', '.join(found)}."
    if lines := told_lines(reverse(candidate.diff), text):
        return f"It quotes the change: {lines[0]}"
    return ""


def _sum(costs: Sequence[ModelCost]) -> ModelCost:
    return costs[0].model_copy(
        update={
            "requests": len(costs),
            "prompt_tokens": sum(cost.prompt_tokens for cost in costs),
            "completion_tokens": sum(cost.completion_tokens for cost in costs),
            "seconds": round(sum(cost.seconds for cost in costs), 3),
        }
    )
