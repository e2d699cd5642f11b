"""One suite for every sandbox: the shell survives what commands do to it, and the walls hold.

The sandbox without walls takes part in what is about the shell and files. What a sandbox does not
contain is a test that is expected to fail, with the reason.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forager.environments.repository.grading import grade
from forager.environments.repository.taking import Base, take_patch
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import open_task
from forager.errors import SandboxError
from forager.images.image import Image
from forager.sandboxes.bubblewrap import why_not
from forager.sandboxes.bubblewrap_sandbox import _Namespaces, bubblewrap_sandbox
from forager.sandboxes.cgroups import parents, sweep
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.kinds import SANDBOXES
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory
from forager.sandboxes.shell import Shell
from forager.sandboxes.shell_sandbox import ShellSandbox
from forager.sandboxes.unpacked import layers_directory, unpacked

pytestmark = pytest.mark.engine
FILE_SIZE = 32 << 20
LIMITS = Limits(memory=256 << 20, processes=64, file_size=FILE_SIZE, disk=96 << 20)
LACKING = why_not()
BUBBLEWRAP = pytest.param(
    "bubblewrap", marks=pytest.mark.skipif(bool(LACKING), reason=f"bubblewrap: {LACKING}")
)
UNBOUNDED = pytest.param(
    "docker",
    marks=pytest.mark.xfail(
        reason="the engine bounds the size of a file, not their sum (overlay2 without quota)",
        strict=True,
    ),
)


def is_bubblewrap(box: Sandbox) -> bool:
    """Return whether bubblewrap made the sandbox."""
    return isinstance(box, ShellSandbox) and isinstance(box._machine, _Namespaces)


def expect_owners(box: Sandbox) -> None:
    """Expect a failure: without root, the agent owns all files of an unpacked image."""
    if is_bubblewrap(box) and os.geteuid():
        pytest.xfail("all files are the agent's where forager is not root")


@pytest.fixture(scope="module", params=["docker", BUBBLEWRAP])
def walled(request: pytest.FixtureRequest, kata_image: Image) -> Iterator[Sandbox]:
    """Start one sandbox of each kind with tight limits, for the whole module."""
    factory = SANDBOXES[request.param]
    os.environ["FORAGER_TEST_SECRET"] = "sesame"
    box = factory(kata_image.reference, limits=LIMITS, environment={"COLOUR": "green"})
    yield box
    box.close()
    del os.environ["FORAGER_TEST_SECRET"]


@pytest.fixture(scope="module", params=["docker", BUBBLEWRAP, "local"])
def shared(
    request: pytest.FixtureRequest, kata_image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Sandbox, str]]:
    """The same, and the sandbox without walls; each with the directory that it starts in.

    They are started as by a run in the background of a script, where interrupts are ignored.
    """
    box: Sandbox
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    if request.param == "local":
        place = tmp_path_factory.mktemp("testbed").resolve()
        (place / "kata").mkdir()
        box = LocalSandbox(place, {"COLOUR": "green"})
    else:
        factory = SANDBOXES[request.param]
        box = factory(kata_image.reference, limits=LIMITS, environment={"COLOUR": "green"})
        place = Path("/testbed")
    signal.signal(signal.SIGINT, before)
    yield box, str(place)
    box.close()


@pytest.fixture
def place(shared: tuple[Sandbox, str]) -> str:
    """Return the directory in which the sandbox starts."""
    return shared[1]


@pytest.fixture
def box(shared: tuple[Sandbox, str]) -> Sandbox:
    """Give the shared sandbox, its shell back in its first directory."""
    shared[0].run(f"cd {shared[1]}")
    return shared[0]


def test_state_persists_between_calls(box: Sandbox, place: str) -> None:
    """Directory, variables and functions persist, in the given environment."""
    first = box.run("cd kata; x=1; greet() { echo hello $1; }; export Y=2; echo $COLOUR")
    assert (first.output, first.directory) == ("green\n", f"{place}/kata")
    assert box.run("greet $x; pwd; sh -c 'echo $Y'").output == f"hello 1\n{place}/kata\n2\n"


@pytest.mark.parametrize(
    ("command", "output", "exit_code", "lost"),
    [
        ("(exit 7)", "", 7, False),
        ("exit 3", "", 3, True),
        ("set -e; false", "", 1, True),
        ("exec >/dev/null; echo a", "", 0, False),
        ("exec 0<&- 1>&- 2>&-", "", 0, False),
        ("exec true", "", 0, True),
        ("kill -9 $$", "", 137, True),
        ("cat; read x; echo $?", "1\n", 0, False),
        ("python3 -c 'import sys; print(repr(sys.stdin.read()))'", "''\n", 0, False),
        ("python3 -c 'input(\"name? \")' 2>&1 | tail -1", "EOFError: EOF when", 0, False),
        ("echo a; echo b >&2; echo c", "a\nb\nc\n", 0, False),
        ("echo a >/dev/stdout; echo b | tee /dev/stderr", "a\nb\nb\n", 0, False),
        ("printf a", "a", 0, False),
        ("printf '\\n\\n'", "\n\n", 0, False),
        ("printf 'a\\xff\\xfeb'", "a\ufffd\ufffdb", 0, False),
        ("head -c 3 /dev/zero", "\0\0\0", 0, False),
        ("echo 'größe 🦊'", "größe 🦊\n", 0, False),
        ("sleep 60 & echo b", "b\n", 0, False),
        ("trap 'echo bye' EXIT; (exit 4)", "", 4, False),
        ("unset PATH; :", "", 0, False),
        ("PATH=/usr/bin:/bin; printf() { :; }; eval() { :; }", "", 0, False),
    ],
)
def test_hostile_commands_cost_one_command(
    box: Sandbox, place: str, command: str, output: str, exit_code: int, lost: bool
) -> None:
    """Whatever a command does to its shell, it returns, and the next one runs."""
    result = box.run(command, timeout=30)
    assert result.output[: len(output) or None] == output
    assert (result.exit_code, result.state_lost) == (exit_code, lost)
    assert box.run("echo next").output == "next\n"
    assert box.run("false").exit_code == 1
    box.run("trap - EXIT; exit")  # the next row starts with a new shell
    assert box.run("pwd").output == f"{place}\n"


def test_syntax_errors_are_told(box: Sandbox) -> None:
    """Unbalanced quotes and the like return bash's message and code 2."""
    for command in ("echo 'a", 'echo "a', "if true; then", "echo )", "cat <<X", "echo `"):
        result = box.run(command, timeout=10)
        assert result.exit_code == 2 or command == "cat <<X", command
        assert "bash" in result.output, command
    assert box.run("echo next").output == "next\n"


