"""What the pages promise of their commands; tests/test_cli.py reads each of them."""

import json
import re
import shlex
import shutil
import subprocess
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import KATA
from test_chat import Answer, Script, completion, function, serving
from test_cli import documented, shell
from test_wires import ANSWERS

from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.records import write_records
from forager.trajectories.store import Run

ROOT = Path(__file__).parent.parent
GPU = re.compile(r"^(vllm serve|forager (serve|train)) ", re.MULTILINE)
ELSEWHERE = {  # commands that a test of another file runs
    "forager doctor --clean": "test_doctor.py: it would remove what other tests left on purpose",
}
GEMINI = {  # https://ai.google.dev/api/generate-content
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"functionCall": {"name": "submit", "args": {}}}],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12},
}


def test_pages_say_what_needs_a_gpu() -> None:
    """The pages about serving and training say so before their first command."""
    for name in ("servers.md", "serving.md", "training.md"):
        text = (ROOT / "docs" / name).read_text()
        first = GPU.search(text)
        assert first and re.search(r"[Nn]eeds a GPU|[Nn]eeds GPUs", text[: first.start()]), name


@pytest.mark.engine
@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_five_minutes_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the page about your own repository, one after the other."""
    monkeypatch.chdir(tmp_path)
    for name, text in KATA.items():
        path = tmp_path / "path/to/project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "path/to/project", check=True)
    for page, _, command in documented():
        if page == "repository.md":
            here = {"10": "2", "pypi/toolz": "local/project"}
            words = [here.get(word, word) for word in shlex.split(command, comments=True)]
            result = CliRunner().invoke(main, words[1:])
            assert result.exit_code == 0, f"{command}: {result.output}"
    assert (tmp_path / "runs/first/trajectories").is_dir()


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class:UserWarning")  # litellm's
@pytest.mark.parametrize("page", ["servers.md", "run-directory.md", "troubleshooting.md"])
def test_the_pages_commands_run(
    page: str, tmp_path: Path, kata_task: RepositoryTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command of the page works, with a scripted server in place of the one that it names.

    An attempt submits at once; each task is attempted once.
    """
    monkeypatch.chdir(tmp_path)
    write_records(tmp_path / "tasks.jsonl", [kata_task])
    with ExitStack() as stack:
        servers = [stack.enter_context(serving()) for _ in range(2)]
        if page == "run-directory.md":
            works("forager run tasks.jsonl -o RUN -m A --url http://x", servers)
        for where, _, command in documented():
            if where == page and not command.startswith(tuple(ELSEWHERE)):
                works(command, servers)


@pytest.mark.engine
@pytest.mark.skipif(not shutil.which("docker"), reason="the page uses Docker's command line")
def test_the_page_without_a_daemon_runs(
    tmp_path: Path, kata_task: RepositoryTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive from a machine with an engine is imported on one without, and attempts run."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["docker", "save", kata_task.image, "-o", "toolz.tar"], check=True)
    write_records(tmp_path / "tasks.jsonl", [kata_task])
    other = {"FORAGER_HOME": str(tmp_path / "home"), "DOCKER_HOST": "unix:///nowhere"}
    commands = [command for page, _, command in documented() if page == "without-docker.md"]
    for command in commands[-2:]:
        done = shell(*shlex.split(command, comments=True)[1:], **other)
        assert not done.returncode, f"{command}: {done.stderr}"
    (attempt,) = Run("runs/there").trajectories()
    assert attempt.outcome.resolved


def works(command: str, servers: list[Script]) -> None:
    """Run a command of a page, and assert that it succeeds."""
    command = re.sub(r"--attempts 4|--stop-after 2", "", command.split(" | ")[0])
    words = shlex.split(command.replace("runs/NAME", "runs/qwen"), comments=True)
    models = [name for flag, name in pairwise(words) if flag == "-m"]
    for server in servers:
        server.models = Answer({"data": [{"id": name} for name in models]})
        server.answers = [submitting(words)]
    urls = [place for place, flag in enumerate(words) if flag == "--url"]
    for place, server in zip(urls, servers, strict=False):
        words[place + 1] = server.url
    if words[1] == "run":
        words += ["--token-ids"] * ("--api" not in words)
        words += ["--url", servers[0].url] * (not urls)
    result = CliRunner(
        env={"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "b", "GEMINI_API_KEY": "c"}
    ).invoke(main, words[1:])
    assert result.exit_code == 0, f"{command}: {result.output}"


def submitting(words: list[str]) -> Answer:
    """The answer of a model that submits at once, in the form that the command asks for."""
    if "gemini/gemini-2.5-pro" in words:
        return Answer(GEMINI)
    if "--api" in words:
        text = json.dumps(ANSWERS[words[words.index("--api") + 1]])
        for read, answer in (("bash", "submit"), ('{"command": "ls"}', "{}")):
            text = text.replace(read, answer).replace(json.dumps(read)[1:-1], answer)
        return Answer(json.loads(text))
    if "--syntax" in words:
        return completion({"content": "<tool: submit>\n</tool>"})
    ids = {"token_ids": [4, 5], "logprobs": {"content": [{"logprob": -0.1}, {"logprob": -0.2}]}}
    message = {"tool_calls": [function("submit", "{}", id="1")]}
    return completion(message, choice=ids, prompt_token_ids=[1, 2, 3])
