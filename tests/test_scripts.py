"""What scripts/check and contributors without Docker, torch, vLLM or Ray rely on."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from forager.learning.bootstrap.settings import BootstrapSettings
from forager.learning.train.settings import TrainSettings

ROOT = Path(__file__).parents[1]
COLLECT = """
import sys, pytest
code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"])
found = {"torch", "vllm", "ray", "deepspeed", "transformers"} & set(sys.modules)
sys.exit(f"collecting imports {sorted(found)}" if found else code)
"""


def test_ruff_and_mypy_check_every_python_file() -> None:
    """The settings of both name each Python file that lacks the suffix."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    python = [
        path.relative_to(ROOT).as_posix()
        for folder in ("benchmarks", "examples", "scripts", ".ci")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and not path.suffix and b"python" in path.read_bytes().split(b"\n")[0]
    ]
    assert python
    assert settings["tool"]["ruff"]["extend-include"] == python
    checked = [name for name in settings["tool"]["mypy"]["files"] if "/" in name]
    assert checked == python


def test_tests_are_collected_without_what_some_of_them_need() -> None:
    """Only the tests that use heavy packages import them."""
    command = [sys.executable, "-c", COLLECT]
    plain = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize("need", ["engine", "gpu", "ray", "serve", "train"])
def test_each_need_has_a_marker(pytestconfig: pytest.Config, need: str) -> None:
    """CONTRIBUTING.md lists every marker."""
    listed = [line.split(":")[0] for line in pytestconfig.getini("markers")]
    assert need in listed
    assert f"| `{need}` |" in (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize(
    "name", ["kata/bootstrap", "kata/bootstrap-pretrained", "lab/bootstrap-7b"]
)
def test_examples_of_rounds_are_read(name: str) -> None:
    """Every example names settings that exist, and freezes the same in all its trainings."""
    settings = BootstrapSettings.read(ROOT / "examples" / f"{name}.toml")
    assert settings.rounds == 3
    exercises = ROOT / "examples" / f"{name.replace('bootstrap', 'pretraining')}.toml"
    if exercises.exists():
        frozen = TrainSettings.read(exercises)
        assert frozen.freeze_layers == settings.train.freeze_layers


def test_without_the_weights_the_bootstrap_starts_from_nothing(tmp_path: Path) -> None:
    """Without the extra and without PyPI, one line says what lacks, and the code is not 0."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", '. "$0/scripts/environment"; ensure_gemma', str(ROOT)],
        env={**os.environ, "FORAGER_VENV": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(
        r"forager: no pretrained .*'\.\[gemma\]'.*: starts from nothing\n", done.stderr
    )


def test_the_lock_fits_the_requirements() -> None:
    """scripts/lock was run after the last change of what scripts/check and scripts/docs install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]
    pinned = [Requirement(line) for line in lines]
    wanted = list(map(Requirement, [*project["dependencies"], *extras["check"], *extras["docs"]]))
    for requirement in wanted:
        if requirement.name == "forager-agent":  # extras that an extra names
            wanted += [Requirement(more) for name in requirement.extras for more in extras[name]]
            continue
        name = requirement.name.lower().replace("_", "-")
        versions = [str(pin.specifier)[2:] for pin in pinned if pin.name == name]
        assert versions, f"constraints.txt lacks {name}: run scripts/lock"
        fits = all(map(requirement.specifier.contains, versions))
        assert fits, f"constraints.txt has {name} {versions}: run scripts/lock"
