"""Issues as they were when the fix was written: from GitHub, or from files that hold its answers.

Files may be JSON or JSON Lines, also compressed by gzip or zstd: answers of GitHub's REST API for
issues and comments (https://docs.github.com/rest/issues), or the events of GH Archive
(https://www.gharchive.org). What was written later than the fix is left out: comments, edits,
issues.
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


class Version(Record):
    """A text, and when it came to be."""

    at: str
    text: str


class Issue(Record):
    """An issue with what is known of its past."""

    number: int
    title: str
    created_at: str
    bodies: list[Version] = Field(description="As it was written and as it was edited.")
    comments: list[Version] = []

    def as_of(self, moment: str) -> tuple[str, str]:
        """Title and text, and the comments, as they were; both empty where it came later."""
        if _time(self.created_at) > _time(moment):
            return "", ""
        known = [body for body in self.bodies if _time(body.at) <= _time(moment)]
        text = max(known, key=lambda body: _time(body.at)).text if known else ""
        said = [comment.text for comment in self.comments if _time(comment.at) <= _time(moment)]
        return f"{self.title}\n\n{text}".strip(), "\n\n".join(said)


class Issues(Protocol):
    """Where issues are looked up."""

    def find(self, number: int) -> Issue | None:
        """The issue of this number; None where there is none, or it is a pull request."""
        ...


class Dump:
    """The issues of one repository, out of files."""

    def __init__(self, paths: Iterable[Path], repo: str) -> None:
        self._repo = repo.lower()
        self._issues: dict[int, Issue] = {}
        self._comments: dict[int, dict[str, Version]] = {}
        for path in paths:
            for row in _rows(path):
                self._take(row)

    def find(self, number: int) -> Issue | None:
        """As the files tell it."""
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
            bodies = [*bodies, Version(at=at, text=body)]
        title = known.title if known and known.bodies[0].at <= at else str(told["title"])
        created = str(told["created_at"])
        self._issues[number] = Issue(number=number, title=title, created_at=created, bodies=bodies)
        for comment in told.get("comments_data") or (
            told["comments"] if isinstance(told.get("comments"), list) else []
        ):
            self._comment(number, comment)

    def _comment(self, number: int, told: Mapping[str, Any]) -> None:
        version = Version(at=str(told["created_at"]), text=str(told.get("body") or ""))
        self._comments.setdefault(number, {})[f"{version.at}{version.text}"] = version

    def _is_ours(self, url: str) -> bool:
        return f"/{self._repo}/" in f"{url.lower()}/"


class GitHub:
    """The issues of one repository, from GitHub's GraphQL API; answers are kept in a file.

    `token` is a personal access token; `url` is the API's root, of GitHub or of an Enterprise
    server.
    """

    def __init__(
        self, repo: str, token: str, kept: Path, url: str = "https://api.github.com"
    ) -> None:
        self._owner, _, self._name = repo.partition("/")
        self._token, self._url = token, url.rstrip("/")
        known = read_records(kept, _Kept) if kept.exists() else ()
        self._known = {answer.number: answer.issue for answer in known}
        self._file = RecordWriter(kept)

    def find(self, number: int) -> Issue | None:
        """As the API tells it. Raises ForagerError where it does not answer."""
        if number not in self._known:
            self._known[number] = self._ask(number)
            self._file.append(_Kept(number=number, issue=self._known[number]))
        return self._known[number]

    def _ask(self, number: int) -> Issue | None:
        again = Retrying(
            stop=stop_after_attempt(6),
            wait=wait_exponential_jitter(1, 60),
            retry=retry_if_exception_type((requests.RequestException, _Busy)),
            reraise=True,
        )
        try:
            told = again(self._post, number)
        except (requests.RequestException, _Busy) as error:
            raise ForagerError(f"{self._url} does not answer: {error}; run again later") from error
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
            raise _Busy(f"{answer.status_code} {answer.reason}")
        if answer.status_code == 401:
            raise UsageError("GitHub refuses the token: set GITHUB_TOKEN to a valid one")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def close(self) -> None:
        """Close the file of answers."""
        self._file.close()


class _Busy(Exception):
    """The API asks to be asked later."""


class _Kept(Record):
    number: int
    issue: Issue | None


def _from_graph(told: Mapping[str, Any]) -> Issue:
    edits = [
        Version(at=edit["editedAt"], text=edit["diff"] or "")
        for edit in told["userContentEdits"]["nodes"]
        if edit.get("diff") is not None
    ]
    written = Version(at=told["createdAt"], text=told["body"] or "")
    return Issue(
        number=told["number"],
        title=told["title"],
        created_at=told["createdAt"],
        bodies=edits or [written],
        comments=[
            Version(at=comment["createdAt"], text=comment["body"])
            for comment in told["comments"]["nodes"]
        ],
    )


def linked(numbers: Collection[int], issues: Issues | None, moment: str) -> tuple[str, str]:
    """The texts of the issues that a change closes, and their comments, as they were."""
    texts, hints = [], []
    for number in dict.fromkeys(numbers):
        issue = issues.find(number) if issues else None
        text, told = issue.as_of(moment) if issue else ("", "")
        texts += [text] if text else []
        hints += [told] if told else []
    return "\n\n".join(texts), "\n\n".join(hints)


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The objects of a file; lists are taken apart. Raises UsageError."""
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
    """Lists of what stands on each line; or of what stands in the whole file, where it is one."""
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
    """Seconds since 1970 of an ISO 8601 date."""
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
