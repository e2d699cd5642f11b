"""Models by their names on the Hugging Face Hub."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import chat_templates as templates
import pytest
from attempts import Settings, make_attempt

from forager.learning.dataset import Dataset
from forager.trajectories.store import Run

FORAGER = Path(sys.executable).with_name("forager")
COMMIT = "c" * 40


class Hub(BaseHTTPRequestHandler):
    """Serves a repository of the Hub: the list of its files, and each file."""

    files: dict[str, bytes] = {}
    asked: list[str] = []

    def do_HEAD(self) -> None:
        """Of a file: its commit, its digest and its size."""
        self._answer()

    def do_GET(self) -> None:
        """The list, or a file."""
        self._answer()

    def _answer(self) -> None:
        self.asked.append(self.path)
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/api/models/forager/tiny/revision/"):
            siblings = [{"rfilename": name} for name in self.files]
            body = json.dumps({"id": "forager/tiny", "sha": COMMIT, "siblings": siblings}).encode()
        elif self.path.startswith("/api/models/forager/tiny/tree/"):
            tree = [
                {"type": "file", "path": file, "size": len(data), "oid": file}
                for file, data in self.files.items()
            ]
            body = json.dumps(tree).encode()
        elif self.path.startswith("/forager/tiny/resolve/"):
            body = self.files[name]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{name}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """A hub with one repository, which also has unneeded files."""
    place = templates.make_tokenizer(
        tmp_path / "tokenizer", templates.OURS, templates.SPECIALS["ours"]
    )
    files = {path.name: path.read_bytes() for path in place.iterdir()}
    files |= {"pytorch_model.bin": b"large", "modeling.py": b"code"}
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Of", (Hub,), {"files": files, "asked": []})
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def export(run: Path, out: Path, model: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`forager export` with the tokenizer of a model."""
    command: list[str | Path] = [
        FORAGER,
        "export",
        run,
        "-o",
        out,
        "--format",
        "policy",
        "--tokenizer",
        model,
    ]
    known = {**os.environ, "HF_HUB_CACHE": str(run.parent / "cache"), **variables}
    return subprocess.run(command, env=known, capture_output=True, text=True)


def test_a_model_of_the_hub_is_got_once(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    """Needed files are downloaded once, and the cache works without a network."""
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        writer.append(make_attempt("a", 0, syntax="text"))
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    done = export(tmp_path / "run", tmp_path / "one", "forager/tiny", HF_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr
    asked = cast("type[Hub]", hub.RequestHandlerClass).asked
    assert not [path for path in asked if path.endswith((".bin", ".py"))]
    again = export(tmp_path / "run", tmp_path / "two", "forager/tiny", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    directory = export(tmp_path / "run", tmp_path / "three", str(tmp_path / "tokenizer"))
    assert directory.returncode == 0, directory.stderr
    samples = [list(Dataset(tmp_path / name)) for name in ("one", "two", "three")]
    assert samples[0] == samples[1] == samples[2]


def test_a_model_that_is_nowhere_is_one_line(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    """The message says that it is neither a directory nor on the Hub."""
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        writer.append(make_attempt("a", 0, syntax="text"))
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    done = export(tmp_path / "run", tmp_path / "out", "forager/none", HF_ENDPOINT=endpoint)
    assert done.returncode == 2
    assert "forager/none is no directory, and the Hugging Face Hub does not" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