def test_a_time_limit_interrupts_and_keeps_the_state(box: Sandbox, place: str) -> None:
    """A command that obeys the interrupt costs itself and its jobs; its output is kept."""
    box.run("kept=1; cd kata")
    result = box.run("sleep 6161 & echo early; sleep 6160", timeout=0.5)
    assert (result.timed_out, result.output, result.state_lost) == (True, "early\n", False)
    assert box.run("echo $kept $PWD").output == f"1 {place}/kata\n"
    assert box.run("pgrep -fx 'sleep 616[01]'").output == ""


@pytest.mark.parametrize(
    "command", ["while :; do :; done", "sh -c 'trap \"\" INT; while :; do sleep 1.125; done'"]
)
def test_a_deaf_command_is_killed_with_its_shell(box: Sandbox, command: str) -> None:
    """Busy loops and children that ignore the interrupt cost the shell's state."""
    result = box.run(f"lost=1; {command}", timeout=0.5)
    assert result.timed_out
    assert result.state_lost
    assert result.seconds < 20
    assert box.run("echo ${lost:-gone}; pgrep -fx 'sleep 1.125'").output == "gone\n"


def test_a_stopped_shell_is_killed(box: Sandbox) -> None:
    """A worker that stops itself reacts to SIGKILL only."""
    result = box.run("kill -STOP $$", timeout=0.3)
    assert result.timed_out
    assert result.state_lost
    assert box.run("echo next").output == "next\n"


def test_a_flood_is_cut_in_the_middle(box: Sandbox) -> None:
    """Both ends of the output stay, with the exact number of bytes left out."""
    result = box.run("seq 100000", output_limit=1000)
    size = len("".join(f"{number}\n" for number in range(1, 100001)))
    assert result.omitted == size - 1000
    assert result.output.startswith("1\n2\n")
    assert result.output.endswith("99999\n100000\n")
    assert f"\n[… {result.omitted} bytes left out …]\n" in result.output


def test_a_line_of_ten_megabytes(box: Sandbox) -> None:
    """A line may have any length."""
    result = box.run("head -c 10000000 /dev/zero | tr '\\0' x", output_limit=20_000_000)
    assert (len(result.output), result.omitted) == (10_000_000, 0)


def test_output_cannot_pass_for_the_end_of_a_command(box: Sandbox) -> None:
    """A fake report without the right token is output."""
    token = "0123456789abcdef" * 2
    text = f"\n{token} 0 /{token}\n\n{token} 0 keeper{token}\nrest"
    result = box.run(f"printf '%s' '{text}'; (exit 5)")
    assert (result.output, result.exit_code) == (text, 5)


