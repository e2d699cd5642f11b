"""The keeper of a sandbox is root: what the agent can do to it, and `elevate`."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forager.images.image import Image
from forager.sandboxes.bubblewrap import why_not
from forager.sandboxes.kernel_limits import too_low
from forager.sandboxes.kinds import SANDBOXES
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Limits, Sandbox
from forager.sandboxes.shell_sandbox import ShellSandbox

LIMITS = Limits(memory=256 << 20, processes=64, file_size=32 << 20, disk=96 << 20)
LACKING = why_not() or ("bubblewrap has one user unless root uses it" if os.geteuid() else "")
KINDS = [
    "docker",
    pytest.param("bubblewrap", marks=pytest.mark.skipif(bool(LACKING), reason=LACKING)),
]
# Takes the stream from a stopped worker (pidfd_open, pidfd_getfd), copies it (tee)
# instead of reading it, and answers each command.
PYTHON = "python3 -c 'import ctypes; libc = ctypes.CDLL(None)\n"
IMPOSTOR = r"""
import ctypes, os, re, sys, time
libc, (out, copy), seen = ctypes.CDLL(None), os.pipe(), b""
stream = libc.syscall(438, libc.syscall(434, int(sys.argv[1]), 0), 10, 0)
while libc.tee(stream, copy, 65536, 0) > 0:
    text = os.read(out, 65536)
    for token in re.findall(rb"printf '%s %d %s%s.n' (\w{32})", text[len(seen):]):
        os.write(1, b"%s 0 /testbed%s\n" % (token, token))
    seen = text
    time.sleep(0.01)
"""


# Docker's sandboxes share pending signals and the bytes of message queues.
TAKEN = {
    "docker": ("inotify", "watches"),
    "bubblewrap": ("inotify", "watches", "signals", "queues"),
}
# Takes the given number, or what it can, of things that the kernel counts by user, and keeps them.
HOG = r"""
import ctypes, os, signal, sys, time
libc, most = ctypes.CDLL(None), int(sys.argv[1])
waiting = os.fork()
if not waiting:
    signal.pthread_sigmask(signal.SIG_BLOCK, [40])
    time.sleep(600)
    os._exit(0)
time.sleep(0.2)
one = libc.inotify_init1(0)
def watch(i):
    os.makedirs("/dev/shm/%d/%d" % (os.getpid(), i))
    return libc.inotify_add_watch(one, b"/dev/shm/%d/%d" % (os.getpid(), i), 2)
for name, take in {
    "queues": lambda i: libc.mq_open(b"/%d.%d" % (os.getpid(), i), os.O_CREAT, 384, None),
    "signals": lambda i: libc.sigqueue(waiting, 40, None),
    "watches": watch,
    "inotify": lambda i: libc.inotify_init1(0),
}.items():
    taken = next((i for i in range(most) if take(i) < 0), most)
    print(name, taken, flush=True)
time.sleep(600)
"""


def hogged(sandbox: Sandbox, most: int, processes: int) -> str:
    """What processes print that take as many of each thing, and keep them until the end."""
    sandbox.write("/tmp/hog.py", HOG.encode())
    sandbox.run(f"for i in $(seq {processes}); do python3 /tmp/hog.py {most} >/tmp/said$i & done")
    ends = time.monotonic() + 60
    while (said := sandbox.run("cat /tmp/said*").output).count("\n") < 4 * processes:
        assert time.monotonic() < ends, said
        time.sleep(0.2)
    return said


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


ATTACKS = {
    "limits": "for limit in nofile fsize cpu nproc as data stack memlock; do "
    "prlimit --pid 1 --$limit=0; done",
    "signals": "for name in STOP KILL TERM INT HUP USR1 PIPE SEGV; do kill -$name 1; done",
    "files of /proc": "cat /proc/1/environ /proc/1/mem /proc/1/maps /proc/1/syscall /proc/1/stack; "
    "ls /proc/1/fd /proc/1/task/1/fd; echo a >/proc/1/fd/0; echo a >/proc/1/mem; "
    "echo 1000 >/proc/1/oom_score_adj; echo 1 >/proc/1/clear_refs; echo a >/proc/1/comm",
    "priorities": "renice -n 19 -p 1; taskset -p 1 1; chrt -i -p 0 1; ionice -c 3 -p 1",
    "tracing": PYTHON
    + "calls = (101, 16, 1, 0, 0), (101, 16902, 1, 0, 0), (438, libc.syscall(434, 1, 0), 0, 0)\n"
    "for call in calls:\n    assert libc.syscall(*call) == -1, call\n'",
    "memory": PYTHON + "there = (ctypes.c_void_p * 2)(ctypes.addressof(ctypes.c_long(0)), 8)\n"
    "for call in (310, 311):\n"
    "    assert libc.syscall(call, 1, there, 1, there, 1, 0) == -1\n'",
    "a full disk": "for i in {1..9}; do head -c 30M /dev/zero >/tmp/full$i || break; done",
    "a full memory": "for i in {1..9}; do head -c 30M /dev/zero >/dev/shm/full$i || break; done",
    "closed files": 'for i in {0..30}; do eval "exec $i>&- $i<&-"; done',
    "names of builtins": "enable -n printf exec cd; alias printf=false exec=false cd=false; "
    "shopt -s expand_aliases; exec() { :; }; cd() { :; }; printf() { :; }; readonly -f printf cd",
    "files that shells read": "echo 'exec sleep 9' >/tmp/rc; export BASH_ENV=/tmp/rc ENV=/tmp/rc; "
    "cp /tmp/rc ~/.bashrc; cp /tmp/rc ~/.profile; cp /tmp/rc ~/.bash_profile",
    "programs": "for name in setpriv python3 chmod bash kill seq sh; do "
    "cp /bin/true /opt/venv/bin/$name /usr/bin/$name; done",
    "the directory": "mv /testbed /tmp/away; rm -rf /testbed; chmod 000 /testbed",
    "a thief of input": "(while :; do IFS= read -r -u 10 line; done) & :",
}


@pytest.mark.engine
def test_attacks_on_the_keeper(kind: str, kata_image: Image) -> None:
    """Whatever the agent's user tries, the keeper starts the next shell, with its limits."""
    box = SANDBOXES[kind](kata_image.reference, limits=LIMITS)
    try:
        for attack, command in ATTACKS.items():
            said = box.run(command, timeout=6).output
            assert "AssertionError" not in said, attack
            box.run("builtin exit", timeout=5)
            assert box.run("id -un; ulimit -n", timeout=20).output == "agent\n4096\n", attack
            box.run("rm -f /tmp/full* /dev/shm/full*")
        assert isinstance(box, ShellSandbox)
        box._shell._start_anew()
        assert box.run("id -un; ulimit -n").output == "agent\n4096\n"
    finally:
        box.close()


