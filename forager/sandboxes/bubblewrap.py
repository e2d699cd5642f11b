"""The commands that make a bubblewrap sandbox: unshare, mount, setpriv, bwrap, bash."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from forager.sandboxes import seccomp
from forager.sandboxes.sandbox import CAPABILITIES, WORKDIR, Limits
from forager.sandboxes.shell import SUPERVISOR
from forager.sandboxes.unpacked import UnpackedImage, layers_directory

_PROGRAMS = ("bwrap", "unshare", "nsenter", "setpriv", "mount")
_NAMESPACES = [f"--unshare-{name}" for name in ("user", "pid", "ipc", "uts", "net", "cgroup-try")]
_OVERLAID = "/tmp/upper /tmp/work /tmp/root"
_FIRST = 20  # descriptor of directories that are shown
_INODE = 4096  # bytes of the upper layer for each file in it
_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_MASKED = ("keys", "timer_list", "kcore", "sched_debug")  # in /proc: they reveal the machine
_KEPT = ("sys", "sysrq-trigger", "bus", "fs", "irq", "mtrr")  # in /proc: root may write there
_SEEN = "/sys/devices/system/cpu"  # all that programs read in /sys; the rest reveals devices
_ROOT = os.geteuid() == 0


class Pipes(NamedTuple):
    """The file descriptors that the watcher and bwrap inherit."""

    life: int  # read: when it closes, everything ends
    info: int  # written: bwrap reports the keeper's process number
    go: int  # read: the keeper waits for a line
    owners: int  # read: bwrap waits for a line, which root sends when the users are set up
    rules: int  # read: the filter of system calls (BPF)


class SandboxSpec(NamedTuple):
    """What a sandbox is made of."""

    image: UnpackedImage
    limits: Limits
    variables: Mapping[str, str]
    bounds: Collection[str]  # cgroup controllers that bound the sandbox as a whole
    owner: int  # user number that owns the namespaces, where forager is root
    files: Sequence[str]  # directories of the machine, which appear at the same paths, read-only


def why_not() -> str:
    """Return why this machine cannot run bubblewrap sandboxes; an empty string if it can."""
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not found"
    bwrap = ["bwrap", *_NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    inside = shlex.join([*_becoming(65534), *bwrap])
    script = (
        f"mount -t tmpfs tmpfs /tmp && cd /tmp && mkdir lower {_OVERLAID} && "
        f"{_overlay(['lower'])} && mkdir /tmp/root/a && rmdir /tmp/root/a && {inside}"
    )
    done = subprocess.run(
        [*_entry(None), "/bin/bash", "-c", script], capture_output=True, check=False
    )
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return (said or ["it does not run"])[-1] if done.returncode else ""


def watcher(plan: SandboxSpec, pipes: Pipes, before: int | None) -> list[str]:
    """Return the command of the watcher; it uses the mounts of process `before`, if given.

    The watcher runs bwrap as a job, as without job control background processes would ignore
    interrupts, and waits until the life pipe closes. Then it kills the whole job: a keeper that is
    just starting would survive bwrap.
    """
    bwrap = shlex.join([*_becoming(plan.owner), *_bwrap(plan, pipes)])
    closed = " ".join(f"{number}<&-" for number in pipes[1:])
    script = (
        f"umask 022; {'' if before else _mounts(plan)} set -m; {bwrap} {pipes.life}<&- & "
        f"exec 0<&- 1>&- 2>&- {closed}; read -r -u {pipes.life} _; kill -9 -- -$!; wait"
    )
    return [*_entry(before), "/bin/bash", "-c", script]


def _entry(before: int | None) -> list[str]:
    """The command prefix that enters a mount namespace: a new one, or another watcher's."""
    if before is None:
        mapped = [] if _ROOT else ["--user", "--map-root-user"]
        return ["unshare", *mapped, "--mount", "--propagation", "private", "--"]
    joined = [] if _ROOT else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={before}", *joined, "--mount", "--"]


def _becoming(user: int) -> list[str]:
    """The command prefix by which root becomes this user; empty for any other user."""
    ids = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return ["setpriv", *ids, "--"] if _ROOT else []