@pytest.mark.parametrize(
    "name", ["a", "with blank", "-n", "it's", 'a"b$c`d', "größe", "line\nbreak", "*", "\\"]
)
def test_files_come_back_as_they_went(box: Sandbox, name: str) -> None:
    """Files may have any name and bytes; paths start at the shell's directory."""
    box.run("mkdir -p odd; cd odd")
    for content in (bytes(range(256)), b"", b"no end", b"\xff\xfe'\n\n", b"-n\\t%s\r\n"):
        box.write(name, content)
        assert box.read(name) == content
    box.run("cd ..; rm -r odd")


@pytest.mark.parametrize(
    "before",
    [
        "(sleep 0.2; echo 127.0.0.1 GET / 200; echo 127.0.0.1 GET / 200 >&2) &",
        "set -x",
        "set -eC",
        "set -u; IFS=b; noclobber=1",
        "trap 'echo failed' ERR; trap 'echo $BASH_COMMAND' DEBUG; set -ET",
        "PATH=/none; printf() { echo mine; }; exit() { :; }; trap() { :; }; set() { :; }",
    ],
)
def test_files_are_apart_from_what_else_is_said_and_set(walled: Sandbox, before: str) -> None:
    """Output of jobs, traces, traps and options neither enters files nor stops them."""
    walled.run(f"mkdir -p /tmp/deep; cd /tmp/deep; echo one >file; kept=1; {before}")
    time.sleep(0.4)
    assert walled.read("file") == b"one\n"
    with pytest.raises(FileNotFoundError):
        walled.read("missing")
    with pytest.raises(FileNotFoundError):
        walled.write("no/parent", b"x")
    walled.write("file", b"two\n")
    assert walled.read("/tmp/deep/file") == b"two\n"
    assert "1 /tmp/deep\n" in walled.run('echo "$kept $PWD"').output
    walled.run("exec /bin/rm -r /tmp/deep")


def test_what_a_job_says_within_a_file_is_seen(walled: Sandbox) -> None:
    """A file mixed with a job's output is read again, or the read fails."""
    content = bytes(range(256)) * 20_000
    walled.write("/tmp/large", content)
    walled.run("for i in {1..150}; do echo noise; sleep 0.01; done & for i in 1; do :; done")
    right = 0
    for _ in range(10):
        try:
            assert walled.read("/tmp/large") == content
            right += 1
        except OSError as error:
            assert "print too much" in str(error)
    walled.run("wait; yes noise &")
    with pytest.raises(OSError, match="print too much"):
        walled.read("/tmp/large")
    walled.run("kill $!; wait; rm /tmp/large")


def test_a_very_long_limit_is_none(walled: Sandbox) -> None:
    """Nothing overflows on the way to a socket."""
    assert walled.run("echo hi", timeout=1e300).output == "hi\n"


def test_a_shell_that_was_lost_meanwhile_is_told(walled: Sandbox) -> None:
    """After a lost shell, a relative path fails, and content never runs as commands."""
    content = b"touch /tmp/ran\n" * 100
    for act in (lambda: walled.read("a"), lambda: walled.write("a", content)):
        walled.run("cd /tmp; (sleep 0.2; kill -9 $$) & echo a >a")
        time.sleep(0.5)
        with pytest.raises(OSError, match="a new one runs in /testbed"):
            act()
        assert walled.run("pwd; ls /testbed/a /tmp/ran 2>&-; cat /tmp/a").output == "/testbed\na\n"
    walled.run("rm /tmp/a")


def test_a_trap_cannot_break_the_report(box: Sandbox) -> None:
    """A trap sees the token and may print an invalid exit code, without effect."""
    number = "[[ $BASH_COMMAND =~ [0-9a-f]{32} ]] && printf '\\n%s %05000d /%s\\n'"
    report = f"{number} $BASH_REMATCH 7 $BASH_REMATCH"
    assert box.run(f"trap {shlex.quote(report)} DEBUG; echo a", timeout=5).exit_code == 0
    box.run("trap - DEBUG; exit")
    assert box.run("echo next").output.endswith("next\n")


def test_large_files_and_modes(box: Sandbox) -> None:
    """Megabytes pass quickly both ways, and an executable stays one."""
    box.run("touch run; chmod 755 run")
    content = b"\x00\x01abc\n" * 500_000
    started = time.monotonic()
    box.write("run", content)
    assert box.read("run") == content
    assert time.monotonic() - started < 2
    assert box.run("stat -c %a run; rm run").output == "755\n"