@pytest.mark.engine
def test_elevate_leaves_root_alone_with_the_files(box: Sandbox) -> None:
    """Processes, directory, functions and settings of the agent are gone, its files stay."""
    box.run("git config --global alias.status '!id'; git config core.fsmonitor 'touch /tmp/ran; :'")
    box.run("printf() { id; }; kept=1; cd /tmp; echo a >a; setsid sleep 4331 & mkdir /tmp/git")
    assert box.elevate()
    assert box.run("id -u; pwd; echo ${kept:-lost} $HOME").output == "0\n/testbed\nlost /root\n"
    ends = time.monotonic() + 60  # what was killed takes a moment to be gone
    while (left := box.run("pgrep sleep; ls /tmp").output) != "a\ngit\n":
        assert time.monotonic() < ends, left
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


@pytest.mark.engine
def test_what_the_agent_left_in_the_stream_does_not_run_as_root(box: Sandbox, kind: str) -> None:
    """Root's shell skips commands that a false worker answered and left unread."""
    box.write("/tmp/impostor.py", IMPOSTOR.encode())
    box.run("(sleep 0.1; kill -STOP $$; exec python3 /tmp/impostor.py $$) & :")
    time.sleep(1)
    if kind == "bubblewrap":  # Docker does not let one process take another's descriptors
        assert box.run("id >/testbed/ran\nid >>/testbed/ran; echo", timeout=5).output == ""
    assert box.elevate()
    assert box.run("id -u; ls /testbed/ran").output.startswith("0\nls: cannot access")


@pytest.mark.engine
def test_a_command_that_no_worker_read_is_not_run_later(box: Sandbox) -> None:
    """A worker that dies with its input unread takes the input along."""
    box.run("(sleep 0.1; kill -STOP $$; sleep 1; kill -KILL $$) & :")
    time.sleep(0.5)
    assert box.run("touch /testbed/ran", timeout=20).state_lost
    assert box.run("ls /testbed/ran").exit_code == 2


@pytest.mark.engine
def test_installed_tools_belong_to_root(box: Sandbox) -> None:
    """The agent cannot change what tests run with; all of its byte code is there."""
    assert box.run("find /opt -writable ! -type l").output == ""
    assert box.run("find /opt/venv -user agent").output == ""
    listed = box.run("find /opt/venv/lib -path '*/__pycache__/*' -prune -o -name '*.py' -print")
    compiled = box.run("find /opt/venv/lib -name '*.pyc' -printf '%f\n'").output
    assert listed.output.count("\n") == compiled.count("\n") > 100


@pytest.mark.engine
def test_one_sandbox_cannot_use_up_what_others_need(kind: str, kata_image: Image) -> None:
    """Where the machine's limits are raised, what one sandbox takes is not missing elsewhere."""
    if kind == "docker" and too_low():
        pytest.skip(f"sudo sysctl -w {' '.join(too_low())}")
    first = SANDBOXES[kind](kata_image.reference, limits=LIMITS)
    try:
        hogged(first, 9000, processes=2)
        other = SANDBOXES[kind](kata_image.reference, limits=LIMITS)
        try:
            said = hogged(other, 8, processes=1)
        finally:
            other.close()
    finally:
        first.close()
    taken = dict(line.split() for line in said.splitlines())
    assert {name: taken[name] for name in TAKEN[kind]} == dict.fromkeys(TAKEN[kind], "8")


def test_one_user_stays_one_user(tmp_path: Path) -> None:
    """A sandbox without users of its own says so, and keeps its shell."""
    with LocalSandbox(tmp_path) as sandbox:
        sandbox.run("kept=1")
        assert not sandbox.elevate()
        assert sandbox.run("echo $kept").output == "1\n"
