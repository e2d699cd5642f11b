"""What scripts/check and contributors without Docker, torch, vLLM or Ray rely on."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COLLECT = """
import sys, pytest
code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"])
found = {"torch", "vllm", "ray", "deepspeed", "transformers"} & set(sys.modules)
sys.exit(f"collecting imports {sorted(found)}" if found else code)
"""


def test_ruff_checks_every_python_file() -> None:
    """ruff's settings name each Python file that lacks the suffix."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    python = [
        path.relative_to(ROOT).as_posix()
        for folder in ("benchmarks", "examples", "scripts", ".ci")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and not path.suffix and b"python" in path.read_bytes().split(b"\n")[0]
    ]
    assert python
    assert settings["tool"]["ruff"]["extend-include"] == python


def test_tests_are_collected_without_what_some_of_them_need() -> None:
    """Only the tests that use heavy packages import them."""
    command = [sys.executable, "-c", COLLECT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize("need", ["engine", "gpu", "ray", "serve", "train"])
def test_each_need_has_a_marker(pytestconfig: pytest.Config, need: str) -> None:
    """CONTRIBUTING.md lists every marker."""
    listed = [line.split(":")[0] for line in pytestconfig.getini("markers")]
    assert need in listed
    assert f"| `{need}` |" in (ROOT / "CONTRIBUTING.md").read_text()
