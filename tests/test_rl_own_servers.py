"""`forager rl --url`: a person's own servers, their weights, and what does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rl_program import SMALL, TASKS, run
from rl_server import OwnServer, serving
from tiny_models import make_base

from forager.cli.main import main
from forager.errors import ServeError
from forager.learning.rl import own_servers
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.ledger import TrainedEntry, entries
from forager.learning.rl.own_servers import OwnServers
from forager.learning.rl.sampler import Sampler
from forager.learning.rl.samplers import sampler_of
from forager.learning.rl.settings import RlSettings
from forager.records import write_records
from forager.trajectories.store import Run

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained base."""
    return make_base(tmp_path_factory.mktemp("own") / "base")


def test_own_servers_sample_with_the_weights_of_each_step(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tokens have the ratio 1 in their step, so the server had the weights of each one.

    Each request has the key that the server asks for.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server, output = OwnServer(base, key="secret"), tmp_path / "run"
    with serving(server) as url:

        def served(base: Path, asked: RlSettings) -> Sampler:
            return sampler_of(asked, base, tmp_path / "logs")

        run(base, output, make_sampler=served, steps=2, sampler="vllm", urls=[url])
    noted = entries(RlLayout(output).ledger)
    assert [entry.step for entry in noted if isinstance(entry, TrainedEntry)] == [1, 2]
    assert server.calls.count("/collective_rpc") == 3
    assert server.calls.index("/pause") < server.calls.index("/reset_prefix_cache")
    attempts = list(Run(output / "attempts").trajectories())
    assert {call.policy_version for made in attempts for call in made.model_calls} == {0, 1}


def test_weights_that_a_server_does_not_take_end_the_run(base: Path, tmp_path: Path) -> None:
    """It says that it took them: one line names it, and nothing was sampled."""
    other = make_base(tmp_path / "other", seed=1)
    write_records(tmp_path / "tasks.jsonl", TASKS)
    config = tmp_path / "rl.toml"
    train = "".join(f"{name} = {json.dumps(value)}\n" for name, value in SMALL["train"].items())
    config.write_text(
        f"tasks = ['{tmp_path / 'tasks.jsonl'}']\nbase = '{base}'\nsteps = 1\n[train]\n{train}"
    )

    def invoked(*words: str) -> Result:
        given = ["rl", str(config), "-o", str(tmp_path / "run"), *words]
        return CliRunner().invoke(main, given)

    with serving(OwnServer(other, deaf=True)) as url:
        shown = invoked("--url", url, "--dry-run")
        assert shown.exit_code == 0, shown.output
        found = json.loads(shown.stdout)
        assert (found["sampler"], found["urls"]) == ("vllm", [url])
        done = invoked("--url", url)
    assert done.exit_code == 1
    assert f"forager: {url} did not take the weights in {base}" in done.stderr
    assert not (tmp_path / "run/attempts").exists()


def test_each_request_has_the_login_of_the_address(base: Path) -> None:
    """Those for weights, probes and prompts too, for which no chat endpoint asks."""
    server = OwnServer(base, login="user:pass-word-9")
    with serving(server) as url:
        given = url.replace("://", "://user:pass-word-9@")
        OwnServers([given], "float32", "KEY").load(base)
    assert {"/tokenize", "/collective_rpc", "/v1/completions"} <= {*server.calls}


def test_one_of_two_servers_that_keeps_its_weights_is_found(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later weights, which no comparison with the trainer checks, are compared for its sake."""
    monkeypatch.setattr(own_servers, "_PROVEN", 0)
    other = make_base(tmp_path / "other", seed=1)
    with serving(OwnServer(other)) as first, serving(OwnServer(other, deaf=True)) as second:
        servers = OwnServers([first, second], "float32", "KEY")
        with pytest.raises(ServeError, match=f"{second} did not take the weights"):
            servers.load(base)


def test_servers_of_an_option_go_with_a_cluster_of_the_file(tmp_path: Path) -> None:
    """The file is checked together with --url, which it may lack."""
    write_records(tmp_path / "tasks.jsonl", TASKS)
    config, url = tmp_path / "rl.toml", "http://gpu1:8000/v1"
    config.write_text(
        f"tasks = ['{tmp_path / 'tasks.jsonl'}']\nbase = 'models/base'\nsteps = 1\n"
        '[rollout]\nexecutor = "ray"\n'
    )
    given = ["rl", str(config), "-o", str(tmp_path / "run"), "--url", url, "--dry-run"]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["urls"] == [url]


@pytest.mark.parametrize("words", [["--url", "http://a/v1"], ["--steps", "2"], ["--dry-run"]])
def test_a_replay_refuses_options_that_it_would_ignore(words: list[str], tmp_path: Path) -> None:
    """It has the settings of its run."""
    given = ["rl", "--replay", str(tmp_path), "-o", str(tmp_path / "again"), *words]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 2 and "--replay takes its settings from RUN" in done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "mine"}, "serves mine: start it with --served-model-name policy"),
        ({"plain": True}, "has no /pause: start vLLM with VLLM_SERVER_DEV_MODE=1"),
    ],
)
def test_a_server_that_does_not_fit_is_said(
    base: Path, given: dict[str, Any], message: str
) -> None:
    """One line with what to start it with."""
    with serving(OwnServer(base, **given)) as url, pytest.raises(ServeError, match=message):
        OwnServers([url], "float32", "KEY").load(base)


def test_a_server_that_is_not_there_is_said(base: Path) -> None:
    """Within seconds."""
    with pytest.raises(ServeError, match=r"127\.0\.0\.1:9/v1"):
        OwnServers(["http://127.0.0.1:9/v1"], "float32", "KEY").load(base)
