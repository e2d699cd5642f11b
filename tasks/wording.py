"""Problem statements of real bugs: the issue, what the fix's author wrote, what the tests saw."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from forager.environments.repository.mutation import ModelCost
from forager.environments.repository.testing import Failure
from forager.mutation.bug_report import bug_report, without_addresses
from forager.mutation.names import RevealingNames, told_lines
from tasks.author import Author
from tasks.history import History, is_prose

Origin = Literal["issue", "commit", "changelog", "failures", "model"]

_SHORTEST, _LONGEST = 40, 8000  # characters of an issue
_TITLE = 20  # characters; a shorter commit message says nothing
_SHOWN = 6000  # most characters of the diff, and of the failures, in the question to a model
_TRAILER = re.compile(
    r"^(?:(?:signed-off|co-authored|reviewed|acked|tested|reported|helped|suggested)-by|cc|refs?"
    r"|change-id|git-svn-id|\(cherry picked from)\b.*$",
    re.IGNORECASE | re.MULTILINE,
)
_MERGE = re.compile(r"^Merge (?:pull request #\d+ from \S+|(?:remote-tracking )?branch .*)$", re.M)
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


def from_author(message: str, entries: Sequence[str], patch: str) -> str:
    """The text about a fix in its commits and changelog, without lines that quote the fix.

    Empty if too little remains.
    """
    text = _MERGE.sub("", _TRAILER.sub("", message))
    said = "\n".join(line.rstrip() for line in text.splitlines())
    paragraphs = dict.fromkeys(re.split(r"\n{2,}", said))  # a squash repeats its commits' texts
    told = "\n\n".join([*paragraphs, "\n".join(entries)])
    return tidy(without_fix(told, patch))


def without_fix(text: str, patch: str) -> str:
    """The text without lines that quote a line that the patch adds."""
    added = "\n".join(line for line in patch.split("\n") if line.startswith("+"))
    return "\n".join(line for line in text.split("\n") if not told_lines(added, line))


def tidy(text: str) -> str:
    """The text without surplus empty lines; empty if too little remains."""
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return text[:_LONGEST] if len(text) >= _TITLE else ""


def from_failures(
    failures: Mapping[str, Failure], tests: Mapping[str, str], chosen: Sequence[str]
) -> str:
    """A bug report of the failures before the fix; `tests` are texts by path."""
    seen = {test: failures[test] for test in chosen if test in failures}
    return bug_report(seen, tests, RevealingNames(None)) if seen else ""


def by_model(
    author: Author, patch: str, failures: Mapping[str, Failure]
) -> ProblemStatement | None:
    """An issue that a model writes without quoting the fix; None if every try quotes it."""
    told = without_addresses("\n\n".join(failures[test].text for test in sorted(failures)))
    asked = _QUESTION.format(diff=patch[:_SHOWN], failures=told[:_SHOWN])
    text, costs = author.text(asked, lambda text: _problem(text, patch))
    return ProblemStatement(text, "model", costs) if text else None


def _problem(text: str, patch: str) -> str:
    if not _SHORTEST <= len(text) <= _LONGEST:
        return f"It has {len(text)} characters; it must have {_SHORTEST} to {_LONGEST}."
    if text != without_fix(text, patch):
        return "It quotes the change."
    return ""


def changelog(history: History, before: str, after: str, paths: Sequence[str]) -> list[str]:
    """The entries that a change adds to the changelogs among the paths."""
    prose = [path for path in paths if is_prose(path)]
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
