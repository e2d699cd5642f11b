"""Trackers: the real packages write offline, and what they wrote is read back."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from attempts import make_attempt
from click.testing import CliRunner
from test_chat import serving
from test_suites import FORAGER, ROWS, THREES

from forager.cli.main import main
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.ledger import BatchedEntry, GradedEntry, TrainedEntry
from forager.learning.rl.tracked import TrackedLedger
from forager.logins import LOGINS
from forager.rollout.settings import RunSettings
from forager.tracking import tracker
from forager.tracking.following import follow
from forager.tracking.tracking import Tracking
from forager.trajectories.store import Run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages
SECRET = "hunter22-in-a-url"
SETTINGS = {"urls": [f"http://me:{SECRET}@host/v1"], "api_key": SECRET, "limits": {"turns": 3}}
NAMES = ("tensorboard", "wandb", "mlflow", "otel")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine says where things go."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "MLFLOW_", "OTEL_")):
            monkeypatch.delenv(name)


def track(directory: Path, name: str, steps: range, **given: Any) -> None:
    """One start of a training that makes these steps."""
    with Tracking(directory, "training", [name], SETTINGS, **given) as tracking:
        for step in steps:
            tracking.log(f"step {step}", step, {"loss": 1 / step})


PROGRAM = """
import os, signal, sys
from pathlib import Path
from forager.tracking.tracking import Tracking
with Tracking(Path(sys.argv[1]), "training", [sys.argv[2]]) as tracking:
    for step in range(1, 5):
        tracking.log(f"step {step}", step, {"loss": 1 / step})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_after_four(directory: Path, name: str) -> None:
    """A start that SIGKILL ends behind its fourth step."""
    done = subprocess.run([sys.executable, "-P", "-c", PROGRAM, str(directory), name])
    assert done.returncode == -signal.SIGKILL


def read(directory: Path, name: str) -> list[tuple[int, float]]:
    """The steps and losses that a tracker wrote, by its own reader."""
    return sorted(globals()[f"_read_{name}"](directory))


def _read_tensorboard(directory: Path) -> Iterator[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory / "tensorboard")).Reload()
    for event in events.Tensors("loss"):
        yield event.step, event.tensor_proto.float_val[0]


def _read_mlflow(directory: Path) -> Iterator[tuple[int, float]]:
    client, run = mlflow_run(directory)
    for metric in client.get_metric_history(run.info.run_id, "loss"):
        yield metric.step, metric.value


def mlflow_run(directory: Path) -> tuple[Any, Any]:
    """MLflow's client, and the one run in the store."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{directory / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("forager").experiment_id])
    return client, run


def _read_wandb(directory: Path) -> Iterator[tuple[int, float]]:
    for record in wandb_records(directory):
        if record.WhichOneof("record_type") == "history":
            row = {
                item.key or item.nested_key[0]: json.loads(item.value_json)
                for item in record.history.item
            }
            yield row["step"], row["loss"]


def wandb_records(directory: Path) -> Iterator[Any]:
    """The records in all offline directories: LevelDB's log format, with wandb's messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    for path in sorted(directory.glob("wandb/offline-run-*/*.wandb")):
        data, place, whole = path.read_bytes(), 7, b""
        while place + 7 <= len(data):
            if (left := 32768 - place % 32768) < 7:
                place += left
                continue
            _, length, kind = struct.unpack("<IHB", data[place : place + 7])
            whole += data[place + 7 : place + 7 + length]
            place += 7 + length
            if kind in (1, 4):  # whole, last
                yield Record.FromString(whole)
                whole = b""


def _read_otel(directory: Path) -> Iterator[tuple[int, float]]:
    for line in (directory / "otel" / "metrics.jsonl").read_text().splitlines():
        (scope,) = json.loads(line)["resourceMetrics"][0]["scopeMetrics"]
        values = {metric["name"]: metric["gauge"]["dataPoints"][0] for metric in scope["metrics"]}
        step = values["forager.training.step"]
        yield int(step["asInt"]), values["forager.training.loss"]["asDouble"]


def installed(name: str) -> None:
    """Skip the test where the package of a tracker is not installed."""
    pytest.importorskip(tracker.TRACKERS[name].package)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_start_goes_on_and_nothing_is_counted_twice(name: str, tmp_path: Path) -> None:
    """SIGKILL behind step 4; the next start comes from step 3, as from a checkpoint. No secrets."""
    installed(name)
    kill_after_four(tmp_path, name)
    track(tmp_path, name, range(3, 7))
    assert [step for step, _ in read(tmp_path, name)] == [1, 2, 3, 4, 5, 6]
    assert dict(read(tmp_path, name))[2] == 0.5
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        assert SECRET.encode() not in path.read_bytes(), path


