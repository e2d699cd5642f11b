"""Complete bootstraps with real sandboxes and real training, killed and resumed.

An endpoint of the test, which knows the answers, serves the models: what the tiny models learned
is not the point here. `scripts/bootstrap` runs the same with vLLM.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from forager.environments.repository.task import RepositoryTask
from forager.images.image import Image
from forager.learning.base import BaseSettings
from forager.learning.bootstrap.manifest import Round
from forager.learning.dataset import Dataset
from forager.learning.saved import digest, load
from forager.learning.sources import digest as digest_of_attempts
from forager.learning.tiny import make_base
from forager.records import read_records, write_records
from forager.trajectories.store import Run

pytestmark = [pytest.mark.engine, pytest.mark.train]
FORAGER = Path(sys.executable).with_name("forager")
EXERCISES = Path(__file__).parents[1] / "examples/kata/exercises.py"
SKILLED = "round-0"  # the one model that knows the answers
CONFIG = """
tasks = ["{here}/tasks.jsonl"]
base = "{here}/base"
rounds = 2
data = "all"
filters = ["resolved", "shorten"]
mix_in = ["{here}/rehearsal"]
urls = ["{url}"]
[split]
held_out = 4
[draw]
tasks = 3
[teach]
models = ["oracle"]
[rollout]
sandbox = "bubblewrap"
syntax = "text"
workers = 2
limits = {{format_errors = 1}}
[dataset]
max_length = 8000
[train]
max_steps = 12
pack_length = 2000
batch_size = 2
checkpoint_every = 2
"""


class Oracle(BaseHTTPRequestHandler):
    """Answers as the skilled model with the patch and submit, as any other model with words."""

    patches: dict[str, list[str]] = {}
    """Patches by problem statement; several tasks may share one, and one of the patches applies."""

    def do_POST(self) -> None:
        """A chat completion."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        messages = asked["messages"]
        text = "I do not know."
        if asked["model"] == SKILLED:
            known = self.patches[messages[1]["content"]]
            apply = "\n".join(f"git apply <<'END'\n{patch}END" for patch in known)
            call = f"<tool: bash>\n{apply}\n</tool>"
            text = call if len(messages) == 2 else "<tool: submit>\n\n</tool>"
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        answer = json.dumps({"choices": [choice | {"finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def given(kata_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a bootstrap begins with: tasks, an untrained base, and a data set to mix in."""
    path = tmp_path_factory.mktemp("given")
    write_records(path / "images.jsonl", [kata_image])
    make: list[str | Path] = [
        "tasks",
        "mutate-fix",
        path / "images.jsonl",
        "-o",
        path / "tasks.jsonl",
    ]
    how = ["--limit", "10", "--proof", "none", "--mutators", "operators,functions"]
    subprocess.run([FORAGER, *make, *how], check=True, capture_output=True)
    small = BaseSettings(layers=1, width=64, copying=False)
    make_base([path / "tasks.jsonl"], path / "base", small)
    exercises = path / "exercises.jsonl"
    subprocess.run([sys.executable, EXERCISES, exercises, "20"], check=True, capture_output=True)
    export: list[str | Path] = ["export", exercises, "-o", path / "rehearsal", "--format", "policy"]
    known: list[str | Path] = ["--tokenizer", path / "base", "--context", "4000"]
    subprocess.run([FORAGER, *export, *known], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def endpoint(given: Path) -> Iterator[str]:
    """Where the models answer."""
    patches: defaultdict[str, list[str]] = defaultdict(list)
    for task in read_records(given / "tasks.jsonl", RepositoryTask):
        patches[task.problem_statement].append(task.patch)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Knowing", (Oracle,), {"patches": patches}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def config(given: Path, endpoint: str, tmp_path: Path) -> Path:
    """The settings that name them."""
    path = tmp_path / "bootstrap.toml"
    path.write_text(CONFIG.format(here=given, url=endpoint))
    return path


def killed_when(command: list[str], seen: Callable[[], bool]) -> None:
    """Start a command and kill it with SIGKILL as soon as `seen` returns true."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        while not seen():
            assert running.poll() is None, running.stderr and running.stderr.read().decode()
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)


def test_a_bootstrap_is_killed_twice_and_goes_on(config: Path, given: Path, tmp_path: Path) -> None:
    """Each attempt is made once, a worse model is rolled back, and the manifests' digests hold.

    `forager rl` goes on from the model that was not rolled back. The teacher is the default one,
    `repair`; the attempts are made in containers.
    """
    out = tmp_path / "out"
    text = config.read_text().replace('[teach]\nmodels = ["oracle"]\n', "")
    config.write_text(text.replace('"bubblewrap"', '"docker"'))
    command = [str(FORAGER), "bootstrap", str(config), "-o", str(out)]
    killed_when(command, lambda: _lines(out / "round-0/training/metrics.jsonl") >= 3)
    before = (out / "round-0/training/metrics.jsonl").read_bytes().split(b"\n")[:2]
    killed_when(command, lambda: (out / "round-1/attempts/trajectories").is_dir())
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    rounds = [load(out / f"round-{number}/manifest.json", Round) for number in range(2)]
    first, second = (known for known in rounds if known)

    losses = [json.loads(line)["loss"] for line in before]
    after = _metrics(out / "round-0/training/metrics.jsonl")
    assert [step["loss"] for step in after[:2]] == losses
    assert [step["step"] for step in after] == list(range(1, 13))
    assert first.promotion and second.promotion and first.candidate
    assert (first.policy.name, first.promotion.against, first.promotion.accepted) == (
        "repair",
        "base",
        True,
    )
    assert first.candidate.success.mean == 1
    assert (second.policy.name, second.promotion.accepted) == (SKILLED, False)
    assert second.current == first.candidate
    assert second.attempts.resolved == second.attempts.attempts == 3
    for manifest in (first, second):
        _check(out / f"round-{manifest.number}", manifest, given)
    assert "rolled back" in ended.stdout == (out / "report.md").read_text()

    times = {path: path.stat().st_mtime_ns for path in out.glob("round-*/**/*.json")}
    subprocess.run(command, check=True, capture_output=True)
    assert times == {path: path.stat().st_mtime_ns for path in out.glob("round-*/**/*.json")}

    (tmp_path / "rl.toml").write_text(f'after = "{out}"\n')
    wanted = [str(FORAGER), "rl", f"{tmp_path}/rl.toml", "-o", f"{tmp_path}/rl", "--dry-run"]
    said = subprocess.run(wanted, check=True, capture_output=True, text=True)
    assert json.loads(said.stdout)["base"] == str(out / "round-0/training/model")


def test_settings_that_changed_are_refused(config: Path, tmp_path: Path) -> None:
    """A bootstrap refuses other settings than it began with, and missing data sets."""
    out = tmp_path / "out"
    command = [str(FORAGER), "bootstrap", str(config), "-o", str(out)]
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(config.read_text().replace("/rehearsal", "/nowhere"))
    ended = subprocess.run(
        [*command[:2], str(wrong), "-o", f"{out}.wrong"], capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "nowhere does not exist" in ended.stderr
    killed_when(command, lambda: (out / "split.json").is_file())
    config.write_text(config.read_text().replace("held_out = 4", "held_out = 3"))
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "made with other settings: split is" in ended.stderr
    changed = {
        "held_out = 3": "held_out = 4",
        '"shorten"]': '"shortn"]',
        "workers = 2": "workers = 1",
    }
    text = config.read_text()
    for old, new in changed.items():
        text = text.replace(old, new)
    config.write_text(text)
    ended = subprocess.run([*command, "--dry-run"], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "there is no filter 'shortn'" in ended.stderr
    config.write_text(text.replace('"shortn"', '"tests"'))  # as a user mends it, and goes on
    (out / "base/evaluation").mkdir(parents=True, exist_ok=True)  # as if killed before the settings
    killed_when(command, lambda: (out / "base/evaluated.json").is_file())


def test_the_teacher_goes_to_what_failed(config: Path, tmp_path: Path) -> None:
    """With `failures` the model makes all attempts, and the teacher attempts the failed tasks."""
    out = tmp_path / "out"
    config.write_text('teacher_attempts = "failures"\n' + config.read_text())
    command = [str(FORAGER), "bootstrap", str(config), "-o", str(out), "--rounds", "1"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    made = load(out / "round-0/manifest.json", Round)
    assert made and made.taught
    assert (made.policy.name, made.attempts.resolved) == ("base", 0)
    assert made.taught.attempts == made.attempts.attempts == 3
    assert len(made.filtering.sources) == 2
    assert made.kept.attempts == made.taught.resolved > 0


def test_an_evaluation_of_fewer_tasks(given: Path, tmp_path: Path) -> None:
    """An evaluation in a larger run counts its own tasks; without common tasks there is no gain."""
    tasks, out = given / "tasks.jsonl", tmp_path / "evaluation"
    command: list[str | Path] = [FORAGER, "evaluate", tasks, "-o", out, "-m", "oracle", "--json"]

    def told(*words: Any) -> Any:
        ended = subprocess.run([*command, *words], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    assert told("--limit", "3")["success"]["tasks"] == 3
    fewer = told("--limit", "2", "--against", out)
    assert (fewer["success"]["tasks"], fewer["gain"]["tasks"]) == (2, 2)
    write_records(tmp_path / "others.jsonl", list(read_records(tasks, RepositoryTask))[3:4])
    command[2:5] = [tmp_path / "others.jsonl", "-o", tmp_path / "other"]
    ended = subprocess.run([*command, "--against", out], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "no attempts at any of these tasks" in ended.stderr


def test_a_round_without_anything_to_learn_keeps_the_model(config: Path, tmp_path: Path) -> None:
    """A round without kept attempts leaves the model unchanged, and the report says so."""
    out = tmp_path / "out"
    config.write_text(config.read_text().replace('"shorten"]', '"length=turns:0"]'))
    command = [str(FORAGER), "bootstrap", str(config), "-o", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("base (no attempt was kept)") == 2
    made = load(out / "round-1/manifest.json", Round)
    assert made and (made.kept.attempts, made.candidate) == (0, None)
    assert made.current.model.name == "base"


def _check(path: Path, manifest: Round, given: Path) -> None:
    """Compare a manifest with the files of its round."""
    ids = [attempt.id for attempt in Run(path / "attempts").summaries()]
    assert len(ids) == len(set(ids)) == 3
    held_out = json.loads((path.parent / "split.json").read_text())["held_out"]
    assert not {id.rpartition(".")[0] for id in ids} & set(held_out)
    assert manifest.attempts.digest == digest_of_attempts(path / "attempts")
    made = Dataset(path / "dataset").manifest.digest
    rehearsed = Dataset(given / "rehearsal").manifest.digest
    assert manifest.dataset and manifest.training and manifest.candidate
    assert manifest.dataset.digest == made
    assert [dataset.digest for dataset in manifest.training.datasets] == [made, rehearsed]
    assert manifest.training.base.digest == manifest.init.digest == digest(given / "base")
    assert manifest.candidate.model.digest == digest(path / "training/model")
    assert manifest.candidate.run.attempts == len(held_out)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _metrics(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
