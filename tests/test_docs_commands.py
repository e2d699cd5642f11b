"""What the pages promise of their commands; tests/test_cli.py reads each of them."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import KATA
from test_cli import documented

from forager.cli.main import main

ROOT = Path(__file__).parent.parent
GPU = re.compile(r"^(vllm serve|forager (serve|train)) ", re.MULTILINE)


def test_pages_say_what_needs_a_gpu() -> None:
    """The pages about serving and training say so before their first command."""
    for name in ("servers.md", "serving.md", "training.md"):
        text = (ROOT / "docs" / name).read_text()
        first = GPU.search(text)
        assert first and re.search(r"[Nn]eeds a GPU|[Nn]eeds GPUs", text[: first.start()]), name


@pytest.mark.engine
@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_five_minutes_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands at the head of the page about your own repository, one after the other."""
    monkeypatch.chdir(tmp_path)
    for name, text in KATA.items():
        path = tmp_path / "path/to/project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "path/to/project", check=True)
    here = [command for path, _, command in documented() if path == "repository.md"]
    for command in here[:4]:
        words = ["2" if word == "10" else word for word in shlex.split(command)]
        result = CliRunner().invoke(main, words[1:])
        assert result.exit_code == 0, f"{command}: {result.output}"
    assert (tmp_path / "runs/first/trajectories").is_dir()
