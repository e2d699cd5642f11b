"""The commands on the pages: each is one that forager takes, and those of the first page run."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import KATA

from forager.cli.main import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GPU = re.compile(r"^(vllm serve|forager (serve|train)) ")
_BLOCK = re.compile(r"^```(?:console|bash)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACEHOLDERS = {"N": "4", "TURN": "3", "SECONDS": "60", "RANK": "8"}


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the commands of a page as words, continued lines joined."""
    for block in _BLOCK.findall(page.read_text()):
        for line in re.sub(r"\\\n *", "", block).splitlines():
            found = line.removeprefix("$ ").strip()
            if found.startswith(("forager ", "vllm serve ")):
                words = shlex.split(found, comments=True)
                stop = next((at for at, word in enumerate(words) if word in "|&><;"), None)
                yield words[:stop]


def parsed(words: list[str]) -> None:
    """Have click read a command without running it. Raises ClickException."""
    command: click.Command = main
    context = main.make_context("forager", list(words))
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert name and found
        command, context = found, found.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_understood(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verbs, options and values exist; words in capitals stand for a value of the right kind."""
    for config in ("config.toml", "budget.toml"):
        (tmp_path / config).write_text("")
    (tmp_path / "texts").mkdir()
    monkeypatch.chdir(tmp_path)
    for words in commands(page):
        if words[0] == "forager" and "VERB" not in words:
            try:
                parsed([_PLACEHOLDERS.get(word, word) for word in words[1:]])
            except click.exceptions.Exit:
                continue
            except click.ClickException as error:
                pytest.fail(f"{page.name}: {shlex.join(words)}: {error.format_message()}")


def test_pages_say_what_needs_a_gpu() -> None:
    """A page with a command that starts vLLM or a training says so."""
    for page in PAGES[1:]:
        if any(GPU.match(" ".join(words)) for words in commands(page)):
            told = re.search(r"[Nn]eeds (a )?GPU|[Ww]ithout a GPU|no GPU", page.read_text())
            assert told, f"{page.name} does not say that it needs a GPU"


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
    page = ROOT / "docs/repository.md"
    for words in list(commands(page))[:4]:
        small = ["2" if word == "10" else word for word in words]
        result = CliRunner().invoke(main, small[1:])
        assert result.exit_code == 0, f"{words}: {result.output}"
    assert (tmp_path / "runs/first/trajectories").is_dir()
