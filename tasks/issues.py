"""Issues as they were when the fix was written: from GitHub, or from files with its answers.

Files are JSON or JSON Lines, optionally compressed with gzip or zstd: answers of GitHub's REST API
for issues and comments (https://docs.github.com/rest/issues), or events of GH Archive
(https://www.gharchive.org). Issues, comments and edits from after the fix are left out.
"""

import gzip
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

import requests
import zstandard
from pydantic import Field
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from forager.errors import ForagerError, UsageError
from forager.images.host import ca_bundle
from forager.logins import LOGINS
from forager.records import Record, RecordWriter, read_records

_QUERY = """
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issueOrPullRequest(number: $number) {
      __typename
      ... on Issue {
        number title body createdAt
        userContentEdits(first: 100) { nodes { editedAt diff } }
        comments(first: 50) { nodes { body createdAt } }
      }
    }
  }
}"""


class TextVersion(Record):
    """One version of a text, with the time when it was written (ISO 8601)."""

    at: str
    text: str


class Issue(Record):
    """An issue with the known versions of its text."""

    number: int
    title: str
    created_at: str
    bodies: list[TextVersion] = Field(description="The first version and the known edits.")
    comments: list[TextVersion] = []

    def as_of(self, moment: str) -> tuple[str, str]:
        """The issue's text with title, and its comments, at a moment; empty before its creation."""
        if _time(self.created_at) > _time(moment):
            return "", ""
        known = [body for body in self.bodies if _time(body.at) <= _time(moment)]
        text = max(known, key=lambda body: _time(body.at)).text if known else ""
        said = [comment.text for comment in self.comments if _time(comment.at) <= _time(moment)]
        return f"{self.title}\n\n{text}".strip(), "\n\n".join(said)


class Issues(Protocol):
    """Looks up issues of one repository."""

    def find(self, number: int) -> Issue | None:
        """The issue with this number; None if it is unknown or a pull request."""
        ...


