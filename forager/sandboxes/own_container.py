"""The container in which this process itself runs as root, as a sandbox.

The verifier of a Harbor task has no engine: it works in a container in which an agent may have
worked before. Each new sandbox ends the agent's processes and brings every file that the agent
could write back to the state of the image, from an archive that only root can read. So the
container is as good as fresh, unless the agent was root.
"""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from pwd import getpwnam

from forager.errors import SandboxError
from forager.sandboxes.local_sandbox import LocalProcesses
from forager.sandboxes.sandbox import SYSTEM_PATH, USER, WORKDIR, CommandResult
from forager.sandboxes.shell_sandbox import ShellSandbox

ARCHIVE = Path("/opt/forager/harbor/agent.tar")
"""All files of the agent, as they are when it begins."""
AS_AGENT = (
    *("/usr/bin/setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
    *("--inh-caps=-all", "--bounding-set=-all", "--"),
)
"""The words before a command that the agent's user runs."""
OWN = "'(' -user agent -o -group agent ')' ! -path '/logs*' ! -path '/tests*' ! -path '/solution*'"
"""For `find`: what belongs to the agent, without what Harbor brings into the container."""
_WRITABLE = "/ /tmp /var/tmp /dev/shm /run"  # file systems in which the agent may own files
_RESTORE = f"""
find $(ls -d {_WRITABLE} 2>/dev/null) -xdev {OWN} -delete 2>/dev/null
find {WORKDIR} -xdev -mindepth 1 -delete 2>/dev/null
tar -xpf {ARCHIVE} -C /
"""
_SECONDS = 30.0  # of killing: processes may fork meanwhile, and end late on a busy machine
_PAUSE = 0.05  # seconds between two looks
_MAINTENANCE = {  # as the keeper of other sandboxes sets it when it elevates (shell.SUPERVISOR)
    "HOME": "/root",
    "PATH": SYSTEM_PATH,
    "GIT_CONFIG_COUNT": "3",
    **{"GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": "/dev/null"},
    **{"GIT_CONFIG_KEY_1": "core.fsmonitor", "GIT_CONFIG_VALUE_1": "false"},
    **{"GIT_CONFIG_KEY_2": "safe.directory", "GIT_CONFIG_VALUE_2": "*"},
}


class OwnContainer:
    """A shell of the agent in the restored container, and after `elevate` root's; a Sandbox.

    Only one may be open at a time. Raises SandboxError if the container cannot be restored.
    """

    def __init__(self, environment: Mapping[str, str] = {}) -> None:
        restore()
        home = {"HOME": f"/home/{USER}", **environment}
        self._shell = _shell(home, AS_AGENT)
        self._elevated = False

    def run(
        self, command: str, *, timeout: float = 120.0, output_limit: int = 65536
    ) -> CommandResult:
        """Run a command in the persistent shell; `timeout` in seconds, `output_limit` in bytes."""
        return self._shell.run(command, timeout=timeout, output_limit=output_limit)

    def read(self, path: str) -> bytes:
        """Return a file's content; a relative path starts at the shell's directory."""
        return self._shell.read(path)

    def write(self, path: str, content: bytes) -> None:
        """Write a file, keeping the mode of one that exists."""
        self._shell.write(path, content)

    def elevate(self) -> bool:
        """End all processes of the agent, and make the shell root's from now on."""
        if not self._elevated:
            self._elevated = True
            self.close()
            paths = {"AGENT_PATH": os.environ.get("PATH", SYSTEM_PATH)}
            self._shell = _shell({**_MAINTENANCE, **paths}, ())
        return True

    def close(self) -> None:
        """End the shell and all processes of the agent; the files stay until the next one."""
        self._shell.close()
        end_processes()


def restore() -> None:
    """Bring all files of the agent back to the state of the image. Raises SandboxError."""
    end_processes()
    done = subprocess.run(["/bin/bash", "-c", _RESTORE], cwd="/", capture_output=True, check=False)
    if done.returncode:
        raise SandboxError(f"cannot restore the container: {done.stderr.decode()[-500:]}")


def end_processes() -> None:
    """End all processes of the agent's user. Raises SandboxError if they do not end."""
    command = [*AS_AGENT, "/bin/bash", "-c", "kill -KILL -1"]
    deadline = time.monotonic() + _SECONDS
    while _runs():
        if time.monotonic() > deadline:
            raise SandboxError("the agent's processes do not end")
        subprocess.run(command, cwd="/", capture_output=True, check=False)
        time.sleep(_PAUSE)


def _runs() -> bool:
    """Whether a process of the agent's user is alive."""
    number = str(getpwnam(USER).pw_uid)
    for entry in os.scandir("/proc"):
        try:
            status = Path(entry.path, "status").read_text() if entry.name.isdecimal() else ""
        except OSError:  # it has just ended
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        users = fields.get("Uid", "").split()
        if number in users and fields["State"].split()[0] not in "ZX":
            return True
    return False


def _shell(environment: Mapping[str, str], before: tuple[str, ...]) -> ShellSandbox:
    return ShellSandbox(LocalProcesses(Path(WORKDIR), environment, before), WORKDIR)
