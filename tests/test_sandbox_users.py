"""The keeper of a sandbox is root: what the agent can do to it, and `elevate`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from forager.images.image import Image
from forager.sandboxes.bubblewrap import why_not
from forager.sandboxes.kinds import SANDBOXES
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Limits, Sandbox

LIMITS = Limits(memory=256 << 20, processes=64, file_size=32 << 20, disk=96 << 20)
LACKING = why_not() or ("bubblewrap has one user unless root uses it" if os.geteuid() else "")
KINDS = [
    "docker",
    pytest.param("bubblewrap", marks=pytest.mark.skipif(bool(LACKING), reason=LACKING)),
]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name a kind of sandbox in which agent and root differ."""
    return str(request.param)


@pytest.fixture
def box(kind: str, kata_image: Image) -> Iterator[Sandbox]:
    """Start a sandbox with tight limits."""
    sandbox = SANDBOXES[kind](kata_image.reference, limits=LIMITS)
    yield sandbox
    sandbox.close()


@pytest.mark.engine
def test_elevate_leaves_root_alone_with_the_files(box: Sandbox) -> None:
    """Processes, directory, functions and settings of the agent are gone, its files stay."""
    box.run("git config --global alias.status '!id'; git config core.fsmonitor 'touch /tmp/ran; :'")
    box.run("printf() { id; }; kept=1; cd /tmp; echo a >a; setsid sleep 4321 & mkdir /tmp/git")
    assert box.elevate()
    assert box.run("id -u; pwd; echo ${kept:-lost} $HOME").output == "0\n/testbed\nlost /root\n"
    assert box.run("pgrep sleep; ls /tmp").output == "a\ngit\n"
    assert box.run("rm /etc/gitconfig; git status --short").output == ""
    assert box.run("echo $AGENT_PATH").output.startswith("/opt/venv/bin:")
    assert box.run("exit 3").state_lost
    box.write("/testbed/own", b"x")
    assert box.run("stat -c %U own /testbed; type -P python3").output.split() == [
        "root",
        "agent",
        "/usr/bin/python3",
    ]
    assert box.elevate()


def test_one_user_stays_one_user(tmp_path: Path) -> None:
    """A sandbox without users of its own says so, and keeps its shell."""
    with LocalSandbox(tmp_path) as sandbox:
        sandbox.run("kept=1")
        assert not sandbox.elevate()
        assert sandbox.run("echo $kept").output == "1\n"
