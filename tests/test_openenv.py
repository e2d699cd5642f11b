"""forager's tasks as an environment of OpenEnv, stepped by OpenEnv's own client and server."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from forager.environments.repository.task import RepositoryTask

ROOT = Path(__file__).parents[1]


def interpreter() -> str:
    """A Python that has forager and OpenEnv; skips the test if there is none."""
    if find_spec("openenv"):
        return sys.executable
    if python := os.environ.get("FORAGER_OPENENV_PYTHON"):
        return python
    pytest.skip(
        "OpenEnv brings 150 MB of other packages: install '.[openenv]' into an environment of its "
        "own and name its Python in FORAGER_OPENENV_PYTHON"
    )


@pytest.mark.engine
def test_openenv_plays_a_task(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """The reward of an episode is forager's grade; hidden tests and the reference stay hidden."""
    python = interpreter()
    file = tmp_path / "tasks.jsonl"
    file.write_text(kata_task.model_dump_json() + "\n")
    program = Path(__file__).with_name("openenv_program.py")
    done = subprocess.run(
        [python, str(program), str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["roles"] == ["system", "user"]
    assert {"bash", "edit", "create", "submit"} <= set(told["tools"])
    assert told["answered"] == ["tool"]
    assert told["state"] == {"task": kata_task.instance_id, "step_count": 1}
    assert told["done"] == [False, False, True]
    assert told["reward"] == 1
    assert told["again"]
    assert not told["left"], "an episode whose client has gone ends"
    assert "no_such_tool" in told["unknown"]
    assert "setup_patch" not in done.stdout