def test_a_write_that_fails_runs_nothing_of_its_content(walled: Sandbox) -> None:
    """Wherever a write stops, its content never runs as commands."""
    content = b"\ntouch /tmp/ran\n" * 20_000
    walled.run("kept=1; mkdir -p /tmp/d")
    walled.run("touch /tmp/shut; chmod 000 /tmp/shut")
    for path in ("/tmp/d", "/no/parent", "/tmp/shut", "/dev/full"):
        with pytest.raises(OSError):
            walled.write(path, content)
    walled.run("ulimit -S -f 64")  # KiB
    with pytest.raises(OSError):
        walled.write("/tmp/large", content)
    walled.run(f"ulimit -S -f {FILE_SIZE // 1024}")
    assert walled.run(
        "rm -rf /tmp/large /tmp/d /tmp/shut; echo $kept; ls /tmp/ran"
    ).output.startswith("1\n")
    assert walled.run("test -e /tmp/ran").exit_code == 1


def test_file_errors_are_the_operating_systems(walled: Sandbox) -> None:
    """Missing files and parents, directories, permissions raise the protocol's errors."""
    walled.run("cd /tmp; mkdir -p d; touch shut; chmod 000 shut; mkfifo pipe")
    for path, error in [
        ("no", FileNotFoundError),
        ("d", IsADirectoryError),
        ("shut", PermissionError),
        ("pipe", OSError),
    ]:
        with pytest.raises(error):
            walled.read(path)
    for path, error in [
        ("no/a", FileNotFoundError),
        ("d", IsADirectoryError),
        ("shut", PermissionError),
        ("/dev/full", OSError),
    ]:
        with pytest.raises(error):
            walled.write(path, b"x")
    walled.run("rm -rf d shut pipe; cd /testbed")


def test_paths_that_lead_out_stay_inside(walled: Sandbox, tmp_path: Path) -> None:
    """`..` and links end at the sandbox's own root, never at the machine's."""
    outside = tmp_path / "outside"
    outside.write_text("here")
    walled.run(f"ln -sfn {outside} /tmp/link; ln -sfn / /tmp/root")
    for path in (
        "/tmp/link",
        f"../../../..{outside}",
        f"/tmp/root{outside}",
        f"/proc/1/root{outside}",
    ):
        with pytest.raises(OSError):
            walled.read(path)
        with pytest.raises(OSError):
            walled.write(path, b"changed")
    assert outside.read_text() == "here"
    walled.run("rm -f /tmp/link /tmp/root")


def test_a_fork_bomb_costs_one_command(walled: Sandbox) -> None:
    """The process limit holds, and the sandbox continues with its files."""
    walled.run("echo kept >/tmp/kept")
    result = walled.run("bomb() { bomb | bomb & wait; }; bomb", timeout=2)
    assert result.exit_code != 0
    assert walled.run("cat /tmp/kept; rm /tmp/kept").output == "kept\n"
    assert int(walled.run("ls /proc | grep -c '^[1-9]'").output) < 8


def test_a_memory_hog_is_killed(walled: Sandbox) -> None:
    """The memory limit ends only the command that exceeds it."""
    walled.run("kept=1")
    result = walled.run("python3 -c 'x = bytearray(1 << 30)'", timeout=60)
    assert result.exit_code in (1, 137)
    assert walled.run("echo $kept").output == "1\n"


def test_many_small_hogs_are_held_together(walled: Sandbox) -> None:
    """The memory limit covers the sum: ten small processes exceed it together."""
    if is_bubblewrap(walled) and "memory" not in parents():
        pytest.xfail("memory is bounded for each process where no control group may be made")
    hog = "import time; x = bytearray(60 << 20); time.sleep(1); print(1)"
    command = f"for i in 1 2 3 4 5 6 7 8 9 10; do python3 -c {shlex.quote(hog)} & done; wait"
    result = walled.run(f"( {command} ) 2>/dev/null", timeout=60)
    assert result.output.count("1\n") < 10
    assert walled.run("echo next").output == "next\n"


def test_kill_all_costs_one_command(walled: Sandbox) -> None:
    """`kill -1` reaches only the sandbox's own processes."""
    walled.run("echo kept >/tmp/kept")
    walled.run("kill -9 -1", timeout=10)
    assert walled.run("cat /tmp/kept; rm /tmp/kept").output == "kept\n"


def test_the_size_of_a_file_is_bounded(walled: Sandbox) -> None:
    """A file cannot grow beyond its limit."""
    assert walled.run(f"head -c {FILE_SIZE + 4096} /dev/zero >/tmp/large").exit_code != 0
    assert walled.run("stat -c %s /tmp/large; rm /tmp/large").output == f"{FILE_SIZE}\n"


