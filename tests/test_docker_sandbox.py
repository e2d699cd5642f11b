"""The container as a sandbox: the shell survives what commands do to it, and the walls hold."""

import re
from collections.abc import Iterator

import pytest
from docker.errors import NotFound

from forager.environments.docker_sandbox import DockerSandbox
from forager.environments.engine import connect
from forager.environments.image import Image
from forager.environments.sandbox import Limits
from forager.errors import SandboxError

pytestmark = pytest.mark.engine
MEMORY = 256 << 20
FILE_SIZE = 64 << 20


@pytest.fixture(scope="module")
def shared(kata_image: Image) -> Iterator[DockerSandbox]:
    """One container with tight limits for the whole module."""
    limits = Limits(memory=MEMORY, processes=64, file_size=FILE_SIZE)
    sandbox = DockerSandbox(kata_image.reference, limits=limits, environment={"COLOUR": "green"})
    yield sandbox
    sandbox.close()


@pytest.fixture
def box(shared: DockerSandbox) -> DockerSandbox:
    """The shared container, its shell back in its first directory."""
    shared.run("cd /testbed")
    return shared


def test_state_persists_between_calls(box: DockerSandbox) -> None:
    """Directory, variables and functions stay; the environment is the one given."""
    first = box.run("cd kata; x=1; greet() { echo hello $1; }; export Y=2; echo $COLOUR")
    assert (first.output, first.directory) == ("green\n", "/testbed/kata")
    assert box.run("greet $x; pwd; sh -c 'echo $Y'").output == "hello 1\n/testbed/kata\n2\n"


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
        ("echo a; echo b >&2; echo c", "a\nb\nc\n", 0, False),
        ("printf a", "a", 0, False),
        ("printf '\\n\\n'", "\n\n", 0, False),
        ("printf 'a\\xff\\xfeb'", "a\ufffd\ufffdb", 0, False),
        ("echo 'größe 🦊'", "größe 🦊\n", 0, False),
        ("sleep 60 & echo b", "b\n", 0, False),
        ("trap 'echo bye' EXIT; (exit 4)", "", 4, False),
        ("unset PATH; :", "", 0, False),
        ("PATH=/usr/bin:/bin; printf() { :; }; eval() { :; }", "", 0, False),
    ],
)
def test_hostile_commands_cost_one_command(
    box: DockerSandbox, command: str, output: str, exit_code: int, lost: bool
) -> None:
    """Whatever a command does to its shell, it is answered and the next one runs."""
    result = box.run(command, timeout=30)
    assert (result.output, result.exit_code, result.state_lost) == (output, exit_code, lost)
    assert box.run("echo next").output == "next\n"
    assert box.run("false").exit_code == 1
    box.run("trap - EXIT; exit")  # the next row starts with a new shell
    assert box.run("pwd").output == "/testbed\n"


def test_syntax_errors_are_told(box: DockerSandbox) -> None:
    """Unbalanced quotes and the like end with bash's message and code 2."""
    for command in ("echo 'a", 'echo "a', "if true; then", "echo )", "cat <<X", "echo `"):
        result = box.run(command, timeout=10)
        assert result.exit_code == 2 or command == "cat <<X", command
        assert "bash" in result.output, command
    assert box.run("echo next").output == "next\n"


def test_a_time_limit_interrupts_and_keeps_the_state(box: DockerSandbox) -> None:
    """A command that takes the interrupt costs nothing but itself; what it said is kept."""
    box.run("kept=1; cd kata")
    result = box.run("echo early; sleep 60", timeout=0.5)
    assert (result.timed_out, result.output, result.state_lost) == (True, "early\n", False)
    assert box.run("echo $kept $PWD").output == "1 /testbed/kata\n"


@pytest.mark.parametrize(
    "command", ["while :; do :; done", "sh -c 'trap \"\" INT; while :; do sleep 1; done'"]
)
def test_a_deaf_command_is_killed_with_its_shell(box: DockerSandbox, command: str) -> None:
    """A busy loop of the shell, and a child that ignores the interrupt, cost the state."""
    result = box.run(f"lost=1; {command}", timeout=0.5)
    assert result.timed_out
    assert result.state_lost
    assert result.seconds < 20
    assert box.run("echo ${lost:-gone}; pgrep -c sleep").output == "gone\n0\n"


def test_a_flood_is_cut_in_the_middle(box: DockerSandbox) -> None:
    """The first and the last part are kept, and what is left out is counted exactly."""
    result = box.run("seq 100000", output_limit=1000)
    size = len("".join(f"{number}\n" for number in range(1, 100001)))
    assert result.omitted == size - 1000
    assert result.output.startswith("1\n2\n")
    assert result.output.endswith("99999\n100000\n")
    assert f"\n[… {result.omitted} bytes left out …]\n" in result.output


def test_a_line_of_ten_megabytes(box: DockerSandbox) -> None:
    """The length of a line does not matter."""
    result = box.run("head -c 10000000 /dev/zero | tr '\\0' x", output_limit=20_000_000)
    assert (len(result.output), result.omitted) == (10_000_000, 0)


