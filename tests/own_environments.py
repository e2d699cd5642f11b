"""Programs that need packages which may be in an environment of their own."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from forager.environments.task import Task

ROOT = Path(__file__).parents[1]


def interpreter(package: str, why: str) -> str:
    """A Python that has forager and the package of an extra; skips the test if there is none."""
    if find_spec(package):
        return sys.executable
    variable = f"FORAGER_{package.upper()}_PYTHON"
    if python := os.environ.get(variable):
        return python
    pytest.skip(
        f"{why}: install '.[{package}]' into an environment of its own and name its Python in "
        f"{variable}"
    )


def run_with_task(python: str, program: str, task: Task, directory: Path, **variables: str) -> Any:
    """The JSON that a program of tests/ prints when it is given a file with this task."""
    file = directory / "tasks.jsonl"
    file.write_text(task.model_dump_json() + "\n")
    done = subprocess.run(
        [python, str(Path(__file__).with_name(program)), str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
