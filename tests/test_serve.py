import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tiny_models import drawn, make_base, make_pretrained

from forager.errors import ServeError, UsageError
from forager.learning import imports
from forager.learning.cutting import cut_base
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.guardian_program import alive, descendants
from forager.learning.serve import ModelServer, ServeSettings
from forager.learning.serve.agreement import check_prompts, compare
from forager.learning.serve.command import command, environment
from forager.learning.train.logprobs_program import main as log_probabilities
from forager.learning.train.settings import LoraSettings

HERE = Path(__file__).parent
SAMPLES = [[3, 50, 7, 7, 90, 201, 12], list(range(20, 60))]


@pytest.fixture(scope="module")
def served_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of one shape, and two cut from Gemmas, one with merged adapters."""
    imports.load("torch", "transformers.modeling_utils")
    root = tmp_path_factory.mktemp("models")
    return {
        "old": make_base(root / "old", tied=False, seed=2),
        "new": make_base(root / "new", tied=False, seed=3),
        "tied": with_adapters(cut(root / "first", 1), root / "tied"),
        "tied after": cut(root / "second", 4),
    }


def cut(path: Path, seed: int) -> Path:
    """A Gemma of random weights, with <bos>, whose vocabulary is cut."""
    (path / "texts").mkdir(parents=True)
    (path / "texts" / "a.txt").write_text(drawn(1))
    whole = make_pretrained(path / "whole", "byte fallback", tied=True, seed=seed)
    cut_base(whole, [path / "texts"], path / "cut")
    return path / "cut"


def with_adapters(base: Path, output: Path) -> Path:
    """The model as a training of adapters writes it."""
    import torch

    from forager.learning.train import TrainSettings
    from forager.learning.train.model import open_model, write_model

    settings = TrainSettings(precision="fp32", lora=LoraSettings(rank=4))
    model = open_model(base, settings)
    torch.manual_seed(0)
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.2)
    output.mkdir()
    write_model(model.state_dict(), base, settings, output)
    return output


@pytest.fixture(scope="module")
def server(
    served_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelServer]:
    """Two servers of a model with replaceable weights and a tool parser."""
    settings = ServeSettings(
        replicas=2,
        served_model_name="tiny",
        reload="in_place",
        max_model_len=256,
        tool_call_parser="hermes",
        cpu_cores="nobind",
        cpu_nice=0,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # one process fewer to load vLLM
        server = ModelServer(served_models["old"], settings, tmp_path_factory.mktemp("log"))
        with server:
            yield server


def wanted(model: Path) -> list[list[float]]:
    """As `expected` of the samples in float32, without a process that loads torch once more."""
    return log_probabilities(model, SAMPLES, "float32")


def gone(processes: list[int], seconds: float = 15.0) -> bool:
    """Whether all end within some seconds."""
    until = time.monotonic() + seconds
    while any(map(alive, processes)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(alive, processes))


def test_trainer_and_server_agree_after_new_weights_too(
    server: ModelServer, served_models: dict[str, Path]
) -> None:
    """Log-probabilities agree before and after a reload, and distinguish the old weights.

    Every replica keeps its address and its processes.
    """
    urls, children = server.urls, list(server._children)
    assert len(set(urls)) == 2
    old, new = wanted(served_models["old"]), wanted(served_models["new"])
    for url in urls:
        assert compare(url, "tiny", SAMPLES, old).largest < 1e-4
        assert not compare(url, "tiny", SAMPLES, new).holds()
    server.reload(served_models["new"])
    assert (server.urls, server._children) == (urls, children)
    for url in urls:
        assert compare(url, "tiny", SAMPLES, new).largest < 1e-4


def test_the_template_is_the_models(server: ModelServer) -> None:
    """The server renders chats with the model's template."""
    asked = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 2,
        "return_token_ids": True,
    }
    answer = requests.post(f"{server.urls[0]}/chat/completions", json=asked, timeout=60).json()
    assert len(answer["prompt_token_ids"]) == len("user: hi") + 1 + len("assistant: ")


def test_a_burst_of_seeded_requests_does_not_end_a_server(server: ModelServer) -> None:
    """Together they are longer than what vLLM computes at once: none of them is split."""
    prompts = [[1 + (number + place) % 250 for place in range(250)] for number in range(80)]
    asked = {"model": "tiny", "prompt": prompts, "max_tokens": 2, "seed": 1}
    answer = requests.post(f"{server.urls[1]}/completions", json=asked, timeout=120)
    assert answer.status_code == 200 and len(answer.json()["choices"]) == len(prompts)


def test_the_process_that_computes_is_a_fork(server: ModelServer) -> None:
    """It does not import vLLM once more; Python tracks what processes share that it starts anew."""
    for child in server._children:
        started = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(child.pid)]
        assert len(started) > 1 and not any(b"resource_tracker" in words for words in started)


def test_a_server_that_dies_is_said(server: ModelServer) -> None:
    """The error carries the end of the log, and no process is left."""
    processes = [server._children[0].pid, *descendants(server._children[0].pid)]
    assert len(processes) > 2
    os.kill(processes[1], signal.SIGKILL)
    assert gone(processes)
    with pytest.raises(ServeError, match="exited with 137") as caught:
        server.check()
    assert caught.value.log


