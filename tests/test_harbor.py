"""Tasks as Harbor task directories, graded inside their own containers."""

import io
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from forager.cli.main import main
from forager.environments.answer.mathematics import MathTask
from forager.environments.repository.task import RepositoryTask
from forager.errors import UsageError
from forager.images.debian import DebianRelease
from forager.images.dockerfile import base_of
from forager.images.host import ca_bundle
from forager.images.image import Image, store
from forager.images.workbench import archive
from forager.sandboxes.engine import connect
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
    """Doing nothing scores 0, the reference 1, in Harbor's two modes; a trick scores 0.

    A container of the image ends at once, though its process 1 may ignore SIGTERM.
    """
    if not shutil.which("docker"):
        pytest.skip("the script needs Docker's command line")
    file, target = tmp_path / "tasks.jsonl", tmp_path / "harbor"
    file.write_text(kata_task.model_dump_json() + "\n")
    result = CliRunner().invoke(
        main, ["export", str(file), "-o", str(target), "--format", "harbor"]
    )
    assert result.exit_code == 0, result.output
    (place,) = (path.parent for path in target.glob("*/task.toml"))
    prover = benchmark()
    proven = prover.proven(place, 1, 1)
    assert proven.scores == {"nothing": 0, "separate": 1, "tests emptied": 0}
    assert "nothing was changed" in proven.causes["tests emptied"]
    with prover.built(place, proven) as image:
        assert connect().images.get(image).attrs["Config"]["StopSignal"] == "SIGKILL"


@pytest.fixture
def base(kata_image: Image) -> Iterator[str]:
    """A base for a Dockerfile; what this host needs for its network is in it."""
    bundle = ca_bundle()
    if not bundle:
        yield kata_image.base
        return
    name = f"forager-test-base:{uuid4().hex[:12]}"
    text = f"FROM {kata_image.base}\nUSER root\nCOPY ca.pem /etc/\nENV SSL_CERT_FILE=/etc/ca.pem\n"
    files = {"Dockerfile": (text.encode(), 0o644), "ca.pem": (Path(bundle).read_bytes(), 0o644)}
    context = io.BytesIO(archive(files))
    connect().images.build(fileobj=context, custom_context=True, tag=name, rm=True)
    yield name
    connect().images.remove(name, force=True)


@pytest.mark.engine
def test_a_task_built_from_its_recipe_scores_the_same(
    kata_task: RepositoryTask,
    kata_image: Image,
    base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The image comes from a Debian base, the files and the recipe, and has the same commit."""
    if not shutil.which("docker"):
        pytest.skip("the script needs Docker's command line")
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    store(kata_image)
    file, target = tmp_path / "tasks.jsonl", tmp_path / "harbor"
    file.write_text(kata_task.model_dump_json() + "\n")
    words = ["export", str(file), "-o", str(target), "--format", "harbor", "--from-recipe"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    (place,) = (path.parent for path in target.glob("*/task.toml"))
    dockerfile = place / "environment" / "Dockerfile"
    first, *others = dockerfile.read_text().splitlines()
    assert re.fullmatch(r"ARG BASE=debian:\w+-slim", first)
    assert kata_image.reference not in dockerfile.read_text()
    dockerfile.write_text("\n".join([f"ARG BASE={base}", *others]) + "\n")
    proven = benchmark().proven(place, 0, 1)
    assert proven.scores == {"nothing": 0, "reference": 1, "conftest": 0}


def test_a_dockerfile_begins_with_the_release_of_the_image() -> None:
    """Bases made on an Ubuntu host are Ubuntu's; an image that tells nothing gets Debian's."""
    assert base_of(DebianRelease("ubuntu", "noble")) == "ubuntu:noble"
    assert base_of(DebianRelease("debian", "trixie")) == "debian:trixie-slim"
    assert base_of(DebianRelease("", "")) == "debian:bookworm-slim"


@pytest.mark.engine
def test_a_recipe_that_is_not_known_is_a_reason(
    kata_task: RepositoryTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of other machines have no record here."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    with pytest.raises(UsageError, match="its recipe is not known"):
        export_harbor([kata_task], tmp_path / "out", from_recipe=True)


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
