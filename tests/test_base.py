"""The base image, and the host's settings in builds."""

import threading
import time
from pathlib import Path

import pytest

from forager.errors import BuildError
from forager.images.base import base_reference, ensure_base
from forager.images.host import PYPI, build_variables, index_url
from forager.images.workbench import TOOLS, Workbench, telling_lines
from forager.locks import locked
from forager.sandboxes.engine import connect


def test_index_settings_go_along_without_files_of_the_host(tmp_path: Path) -> None:
    """Containers get no index that is a file, and their own path for the bundle."""
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text(
        "[global]\nindex-url = https://pip.example/simple\ntrusted-host = pip.example\n"
    )
    environ = {
        "HOME": str(tmp_path),
        "PIP_EXTRA_INDEX_URL": "file:///opt/pypi https://more.example/simple /opt/x",
        "https_proxy": "http://proxy:3128",
        "SECRET": "x",
    }
    variables = build_variables("/run/ca.pem", environ)
    assert variables["UV_DEFAULT_INDEX"] == "https://pip.example/simple"
    assert variables["UV_INDEX"] == "https://more.example/simple"
    assert variables["https_proxy"] == "http://proxy:3128"
    assert variables["UV_INSECURE_HOST"] == "pip.example"
    assert variables["SSL_CERT_FILE"] == "/run/ca.pem"
    assert "SECRET" not in variables


def test_index_of_the_environment_wins() -> None:
    """uv's variable takes precedence over pip's."""
    assert index_url({"PIP_INDEX_URL": "https://b", "UV_DEFAULT_INDEX": "https://a"}) == "https://a"
    assert index_url({"HOME": "/nonexistent", "PIP_INDEX_URL": ""}).startswith("https://")
    assert PYPI.endswith("/simple")


def test_lock_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builders of the same thing take turns."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path))
    inside: list[int] = []
    overlaps: list[int] = []

    def hold(number: int) -> None:
        with locked("thing"):
            overlaps.extend(inside)
            inside.append(number)
            time.sleep(0.05)
            inside.remove(number)

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == []


def test_telling_lines() -> None:
    """A log's errors are picked out; without errors, its end is."""
    log = "Collecting\nerror: no wheel\n" + "fine\n" * 50
    assert telling_lines(log) == "error: no wheel"
    assert telling_lines("a\nb\n", most=1) == "b"


def test_reference_depends_on_what_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another root image or Python gives another name."""
    plain = base_reference()
    monkeypatch.setenv("FORAGER_BASE_IMAGE", "example/python:1")
    assert len({plain, base_reference(), base_reference("3.12")}) == 3


@pytest.mark.engine
def test_base_has_what_tests_need_and_nothing_of_the_host() -> None:
    """The base has user, environment and tools, but no uv, pip or host certificates."""
    client = connect()
    base = ensure_base(client)
    assert ensure_base(client) == base
    script = (
        "set -e; id -un; pwd; which python; python -m pytest --version;"
        "git --version; gcc --version;"
        f"touch x; ! test -e {TOOLS}; ! command -v uv; ! python3 -m pip --version 2>/dev/null;"
        "! env | grep -i -E 'proxy|cert|index'; ! find / -name 'pip-*.whl' 2>/dev/null | grep ."
    )
    output = client.containers.run(base, ["bash", "-c", script], remove=True).decode()
    assert output.startswith("agent\n/testbed\n/opt/venv/bin/python\npytest ")
    wanted = {"forager.base", "forager.localhost", "forager.maker", "forager.python"}
    assert client.images.get(base).labels.keys() == wanted


@pytest.mark.engine
def test_workbench_bounds_what_runs_in_it() -> None:
    """Commands obey time limits, may print without end, and cannot become root."""
    client = connect()
    with Workbench(client, ensure_base(client), memory=256 << 20, timeout=60) as bench:
        assert bench.run("sleep 30", timeout=1).code == 124
        flood = bench.run("yes | head -c 20000000; echo end")
        assert len(flood.output) < 3 << 20
        assert flood.output.endswith("end\n")
        assert bench.run("id -u; grep CapEff /proc/self/status").output == (
            "1000\nCapEff:\t0000000000000000\n"
        )
        hungry = bench.run("python3 -c 'b = bytearray(1 << 30)'")
        assert hungry.code == 137
        with pytest.raises(BuildError, match="exit code 3") as caught:
            bench.check("echo error: https://user:secret@host/; exit 3")
        assert "secret" not in caught.value.log


@pytest.mark.engine
def test_python_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for an unavailable Python gives the remedy."""
    monkeypatch.setenv("FORAGER_BASE_IMAGE", ensure_base(connect()))
    with pytest.raises(BuildError, match="leave `python` empty"):
        ensure_base(connect(), "3.99")