def test_tied_weights_are_replaced_and_nothing_outlives_forager(
    served_models: dict[str, Path], tmp_path: Path
) -> None:
    """A tied layer, which vLLM does not replace in place on a CPU, is reloaded by a restart.

    The models are cut from pretrained ones, the first one with merged adapters. Prompts begin with
    <bos>, as in data sets; a template that differs in that is noticed.

    The server keeps its address and serves in another precision than the stored one. SIGKILL of
    forager ends it with all its processes.
    """
    program = [sys.executable, "-P", str(HERE / "serving_program.py")]
    with subprocess.Popen(
        [*program, str(served_models["tied"]), str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as forager:
        assert forager.stdout and forager.stdin
        name, url = told = forager.stdout.readline().split()
        first = compare(url, name, SAMPLES, wanted(served_models["tied"]))
        assert not compare(url, name, SAMPLES, wanted(served_models["tied after"])).holds()
        begins_alike(url, name, served_models["tied"], tmp_path)
        started = list(descendants(forager.pid))
        print(served_models["tied after"], file=forager.stdin, flush=True)
        assert forager.stdout.readline().split() == told
        second = compare(url, name, SAMPLES, wanted(served_models["tied after"]))
        processes = list(descendants(forager.pid))
        forager.kill()
    assert max(first.largest, second.largest) < 1e-4
    assert not {*started} & {*processes}
    assert len(processes) > 2
    assert gone(processes)


def begins_alike(url: str, name: str, model: Path, place: Path) -> None:
    """Assert that prompts are those of data sets, and that another beginning is noticed."""
    told = [{"role": "system", "content": "Fix."}, {"role": "user", "content": "the total"}]
    request = {"model": name, "messages": told, "max_tokens": 1, "return_token_ids": True}
    answer = requests.post(f"{url}/chat/completions", json=request, timeout=60).json()
    tokenizer = Tokenizer(model)
    ids = tokenizer.encode(tokenizer.render(told, [], "", prompt=True))
    assert answer["prompt_token_ids"] == ids
    assert ids[0] == tokenizer.bos
    check_prompts(url, name, model)
    other = shutil.copytree(model, place / "without")
    template = (other / "chat_template.jinja").read_text()
    (other / "chat_template.jinja").write_text(template.replace("bos_token", "''", 1))
    with pytest.raises(ServeError, match="begin with <bos>"):
        check_prompts(url, name, other)


def test_a_server_that_cannot_start_fails_at_once(
    served_models: dict[str, Path], tmp_path: Path
) -> None:
    """The error carries vLLM's message."""
    settings = ServeSettings(arguments=["--no-such-option"])
    with pytest.raises(ServeError, match="no-such-option") as caught:
        ModelServer(served_models["old"], settings, tmp_path).__enter__()
    assert "--no-such-option" in caught.value.log


def test_options_reach_vllm(served_models: dict[str, Path], tmp_path: Path) -> None:
    """vLLM gets the options but no seed, which would make attempts copies of each other."""
    settings = ServeSettings(replicas=2, cpu_cores="0|1", max_model_len=99, chat_template="a.jinja")
    words = command(served_models["old"], settings, 8000)
    assert words[words.index("--max-model-len") + 1] == "99"
    assert words[words.index("--chat-template") + 1] == "a.jinja"
    assert words[words.index("--dtype") + 1] == "float32"
    assert "--seed" not in words
    assert words[:3] == ["nice", "-n", "10"]
    for replica in (0, 1):
        assert environment(settings, replica)["VLLM_CPU_OMP_THREADS_BIND"] == str(replica)
    with pytest.raises(UsageError, match="--python"):
        command(served_models["old"], ServeSettings(python="/usr/bin/python3"), 8000)
    with pytest.raises(UsageError, match=r"config\.json"):
        ModelServer(tmp_path, ServeSettings(), tmp_path)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """A taken port is refused before the start: the foreign server would answer for ours."""
    (tmp_path / "config.json").write_text("{}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = ServeSettings(port=taken.getsockname()[1])
        with pytest.raises(UsageError, match="in use; give another port"):
            ModelServer(tmp_path, settings, tmp_path / "log").__enter__()


@pytest.mark.parametrize(("faster", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_autocast_depends_on_the_machine(
    served_models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faster: bool,
    precision: str,
) -> None:
    """Stored float32 weights are served in bfloat16 where that is faster; the settings stay."""
    monkeypatch.setattr("forager.learning.serve.settings.prefers_bf16", lambda: faster)
    settings = ServeSettings(dtype="autocast")
    server = ModelServer(served_models["old"], settings, tmp_path)
    words = command(server.model, server.settings, 8000)
    assert words[words.index("--dtype") + 1] == precision
    assert settings.dtype == "autocast"


def test_one_thread_needs_no_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """On two cores a server computes in its engine; with more, or if told so, as vLLM does."""
    name = "VLLM_ENABLE_V1_MULTIPROCESSING"
    monkeypatch.delenv(name, raising=False)
    for cores, settings, wanted in (
        (2, ServeSettings(), "0"),
        (4, ServeSettings(replicas=2), "0"),
        (4, ServeSettings(), None),
        (2, ServeSettings(cpu_cores="0-1"), None),
    ):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert environment(settings, 0).get(name) == wanted
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert environment(ServeSettings(), 0)[name] == "1"