@pytest.mark.parametrize("name", [UNBOUNDED, BUBBLEWRAP])
def test_the_sum_of_files_is_bounded(name: str, kata_image: Image) -> None:
    """A full disk is the command's error; deleting frees space again."""
    box = SANDBOXES[name](kata_image.reference, limits=LIMITS)
    try:
        fill = (
            f"for i in 1 2 3 4 5; do head -c {FILE_SIZE - 4096} /dev/zero >/tmp/f$i || exit 9; done"
        )
        result = box.run(f"({fill})", timeout=60)
        assert (result.exit_code, "No space left on device" in result.output) == (9, True)
        assert box.run("rm /tmp/f*; echo a >/tmp/a; cat /tmp/a").output == "a\n"
    finally:
        box.close()


def test_not_root_and_no_way_to_become_it(walled: Sandbox) -> None:
    """The agent is an ordinary user who has no capabilities and cannot gain any."""
    status = walled.run("cat /proc/self/status").output
    assert re.findall(r"^Cap(?:Prm|Eff|Bnd|Amb):\s+(\w+)", status, re.M) == ["0" * 16] * 4
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert walled.run("id -un; id -gn; echo $HOME; whoami").output.split() == [
        "agent",
        "agent",
        "/home/agent",
        "agent",
    ]
    assert walled.run("id -u").output != "0\n"
    for command in ("mount -t tmpfs none /mnt", "chroot / true", "unshare -U true", "su -c true"):
        assert walled.run(command).exit_code not in (0, None), command


def test_the_systems_files_are_roots(walled: Sandbox) -> None:
    """The agent cannot change files that it does not own."""
    expect_owners(walled)
    assert walled.run("stat -c %U / /etc /testbed").output.split() == ["root", "root", "agent"]
    assert walled.run("touch /etc/x").exit_code == 1
    assert walled.run("rm -f /bin/true").exit_code == 1
    with pytest.raises(PermissionError):
        walled.write("/etc/new", b"x")


def test_the_kernels_files_cannot_be_written(walled: Sandbox) -> None:
    """The agent cannot write kernel settings, devices or control groups."""
    for path in (
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/1/oom_score_adj",
        "/sys/power/state",
        "/sys/kernel/x",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/dev/vda",
        "/dev/mem",
        "/dev/new",
    ):
        value = "-1000" if path.endswith("adj") else "1"
        assert walled.run(f"echo {value} >{path}").exit_code != 0, path
    assert walled.run("test -s /proc/kcore || test -r /proc/kmsg && head -c 1 /proc/kmsg").exit_code