def _mounts(plan: SandboxSpec) -> str:
    """The commands that assemble the files, at /tmp of the mount namespace.

    Our own files are a layer above the image's. Nothing is written or mounted through the image's
    paths: they may be links, which here would lead to the host's files. Devices are the machine's;
    the sandbox's root, who has the number of the machine's, may use but not change them.
    """
    size = min(plan.limits.disk, plan.limits.memory // 2)
    options = f"size={size},nr_inodes={max(size // _INODE, 1024)},mode=755"
    opened = [
        f"exec {_FIRST + number}<{shlex.quote(path)} && " for number, path in enumerate(plan.files)
    ]
    bound = [
        f"mkdir -p {_file(number)} && "
        f"mount -c --rbind /proc/self/fd/{_FIRST + number} {_file(number)} && "
        f"exec {_FIRST + number}<&- && "
        for number in range(len(plan.files))
    ]
    return (
        f"{''.join(opened)}"  # the next line hides what is in the machine's /tmp
        f"cd {shlex.quote(str(layers_directory()))} && mount -t tmpfs -o {options} tmpfs /tmp && "
        f"mkdir -p /tmp/own/etc /tmp/own/proc /tmp/own/dev /tmp/own/sys {_OVERLAID} && "
        f"printf %s {shlex.quote(_HOSTS)} >/tmp/own/etc/hosts && "
        f"{_overlay(['/tmp/own', *plan.image.layers])} && "
        f"{''.join(bound)}"
        f"{'mount -o bind,ro /dev /dev && ' if _ROOT else ''}cd / || exit;"
    )


def _file(number: int) -> str:
    """Where a directory of the machine is, in the watcher's mount namespace."""
    return f"/tmp/files/{number}"


def _overlay(layers: list[str]) -> str:
    """The command that mounts layers of this directory below the writable one."""
    attributes = "" if _ROOT else ",userxattr"
    options = f"lowerdir={':'.join(layers)},upperdir=/tmp/upper,workdir=/tmp/work{attributes}"
    return f"mount -t overlay -o {shlex.quote(options)} overlay /tmp/root"


def _bwrap(plan: SandboxSpec, pipes: Pipes) -> list[str]:
    ends = ["--info-fd", str(pipes.info), "--block-fd", str(pipes.go)]
    if _ROOT:
        ends += ["--userns-block-fd", str(pipes.owners)]
    if seccomp.program():
        ends += ["--seccomp", str(pipes.rules)]
    user, group, agent = plan.image.user, plan.image.group, ""
    if _ROOT:  # bwrap and the keeper are the owner of the namespaces, with root's capabilities
        ends += [word for name in CAPABILITIES for word in ("--cap-add", f"CAP_{name}")]
        user, group, agent = plan.owner, plan.owner, f"{user}:{group}"
    variables = [word for item in plan.variables.items() for word in ("--setenv", *item)]
    return [
        *("bwrap", *_NAMESPACES, "--die-with-parent", "--as-pid-1", "--new-session"),
        *("--uid", str(user), "--gid", str(group), "--cap-drop", "ALL"),
        *("--hostname", "sandbox", *ends, *_places(plan), "--clearenv", *variables),
        *("--", "/bin/bash", "-c", _prelude(plan, pipes) + SUPERVISOR, "keeper", agent),
    ]


def _places(plan: SandboxSpec) -> list[str]:
    """The mounts, in order.

    What belongs to the machine's root cannot be changed by the sandbox's root, who has its number.
    """
    limits, files = plan.limits, enumerate(plan.files)
    masked = [name for name in _MASKED if Path("/proc", name).exists()]
    kept = [f"/proc/{name}" for name in _KEPT if Path("/proc", name).exists()]
    return [
        *("--bind", "/tmp/root", "/", "--proc", "/proc", "--dev", "/dev"),
        *(word for number, path in files for word in _shown(number, path)),
        *("--perms", "1777", "--size", str(limits.memory // 4), "--tmpfs", "/dev/shm"),
        *("--remount-ro", "/dev", "--size", "65536", "--tmpfs", "/sys"),
        *("--ro-bind-try", _SEEN, _SEEN, "--remount-ro", "/sys"),
        *(word for name in masked for word in ("--ro-bind", "/dev/null", f"/proc/{name}")),
        *(word for path in kept for word in ("--ro-bind", path, path)),
    ]


def _shown(number: int, path: str) -> Iterator[str]:
    """The words that show a directory; bwrap itself would make its parents for one user alone."""
    for parent in reversed(Path(path).parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(parent))
    yield from ("--ro-bind", _file(number), path)


def _prelude(plan: SandboxSpec, pipes: Pipes) -> str:
    """What the keeper runs first: it closes pipes that bwrap left open, and limits each process.

    The agent may have removed the working directory before a restart. Limits of a process replace
    the control groups that this user may not make.
    """
    bounds = [f"cd {WORKDIR}", f"ulimit -c 0 -n 4096 -f {plan.limits.file_size // 1024}"]
    if "memory" not in plan.bounds:
        bounds.append(f"ulimit -d {plan.limits.memory // 1024}")
    if "pids" not in plan.bounds:
        bounds.append(f"ulimit -u {plan.limits.processes}")
    return "; ".join([f"exec 2>/dev/null {pipes.go}<&- {pipes.owners}<&-", *bounds]) + "\n"
