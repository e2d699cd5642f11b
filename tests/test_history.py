"""A repository's history as a list of changes; its issues as they were."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import zstandard

from forager.errors import SourceError, UsageError
from forager.images.git import git
from tasks.history import (
    Commit,
    History,
    closed_by,
    is_code,
    is_prose,
    is_test,
    open_history,
    spread,
)
from tasks.issue_fix import candidates
from tasks.issues import GitHub, IssueFiles, linked


def commit(tree: Path, message: str, **files: str) -> str:
    """Write files (`__` is a slash, `_py` an ending) and commit them."""
    for name, text in files.items():
        path = tree / name.replace("__", "/").replace("_py", ".py").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(tree, "add", "--all", ".")
    git(tree, "commit", "--quiet", "--message", message)
    return git(tree, "rev-parse", "HEAD").strip()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    path = tmp_path / "owner" / "name"
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main", ".")
    commit(path, "Begin", a_py="x = 1\n", tests__test_a_py="def test_x(): pass\n")
    return path


def opened(tree: Path, name: str = "owner/name") -> History:
    """The history of the repository."""
    return open_history(str(tree), name=name)


def test_changes_are_told_newest_first_and_in_full(tree: Path) -> None:
    """Commits come newest first with files, message and parents, without the first."""
    fix = commit(
        tree, "Fix x\n\nCloses #3", a_py="x = 2\n", tests__test_a_py="def test_y(): pass\n"
    )
    last = commit(tree, "Tell", README_md="a é\n")
    newest, older = opened(tree).changes()
    assert (newest.commit, newest.base, newest.files) == (last, fix, ["README.md"])
    assert older.message == "Fix x\n\nCloses #3"
    assert (older.code(), older.tests()) == (["a.py"], ["tests/test_a.py"])


def test_an_accepted_merge_stands_for_its_commits(tree: Path) -> None:
    """Commits of a merge are no candidates; their messages count as the merge's."""
    git(tree, "checkout", "--quiet", "-b", "topic")
    commit(tree, "Fix the bug", a_py="x = 3\n", tests__test_a_py="def test_z(): pass\n")
    git(tree, "checkout", "--quiet", "main")
    commit(tree, "Other", b_py="y = 1\n")
    git(tree, "merge", "--quiet", "--no-ff", "-m", "Merge pull request #7 from a/topic", "topic")
    found, counts = candidates(opened(tree), 20)
    assert [commit.pull for commit in found] == [7]
    assert "Fix the bug" in found[0].message
    assert (counts["part of a merge"], counts["no tests"]) == (1, 1)


def test_what_is_no_candidate_is_counted(tree: Path) -> None:
    """Each other commit counts under its first reason; of equal changes the newer wins."""
    both = {"a_py": "x = 5\n", "tests__test_a_py": "def test_5(): pass\n"}
    commit(tree, "Fix it", **both)
    commit(tree, "Fix: undo", a_py="x = 1\n", tests__test_a_py="def test_x(): pass\n")
    commit(tree, "Fix it again", **both)
    commit(tree, "Add a thing", a_py="x = 6\n", tests__test_a_py="def test_6(): pass\n")
    commit(tree, "Fix words", README_md="b\n")
    found, counts = candidates(opened(tree), 20)
    assert [commit.message for commit in found] == ["Fix it again", "Fix: undo"]
    assert counts == {
        "commits": 5, "candidates": 2, "no code": 1, "no word of a fix": 1,
        "the same as a newer one": 1,
    }  # fmt: skip


def test_commits_are_chosen_all_over_a_history(tree: Path) -> None:
    """The newest of equal parts, of the commits that change code or tests."""
    made = [commit(tree, f"Change {n}", a_py=f"x = {n}\n") for n in range(2, 10)]
    commit(tree, "Tell", README_md="a\n")
    history = opened(tree)
    assert spread(history, 4) == [history.source_at(made[n]) for n in (7, 5, 3, 1)]
    assert spread(history, 1) == [history.source_at(made[7])]
    assert len(spread(history, 100)) == 8


def test_a_clone_is_brought_up_to_date_and_keeps_its_name(tree: Path) -> None:
    """A source may name a branch, tag or commit; an unknown one is an error.

    The locks of a git that was killed are removed.
    """
    history = open_history(str(tree))
    assert history.name == "local/name"
    for name in ("packed-refs.lock", "refs/heads/main.lock", "refs/heads/master.lock"):
        (history.path / name).parent.mkdir(parents=True, exist_ok=True)
        (history.path / name).touch()
    first = git(tree, "rev-parse", "HEAD").strip()
    commit(tree, "Fix", a_py="x = 9\n")
    assert len(list(opened(tree).changes())) == 1
    assert not list(open_history(f"{tree}@{first}").changes())
    with pytest.raises(SourceError, match="no branch, tag or commit 'absent'"):
        open_history(f"{tree}@absent")
    with pytest.raises(SourceError, match="neither a directory nor a git URL"):
        open_history(str(tree / "absent"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b.py", "code"),
        ("src/a/fast.pyx", "code"),
        ("tests/data/x.json", "test"),
        ("a/tests/test_x.py", "test"),
        ("conftest.py", "test"),
        ("docs/conf.py", "prose"),
        ("CHANGES.rst", "prose"),
        ("setup.py", ""),
        ("benchmarks/run.py", ""),
    ],
)
def test_kinds_of_files(path: str, kind: str) -> None:
    """Name and directory decide whether a file is code, test or prose."""
    kinds = {"code": is_code(path), "test": is_test(path), "prose": is_prose(path)}
    assert [name for name, holds in kinds.items() if holds] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("fixes #1, Closed #2", [1, 2]),
        ("resolve owner/name#3", [3]),
        ("fix other/name#4", []),
        ("fixed https://github.com/owner/name/issues/5", [5]),
        ("closes: GH-6", [6]),
        ("see #7; prefixes #8", []),
    ],
)
def test_closing_keywords(text: str, numbers: list[int]) -> None:
    """GitHub's keywords close issues of the repository itself."""
    assert closed_by(text, "owner/name") == numbers