def test_there_is_no_network(walled: Sandbox) -> None:
    """Only the loopback device exists: no address, no names, no port of the machine."""
    devices = walled.run("tail -n +3 /proc/net/dev | cut -d: -f1").output.split()
    assert devices == ["lo"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        port = re.search(r"port (\d+)", server.stdout.readline())
        assert port
        for address in (
            f"127.0.0.1/{port[1]}",
            "1.1.1.1/53",
            "172.17.0.1/22",
            "169.254.169.254/80",
        ):
            assert walled.run(f"echo >/dev/tcp/{address}", timeout=10).exit_code == 1, address
        server.kill()
    assert walled.run("getent hosts pypi.org", timeout=20).exit_code != 0
    assert walled.run("getent hosts localhost").exit_code == 0
    own = (
        "import socket; server = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(server.getsockname()); print('connected')"
    )
    assert walled.run(f"python3 -c {shlex.quote(own)}").output == "connected\n"


def test_the_machine_is_not_seen(walled: Sandbox, tmp_path: Path) -> None:
    """The agent sees none of the machine's environment, processes, files, users, engine, names."""
    everything = walled.run("env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'").output
    assert "sesame" not in everything
    assert "pytest" not in everything
    assert walled.run(f"test -e {tmp_path}").exit_code == 1
    assert walled.run("test -e /var/run/docker.sock").exit_code == 1
    assert int(walled.run("ls /proc | grep -c '^[1-9]'").output) < 8
    assert walled.run("hostname; echo ${HOSTNAME-sandbox}").output == "sandbox\nsandbox\n"
    open_files = walled.run("readlink /proc/self/fd/*").output.split()
    assert not [
        file for file in open_files if not file.startswith(("pipe:", "/dev/null", "/proc/"))
    ]
    assert len([file for file in open_files if file.startswith("pipe:")]) == 2


@pytest.mark.parametrize("name", ["docker", BUBBLEWRAP])
def test_closing_leaves_nothing(name: str, kata_image: Image) -> None:
    """Closing, even twice, leaves no process, group, mount or descriptor."""
    rounds, found = 4, []
    for _ in range(rounds):
        box = SANDBOXES[name](kata_image.reference)
        box.run("setsid sleep 4321 & sleep 4321 & echo a >/tmp/a")
        box.close()
        box.close()
        found.append(traces())
    assert found[-1][0] == []
    assert found[-1][1:3] == found[0][1:3]
    assert found[-1][3] < found[0][3] + rounds - 1  # other threads open and close some, too
    with pytest.raises(SandboxError):
        box.run("true")


def traces() -> tuple[list[str], list[str], int, int]:
    """Return what a sandbox could leave: processes, control groups, mounts, descriptors."""
    found = subprocess.run(["pgrep", "-fx", "sleep 4321"], capture_output=True, text=True)
    groups = [str(group) for group in Path("/sys/fs/cgroup").glob(f"*/forager.{os.getpid()}.*")]
    mounts = len(re.findall(r"forager|upperdir=/tmp/upper", Path("/proc/mounts").read_text()))
    return found.stdout.split(), groups, mounts, len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("name", ["docker", BUBBLEWRAP])
def test_a_killed_sandbox_is_infrastructure(name: str, kata_image: Image) -> None:
    """A sandbox that dies during a command raises, and never returns a result."""
    box = SANDBOXES[name](kata_image.reference)
    try:
        os.kill(keeper_of(box), signal.SIGKILL)
        with pytest.raises(SandboxError):
            for _ in range(200):  # the kernel ends the rest a moment later
                box.run("sleep 0.01")
    finally:
        box.close()


def keeper_of(box: Sandbox) -> int:
    """Return the number of a sandbox's first process; needs a local engine."""
    mark = f"sleep {time.monotonic_ns() % 10**9}"
    box.run(f"{mark} & :")
    number = next(filter(None, (number_of(mark) for _ in range(500))))
    space = Path(f"/proc/{number}/ns/pid").readlink()
    while Path(f"/proc/{parent_of(number)}/ns/pid").readlink() == space:
        number = parent_of(number)
    return number


def number_of(command: str) -> int:
    """Return the number of the process that runs a command; 0 if none does."""
    time.sleep(0.01)
    found = subprocess.run(["pgrep", "-fx", command], capture_output=True, text=True)
    return int(found.stdout or 0)


def parent_of(process: int) -> int:
    """Return the number of a process's parent."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("name", ["docker", BUBBLEWRAP])
def test_a_restart_keeps_the_files(name: str, kata_image: Image) -> None:
    """The last resort against endless commands costs only the shell's state."""
    box = SANDBOXES[name](kata_image.reference)
    try:
        box.run("echo kept >/testbed/kept; sleep 4321 &")
        assert isinstance(box, ShellSandbox)
        box._shell._start_anew()
        assert box.run("cat kept; pgrep -c sleep").output == "kept\n0\n"
    finally:
        box.close()


@pytest.mark.parametrize("factory", [docker_sandbox, bubblewrap_sandbox])
def test_an_unknown_image_is_infrastructure(factory: SandboxFactory) -> None:
    """The error advises to build the image."""
    with pytest.raises(SandboxError, match="forager image build"):
        factory("forager/no-such-image:0")


@pytest.mark.skipif(bool(LACKING), reason=f"bubblewrap: {LACKING}")
def test_nothing_outlives_a_killed_run(kata_image: Image) -> None:
    """The kernel ends a bubblewrap sandbox when the process that made it dies."""
    code = (
        "import sys; from forager.sandboxes.bubblewrap_sandbox import bubblewrap_sandbox\n"
        "box = bubblewrap_sandbox(sys.argv[1])\n"
        "box.run('sleep 4322 & :'); print('ready', flush=True); box.run('sleep 4322')"
    )
    command = [sys.executable, "-c", code, kata_image.reference]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    for _ in range(200):
        if subprocess.run(["pgrep", "-fx", "sleep 4322"], capture_output=True).returncode:
            break
        time.sleep(0.01)
    else:
        pytest.fail("its processes live on")
    sweep()
    left = [
        group for parent in parents().values() for group in parent.glob(f"forager.{process.pid}.*")
    ]
    assert left == []


@pytest.mark.skipif(bool(LACKING), reason=f"bubblewrap: {LACKING}")
@pytest.mark.parametrize("order", ["dies(); set_up(*given)", "set_up(*given); dies()"])
def test_nothing_outlives_a_run_that_is_killed_while_it_starts(
    order: str, kata_image: Image
) -> None:
    """This holds even before bwrap's process dies with its parent."""
    code = (
        "import os, sys; from forager.sandboxes import bubblewrap_sandbox as it\n"
        "set_up, dies = it._Namespaces._set_up, lambda: os.kill(os.getpid(), 9)\n"
        f"def patched(*given): {order}\n"
        "it._Namespaces._set_up = patched; it.bubblewrap_sandbox(sys.argv[1])"
    )
    # The title of a worker of xdist names this test, and lies over its environment.
    marked, mark = {**os.environ, "FORAGER_TEST_MARK": order}, f"FORAGER_TEST_MARK={order}"
    done = subprocess.run([sys.executable, "-c", code, kata_image.reference], env=marked)
    assert done.returncode == -signal.SIGKILL
    for _ in range(200):
        left = [path for path in Path("/proc").glob("[0-9]*/environ") if mark in text_of(path)]
        if not left:
            break
        time.sleep(0.01)
    assert left == []


def text_of(path: Path) -> str:
    """Return the text of a file of /proc; empty if its process is gone."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def taken(box: Sandbox, commit: str) -> str:
    """Return the patch, for which the agent's own repository suffices."""

    def base() -> Base:
        raise AssertionError("the commit was read from another sandbox")

    answer = take_patch(box, commit, "/testbed", base)
    assert (answer.problem, answer.left_out) == ("", [])
    return answer.text


@pytest.mark.parametrize("name", ["docker", BUBBLEWRAP])
@pytest.mark.parametrize(
    "before",
    [
        "export PATH=/opt/venv/bin",
        "git() { echo forged; }; env() { git; }; export -f git env",
        "shopt -s expand_aliases; alias git='echo forged' env='echo forged'",
        "export GIT_DIR=/none GIT_INDEX_FILE=/tmp/none GIT_EXTERNAL_DIFF=/bin/false",
        "git config diff.noprefix true; git config --global diff.external false; git config "
        "core.worktree /tmp; git config diff.orderFile /none; git config core.excludesFile /none",
        "echo '*.py -diff' >.git/info/attributes; git update-index --assume-unchanged kata/*.py",
        "git update-index --skip-worktree kata/core.py; touch .git/index.lock",
        "set -eu; trap 'echo said' DEBUG EXIT; (while :; do echo noise; sleep 0.01; done) &",
        "exec >/dev/null 2>&1; cd /; umask 777",
        "mkdir within; git init -q within; chmod 0 kata/__init__.py",
    ],
)
def test_the_patch_is_what_is_in_the_files(
    name: str, before: str, kata_task: RepositoryTask
) -> None:
    """The agent's shell and git settings neither hide a fix nor fake one."""
    box, commit = open_task(kata_task, LIMITS, sandbox=SANDBOXES[name])
    try:
        core = "/testbed/kata/core.py"
        fixed = box.read(core).replace(b"min(value, high)", b"min(max(value, low), high)")
        box.run(before)
        box.write(core, fixed)
        patch = taken(box, commit)
    finally:
        box.close()
    assert patch.startswith("diff --git a/kata/core.py b/kata/core.py\n")
    assert patch.count("diff --git") == 1
    assert "\n+    return min(max(value, low), high)\n" in patch


@pytest.mark.parametrize("name", ["docker", BUBBLEWRAP])
def test_a_change_within_the_second_is_in_the_patch(name: str, kata_task: RepositoryTask) -> None:
    """The patch has changes that git misses because time and size stay equal."""
    for _ in range(3):  # some are opened and changed within one second
        box, commit = open_task(kata_task, LIMITS, sandbox=SANDBOXES[name])
        try:
            core = "/testbed/kata/core.py"
            box.write(core, box.read(core).replace(b"min(value, high)", b"max(value, high)"))
            box.run("sleep 1")
            assert "+    return max(value, high)" in taken(box, commit)
        finally:
            box.close()


@pytest.mark.parametrize("name", ["docker", BUBBLEWRAP])
def test_a_patch_of_other_encodings_applies(name: str, kata_task: RepositoryTask) -> None:
    """The patch is valid text, shows the lines, and grades as the agent wrote it."""
    box, commit = open_task(kata_task, LIMITS, sandbox=SANDBOXES[name])
    try:
        core = "/testbed/kata/core.py"
        fixed = box.read(core).replace(b"min(value, high)", b"min(max(value, low), high)")
        box.write(core, b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + fixed)
        box.write("/testbed/kata/more.py", "größe = 1\n".encode())
        box.run("(sleep 600; :) &")
        patch = taken(box, commit)
        ends = time.monotonic() + 5  # what was killed takes a moment to be gone
        while (running := box.run("ls /proc | grep -c '^[1-9]'").output) != "4\n":
            assert time.monotonic() < ends, running
    finally:
        box.close()
    assert "GIT binary patch" in patch
    assert "+# caf\ufffd\n" in patch
    assert "+größe = 1\n" in patch
    assert grade(kata_task, patch, LIMITS, sandbox=SANDBOXES[name]).resolved


@pytest.mark.skipif(bool(LACKING), reason=f"bubblewrap: {LACKING}")
@pytest.mark.parametrize("link", ["etc/hosts", "etc", "proc", "sys"])
def test_links_of_an_image_lead_nowhere_outside(link: str, kata_image: Image) -> None:
    """A sandbox's own files, placed among the image's, never reach the machine's."""
    outside = Path(tempfile.mkdtemp(dir="/var/tmp"))  # /tmp is another one where files are mounted
    (outside / "hosts").write_text("here")
    layer = layers_directory() / f"test-{outside.name}"
    try:
        (layer / link).parent.mkdir(parents=True)
        (layer / link).symlink_to(outside / "hosts" if link == "etc/hosts" else outside)
        image = unpacked(kata_image.reference)
        image = image.model_copy(update={"layers": [layer.name, *image.layers]})
        stream = _Namespaces(image, LIMITS, {}, ())
        try:
            shell = Shell(stream, "/testbed")
            said = shell.run("grep -c localhost /etc/hosts; cat /proc/1/comm; ls /sys", 20, 1000)
            assert said.output == "2\nbash\ndevices\n"
        finally:
            stream.close()
        assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("hosts", "here")]
    finally:
        shutil.rmtree(layer)
        shutil.rmtree(outside)