def test_output_cannot_pass_for_the_end_of_a_command(box: DockerSandbox) -> None:
    """What looks like a report, with any other token, is output."""
    token = "0123456789abcdef" * 2
    text = f"\n{token} 0 /{token}\n\n{token} 0 keeper{token}\nrest"
    result = box.run(f"printf '%s' '{text}'; (exit 5)")
    assert (result.output, result.exit_code) == (text, 5)


def test_a_fork_bomb_costs_one_command(box: DockerSandbox) -> None:
    """The bound on processes holds, and the sandbox goes on with its files."""
    box.run("echo kept >/tmp/kept")
    result = box.run("bomb() { bomb | bomb & wait; }; bomb", timeout=2)
    assert result.exit_code != 0
    assert box.run("cat /tmp/kept; ls /proc | grep -c '^[1-9]' | wc -l").output == "kept\n1\n"


def test_a_memory_hog_is_killed(box: DockerSandbox) -> None:
    """The bound on memory ends the command that breaks it and nothing else."""
    result = box.run("python3 -c 'x = bytearray(1 << 30)'", timeout=60)
    assert result.exit_code in (1, 137)
    assert box.run("echo next").output == "next\n"


def test_the_walls(box: DockerSandbox) -> None:
    """No network, no capabilities and no way to get them, not root, bounded files."""
    assert box.run("ls /sys/class/net").output.split() == ["lo"]
    status = box.run("cat /proc/self/status").output
    assert re.findall(r"^Cap(?:Prm|Eff|Bnd|Amb):\s+(\w+)", status, re.M) == ["0" * 16] * 4
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert box.run("id -u; id -un").output.split()[1] == "agent"
    assert box.run("id -u").output != "0\n"
    assert box.run("touch /etc/x").exit_code == 1
    assert box.run("test -e /var/run/docker.sock").exit_code == 1
    size = FILE_SIZE + 4096
    assert box.run(f"head -c {size} /dev/zero >/tmp/large").exit_code != 0
    assert box.run("stat -c %s /tmp/large; rm /tmp/large").output == f"{FILE_SIZE}\n"


@pytest.mark.parametrize(
    "name", ["a", "with blank", "-n", "it's", 'a"b$c`d', "größe", "line\nbreak", "/tmp/*", "\\"]
)
def test_files_come_back_as_they_went(box: DockerSandbox, name: str) -> None:
    """Any name and any bytes, relative to the shell's directory; the mode is kept."""
    box.run("mkdir -p /tmp/odd; cd /tmp/odd")
    for content in (bytes(range(256)), b"", b"no end", b"\xff\xfe'\n\n", b"-n\\t%s\r\n"):
        box.write(name, content)
        assert box.read(name) == content
    assert box.run("rm -rf /tmp/odd").exit_code == 0


def test_large_files_and_modes(box: DockerSandbox) -> None:
    """Megabytes go both ways, and an executable stays one."""
    box.run("cd /tmp; touch run; chmod 755 run")
    content = b"\x00\x01abc\n" * 500_000
    box.write("run", content)
    assert box.read("/tmp/run") == content
    assert box.run("stat -c %a run; rm run").output == "755\n"


def test_file_errors_are_the_operating_systems(box: DockerSandbox) -> None:
    """What the protocol says: missing files and parents, directories, permissions."""
    box.run("cd /tmp; mkdir -p d; touch shut; chmod 000 shut; mkfifo pipe")
    for path, error in [
        ("no", FileNotFoundError),
        ("d", IsADirectoryError),
        ("shut", PermissionError),
        ("pipe", OSError),
    ]:
        with pytest.raises(error):
            box.read(path)
    for path, error in [
        ("no/a", FileNotFoundError),
        ("d", IsADirectoryError),
        ("shut", PermissionError),
        ("/etc/new", PermissionError),
        ("/dev/full", OSError),
    ]:
        with pytest.raises(error):
            box.write(path, b"x")
    box.run("rm -rf d shut pipe")


def test_closing_removes_the_container(kata_image: Image) -> None:
    """Nothing is left of it; closing twice is allowed; a closed sandbox has no results."""
    sandbox = DockerSandbox(kata_image.reference)
    name = sandbox._stream._id
    sandbox.close()
    sandbox.close()
    with pytest.raises(NotFound):
        connect().containers.get(name)
    with pytest.raises(SandboxError):
        sandbox.run("true")


def test_a_removed_container_is_infrastructure(kata_image: Image) -> None:
    """A machine that goes away under a command is an error, never a result."""
    sandbox = DockerSandbox(kata_image.reference)
    connect().containers.get(sandbox._stream._id).remove(force=True)
    with pytest.raises(SandboxError):
        sandbox.run("true")
    sandbox.close()


def test_an_unknown_image_is_infrastructure() -> None:
    """The advice is to build it."""
    with pytest.raises(SandboxError, match="forager image build"):
        DockerSandbox("forager/no-such-image:0")
