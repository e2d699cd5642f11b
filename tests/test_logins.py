"""A password, a token or a key in an address is used, and neither stored nor shown."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from forager.agent.endpoint import ChatEndpoint
from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.errors import ModelRefusal, SourceError
from forager.images.host import build_variables
from forager.images.source import fetch
from forager.logins import LOGINS, Logins, without_login
from forager.records import write_records
from forager.rollout.settings import RunSettings
from forager.trajectories.record import Sampling

PASSWORD, KEY = "pass-word-1", "api-key-2"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://user:secret@Host:8/v1", "https://Host:8/v1"),
        ("https://user:sec/ret@x@host/v1", "https://host/v1"),
        ("https://token@host", "https://host"),
        ("https://host/v1?api_key=secret", "https://host/v1"),
        ("git+https://token@host/a/b.git@v1", "git+https://host/a/b.git@v1"),
        ("ssh://git:secret@host/a", "ssh://git@host/a"),
        ("git@host:owner/name", "git@host:owner/name"),
        ("https://host/@scope/name", "https://host/@scope/name"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("/a/directory@2", "/a/directory@2"),
    ],
)
def test_an_address_loses_its_login(given: str, kept: str) -> None:
    """The rest of the address stays as it was typed."""
    logins = Logins()
    assert logins.take(given, query=True) == kept
    shown = logins.hide(given) + repr(logins.all())
    assert not any(secret in shown for secret in ("secret", "sec/ret", "token@"))


def test_logins_are_hidden_in_texts() -> None:
    """Addresses that nobody typed lose theirs too; known secrets are hidden anywhere."""
    logins = Logins()
    logins.keep_secret("se/cret", "no")
    said = "no https://a:b@c/d?x=1&access_token=e#f sent Basic se/cret and se%2Fcret"
    hidden = "no https://***@c/d?x=1&access_token=***#f sent Basic *** and ***"
    assert logins.hide(said) == hidden
    assert without_login("https://a:b@c/d?token=e") == "https://c/d?token="


class Refusing(BaseHTTPRequestHandler):
    """Refuses every request, and repeats in its answer all that it was sent."""

    seen: list[tuple[str, str]]

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Answer as `do_POST` does."""
        self.do_POST()

    def do_POST(self) -> None:
        """Refuse."""
        login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        self.seen.append((self.path, login))
        body = json.dumps({"error": {"message": f"{self.path} knows no {login}"}}).encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def refusing() -> Iterator[ThreadingHTTPServer]:
    """A server that refuses."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Refusal", (Refusing,), {"seen": []}))
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address(server: ThreadingHTTPServer) -> str:
    """The address with a user, a password and a key."""
    return f"http://user:{PASSWORD}@127.0.0.1:{server.server_port}/v1?api_key={KEY}"


def test_requests_carry_the_login_and_errors_do_not(refusing: Any) -> None:
    """The endpoint's address is clean, and its requests are as if it were not."""
    endpoint = ChatEndpoint(address(refusing))
    assert endpoint.url == f"http://127.0.0.1:{refusing.server_port}/v1"
    with pytest.raises(ModelRefusal) as refused:
        endpoint.models()
    seen = refusing.RequestHandlerClass.seen
    assert seen == [(f"/v1/models?api_key={KEY}", f"user:{PASSWORD}")]
    assert re.search(r"answers 403: /v1/models\?api_key=\*\*\* knows no user:\*\*\*", str(refused))


@pytest.mark.engine
def test_no_file_of_a_run_and_no_message_holds_a_login(
    refusing: Any, kata_task: RepositoryTask, tmp_path: Path
) -> None:
    """Settings, lost attempts and messages are without it; the same command resumes the run."""
    write_records(tmp_path / "tasks.jsonl", [kata_task])
    words = ["run", str(tmp_path / "tasks.jsonl"), "-o", str(tmp_path / "run")]
    words += ["-m", "qwen", "--url", address(refusing)]
    said = ""
    for _ in range(2):
        done = CliRunner().invoke(main, words)
        said += done.stdout + done.stderr
        assert "403" in said
    assert len(refusing.RequestHandlerClass.seen) >= 2
    settings = RunSettings.model_validate_json((tmp_path / "run" / "settings.json").read_text())
    assert settings.urls == [f"http://127.0.0.1:{refusing.server_port}/v1"]
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert (tmp_path / "run" / "infrastructure.jsonl") in files
    for text in (said, *(path.read_bytes().decode(errors="replace") for path in files)):
        assert PASSWORD not in text
        assert KEY not in text


class Guarded(SimpleHTTPRequestHandler):
    """Serves a directory to those who know the password."""

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Serve a file."""
        if self.headers["Authorization"] == f"Basic {base64.b64encode(LOGIN).decode()}":
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()


LOGIN = f"user:{PASSWORD}".encode()


def test_git_gets_the_login_and_its_repository_does_not(tmp_path: Path) -> None:
    """git asks a helper for it: neither the command nor the clone's settings hold it."""
    made = tmp_path / "owner" / "name"
    made.mkdir(parents=True)
    (made / "a.py").write_text("")
    for words in ("init -q", "add .", "-c user.name=a -c user.email=a commit -qm a"):
        subprocess.run(["git", *words.split()], cwd=made, check=True)
    subprocess.run(["git", "update-server-info"], cwd=made, check=True)
    (made / ".git").rename(made.with_suffix(".git"))
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: Guarded(*given, directory=str(tmp_path))
    )
    Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}/owner"
    try:
        source = fetch(f"http://user:{PASSWORD}@{host}/name.git", tmp_path / "clone")
        with pytest.raises(SourceError) as wrong:
            fetch(f"http://user:{PASSWORD}@{host}/other.git", tmp_path / "other")
    finally:
        server.shutdown()
        server.server_close()
    assert (source.given, source.name) == (f"http://{host}/name.git", "owner/name")
    assert source.url == f"http://{host}/name.git"
    assert PASSWORD not in (tmp_path / "clone" / ".git" / "config").read_text() + str(wrong.value)


def test_builds_get_the_login_of_the_index_and_logs_do_not() -> None:
    """The container needs the whole address, unless a model reads or writes what runs there."""
    index = f"https://user:{PASSWORD}-3@index.test/simple"
    assert index in build_variables("", {"PIP_INDEX_URL": index}).values()
    without = build_variables("", {"PIP_INDEX_URL": index}, logins=False)
    assert set(without.values()) == {"https://index.test/simple"}
    assert LOGINS.hide(f"no {PASSWORD}-3") == "no ***"


def test_secrets_in_the_extra_body_are_sent_and_not_recorded() -> None:
    """What is called a key, token or password stays in memory; all other fields are recorded."""
    secrets = {"api_key": "secret-one", "more": [{"Password": "secret-two", "token": "secret-3"}]}
    plain = {"top_k": 20, "stop_token": "</s>", "max_tokens": 9, "keys": "a", "key": 3}
    sampling = Sampling(extra_body={**secrets, **plain})
    assert sampling.extra_body["api_key"] == "secret-one"
    settings = RunSettings(models=["m"], sampling=sampling)
    for written in (sampling.model_dump_json(), json.dumps(settings.model_dump(mode="json"))):
        assert "secret" not in written
        assert json.loads(json.dumps(plain)).items() <= _body(json.loads(written)).items()
    assert LOGINS.hide("the server refuses secret-two") == "the server refuses ***"
    assert Sampling.model_validate_json(sampling.model_dump_json()).extra_body["api_key"] == "***"


def _body(written: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = written.get("sampling", written)["extra_body"]
    return body