@pytest.mark.skipif(bool(LACKING), reason=f"bubblewrap: {LACKING}")
def test_a_keeper_that_ends_while_it_starts_is_infrastructure(kata_image: Image) -> None:
    """Starting fails at once and leaves nothing."""
    code = (
        "import os, sys; from forager.sandboxes import bubblewrap_sandbox as it\n"
        "from forager.errors import SandboxError\n"
        "def gone(process): raise ProcessLookupError(process)\n"
        "it.bubblewrap_sandbox(sys.argv[1]).close(); before = os.listdir('/proc/self/fd')\n"
        "os.pidfd_open = gone\n"
        "try: it.bubblewrap_sandbox(sys.argv[1])\n"
        "except SandboxError as error: print(error)\n"
        "assert os.listdir('/proc/self/fd') == before\n"
    )
    command = [sys.executable, "-c", code, kata_image.reference]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("bubblewrap does not start"), done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(bool(LACKING), reason=f"bubblewrap: {LACKING}")
def test_any_thread_may_close_a_sandbox(kata_image: Image) -> None:
    """Closing twice at once, and while a shell is replaced, closes each descriptor once."""
    code = (
        "import os, sys, threading, time\n"
        "from forager.errors import SandboxError\n"
        "from forager.sandboxes.bubblewrap_sandbox import bubblewrap_sandbox\n"
        "failed = []; threading.excepthook = failed.append\n"
        "def use(box):\n"
        "    try:\n"
        "        while True: box.run('exec /bin/true', timeout=5)\n"
        "    except SandboxError: pass\n"
        "bubblewrap_sandbox(sys.argv[1]).close(); before = os.listdir('/proc/self/fd')\n"
        "for pause in (0.0, 0.1, 0.3):\n"
        "    box = bubblewrap_sandbox(sys.argv[1])\n"
        "    threads = [threading.Thread(target=use, args=[box])]\n"
        "    threads += [threading.Thread(target=box.close) for _ in range(3)]\n"
        "    threads[0].start(); time.sleep(pause)\n"
        "    for thread in threads[1:]: thread.start()\n"
        "    for thread in threads: thread.join(30)\n"
        "assert not failed, failed\n"
        "assert os.listdir('/proc/self/fd') == before\n"
    )
    command = [sys.executable, "-c", code, kata_image.reference]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["docker", BUBBLEWRAP])
def test_grading_says_the_same(name: str, kata_task: RepositoryTask) -> None:
    """Every sandbox opens and grades a task alike."""
    factory = SANDBOXES[name]
    limits = Limits(memory=512 << 20)
    assert grade(kata_task, kata_task.patch, limits, sandbox=factory).resolved
    wrong = kata_task.patch.replace("low)", "high)")
    assert not grade(kata_task, wrong, limits, sandbox=factory).resolved
