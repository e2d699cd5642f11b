"""Rows of R2E-Gym: a parsed commit, R2E-Gym's own tests, and their expected results."""

import re

from forager.environments.repository.logs import PARSERS
from forager.environments.repository.task import RepositoryTask, TestSetup
from tasks.fields import fit, nested, text
from tasks.formats import Draft
from tasks.rows import Row, UnusableRow

_TESTS = "r2e_tests"
_MARKS = {"context": " ", "added": "+", "deleted": "-", "note": "\\ "}


def r2e_gym(row: Row) -> Draft:
    """A row of R2E-Gym (V1, Subset, Lite).

    The test patch adds the tests as new files. A test that should pass is in FAIL_TO_PASS or
    PASS_TO_PASS; R2E-Gym itself also requires the others to fail.
    """
    commit, results = nested(row, "parsed_commit_content"), nested(row, "execution_result_content")
    if not isinstance(commit, dict) or not isinstance(results, dict):
        raise UnusableRow("parsed_commit_content or execution_result_content is missing")
    repo = text(row, "repo_name")
    failing, passing = _tests(row, results)
    tests = _new_files(results)
    task = RepositoryTask(
        instance_id=f"{repo}-{text(row, 'commit_hash')[:12]}",
        repo=repo,
        base_commit=str(commit.get("old_commit_hash") or ""),
        problem_statement=_statement(text(row, "problem_statement")),
        patch=fit(_patch(commit), "parsed_commit_content"),
        test_patch=fit("".join(tests.values()), "execution_result_content"),
        FAIL_TO_PASS=failing,
        PASS_TO_PASS=passing,
        created_at=str(commit.get("commit_date") or ""),
        image=text(row, "docker_image"),
        setup=TestSetup(
            command=f"python -W ignore -m pytest -rA {_TESTS}",
            parser="dotted",
            protected=list(tests),
            timeout=300,  # seconds, R2E-Gym's default
        ),
    )
    return Draft(task, activate="export PATH=/testbed/.venv/bin:$PATH")


def _tests(row: Row, results: Row) -> tuple[list[str], list[str]]:
    """The tests that pass after the commit: those that did not pass before it, and the rest."""
    expected = nested(row, "expected_output_json")
    before = results.get("old_commit_res_stdout")
    if not isinstance(expected, dict) or not isinstance(before, str):
        raise UnusableRow("it does not say what its tests did before the commit and after it")
    passed = {name for name, what in PARSERS["dotted"](before).items() if what == "passed"}
    wanted = [_name(name) for name, what in expected.items() if what == "PASSED"]
    failing = [name for name in wanted if name not in passed]
    if not failing:
        raise UnusableRow("FAIL_TO_PASS is empty")
    return failing, [name for name in wanted if name in passed]


def _name(name: str) -> str:
    """The name of a test without colour codes and message."""
    return re.sub(r"\x1b\[[0-9;]*m", "", name).split(" - ")[0]


def _statement(given: str) -> str:
    """The text between the [ISSUE] marks, or the whole text without marks."""
    _, start, rest = given.partition("[ISSUE]")
    text, end, _ = rest.rpartition("[/ISSUE]")
    return (text if start and end else given).strip()


def _patch(commit: Row) -> str:
    """The diff of Python files that are not tests, like R2E-Gym's own reference."""
    made = "".join(
        _file(diff)
        for diff in commit.get("file_diffs") or []
        if diff["header"]["file"]["path"].endswith(".py") and not _is_test(diff)
    )
    if not made:
        raise UnusableRow("its commit changes no code of Python's")
    return made


def _is_test(diff: Row) -> bool:
    """Whether a file is a test by R2E-Gym's rule."""
    *folders, name = diff["header"]["file"]["path"].split("/")
    return bool({"test", "tests", "Test", "Tests"} & {*folders, name}) or (
        name.endswith("_test.py") or name.startswith("test_")
    )


def _file(diff: Row) -> str:
    """Build the unified diff of a file from its parsed parts."""
    path, head = diff["header"]["file"]["path"], diff["header"].get("misc_line")
    lines = [f"diff --git a/{path} b/{path}", *([head] if head else [])]
    if diff.get("minus_file") and diff.get("plus_file"):
        lines += [f"--- {diff['minus_file']['path']}", f"+++ {diff['plus_file']['path']}"]
    for hunk in diff.get("hunks") or []:
        place = hunk["descriptor"]
        old, new = _range(place["old_range"]), _range(place["new_range"])
        lines.append(f"@@ -{old} +{new} @@ {place.get('section') or ''}".rstrip())
        lines += [
            _MARKS[line["type"]] + line["content"] for line in hunk["line_group"]["all_lines"]
        ]
    return "\n".join(lines) + "\n"


def _range(place: Row) -> str:
    length = place.get("length")
    return str(place["start"]) if length is None else f"{place['start']},{length}"


def _new_files(results: Row) -> dict[str, str]:
    """The diffs that add the row's tests, by path."""
    codes, named = results.get("test_file_codes") or [], results.get("test_file_names") or []
    if not codes or len(codes) != len(named):
        raise UnusableRow("execution_result_content holds no tests")
    return {
        path: _new_file(path, code)
        for path, code in zip((f"{_TESTS}/{name}" for name in named), codes, strict=True)
    }


def _new_file(path: str, content: str) -> str:
    lines = content.split("\n")
    ended = lines[-1] == ""
    lines = lines[:-1] if ended else lines
    added = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    hunk = f"@@ -0,0 +1,{len(lines)} @@\n{added}" if lines else ""
    return head + hunk + ("" if ended else "\\ No newline at end of file\n")
