"""Issue-fix from a history and from releases to tasks, in real containers."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import CORE, PYPROJECT, TESTS
from test_history import commit

from forager.agent.model import Reply, ScriptedModel
from forager.environments.repository.grading import grade
from forager.environments.repository.mutation import Fix, Revealed
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.testing import Failure
from forager.environments.repository.workspace import open_task
from forager.images.git import git
from forager.mutation.prove import check
from forager.records import read_records
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import Limits
from tasks.author import Author
from tasks.funnel import Funnel
from tasks.history import History, open_history
from tasks.issue_fix import IssueFixRequest, KnownOfFix, best_text, make_tasks
from tasks.issues import IssueFiles
from tasks.releases import HunkGroup, entries_about, hunk_groups, patches
from tasks.revealing import FixWords
from tasks.settings import IssueFixSettings
from tasks.validate import FixProof
from tasks.wording import ProblemStatement, by_model, entries, from_author

FORAGER = Path(sys.executable).with_name("forager")
BAD_CORE = CORE.replace("min(max(value, low), high)", "min(value, high)").replace(
    "if len(word) > len(best)", "if len(word) >= len(best)"
)
CLAMP = CORE.replace("if len(word) > len(best)", "if len(word) >= len(best)")
OLD_TESTS = "from kata.core import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n"
CLAMP_TESTS = (
    "from kata.core import clamp, total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n\n\n"
    "def test_clamp_below():\n    assert clamp(-1, 0, 10) == 0\n"
)
ISSUE = {
    "url": "https://api.github.com/repos/kata/kata/issues/3",
    "number": 3,
    "title": "A clamp does not hold",
    "body": "clamp(-1, 0, 10) is -1.",
    "created_at": "1999-01-01T00:00:00Z",
}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project with two fixes, and with commits of prose, a refactoring and a broken state."""
    root = tmp_path_factory.mktemp("history")
    tree = root / "kata"
    tree.mkdir()
    git(tree, "init", "--quiet", "--initial-branch=main", ".")
    (tree / "pyproject.toml").write_text(PYPROJECT)
    commit(
        tree, "Begin", kata____init___py="", kata__core_py=BAD_CORE, tests__test_core_py=OLD_TESTS
    )
    commit(tree, "Tell", README_md="Small exercises\n")
    commit(tree, "Hold the lower bound, too\n\nFixes #3", kata__core_py=CLAMP,
           tests__test_core_py=CLAMP_TESTS, CHANGES_md="- Hold the lower bound\n")  # fmt: skip
    commit(tree, "Fix a name", kata__core_py=CLAMP.replace("best", "found"),
           tests__test_core_py=f"{CLAMP_TESTS}\n")  # fmt: skip
    commit(tree, "Fix longest for words of one length\n\nSigned-off-by: A <a@b>",
           kata__core_py=CORE, tests__test_core_py=TESTS)  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(root / "home"))
        yield open_history(str(tree), name="kata/kata")
    client = connect()
    for image in client.api.images(filters={"label": "forager.source"}):
        if any("/kata:" in tag for tag in image["RepoTags"]) and str(root) in str(image["Labels"]):
            client.images.remove(image["Id"], force=True)


def made(history: History, output: Path, **order: Any) -> tuple[list[RepositoryTask], Counter[str]]:
    """Make the tasks of a history; return them with the funnel."""
    asked = IssueFixRequest(workers=2, **order)
    counts = make_tasks(
        history, asked, output=output, on_progress=lambda *_, **__: None, report=lambda _: None
    )
    return list(read_records(output, RepositoryTask)), counts