def test_wandb_is_one_run_with_the_settings(tmp_path: Path) -> None:
    """All starts have one id, and settings as configuration; git and command are left out."""
    installed("wandb")
    for last in (1, 2, 2):  # the third start has nothing to tell
        track(tmp_path, "wandb", range(1, last + 1))
    records = list(wandb_records(tmp_path))
    runs = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert len(runs) == 2
    assert {run.run_id for run in runs} == {(tmp_path / "tracking" / "id").read_text()}
    assert not any(run.HasField("git") for run in runs)
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert config["limits"] == {"turns": 3}
    assert config["api_key"] == "***"
    assert not list(tmp_path.rglob("wandb-metadata.json"))


def test_mlflow_has_the_settings_as_parameters(tmp_path: Path) -> None:
    """One run, whose status is that of the last start."""
    installed("mlflow")
    with pytest.raises(KeyError), Tracking(tmp_path, "training", ["mlflow"], SETTINGS) as tracking:
        tracking.log("step 1", 1, {"loss": 1.0})
        raise KeyError
    assert mlflow_run(tmp_path)[1].info.status == "FAILED"
    track(tmp_path, "mlflow", range(2, 3))
    run = mlflow_run(tmp_path)[1]
    assert run.info.status == "FINISHED"
    assert run.data.params["limits.turns"] == "3"
    assert SECRET not in str(run.data)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with three attempts."""
    path = tmp_path / "run"
    with Run.write(path, RunSettings(models=["repair"]), []) as writer:
        for number in range(3):
            writer.append(make_attempt("a", number, resolved=number > 0))
    return path


def spans_in(directory: Path) -> list[dict[str, Any]]:
    """The spans of a file."""
    lines = (directory / "otel" / "traces.jsonl").read_text().splitlines()
    return [
        span
        for line in lines
        for group in json.loads(line)["resourceSpans"]
        for scope in group["scopeSpans"]
        for span in scope["spans"]
    ]


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a span, by name."""
    return {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}


def test_spans_show_attempts_model_calls_and_tool_calls(run: Path) -> None:
    """One trace per attempt, by the GenAI conventions, without texts; each attempt once."""
    installed("otel")
    for _ in range(2):
        with Tracking(run, "run", ["otel"]) as tracking:
            follow(tracking, Run(run))
    spans = spans_in(run)
    assert len({span["traceId"] for span in spans}) == 3
    assert len({span["spanId"] for span in spans}) == len(spans)
    whole, *parts = [span for span in spans if span["traceId"] == spans[0]["traceId"]]
    assert whole["name"] == "invoke_agent forager"
    assert {part["parentSpanId"] for part in parts} == {whole["spanId"]}
    counted = Counter(part["name"] for part in parts)
    assert counted["chat repair"] == 6
    assert counted["execute_tool bash"] == 3
    chat = attributes(parts[0])
    assert (chat["gen_ai.operation.name"], chat["gen_ai.provider.name"]) == ("chat", "forager")
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == ("1000", "50")
    assert attributes(whole)["forager.attempt.resolved"] is False
    times = [int(part["startTimeUnixNano"]) for part in parts]
    assert times == sorted(times)
    assert int(parts[-1]["endTimeUnixNano"]) <= int(whole["endTimeUnixNano"])
    assert "IndexError" not in (run / "otel" / "traces.jsonl").read_text()


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP collector: its address, and the bodies that it got."""
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()
        server.server_close()


def test_a_collector_that_refuses_ends_nothing_and_gets_all_at_the_next_start(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line; nothing counts as given; then each attempt arrives once."""
    installed("otel")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    notes: list[str] = []
    for status in (400, 200, 200):
        with collector(status) as (url, bodies):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
            with Tracking(run, "run", ["otel"], on_note=notes.append) as tracking:
                follow(tracking, Run(run))
        if status == 400:
            assert len(bodies) == 1
        elif len(bodies):
            request = ExportTraceServiceRequest.FromString(bodies[0])
            assert request.resource_spans[0].scope_spans[0].spans[0].name == "invoke_agent forager"
            assert len(bodies) == 3
    assert not bodies
    assert len(notes) == 1
    assert notes[0].startswith("tracker otel: RuntimeError: the collector took no traces; going on")
    assert not (run / "otel").exists()


class _Failing:
    """A tracker that fails at step 2, with a login in its message."""

    def log(self, measurement: tracker.Measurement) -> None:
        if measurement.step == 2:
            raise OSError(f"http://me:{SECRET}@host:\nrefused")

    def close(self, *, failed: bool) -> None:
        raise RuntimeError(f"nor can it be closed, failed or not: {failed}")


