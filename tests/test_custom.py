"""Models, sandboxes and formats of other packages, and providers through litellm."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from attempts import make_attempt, make_task
from click.testing import CliRunner
from test_chat import TOOL, completion, failure, function, serving

from forager.agent import custom
from forager.agent.custom import custom_model, needs_server
from forager.agent.endpoint import ChatEndpoint
from forager.cli.main import main
from forager.errors import ModelError, UsageError
from forager.records import write_records
from forager.sandboxes.kinds import sandbox_kind
from forager.trajectories.export import AttemptOrigin, formats, writer

MODULE = """\
from forager.agent.model import Reply
from forager.agent.tool import Call

class Patient:
    def __init__(self, setup):
        self.setup = setup

    def query(self, messages, tools, calls=()):
        setup = self.setup
        return Reply(setup.syntax.write("", Call("submit", {}), setup.tools))

Broken = 3

def sandbox(image, *, limits=None, environment={}, files=()):
    raise NotImplementedError

def write(attempts, target):
    lines = [attempt.id for attempt in attempts]
    target.write_text("\\n".join(lines))
    return len(lines)
"""


@pytest.fixture
def _plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that adds a model, a sandbox and a format, in the working directory."""
    (tmp_path / "plugged.py").write_text(MODULE)
    info = tmp_path / "plugged-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1\n")
    entries = {"models": "patient = plugged:Patient", "sandboxes": "vm = plugged:sandbox"}
    entries["exporters"] = "ids = plugged:write"
    lines = [f"[forager.{group}]\n{entry}\n" for group, entry in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for cached in (custom._installed, custom.custom_model):
        cached.cache_clear()
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


@pytest.mark.usefixtures("_plugin")
def test_packages_add_models_sandboxes_and_formats(tmp_path: Path) -> None:
    """Each by the name of its entry point."""
    assert not needs_server("patient") and needs_server("qwen3:8b") and needs_server("llama:latest")
    assert custom_model("patient").__name__ == "Patient"
    assert sandbox_kind("vm").__module__ == "plugged"
    assert "ids" in formats()
    assert writer("ids", AttemptOrigin())([make_attempt("a")], tmp_path / "out") == 1
    assert (tmp_path / "out").read_text() == "a.0"


@pytest.mark.usefixtures("_plugin")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("-m plugged:Patent", "plugged has no Patent; did you mean 'Patient'?"),
        ("-m plugged:Broken", "is a int, and not a callable"),
        ("-m nowhere.at:All", "cannot import nowhere.at: No module named 'nowhere'"),
        ("-m repair --sandbox dokcer", "'dokcer' is not one of 'docker', 'bubblewrap'"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path: Path, options: str, told: str) -> None:
    """It says what there is."""
    write_records(tmp_path / "tasks.jsonl", [make_task("a")])
    result = CliRunner().invoke(main, ["run", "tasks.jsonl", "-o", "run", *options.split()])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert told in result.stderr
    with pytest.raises(UsageError):
        sandbox_kind("dokcer")


def test_litellm_answers_as_a_server_does() -> None:
    """Calls and usage are read, faults mean the same; the name's prefix is the provider."""
    if find_spec("litellm") is None:
        pytest.skip("litellm is not installed")
    call = function("bash", '{"command": "ls"}', id="1")
    with serving() as server:
        endpoint = ChatEndpoint(server.url, "k", timeout=5, tries=1, api="litellm")
        model = server.model(endpoint=endpoint, name="openai/m")
        server.answers = [completion({"content": None, "tool_calls": [call]})]
        reply = model.query([{"role": "user", "content": "go"}], [TOOL])
        assert reply.message["tool_calls"][0]["function"]["name"] == "bash"
        assert (server.seen[0]["model"], reply.usage.prompt_tokens) == ("m", 7)
        server.answers = [failure(401, "bad key")]
        with pytest.raises(ModelError, match=r"answers 401: .*bad key; set OPENAI_API_KEY"):
            model.query([{"role": "user", "content": "go"}], [])