class IssueFiles:
    """The issues of one repository, read from files."""

    def __init__(self, paths: Iterable[Path], repo: str) -> None:
        self._repo = repo.lower()
        self._issues: dict[int, Issue] = {}
        self._comments: dict[int, dict[str, TextVersion]] = {}
        for path in paths:
            for row in _rows(path):
                self._take(row)

    def find(self, number: int) -> Issue | None:
        """The issue in the files; None if they lack it."""
        issue = self._issues.get(number)
        said = self._comments.get(number, {})
        comments = sorted(said.values(), key=lambda comment: comment.at)
        return issue and issue.model_copy(update={"comments": comments})

    def _take(self, row: Mapping[str, Any]) -> None:
        payload = row.get("payload")
        if isinstance(payload, Mapping) and isinstance(payload.get("issue"), Mapping):
            if str((row.get("repo") or {}).get("name", "")).lower() == self._repo:
                self._take_event(row, payload)
        elif "issue_url" in row and self._is_ours(row["issue_url"]):
            self._comment(int(row["issue_url"].rsplit("/", 1)[1]), row)
        elif "number" in row and "title" in row and self._is_ours(_address(row)):
            self._issue(row, row["created_at"])

    def _take_event(self, row: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
        self._issue(payload["issue"], row["created_at"])
        if isinstance(payload.get("comment"), Mapping):
            self._comment(int(payload["issue"]["number"]), payload["comment"])

    def _issue(self, told: Mapping[str, Any], at: str) -> None:
        if told.get("pull_request") is not None:
            return
        number, body = int(told["number"]), str(told.get("body") or "").replace("\r\n", "\n")
        known = self._issues.get(number)
        bodies = known.bodies if known else []
        if body not in [version.text for version in bodies]:
            bodies = [*bodies, TextVersion(at=at, text=body)]
        title = known.title if known and known.bodies[0].at <= at else str(told["title"])
        created = str(told["created_at"])
        self._issues[number] = Issue(number=number, title=title, created_at=created, bodies=bodies)
        for comment in told.get("comments_data") or (
            told["comments"] if isinstance(told.get("comments"), list) else []
        ):
            self._comment(number, comment)

    def _comment(self, number: int, told: Mapping[str, Any]) -> None:
        version = TextVersion(at=str(told["created_at"]), text=str(told.get("body") or ""))
        self._comments.setdefault(number, {})[f"{version.at}{version.text}"] = version

    def _is_ours(self, url: str) -> bool:
        return f"/{self._repo}/" in f"{url.lower()}/"


class GitHub:
    """The issues of one repository from GitHub's GraphQL API, with a file that caches answers.

    `token` is a personal access token, `url` the root of the API of GitHub or an Enterprise server.
    """

    def __init__(
        self, repo: str, token: str, kept: Path, url: str = "https://api.github.com"
    ) -> None:
        self._owner, _, self._name = repo.partition("/")
        self._token, self._url = token, LOGINS.take(url).rstrip("/")
        LOGINS.keep_secret(token)
        self._file = RecordWriter(kept)
        self._known = {answer.number: answer.issue for answer in read_records(kept, _CachedIssue)}

    def find(self, number: int) -> Issue | None:
        """The issue from the cache or the API. Raises ForagerError if the API does not answer."""
        if number not in self._known:
            self._known[number] = self._ask(number)
            self._file.append(_CachedIssue(number=number, issue=self._known[number]))
        return self._known[number]

    def _ask(self, number: int) -> Issue | None:
        again = Retrying(
            stop=stop_after_attempt(6),
            wait=wait_exponential_jitter(1, 60),
            retry=retry_if_exception_type((requests.RequestException, _ServerBusy)),
            reraise=True,
        )
        try:
            told = again(self._post, number)
        except (requests.RequestException, _ServerBusy) as error:
            why = LOGINS.hide(str(error))
            raise ForagerError(f"{self._url} does not answer: {why}; try again later") from error
        repository = (told.get("data") or {}).get("repository") or {}
        issue = repository.get("issueOrPullRequest") or {}
        return _from_graph(issue) if issue.get("__typename") == "Issue" else None

    def _post(self, number: int) -> dict[str, Any]:
        answer = requests.post(
            f"{self._url}/graphql",
            json={
                "query": _QUERY,
                "variables": {"owner": self._owner, "name": self._name, "number": number},
            },
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=60,
            verify=ca_bundle() or True,
        )
        if answer.status_code in (403, 429) or answer.status_code >= 500:
            raise _ServerBusy(f"{answer.status_code} {answer.reason}")
        if answer.status_code == 401:
            raise UsageError("GitHub rejects the token: set GITHUB_TOKEN to a valid token")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def close(self) -> None:
        """Close the cache file."""
        self._file.close()


class _ServerBusy(Exception):
    """The API asks for a later retry."""


class _CachedIssue(Record):
    number: int
    issue: Issue | None


def _from_graph(told: Mapping[str, Any]) -> Issue:
    edits = [
        TextVersion(at=edit["editedAt"], text=edit["diff"] or "")
        for edit in told["userContentEdits"]["nodes"]
        if edit.get("diff") is not None
    ]
    written = TextVersion(at=told["createdAt"], text=told["body"] or "")
    return Issue(
        number=told["number"],
        title=told["title"],
        created_at=told["createdAt"],
        bodies=edits or [written],
        comments=[
            TextVersion(at=comment["createdAt"], text=comment["body"])
            for comment in told["comments"]["nodes"]
        ],
    )


def linked(numbers: Collection[int], issues: Issues | None, moment: str) -> tuple[str, str]:
    """The texts of these issues at a moment, and their comments as hints."""
    texts, hints = [], []
    for number in dict.fromkeys(numbers):
        issue = issues.find(number) if issues else None
        text, told = issue.as_of(moment) if issue else ("", "")
        texts += [text] if text else []
        hints += [told] if told else []
    return "\n\n".join(texts), "\n\n".join(hints)


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a file, and those inside its lists. Raises UsageError."""
    try:
        with path.open("rb") as packed, _unpacked(path, packed) as text:
            for told in _values(text):
                yield from (row for row in told if isinstance(row, Mapping))
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is neither JSON nor JSON Lines: {error}") from error


def _unpacked(path: Path, packed: BinaryIO) -> TextIO:
    plain: Any = packed
    if path.suffix == ".gz":
        plain = gzip.GzipFile(fileobj=packed)
    elif path.suffix == ".zst":
        plain = zstandard.ZstdDecompressor().stream_reader(packed)
    return io.TextIOWrapper(plain, encoding="utf-8")


def _values(text: TextIO) -> Iterator[list[Any]]:
    """Yield the values of a file as lists: the whole file if it is JSON, else line by line."""
    first = text.readline()
    if first.strip() in ("[", "{") or first.lstrip().startswith("["):
        told = json.loads(first + text.read())
        yield told if isinstance(told, list) else [told]
        return
    for line in chain([first], text):
        if line.strip():
            yield [json.loads(line)]


def _address(row: Mapping[str, Any]) -> str:
    return str(row.get("repository_url") or row.get("url") or row.get("html_url") or "")


def _time(text: str) -> float:
    """An ISO 8601 date in seconds since 1970."""
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