def test_a_tracker_that_fails_is_left_out_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on; the line holds no login; the failed step is not counted as given."""
    installed("tensorboard")
    kept = tracker.open_tracker
    opener = lambda name, subject: _Failing() if name == "wandb" else kept(name, subject)  # noqa: E731
    monkeypatch.setattr("forager.tracking.tracking.open_tracker", opener)
    LOGINS.keep_secret(SECRET)
    notes: list[str] = []
    names = ["wandb", "tensorboard"]
    with Tracking(tmp_path, "training", names, on_note=notes.append) as tracking:
        for step in range(1, 5):
            tracking.log(f"step {step}", step, {"loss": 1.0})
    assert [step for step, _ in read(tmp_path, "tensorboard")] == [1, 2, 3, 4]
    assert len(notes) == 1
    assert "\n" not in notes[0]
    assert SECRET not in notes[0]
    journal = (tmp_path / "tracking" / "wandb.jsonl").read_text().splitlines()
    assert [json.loads(line)["failed"] for line in journal] == [False, False, True]


def test_a_package_that_is_missing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found before anything is made."""
    kinds = {**tracker.TRACKERS, "wandb": tracker.TrackerKind("x", "no_such_package")}
    monkeypatch.setattr(tracker, "TRACKERS", kinds)
    words = ["run", "tasks.jsonl", "-o", str(tmp_path / "run"), "-m", "repair", "--to", "wandb"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert done.stderr == "forager: --to wandb needs its package: pip install -e '.[wandb]'\n"
    assert not (tmp_path / "run").exists()


def test_a_killed_evaluation_is_tracked_once(tmp_path: Path) -> None:
    """Attempts as spans, the result as metrics, by the verb itself: killed, then typed twice."""
    installed("otel")
    rows, output = tmp_path / "rows.jsonl", tmp_path / "run"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    with serving() as script:
        script.answers = [replace(THREES, delay=0.1)]
        words = ["evaluate", "cruxeval-o", "-o", str(output), "--data", str(rows), "-m", "m"]
        words += ["--url", script.url, "-w", "1", "--attempts", "4", "--to", "otel"]
        with subprocess.Popen([str(FORAGER), *words], stderr=subprocess.DEVNULL) as first:
            while len(script.seen) < 6:
                assert first.poll() is None
                time.sleep(0.02)
            first.send_signal(signal.SIGKILL)
        assert spans_in(output)
        for _ in range(2):
            done = CliRunner(env={"OPENAI_BASE_URL": None}).invoke(main, words)
            assert done.exit_code == 0, done.output
    spans = spans_in(output)
    names = Counter(span["name"] for span in spans)
    assert names["invoke_agent forager"] == names["chat m"]
    assert names["invoke_agent forager"] in (15, 16)  # one may have been on its way
    assert len({span["spanId"] for span in spans}) == len(spans)
    (result,) = (output / "otel" / "metrics.jsonl").read_text().splitlines()
    assert '"forager.evaluation.success"' in result


def test_an_attempt_that_damage_took_is_left_out(tmp_path: Path) -> None:
    """A ledger may name an attempt that its run has lost; the other one is given as a span."""
    installed("otel")
    layout = RlLayout(tmp_path)
    graded = {"group": 0, "reward": 1.0, "resolved": True, "tokens": 1, "oldest": 0, "newest": 0}
    with Tracking(tmp_path, "rl", ["otel"]) as tracking:
        tracked = TrackedLedger(layout, tracking)
        tracked.take(GradedEntry(attempt="a.0", **graded))
        with Run.write(layout.attempts, RunSettings(models=["repair"]), []) as writer:
            writer.append(make_attempt("a", 1))
        for attempt in ("a.0", "a.1"):
            tracked.take(GradedEntry(attempt=attempt, **graded))
    assert {attributes(span).get("gen_ai.conversation.id") for span in spans_in(tmp_path)} == {
        *("a.1", None)
    }


def test_a_reinforcement_run_tells_steps_with_rewards_once(tmp_path: Path) -> None:
    """From ledger and metrics, whatever an earlier start has told; evaluations too."""
    installed("tensorboard")
    layout = RlLayout(tmp_path)
    layout.training.mkdir()
    lines = [
        {"step": step, "loss": 0.5, "learning_rate": 1e-5, "tokens": 8, "trained": 4, "seconds": 1}
        for step in (1, 2)
    ]
    metrics = layout.training / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for last in (1, 2):
        with Tracking(tmp_path, "rl", ["tensorboard"]) as tracking:
            tracked = TrackedLedger(layout, tracking)
            for step in range(1, last + 1):
                for number, reward in enumerate((1.0, -1.0)):
                    graded = {"group": step, "attempt": f"a.{step}{number}", "reward": reward}
                    ages = {"oldest": 0, "newest": 0, "tokens": 10}
                    tracked.take(GradedEntry(**graded, **ages, resolved=reward > 0))
                tracked.take(BatchedEntry(step=step, groups=[step]))
                tracked.take(TrainedEntry(step=step, loss=0.5, batch="b", model="m"))
                tracked.evaluated(step, 0.25)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    for name, value in (("loss", 0.5), ("reward", 0.0), ("solved", 0.5), ("held_out", 0.25)):
        found = [(event.step, event.tensor_proto.float_val[0]) for event in events.Tensors(name)]
        assert found == [(1, value), (2, value)]
    assert [event.tensor_proto.float_val[0] for event in events.Tensors("lag")] == [0, 1]
