"""forager's tasks as an environment of `verifiers`, stepped by verifiers itself."""

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
    """A Python that has forager and `verifiers`; skips the test if there is none."""
    if find_spec("verifiers"):
        return sys.executable
    if python := os.environ.get("FORAGER_VERIFIERS_PYTHON"):
        return python
    pytest.skip(
        "verifiers 0.4 needs an older openai than vLLM: install '.[verifiers]' into an environment "
        "of its own and name its Python in FORAGER_VERIFIERS_PYTHON"
    )


@pytest.mark.engine
def test_verifiers_plays_a_task(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """An episode records the conversation, and its reward is forager's grade.

    Traces show neither hidden tests nor the reference patch of the task.
    """
    python = interpreter()
    file = tmp_path / "tasks.jsonl"
    file.write_text(kata_task.model_dump_json() + "\n")
    program = Path(__file__).with_name("verifiers_program.py")
    done = subprocess.run(
        [python, str(program), str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "FORAGER_NO_KEY": "none"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] and not told["errors"]
    assert told["key"] == kata_task.instance_id
    assert told["rewards"] == {"resolved": 1} and told["metrics"] == {"forager_reward": 1}
    assert told["roles"] == ["system", "user", "assistant", "tool", "assistant"]
    assert told["info"]["forager"]["exit_reason"] == "submitted"
    assert "setup_patch" not in told["recorded"] and "PASS_TO_PASS" not in told["recorded"]
