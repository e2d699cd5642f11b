"""Tasks as Harbor task directories, graded inside their own containers."""

import shutil
import subprocess
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forager.cli.main import main
from forager.environments.answer.mathematics import MathTask
from forager.environments.repository.task import RepositoryTask
from forager.errors import UsageError
from tasks.harbor import export_harbor

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "harbor"
IMPORTS = """
import sys
sys.path.insert(0, sys.argv[1])
import forager.environments.repository.verifying
"""


def benchmark() -> Any:
    """The script that proves exported tasks."""
    loader = SourceFileLoader("harbor_benchmark", str(BENCHMARK))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    sys.modules[loader.name] = module  # where dataclasses look for it
    loader.exec_module(module)
    return module


def test_tasks_without_a_repository_are_no_harbor_tasks(tmp_path: Path) -> None:
    """An export of nothing says why, and leaves no directory."""
    other = MathTask(instance_id="sum", problem_statement="1+1?", solution="2")
    with pytest.raises(UsageError, match="have no repository"):
        export_harbor([other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.engine
def test_a_task_scores_as_in_forager(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """Doing nothing scores 0, the reference 1, in Harbor's two modes; a trick scores 0."""
    if not shutil.which("docker"):
        pytest.skip("the script needs Docker's command line")
    file, target = tmp_path / "tasks.jsonl", tmp_path / "harbor"
    file.write_text(kata_task.model_dump_json() + "\n")
    result = CliRunner().invoke(
        main, ["export", str(file), "-o", str(target), "--format", "harbor"]
    )
    assert result.exit_code == 0, result.output
    (place,) = (path.parent for path in target.glob("*/task.toml"))
    proven = benchmark().proven(place, 1, 1)
    assert proven.scores == {"nothing": 0, "separate": 1, "tests emptied": 0}
    assert "nothing was changed" in proven.causes["tests emptied"]


@pytest.mark.engine
def test_the_directory_hides_the_solution(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """What the agent's container is built from holds neither hidden tests nor the reference."""
    export_harbor([kata_task], tmp_path / "out", registry="example.org/me")
    (place,) = (tmp_path / "out").iterdir()
    settings = tomllib.loads((place / "task.toml").read_text())
    assert settings["agent"]["user"] == "agent"
    assert settings["verifier"]["environment_mode"] == "separate"
    assert settings["environment"]["docker_image"] == f"example.org/me/{place.name}"
    assert settings["environment"]["network_mode"] == "no-network"
    assert {path.name for path in (place / "environment").iterdir()} == {
        *("Dockerfile", "prepare.sh", "setup.patch")
    }
    assert "rm -f /tmp/forager*" in (place / "environment" / "Dockerfile").read_text()


def test_the_grading_runs_on_what_is_shipped(tmp_path: Path) -> None:
    """The verifier imports nothing of forager that the archive lacks, and no engine's client."""
    from tasks.harbor import _sources

    for name, content in _sources():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    hidden = "\n".join(f"sys.modules[{name!r}] = None" for name in ("docker", "requests"))
    script = IMPORTS.replace("import sys\n", f"import sys\n{hidden}\n", 1)
    command = [sys.executable, "-P", "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={})
    assert done.returncode == 0, done.stderr
