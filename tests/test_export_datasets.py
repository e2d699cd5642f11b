"""Attempts as data sets of the Hub: their columns, their card, and the upload."""

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attempts import PATCH, STEPS, Settings, make_attempt, make_task
from click.testing import CliRunner, Result

from forager.cli.main import main
from forager.trajectories.store import Run

FORAGER = Path(sys.executable).with_name("forager")
BROKEN = [*STEPS, ("Twice.", "", {}, "Your call could not be read.")]
ATTEMPTS = [
    make_attempt("a"),
    make_attempt("a", 1, syntax="text", resolved=False, exit_reason="turn_limit"),
    make_attempt("b", steps=BROKEN, suspect=["core.py:1 assigns sys.settrace"]),
]
TASKS = [make_task("a", licence="MIT"), make_task("b", licence="MIT", contaminated="SWE-bench")]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with three attempts and their tasks."""
    with Run.write(tmp_path / "run", Settings(), TASKS) as writer:
        for attempt in ATTEMPTS:
            writer.append(attempt)
    return tmp_path / "run"


def export(run: Path, target: Path, *options: str) -> Result:
    """Run `forager export` in this process."""
    return CliRunner().invoke(main, ["export", str(run), "-o", str(target), *options])


def push(run: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Export and upload in a process of its own: the library reads its variables once."""
    command: list[str | Path] = [FORAGER, "export", run, "-o", target, "--format", "hf"]
    command += ["--push", "me/attempts"]
    return subprocess.run(command, capture_output=True, text=True)


def linked(content: list[dict[str, Any]]) -> None:
    """The rules of ADP 1.5 for ids: a call that an observation follows has one, used once more."""
    calls: dict[str, int] = {}
    for item, following in zip(content, [*content[1:], {}], strict=True):
        id, name = item.get("tool_call_id"), item["class_"]
        if name in ("api_action", "code_action"):
            assert id or not following.get("class_", "").endswith("observation")
            if id:
                assert id not in calls
                calls[id] = 0
        elif name == "text_observation" and id:
            calls[id] += 1
        else:
            assert id is None
    assert set(calls.values()) <= {1}


def test_adp_keeps_the_rules_of_its_schema(run: Path, tmp_path: Path) -> None:
    """Actions and observations are linked, languages are those used, the reward is at the end."""
    assert export(run, tmp_path / "adp", "--format", "adp").exit_code == 0
    lines = (tmp_path / "adp" / "full_std.jsonl").read_text().splitlines()
    documents = [json.loads(line) for line in lines]
    known = {"schema_version", "id", "content", "available_code_languages", "details"}
    fields = {
        "text_observation": {"class_", "content", "source", "tool_call_id"},
        "message_action": {"class_", "content", "reasoning_content", "reward"},
        "api_action": {"class_", "function", "kwargs", "description", "tool_call_id", "reward"},
        "code_action": {"class_", "language", "content", "description", "tool_call_id", "reward"},
    }
    for document, attempt in zip(documents, ATTEMPTS, strict=True):
        assert set(document) <= known and document["schema_version"] == "1.5.0"
        for item in document["content"]:
            assert set(item) <= fields[item["class_"]]
            assert item.get("source", "user") in ("user", "environment")
        linked(document["content"])
        languages = {item["language"] for item in document["content"] if "language" in item}
        assert document["available_code_languages"] == sorted(languages)
        assert document["content"][-1]["reward"] == attempt.outcome.reward
        assert document["details"]["licence"] == "MIT"
    metadata = json.loads((tmp_path / "adp" / "metadata.json").read_text())
    custom = {tool["function"]["name"] for tool in metadata["custom_tools"]}
    used = {item.get("function") for item in documents[0]["content"]} - {None}
    assert used <= custom and "bash" not in custom


@pytest.mark.parametrize("format", ["swe-smith", "open-swe-traces", "hf", "adp"])
def test_datasets_loads_them(
    run: Path, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`load_dataset` reads the directory by its card, with one split and all attempts."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert export(run, tmp_path / "out", "--format", format).exit_code == 0
    import datasets

    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].num_rows == 3