ISSUE = {
    "url": "https://api.github.com/repos/owner/name/issues/3",
    "number": 3,
    "title": "It breaks",
    "body": "As it was\r\nwritten",
    "created_at": "2020-01-01T00:00:00Z",
}
COMMENT = {"issue_url": ISSUE["url"], "body": "Me too", "created_at": "2020-01-02T00:00:00Z"}
LATE = {**COMMENT, "body": "The fix is f(x)", "created_at": "2020-03-01T00:00:00Z"}
FIXED = "2020-02-01T00:00:00+00:00"


def event(body: str, at: str, **payload: Any) -> dict[str, Any]:
    """An event of GH Archive."""
    issue = {**ISSUE, "body": body}
    return {
        "repo": {"name": "owner/name"},
        "created_at": at,
        "payload": {"issue": issue, **payload},
    }


EVENTS = [
    event("First words", "2020-01-01T00:00:00Z"),
    event("First words", "2020-01-03T00:00:00Z", comment=COMMENT),
    event("It is f(x)", "2020-02-02T00:00:00Z", comment=LATE),
    {**event("Not ours", "2020-01-01T00:00:00Z"), "repo": {"name": "other/name"}},
    {"repo": {"name": "owner/name"}, "created_at": "2020-01-01T00:00:00Z", "payload": {}},
]


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_dumps_of_the_api(tmp_path: Path, ending: str) -> None:
    """Dumps are lists or lines, packed or not; later comments are left out."""
    rows: list[Any] = [ISSUE, COMMENT, LATE, {**ISSUE, "number": 4, "pull_request": {}}]
    text = json.dumps(rows, indent=1) if ending == ".json" else "\n".join(map(json.dumps, rows))
    path = tmp_path / f"issues{ending}"
    packs: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": zstandard.compress}
    path.write_bytes(packs.get(path.suffix, bytes)(text.encode()))
    issues = IssueFiles([path], "owner/name")
    assert linked([3, 4, 5], issues, FIXED) == ("It breaks\n\nAs it was\nwritten", "Me too")
    assert linked([3], issues, "2019-01-01T00:00:00Z") == ("", "")
    assert linked([3], IssueFiles([path], "other/name"), FIXED) == ("", "")


def test_edits_after_the_fix_are_left_out(tmp_path: Path) -> None:
    """GH Archive dates each edit, and edits after the fix are left out."""
    path = tmp_path / "2020-01-01-0.json"
    path.write_text("\n".join(map(json.dumps, EVENTS)))
    assert linked([3], IssueFiles([path], "Owner/Name"), FIXED) == (
        "It breaks\n\nFirst words",
        "Me too",
    )


def test_a_dump_that_is_none_is_refused(tmp_path: Path) -> None:
    """A file that is not a dump gives one line that names it."""
    path = tmp_path / "x.jsonl"
    path.write_text("{broken")
    with pytest.raises(UsageError, match="neither JSON nor JSON Lines"):
        IssueFiles([path], "owner/name")
    with pytest.raises(UsageError, match="cannot read"):
        IssueFiles([tmp_path / "absent"], "owner/name")


class _Api(BaseHTTPRequestHandler):
    """A GraphQL server: busy once, then an issue, a pull request, or nothing."""

    asked: list[Any]

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((told["variables"], self.headers["Authorization"]))
        number = told["variables"]["number"]
        found: Any = None
        if number == 3:
            edits = [
                {"editedAt": "2020-02-03T00:00:00Z", "diff": "Later"},
                {"editedAt": "2020-01-01T00:00:00Z", "diff": "At first"},
            ]
            found = {
                "__typename": "Issue", "number": 3, "title": "It breaks", "body": "Later",
                "createdAt": "2020-01-01T00:00:00Z", "userContentEdits": {"nodes": edits},
                "comments": {"nodes": []},
            }  # fmt: skip
        answer = json.dumps({"data": {"repository": {"issueOrPullRequest": found}}}).encode()
        self.send_response(502 if len(self.asked) == 1 else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[Any]]]:
    """The address of a GraphQL server, and the requests that it received."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    kind = type("Api", (_Api,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", kind.asked  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def test_github_is_asked_once(tmp_path: Path, api: tuple[str, list[Any]]) -> None:
    """forager retries a busy server and keeps answers for the next process."""
    url, asked = api
    for _ in range(2):
        issues = GitHub("owner/name", "secret", tmp_path / "kept.jsonl", url)
        assert linked([3], issues, FIXED) == ("It breaks\n\nAt first", "")
        assert issues.find(8) is None
        issues.close()
    assert [variables["number"] for variables, _ in asked] == [3, 3, 8]
    assert asked[0] == ({"owner": "owner", "name": "name", "number": 3}, "Bearer secret")
    assert "secret" not in (tmp_path / "kept.jsonl").read_text()


def test_a_pull_request_is_told_by_its_merge_or_its_squash() -> None:
    """The number of a pull request comes from GitHub's own merge messages."""
    fields: dict[str, Any] = {"commit": "a", "base": "b", "date": "", "files": []}
    assert Commit(message="Merge pull request #12 from a/b\n\nx", **fields).pull == 12
    assert Commit(message="Mend it (#34)\n\nFixes #2", **fields).pull == 34
    assert Commit(message="Mend #5", **fields).pull == 0
