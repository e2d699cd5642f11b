"""`forager tasks health`: shortcuts, load, solve rates, and what to drop."""

import json
from pathlib import Path

import pytest
from attempts import Settings, make_attempt, make_task
from click.testing import CliRunner

from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.mutation.files import unified_diff
from forager.mutation.reach import edits_of
from forager.records import read_records
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.trajectories.store import Run
from forager.trajectories.summary import Summary
from tasks.health import ProbedTask, SolveRate, health, probe, solve_rates
from tasks.shortcuts import CONSTANT, DELETED, EMPTY, shortcuts

BROKEN = '''\
import os


class Box:
    @property
    def size(self):
        """Its size."""
        def twice(value):
            return value * 3
        return twice(1)

    def other(self):
        return 1
'''
FIXED = BROKEN.replace("value * 3", "value * 2").replace("return twice(1)", "return twice(2)")


def applied(source: str, patch: str) -> str:
    """The text that a patch of one file makes, by its added and kept lines."""
    edits = edits_of(patch)["box.py"]
    lines = source.split("\n")
    for first, last, new in reversed(edits):
        lines[first - 1 : last] = new
    return "\n".join(lines)


def test_shortcuts_replace_the_function_and_nothing_else() -> None:
    """The outermost changed function loses its body, or goes; the others stay."""
    edits = edits_of(unified_diff("box.py", BROKEN, FIXED))
    found = shortcuts({"box.py": BROKEN}, edits)
    assert list(found) == [EMPTY, CONSTANT, DELETED]
    commented, constant, deleted = (applied(BROKEN, patch) for patch in found.values())
    assert commented.startswith(BROKEN) and commented.count("#") == 1
    compile(constant, "box.py", "exec")
    assert constant.count("return None") == 1 and "twice" not in constant
    assert "@property" in constant and "def other" in constant
    compile(deleted, "box.py", "exec")
    assert "size" not in deleted and "@property" not in deleted and "def other" in deleted


def test_code_that_cannot_be_parsed_has_the_empty_change_only() -> None:
    """Neither hostile text nor a change outside functions ends a probe."""
    source = "import os\nbroken = (\n" + "(" * 5000
    edits = edits_of(unified_diff("box.py", source, source.replace("import os", "import sys")))
    assert list(shortcuts({"box.py": source}, edits)) == [EMPTY]


@pytest.mark.parametrize(
    ("fields", "rates", "drop"),
    [
        ({}, {}, []),
        ({"shortcuts": {"constant return": "resolved"}}, {}, ["constant return passes"]),
        ({"shortcuts": {"deleted subject": "suspect"}}, {}, []),
        ({"reference": ["resolved", "not resolved"]}, {}, ["flaky under load"]),
        ({"reference": ["not resolved"]}, {}, ["reference fails under load"]),
        ({"contaminated": "SWE-bench"}, {}, ["contaminated"]),
        ({"problem": "the patch does not apply"}, {}, ["cannot be probed"]),
        ({}, {"m": SolveRate(0, 8)}, ["never solved in 8 attempts or more"]),
        ({}, {"m": SolveRate(0, 7)}, []),
        ({}, {"m": SolveRate(8, 8)}, ["always solved by the models"]),
        ({}, {"repair": SolveRate(8, 8)}, []),
        ({}, {"oracle": SolveRate(8, 8)}, []),
    ],
)
def test_a_task_is_dropped_for_reasons(
    fields: dict[str, object], rates: dict[str, SolveRate], drop: list[str]
) -> None:
    """Each reason alone; `repair` or `oracle` solving a task says nothing of models."""
    probed = ProbedTask.model_validate({"instance_id": "a", **fields})
    assert health(probed, rates).drop == drop


def test_rates_are_of_attempts_from_the_start() -> None:
    """They are by model; an attempt that continues another one does not count."""
    attempts = [make_attempt("a", number, resolved=number < 2) for number in range(3)]
    attempts[2] = attempts[2].model_copy(update={"parent": "run/a.0"})
    rates = solve_rates(map(Summary.of, attempts))
    assert rates == {"a": {"repair": SolveRate(2, 2)}}


@pytest.mark.engine
def test_a_task_is_probed_once(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """A sound task is healthy; one whose tests pass anyway is dropped. Probes are not repeated."""
    easy = kata_task.model_copy(
        update={
            "instance_id": "easy",
            "FAIL_TO_PASS": kata_task.PASS_TO_PASS[:1],
            "PASS_TO_PASS": [],
            "guards": None,
        }
    )
    file, output, kept = (tmp_path / name for name in ("tasks.jsonl", "health.jsonl", "kept.jsonl"))
    file.write_text("".join(task.model_dump_json() + "\n" for task in (kata_task, easy)))
    run = tmp_path / "run"
    with Run.write(run, Settings(), []) as writer:
        writer.append(make_attempt(kata_task.instance_id))
    command = ["tasks", "health", str(file), "-o", str(output), "--repeats", "1"]
    command += ["--run", str(run), "--kept", str(kept)]
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    assert "easy\tdrop: empty change passes" in first.stdout
    assert [task.instance_id for task in read_records(kept, RepositoryTask)] == [
        kata_task.instance_id
    ]
    size = output.stat().st_size
    again = CliRunner().invoke(main, [*command, "--json"])
    assert output.stat().st_size == size
    sound, dropped = json.loads(again.stdout)
    assert sound["rates"] == {"repair": [1, 1]} and sound["drop"] == []
    assert sound["probed"]["reference"] == ["resolved"]
    assert "empty change passes" in dropped["drop"]


def test_a_task_whose_patch_is_no_diff_is_a_problem() -> None:
    """It is dropped with its reason, as a task that does not fit its image."""
    task = make_task("broken", patch="--- a/x.py\n+++ b/x.py\n@@ -1,9 +1,9 @@\n-a\n+b\n")
    problem = probe(task, 0, docker_sandbox).problem
    assert problem.startswith("its patch is not a diff: Hunk is shorter")


@pytest.mark.engine
def test_a_task_without_its_image_costs_itself_alone(
    kata_task: RepositoryTask, tmp_path: Path
) -> None:
    """The others are probed and kept; one line names the loss, and the exit code is 1."""
    gone = kata_task.model_copy(update={"instance_id": "gone", "image": "forager/gone:1"})
    file, output, kept = (tmp_path / name for name in ("tasks.jsonl", "health.jsonl", "kept.jsonl"))
    file.write_text("".join(task.model_dump_json() + "\n" for task in (gone, kata_task)))
    command = ["tasks", "health", str(file), "-o", str(output), "--repeats", "0"]
    done = CliRunner().invoke(main, [*command, "--kept", str(kept)])
    assert done.exit_code == 1, done.output
    assert "drop 0 of 1 tasks" in done.stdout
    told = "forager: 1 tasks were lost to infrastructure (gone), the last because "
    assert told in done.stderr and done.stderr.endswith("; run again for them\n")
    names = [task.instance_id for task in read_records(kept, RepositoryTask)]
    assert names == [task.instance_id for task in read_records(output, ProbedTask)]
    assert names == [kata_task.instance_id]
    checked = CliRunner().invoke(main, ["tasks", "check", str(file)])
    assert (checked.exit_code, checked.stdout) == (1, "1 of 1 tasks hold\n"), checked.output
    assert told in checked.stderr
