"""The oracle with the real loop, tools and a real shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from forager.agent.loop import Agent
from forager.agent.oracle import OracleModel
from forager.agent.syntax import SYNTAXES
from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.records import write_records
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.record import AttemptLimits
from forager.trajectories.store import Run
from tools import TOOLBOX

BLOCK = "def {0}():\n    x = 1\n    y = 2\n    z = 3\n    return x\n\n\n"
BEFORE = {
    "a.py": "# a\n" * 9 + "def one():\n    return 2\n" + "# b\n" * 9 + "def two():\n    return 3\n",
    "same.py": "".join(BLOCK.format("f") for _ in range(4)),
    "gone.py": "print('old')\n",
    "bare": "no newline",
    "test_a.py": "from a import one, two\n\n\ndef test():\n    assert (one(), two()) == (1, 2)\n",
}
AFTER = {
    "a.py": BEFORE["a.py"].replace("return 2", "return 1").replace("return 3", "return 2"),
    "same.py": BLOCK.format("f") * 2
    + BLOCK.format("f").replace("y = 2", "y = 3")
    + BLOCK.format("f"),
    "new.py": "print('new')\n",
    "bare": "no newline either",
    "test_a.py": BEFORE["test_a.py"],
}


def git(root: Path, *words: str) -> str:
    """Run git in a directory."""
    given = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(given, cwd=root, check=True, capture_output=True, text=True).stdout


def write(root: Path, files: dict[str, str]) -> None:
    """Write these files to a directory."""
    for path in root.iterdir():
        if path.is_file():
            path.unlink()
    for name, text in files.items():
        (root / name).write_text(text)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_it_makes_the_patch_whatever_the_patch_does(tmp_path: Path, syntax: str) -> None:
    """`edit` changes unique lines; git changes ambiguous ones and adds or deletes files."""
    write(tmp_path, BEFORE)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "a")
    write(tmp_path, AFTER)
    git(tmp_path, "add", "-A")
    patch = git(tmp_path, "diff", "--cached")
    git(tmp_path, "reset", "-q", "--hard")
    task = RepositoryTask(
        instance_id="a", repo="a", problem_statement="p", patch=patch,
        FAIL_TO_PASS=["test_a.py::test"], PASS_TO_PASS=[],
    )  # fmt: skip
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with LocalSandbox(tmp_path, environment={"PATH": path}) as sandbox:
        model = OracleModel(task, SYNTAXES[syntax], TOOLBOX)
        agent = Agent(model, sandbox, TOOLBOX, SYNTAXES[syntax], AttemptLimits(turns=20))
        assert agent.run("p") == "submitted"
    git(tmp_path, "add", "-A")
    assert git(tmp_path, "diff", "--cached", "--", *AFTER, "gone.py") == patch
    assert [call.tool for call in agent.tool_calls].count("edit") == 3  # one of them refused
    assert agent.tool_calls[-2].exit_code == 0  # the tests


@pytest.mark.engine
def test_a_task_is_resolved_by_its_name(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """`-m oracle` resolves the task in three turns."""
    tasks, run = tmp_path / "tasks.jsonl", tmp_path / "run"
    write_records(tasks, [kata_task])
    said = CliRunner().invoke(main, ["run", str(tasks), "-o", str(run), "-m", "oracle"])
    assert said.exit_code == 0, said.output
    (attempt,) = Run(run).trajectories()
    assert attempt.outcome.resolved
    assert [call.tool for call in attempt.tool_calls] == ["edit", "bash", "submit"]


@pytest.mark.engine
def test_a_patch_that_is_no_diff_costs_its_task_only(
    kata_task: RepositoryTask, tmp_path: Path
) -> None:
    """The attempt is lost in one line, and the other task is resolved."""
    tasks, run = tmp_path / "tasks.jsonl", tmp_path / "run"
    bad = kata_task.model_copy(
        update={"instance_id": "bad", "patch": "--- a\n+++ b\n@@ -1 +1 @@\n"}
    )
    write_records(tasks, [bad, kata_task])
    said = CliRunner().invoke(main, ["run", str(tasks), "-o", str(run), "-m", "oracle"])
    assert "bad: its patch is not a diff: " in said.output and "Traceback" not in said.output
    assert [attempt.outcome.resolved for attempt in Run(run).trajectories()] == [True]
