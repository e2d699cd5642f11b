"""forager's tasks as an environment of `verifiers`, stepped by verifiers itself."""

from pathlib import Path

import pytest
from own_environments import interpreter, run_with_task

from forager.environments.repository.task import RepositoryTask

WHY = "verifiers 0.4 needs an older openai than vLLM"


@pytest.mark.engine
def test_verifiers_plays_a_task(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """An episode records the conversation, and its reward is forager's grade.

    Traces show neither hidden tests nor the reference patch of the task.
    """
    python = interpreter("verifiers", WHY)
    told = run_with_task(python, "verifiers_program.py", kata_task, tmp_path, FORAGER_NO_KEY="none")
    assert told["ok"] and not told["errors"]
    assert told["key"] == kata_task.instance_id
    assert told["rewards"] == {"resolved": 1} and told["metrics"] == {"forager_reward": 1}
    assert told["roles"] == ["system", "user", "assistant", "tool", "assistant"]
    assert told["info"]["forager"]["exit_reason"] == "submitted"
    assert "setup_patch" not in told["recorded"] and "PASS_TO_PASS" not in told["recorded"]
