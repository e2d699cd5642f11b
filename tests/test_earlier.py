"""Files written by version 0.1.0, before tasks had environments and labels, still read."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.environments.task import Labels, Task
from forager.mutation.files import unified_diff
from forager.records import read_records
from forager.trajectories.record import Trajectory
from forager.trajectories.store import Run

EARLIER = Path(__file__).parent / "data" / "earlier"
LABELS = [
    Labels(
        family="operators",
        operator="negative_index",
        repository="someone/pkg",
        functions=["someone/pkg:pkg/core.py:last"],
        location="pkg/core.py:2",
        difficulty={
            **{"bugs": 1, "failing": 3, "share": 0.5, "calls": 2, "files": 1},
            **{"patch_lines": 2, "in_traceback": 1, "at_import": 0},
        },
    ),
    Labels(family="issue-fix", repository="someone/pkg"),
    Labels(
        family="combined",
        operator="negative_index",
        repository="someone/pkg",
        functions=["someone/pkg:pkg/core.py:first", "someone/pkg:pkg/core.py:last"],
        location="pkg/core.py:2",
        difficulty={
            **{"bugs": 2, "failing": 3, "share": 0.5, "calls": 2, "files": 1},
            **{"patch_lines": 2, "in_traceback": 1, "at_import": 0},
        },
    ),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Copy an earlier run directory, with the index that it contained."""
    shutil.copytree(EARLIER / "run", tmp_path / "run")
    return tmp_path / "run"


def test_tasks_get_their_labels(run: Path) -> None:
    """Labels come from the mutation, or from the kind of a real bug."""
    tasks = list(Run(run).tasks())
    assert [task.labels for task in tasks] == LABELS
    assert all(isinstance(task, RepositoryTask) for task in tasks)
    assert {task.environment for task in tasks} == {"repository"}


def test_attempts_get_labels_answer_and_cause(run: Path) -> None:
    """Runs and files of attempts get today's fields, and keep them when written again."""
    for attempts in (
        list(Run(run).trajectories()),
        list(read_records(EARLIER / "attempts.jsonl", Trajectory)),
    ):
        assert [attempt.labels for attempt in attempts] == LABELS
        assert attempts[0].outcome.answer.startswith("diff --git a/pkg/core.py")
        again = [Trajectory.model_validate_json(stored.model_dump_json()) for stored in attempts]
        assert again == attempts


def test_scripts_read_outcomes_by_their_earlier_names(run: Path) -> None:
    """Answer and cause are also found as `patch` and `note`."""
    outcomes = [attempt.outcome for attempt in Run(run).trajectories()]
    assert any(outcome.patch for outcome in outcomes)
    assert [(outcome.patch, outcome.note) for outcome in outcomes] == [
        (outcome.answer, outcome.cause) for outcome in outcomes
    ]


def test_an_index_of_the_earlier_version_is_made_anew(run: Path) -> None:
    """The old index lacks the family of real bugs, which queries need now."""
    assert [summary.family for summary in Run(run).summaries()] == [
        *("operators", "issue-fix", "combined")
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "RUN", "--json"],
        ["report", "RUN", "--json"],
        ["replay", "RUN/pkg-2.0", "--print"],
        ["replay", str(EARLIER / "attempts.jsonl") + "/pkg-1.0", "--print"],
        ["filter", "RUN", "-o", "OUT", "--filter", "resolved"],
        ["export", "RUN", "-o", "OUT", "--format", "jsonl"],
        ["export", "RUN", "-o", "OUT", "--format", "swe-bench"],
    ],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_verbs_read_an_earlier_run(run: Path, tmp_path: Path, arguments: list[str]) -> None:
    """list, report, replay, filter and export read an earlier run unchanged."""
    given = [
        argument.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out"))
        for argument in arguments
    ]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.output


def test_a_row_of_swe_bench_is_a_repository_task() -> None:
    """A published row loads: no environment, lists as JSON text, fields of its own.

    The files that its fix changes stand for functions.
    """
    patch = unified_diff("a/b.py", "one\n", "two\n")
    row = {
        **{"instance_id": "a__b-1", "repo": "a/b", "base_commit": "0" * 40, "patch": patch},
        **{"test_patch": "", "problem_statement": "It fails.", "difficulty": "15 min"},
        **{"FAIL_TO_PASS": json.dumps(["t.py::test"]), "PASS_TO_PASS": "[]"},
    }
    task = Task.model_validate(row)
    assert isinstance(task, RepositoryTask)
    assert (task.FAIL_TO_PASS, task.kind, task.labels.family) == (
        *(["t.py::test"], "issue-fix", "issue-fix"),
    )
    assert task.labels.functions == ["a/b:a/b.py"]
