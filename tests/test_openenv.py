"""forager's tasks as an environment of OpenEnv, stepped by OpenEnv's own client and server."""

import json
from pathlib import Path

import pytest
from own_environments import interpreter, run_with_task

from forager.environments.repository.task import RepositoryTask

WHY = "OpenEnv brings 150 MB of other packages"


@pytest.mark.engine
def test_openenv_plays_a_task(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """The reward of an episode is forager's grade; hidden tests and the reference stay hidden."""
    python = interpreter("openenv", WHY)
    told = run_with_task(python, "openenv_program.py", kata_task, tmp_path)
    assert told["roles"] == ["system", "user"]
    assert {"bash", "edit", "create", "submit"} <= set(told["tools"])
    assert told["answered"] == ["tool"]
    assert told["state"] == {"task": kata_task.instance_id, "step_count": 1}
    assert told["done"] == [False, False, True]
    assert told["reward"] == 1
    assert told["again"]
    assert not told["left"], "an episode whose client has gone ends"
    assert "no_such_tool" in told["unknown"]
    assert "setup_patch" not in json.dumps(told)