def test_columns_are_those_of_the_public_sets(run: Path, tmp_path: Path) -> None:
    """Names and types match, so that rows can be mixed with theirs."""
    from pyarrow.parquet import read_table

    for format in ("swe-smith", "open-swe-traces"):
        assert export(run, tmp_path / format, "--format", format).exit_code == 0
    smith = read_table(tmp_path / "swe-smith" / "data")
    wanted = ["messages", "instance_id", "resolved", "model", "traj_id", "patch"]
    assert smith.column_names == wanted
    first = smith.to_pylist()[0]
    assert {message["role"] for message in first["messages"]} == {"system", "user", "assistant"}
    assert "<function=bash>\n<parameter=command>" in first["messages"][2]["content"]
    assert (first["traj_id"], first["patch"], first["resolved"]) == ("a.0", PATCH, True)
    traces = read_table(tmp_path / "open-swe-traces" / "data")
    wanted = ["instance_id", "repo", "license", "language", "trajectory_id"]
    wanted += ["messages", "tools", "resolved", "metadata", "hf_dataset_name"]
    assert traces.column_names == wanted
    row = traces.to_pylist()[2]
    assert (row["license"], row["language"], row["resolved"]) == ("MIT", "python", 0)
    assert row["metadata"]["suspect"] == "core.py:1 assigns sys.settrace"
    assert row["metadata"]["reference_patch"] == TASKS[1].patch
    assert json.loads(row["tools"][0])["function"]["name"] == "bash"


def test_the_card_tells_of_the_run(run: Path, tmp_path: Path) -> None:
    """Counts, filters, licences and contamination are those of what was exported."""
    kept = tmp_path / "kept"
    filtered = ["filter", str(run), "-o", str(kept), "--filter", "length=turns:50"]
    assert CliRunner().invoke(main, filtered).exit_code == 0
    assert export(kept, tmp_path / "out", "--format", "hf", "--limit", "3").exit_code == 0
    card = (tmp_path / "out" / "README.md").read_text()
    for line in (
        "| attempts | 3 |",
        "| resolved | 1 (33%) |",
        "| suspect | 1 |",
        "| someone/pkg | MIT |",
        "| someone/pkg | SWE-bench |",
        "- limit = 3",
    ):
        assert line in card
    assert "- filter `length=" in card and "turns:50" in card
    assert "load_dataset(" in card


class Hub(BaseHTTPRequestHandler):
    """Stands in for the Hub's API: makes a repository and takes one commit of plain files."""

    files: dict[str, bytes]
    made: list[dict[str, Any]]
    refuses = False

    def do_POST(self) -> None:
        """Answer a request of huggingface_hub."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.refuses:
            self._say({"error": "Invalid username or password."}, 401)
        elif self.path == "/api/repos/create":
            self.made.append(json.loads(body))
            self._say({"url": f"http://{self.headers['Host']}/datasets/me/attempts"})
        elif self.path == "/api/validate-yaml":
            assert json.loads(body)["content"].startswith("---\nconfigs:\n")
            self._say({"errors": [], "warnings": []})
        elif self.path.endswith("/preupload/main"):
            paths = [file["path"] for file in json.loads(body)["files"]]
            plain = [
                {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for path in paths
            ]
            self._say({"files": plain})
        elif "/commit/main" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.files[line["value"]["path"]] = content
            address = f"http://{self.headers['Host']}/datasets/me/attempts/commit/{'c' * 40}"
            commit = {"commitOid": "c" * 40, "commitUrl": address}
            self._say({**commit, "hookOutput": "", "success": True})
        else:
            self._say({"error": self.path}, 404)

    def do_GET(self) -> None:
        """The files that the repository has: none."""
        self._say([] if "/tree/" in self.path else {"siblings": [], "id": "x", "sha": "c" * 40})

    def _say(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub on this machine; programs started now look there."""
    handler = type("Fresh", (Hub,), {"files": {}, "made": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield handler
    server.shutdown()
    server.server_close()


def test_push_uploads_the_data_set_with_its_card(run: Path, tmp_path: Path, hub: type[Hub]) -> None:
    """The repository is private, and holds what the directory holds."""
    target = tmp_path / "out"
    result = push(run, target)
    assert result.returncode == 0, result.stderr
    assert result.stdout.rstrip().endswith("/datasets/me/attempts")
    assert hub.made[0] | {"type": "dataset", "visibility": "private"} == hub.made[0]
    assert set(hub.files) == {"README.md", "data/train-00000.parquet"}
    for name, content in hub.files.items():
        assert (target / name).read_bytes() == content


def test_a_hub_that_refuses_is_one_line(run: Path, tmp_path: Path, hub: type[Hub]) -> None:
    """The export stays, and the message says how to get a token."""
    hub.refuses = True
    result = push(run, tmp_path / "out")
    assert result.returncode == 2 and (tmp_path / "out").is_dir()
    assert "hf auth login" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "jsonl", "--push", "me/x"], "--push needs --format"),
        (["--format", "hf", "--public"], "--public needs --push"),
        (["--format", "hf", "--registry", "ghcr.io/me"], "need --format harbor"),
        (["--format", "jsonl", "--from-recipe"], "need --format harbor"),
        (["--format", "hf", "--push", "attempts"], "owner/name"),
    ],
)
def test_a_wrong_push_is_said_before_work(
    run: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    """Nothing is written."""
    result = export(run, tmp_path / "out", *options)
    assert result.exit_code == 2 and message in result.stderr
    assert not (tmp_path / "out").exists()
