"""Problem statements of real bugs: the issue, what the fix's author wrote, what the tests saw."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from forager.environments.repository.mutation import ModelCost, Revealed
from forager.environments.repository.testing import Failure
from forager.mutation.bug_report import bug_report, without_addresses
from forager.mutation.names import RevealingNames
from tasks.author import Author
from tasks.history import History, is_prose
from tasks.revealing import FixWords
from tasks.sentences import about_the_bug, prescriptions
from tasks.settings import IssueFixSettings

Origin = Literal["issue", "commit", "changelog", "failures", "model"]

_SHORTEST, _LONGEST = 40, 8000  # characters of an issue
_TITLE = 20  # characters; a shorter commit message says nothing
_READ = 50_000  # most characters of a message, and of changelog entries, that are read
_SHOWN = 6000  # most characters of the diff, and of the failures, in the question to a model
_TRAILER = re.compile(
    r"^(?:(?:signed-off|co-authored|reviewed|acked|tested|reported|helped|suggested)-by|cc|refs?"
    r"|change-id|git-svn-id|\(cherry picked from)\b.*$",
    re.IGNORECASE | re.MULTILINE,
)
_MERGE = re.compile(r"^Merge (?:pull request #\d+ from \S+|(?:remote-tracking )?branch .*)$", re.M)
_CHANGELOG = re.compile(r"chang|news|history|release|whats", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)]|#\.)\s+")
_QUESTION = """\
This change fixed a bug in a project:

```diff
{diff}
```

Before it, these tests failed like this:

{failures}

Write the issue that a user of the project would have filed who met the bug and does not know its
code: a title line, what was done, what was expected, what happened instead, with all that is needed
to know what is right. Do not say where the bug is or how it is fixed, and do not quote a line of
the change. Answer with the text of the issue alone."""


class ProblemStatement(NamedTuple):
    """A problem statement with its origin and cost."""

    text: str
    origin: Origin
    costs: list[ModelCost]
    revealed: Revealed = Revealed()


def from_author(
    message: str, entries: Sequence[str], words: FixWords, origin: Origin
) -> ProblemStatement:
    """What the commits and the changelog of a fix say of the bug, without what they say of the fix.

    Empty if too little remains.
    """
    text = _MERGE.sub("", _TRAILER.sub("", message[:_READ]))
    told, left_out = about_the_bug("\n\n".join([text, "\n".join(entries)[:_READ]]), words.reveals)
    return ProblemStatement(tidy(told), origin, [], Revealed(left_out=left_out))


def tidy(text: str) -> str:
    """The text without surplus empty lines; empty if too little remains."""
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return text[:_LONGEST] if len(text) >= _TITLE else ""


def from_failures(
    failures: Mapping[str, Failure],
    tests: Mapping[str, str],
    chosen: Sequence[str],
    fits: Callable[[str], bool],
) -> str:
    """A bug report of the failures before the fix; `tests` are texts by path.

    Code that does not fit is shortened to the call that failed, or left out.
    """
    seen = {test: failures[test] for test in chosen if test in failures}
    return bug_report(seen, tests, RevealingNames(None), fits) if seen else ""


def by_model(
    author: Author,
    patch: str,
    failures: Mapping[str, Failure],
    words: FixWords,
    limits: IssueFixSettings,
) -> ProblemStatement | None:
    """An issue that a model writes without revealing the fix; None if every try reveals it."""
    told = without_addresses("\n\n".join(failures[test].text for test in sorted(failures)))
    asked = _QUESTION.format(diff=patch[:_SHOWN], failures=told[:_SHOWN])
    text, costs = author.text(asked, lambda text: _problem(text, words, limits))
    return ProblemStatement(text, "model", costs) if text else None


def _problem(text: str, words: FixWords, limits: IssueFixSettings) -> str:
    if not _SHORTEST <= len(text) <= _LONGEST:
        return f"It has {len(text)} characters; it must have {_SHORTEST} to {_LONGEST}."
    if problem := words.problem(text, limits):
        return problem
    if words.quoted(text):
        return "It quotes the change."
    if orders := prescriptions(text):
        return f"It says what to change: {orders[0]!r}. Say only what happens and what should."
    return ""


def changelog(history: History, before: str, after: str, paths: Sequence[str]) -> list[str]:
    """The entries that a change adds to the changelogs among the paths."""
    prose = [path for path in paths if is_prose(path) and _CHANGELOG.search(path)]
    diff = history.diff(before, after, prose) if prose else ""
    added = [line[1:] for line in diff.split("\n") if line[:1] == "+" and line[:4] != "+++ "]
    return entries("\n".join(added))


def entries(added: str) -> list[str]:
    """The changelog entries in added lines."""
    found: list[str] = []
    for line in added.split("\n"):
        if _BULLET.match(line):
            found.append(line.strip())
        elif line.strip() and found and line.startswith((" ", "\t")):
            found[-1] += " " + line.strip()
    return found