@pytest.fixture(scope="module")
def found(history: History, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The project's tasks with their file and funnel."""
    path = tmp_path_factory.mktemp("tasks")
    dump = path / "issues.json"
    dump.write_text(json.dumps([ISSUE]))
    output = path / "tasks.jsonl"
    return (*made(history, output, issues=IssueFiles([dump], "kata/kata")), output)


@pytest.mark.engine
def test_fixes_become_tasks_and_the_funnel_tells_of_the_others(found: Any) -> None:
    """Both fixes share an image at the older one's base and hold."""
    (longest, clamp), counts, _ = found
    assert counts == {
        "commits": 4, "candidates": 3, "no code": 1, "tasks": 2, "images": 1,
        "tests: no test fails before and passes after": 1,
    }  # fmt: skip
    assert longest.image == clamp.image
    assert (longest.setup_patch != "", clamp.setup_patch) == (True, "")
    assert clamp.FAIL_TO_PASS == ["tests/test_core.py::test_clamp_below"]
    assert clamp.PASS_TO_PASS == ["tests/test_core.py::test_total"]
    assert "tests/test_core.py::test_longest_first" in longest.FAIL_TO_PASS
    assert all(task.fix and task.fix.proof == "full" for task in (longest, clamp))
    assert "tests/" not in clamp.patch + longest.patch + longest.setup_patch[:0]
    assert [check(task) for task in (longest, clamp)] == ["", ""]


@pytest.mark.engine
def test_the_issue_is_told_or_what_was_written_and_seen(found: Any) -> None:
    """The statement is the issue, or the author's words with the failures."""
    (longest, clamp), *_ = found
    assert clamp.problem_statement == "A clamp does not hold\n\nclamp(-1, 0, 10) is -1."
    assert (clamp.fix.statement, clamp.fix.issues, longest.fix.statement) == (
        "issue",
        [3],
        "commit",
    )
    assert longest.problem_statement.startswith("Fix longest for words of one length\n\n")
    assert "Signed-off-by" not in longest.problem_statement


@pytest.mark.engine
def test_a_run_that_goes_on_tries_nothing_twice(found: Any, history: History) -> None:
    """A second run keeps all decisions of the first."""
    tasks, counts, output = found
    before = output.read_bytes()
    again, told = made(history, output)
    assert (again, told, output.read_bytes()) == (tasks, counts, before)


@pytest.mark.engine
def test_the_repository_holds_nothing_of_the_fix(found: Any) -> None:
    """History, objects, packages and files of the container lack the fix."""
    longest, clamp = found[0]
    for task, telling in ((longest, "len(word) > len(best)"), (clamp, "max(value, low)")):
        sandbox, _ = open_task(task, Limits())
        try:
            assert sandbox.run("git log --all --oneline | wc -l").output.strip() == "1"
            for command in (
                "git fsck --lost-found --no-progress 2>&1",
                "git reflog -n 9 | tail -n +2; git tag; git remote; git stash list",
                "git for-each-ref --format='%(refname)' | grep -v heads/main; ls .git/packed-refs",
            ):
                told = sandbox.run(f"({command}) 2>/dev/null").output.strip()
                assert told in ("", "notice: HEAD points to an unborn branch (main)"), command
            objects = (
                "git cat-file --batch-all-objects --batch-check='%(objectname)' | "
                "while read one; do git cat-file -p $one; done"
            )
            everywhere = (
                f"grep -rlF '{telling}' / --include='*' -s --exclude-dir=proc --exclude-dir=sys"
            )
            for command in (f"{objects} | grep -cF '{telling}'", f"{everywhere} | head"):
                assert sandbox.run(command, timeout=300).output.strip() in ("", "0"), command
            hidden = "grep -rl test_clamp_below /testbed" if task is clamp else "true"
            assert sandbox.run(hidden).output.strip() == ""
        finally:
            sandbox.close()


@pytest.mark.engine
def test_grading_puts_the_hidden_tests_in(found: Any) -> None:
    """The fix resolves, half of it scores by similarity; the agent's tests are ignored."""
    _, clamp = found[0]
    good = grade(clamp, clamp.patch, Limits())
    assert (good.resolved, good.similarity, good.reward) == (True, 1.0, 1)
    wrong = clamp.patch.replace("max(value, low)", "max(value, 1)")
    bad = grade(clamp, wrong, Limits())
    assert (bad.resolved, bad.reward) == (False, 0)
    fake = (
        "diff --git a/tests/test_core.py b/tests/test_core.py\n--- a/tests/test_core.py\n"
        "+++ b/tests/test_core.py\n@@ -1,1 +1,2 @@\n+import sys\n from kata.core import total\n"
    )
    graded = grade(clamp, clamp.patch + fake, Limits())
    assert (graded.resolved, graded.ignored_files) == (True, ["tests/test_core.py"])
    assert grade(clamp, fake, Limits()).reward == -1


@pytest.mark.engine
def test_a_run_over_issue_fix_tasks(found: Any, tmp_path: Path) -> None:
    """Agents read the issue; `repair` may fail, and its patches are graded."""
    command = [
        FORAGER,
        "run",
        found[2],
        "-o",
        tmp_path / "run",
        "-m",
        "repair",
        "--max-turns",
        "12",
        "--predictions",
        tmp_path / "predictions",
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([FORAGER, "replay", tmp_path / "run", "--print"], capture_output=True,
                           check=True)  # fmt: skip
    assert b"A clamp does not hold" in shown.stdout
    assert b"hidden tests" in shown.stdout
    told = [
        json.loads(line) for line in (tmp_path / "predictions/0.jsonl").read_text().splitlines()
    ]
    assert {row["instance_id"] for row in told} == {task.instance_id for task in found[0]}
    again = subprocess.run(command, capture_output=True, check=False)
    assert (again.returncode, b"exists; name a new directory" in again.stderr) == (2, True)


@pytest.mark.engine
def test_consecutive_releases_become_tasks(tmp_path: Path) -> None:
    """PyPI alone gives tasks that hold and carry no false label."""
    output = tmp_path / "tasks.jsonl"
    command: list[Any] = [FORAGER, "tasks", "issue-fix", "pypi:toolz", "-o", output, "--limit", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    task, *_ = read_records(output, RepositoryTask)
    assert task.fix and task.setup_patch and check(task) == ""
    assert task.contaminated == ""


NEW = CORE.replace('best = ""', "best = str()").replace("result = 0", "result = int()")


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[History, str, str]:
    """Two releases that differ in three functions, a version and a name."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    tree = tmp_path / "tree"
    tree.mkdir()
    git(tree, "init", "--quiet", "--initial-branch=main", ".")
    old = commit(tree, "1", kata__core_py=f"import a\n__version__ = '1'\n{BAD_CORE}")
    new = commit(tree, "2", kata__core_py=f"import b\n\n\n__version__ = '2'\n{NEW}")
    return open_history(str(tree)), old, new


def test_a_release_is_taken_apart_by_functions(releases: tuple[History, str, str]) -> None:
    """Hunks of one function form a group; the version is in no group."""
    history, old, new = releases
    groups = hunk_groups(history, old, new, ["kata/core.py", "tests/test_core.py"])
    assert [group.name for group in groups if not group.name.startswith("line")] == [
        "total",
        "longest",
        "clamp",
    ]
    assert not any("__version__" in text for group in groups for _, text in group.hunks)


def test_pieces_are_taken_out_and_put_back(releases: tuple[History, str, str]) -> None:
    """The base is the new release without the groups; the fix restores only them."""
    history, old, new = releases
    groups = [
        group for group in hunk_groups(history, old, new, ["kata/core.py"]) if group.name == "clamp"
    ]
    setup, fix = patches(history, old, new, ["kata/core.py"], groups)
    assert "+    result = int()" in setup and "max(value, low)" not in setup
    assert [line for line in fix.split("\n") if line[:1] in "+-" and line[:3] not in ("+++", "---")
            and line] == ["-    return min(value, high)",
                          "+    return min(max(value, low), high)"]  # fmt: skip


def test_entries_of_a_changelog_go_to_what_they_tell_of() -> None:
    """Entries match by names of changed functions or words of tests."""
    told = entries(
        "## 2.0\n\n- `clamp` holds\n  the lower bound\n* Empty words are longest\n1. Other"
    )
    assert told == ["- `clamp` holds the lower bound", "* Empty words are longest", "1. Other"]
    clamp = [HunkGroup("a.py", "clamp", ())]
    assert entries_about(told, clamp, []) == told[:1]
    tests = ["t.py::test_longest_of_empty_words"]
    assert entries_about(told, [HunkGroup("a.py", "other", ())], tests) == told[1:2]


PATCH = "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-    return low\n+    return max(low, value)\n"


WORDS = FixWords(PATCH, "", tests={})


def test_what_an_author_wrote_tells_of_the_bug_alone() -> None:
    """The text drops what tells of the fix, trailers, merge headers and repetitions."""
    said = "The lower bound is not held by clamp, it seems"
    text = (
        f"Merge pull request #4 from a/b\n\n{said}\n\n    return max(low, value)\n\n"
        f"Take the larger of both\n\nCo-authored-by: A <a@b>\n\n{said}"
    )
    written = from_author(text, ["- Use `max` in clamp"], WORDS, "commit")
    assert (written.text, written.origin, written.revealed.left_out) == (said, "commit", 3)
    assert from_author("wip", [], WORDS, "commit").text == ""


CLAMP_TEST = "def test_low():\n    value = clamp(-1, 0, 10)\n    assert value == 0\n"
NEW_CLAMP = PATCH.replace("max(low, value)", "larger_of(low, value)")
UNTOLD = RepositoryTask(
    instance_id="k", repo="kata/kata", base_commit="0" * 40, problem_statement="", patch=NEW_CLAMP,
    image="kata", FAIL_TO_PASS=[], PASS_TO_PASS=[],
)  # fmt: skip


@pytest.mark.parametrize(
    ("issue", "said", "origin", "refused"),
    [
        ("clamp(-1, 0, 10) is -1: see test_low", "Clamp is wrong", "issue", []),
        ("Call larger_of", "Clamp is wrong below low", "commit", ["issue"]),
        ("Call larger_of", "", "failures", ["issue"]),
        ("Call larger_of", "It is wrong without larger_of", "failures", ["issue", "commit"]),
    ],
)
def test_a_text_that_reveals_the_fix_gives_way(
    issue: str, said: str, origin: str, refused: list[str]
) -> None:
    """The best text within the limits is taken; the task records which texts were refused."""
    test_patch = "--- a/t.py\n+++ b/t.py\n@@ -0,0 +1,3 @@\n" + "".join(
        f"+{line}\n" for line in CLAMP_TEST.splitlines()
    )
    tests = {"t.py": CLAMP_TEST}
    words = FixWords(NEW_CLAMP, test_patch, tests=tests)
    seen = Failure(error="assert -1 == 0", frames=[("t.py", 3, "test_low")], text="")
    found = FixProof(["t.py::test_low"], [], UNTOLD.setup, True, {"t.py::test_low": seen})
    known = KnownOfFix(issue, ProblemStatement(said, "commit", []), tests, words)
    text = best_text(UNTOLD, found, known, IssueFixRequest())
    assert text and (text.origin, text.revealed.refused) == (origin, refused)
    assert text.revealed.names == 0
    if origin != "issue":
        assert "clamp(-1, 0, 10)" in text.text and "value" not in text.text
    blind = replace(found, failures={})
    telling = replace(known, issue="Call larger_of", written=ProblemStatement("", "commit", []))
    assert best_text(UNTOLD, blind, telling, IssueFixRequest()) is None


def test_a_funnel_counts_what_was_left_out(tmp_path: Path) -> None:
    """Sentences left out and texts refused are counted over all tasks, old tasks included."""
    for left_out, refused in ((2, ["issue"]), (1, ["issue", "commit"]), (0, None)):
        told = None if refused is None else Revealed(left_out=left_out, refused=refused)
        fix = Fix(commit=f"c{left_out}", revealed=told)
        task = UNTOLD.model_copy(update={"instance_id": f"k-{left_out}", "fix": fix})
        with Funnel(tmp_path / "tasks.jsonl", UNTOLD.repo) as funnel:
            funnel.add(task)
            counts = funnel.whole(Counter())
    assert counts == {
        "tasks": 3, "images": 1, "sentences left out": 3, "issue reveals the fix": 2,
        "commit reveals the fix": 1,
    }  # fmt: skip


def reply(text: str) -> Reply:
    """A model's answer."""
    return Reply(message={"role": "assistant", "content": text})


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("Write return max(low, value) instead.", "quotes the change"),
        ("Use the larger value.", "says what to change: 'Use the larger value.'"),
    ],
)
def test_an_issue_by_a_model_does_not_reveal_the_fix(tmp_path: Path, bad: str, why: str) -> None:
    """A model rewrites an issue that reveals the fix; after three tries it is dropped."""
    failures = {"t": Failure(error="E", frames=[], text="assert -1 == 0")}
    good = "Clamp lets low values through\n\nclamp(-1, 0, 10) gives -1, and should give 0."
    model = ScriptedModel([reply(f"{good} {bad}"), reply(good)])
    limits = IssueFixSettings()
    with Author("m", model, tmp_path / "one.jsonl") as author:
        made = by_model(author, PATCH, failures, WORDS, limits)
    assert made and (made.text, made.origin, len(made.costs)) == (good, "model", 2)
    assert why in str(model.seen[-1][-1]["content"])
    with Author("m", ScriptedModel([reply(bad * 2)] * 3), tmp_path / "two.jsonl") as author:
        assert by_model(author, PATCH, failures, WORDS, limits) is None


@pytest.mark.engine
def test_an_image_with_a_history_of_its_own_gives_one_commit(kata_task: RepositoryTask) -> None:
    """The agent's repository lacks commits after the base."""
    later = (
        "cd /testbed && echo '# the fix' >>kata/core.py && git config user.name a && "
        "git config user.email a@b && git commit -qam Later && git tag v9 && "
        "git reset -q --hard HEAD~"
    )
    client = connect()
    container = client.containers.create(kata_task.image, ["bash", "-c", later])
    try:
        container.start()
        assert container.wait()["StatusCode"] == 0
        image = container.commit("forager/test", "history")
    finally:
        container.remove(force=True)
    task = kata_task.model_copy(update={"image": "forager/test:history", "setup_patch": ""})
    try:
        sandbox, _ = open_task(task, Limits())
        try:
            counted = sandbox.run("git rev-list --all --reflog --count; git tag").output
            objects = (
                "git cat-file --batch-all-objects --batch-check='%(objecttype)' | grep -c commit"
            )
            assert (counted.strip(), sandbox.run(objects).output.strip()) == ("1", "1")
        finally:
            sandbox.close()
    finally:
        client.images.remove(str(image.id), force=True)
