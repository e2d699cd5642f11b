"""The commands that a bubblewrap sandbox is made by: unshare, mount, setpriv, bwrap, bash."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from forager.sandboxes import seccomp
from forager.sandboxes.sandbox import WORKDIR, Limits
from forager.sandboxes.shell import SUPERVISOR
from forager.sandboxes.unpacked import UnpackedImage, layers_directory

_PROGRAMS = ("bwrap", "unshare", "nsenter", "setpriv", "mount")
_NAMESPACES = [f"--unshare-{name}" for name in ("user", "pid", "ipc", "uts", "net", "cgroup-try")]
_OVERLAID = "/tmp/upper /tmp/work /tmp/root"
_INODE = 4096  # bytes of the upper layer for each file in it
_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_MASKED = ("keys", "timer_list", "kcore", "sched_debug")  # of /proc: they tell of the machine
_SEEN = "/sys/devices/system/cpu"  # all of /sys that programs ask for; the rest tells of devices
_ROOT = os.geteuid() == 0


class Pipes(NamedTuple):
    """The numbers of the ends that the watcher and bwrap get."""

    life: int  # read: its end is the end of all
    info: int  # written: bwrap tells the keeper's number
    go: int  # read: the keeper waits for it
    owners: int  # read: bwrap waits for it until root has set up the users
    rules: int  # read: the filter of system calls


class SandboxSpec(NamedTuple):
    """What a sandbox is to be."""

    image: UnpackedImage
    limits: Limits
    variables: Mapping[str, str]
    bounds: Collection[str]  # controllers of the control group that holds all of it


def why_not() -> str:
    """Return why there can be no bubblewrap sandbox on this machine; nothing where there can."""
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not found"
    bwrap = ["bwrap", *_NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    inside = shlex.join([*_becoming(65534, 65534), *bwrap])
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
    """Return the command of the watcher; on the mounts of the watcher numbered `before`.

    It runs bwrap as a job, because without job control what runs in the background would ignore
    interrupts, and waits until the pipe of its life is closed. Then it kills the whole job: a
    keeper that is just being made does not yet die with bwrap.
    """
    becoming = _becoming(plan.image.user, plan.image.group)
    bwrap = shlex.join([*becoming, *_bwrap(plan, pipes)])
    closed = " ".join(f"{number}<&-" for number in pipes[1:])
    script = (
        f"umask 022; {'' if before else _mounts(plan)} set -m; {bwrap} {pipes.life}<&- & "
        f"exec 0<&- 1>&- 2>&- {closed}; read -r -u {pipes.life} _; kill -9 -- -$!; wait"
    )
    return [*_entry(before), "/bin/bash", "-c", script]


def _entry(before: int | None) -> list[str]:
    """What leads into a mount namespace: a new one, or that of another watcher."""
    if before is None:
        mapped = [] if _ROOT else ["--user", "--map-root-user"]
        return ["unshare", *mapped, "--mount", "--propagation", "private", "--"]
    joined = [] if _ROOT else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={before}", *joined, "--mount", "--"]


def _becoming(user: int, group: int) -> list[str]:
    """What gives root up before bwrap; any other user has nothing to give."""
    ids = [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    return ["setpriv", *ids, "--"] if _ROOT else []


def _mounts(plan: SandboxSpec) -> str:
    """Commands that put the files together, at /tmp of the mount namespace.

    What is our own is a layer above the image's. Nothing is written or mounted by way of its names:
    they may be links, which here lead into the machine's own files.
    """
    size = min(plan.limits.disk, plan.limits.memory // 2)
    options = f"size={size},nr_inodes={max(size // _INODE, 1024)},mode=755"
    return (
        f"cd {shlex.quote(str(layers_directory()))} && mount -t tmpfs -o {options} tmpfs /tmp && "
        f"mkdir -p /tmp/own/etc /tmp/own/proc /tmp/own/dev /tmp/own/sys {_OVERLAID} && "
        f"printf %s {shlex.quote(_HOSTS)} >/tmp/own/etc/hosts && "
        f"{_overlay(['/tmp/own', *plan.image.layers])} && cd / || exit;"
    )


def _overlay(layers: list[str]) -> str:
    """The command that mounts layers of this directory, and what is written, together."""
    attributes = "" if _ROOT else ",userxattr"
    options = f"lowerdir={':'.join(layers)},upperdir=/tmp/upper,workdir=/tmp/work{attributes}"
    return f"mount -t overlay -o {shlex.quote(options)} overlay /tmp/root"


def _bwrap(plan: SandboxSpec, pipes: Pipes) -> list[str]:
    ends = ["--info-fd", str(pipes.info), "--block-fd", str(pipes.go)]
    if _ROOT:
        ends += ["--userns-block-fd", str(pipes.owners)]
    if seccomp.program():
        ends += ["--seccomp", str(pipes.rules)]
    variables = [word for item in plan.variables.items() for word in ("--setenv", *item)]
    return [
        *("bwrap", *_NAMESPACES, "--die-with-parent", "--as-pid-1", "--new-session"),
        *("--uid", str(plan.image.user), "--gid", str(plan.image.group), "--cap-drop", "ALL"),
        *("--hostname", "sandbox", *ends, *_places(plan.limits), "--clearenv", *variables),
        *("--chdir", WORKDIR, "--", "/bin/bash", "-c", _prelude(plan, pipes) + SUPERVISOR),
    ]


def _places(limits: Limits) -> list[str]:
    """What is mounted where, in order."""
    masked = [name for name in _MASKED if Path("/proc", name).exists()]
    return [
        *("--bind", "/tmp/root", "/", "--proc", "/proc", "--dev", "/dev"),
        *("--perms", "1777", "--size", str(limits.memory // 4), "--tmpfs", "/dev/shm"),
        *("--remount-ro", "/dev", "--size", "65536", "--tmpfs", "/sys"),
        *("--ro-bind-try", _SEEN, _SEEN, "--remount-ro", "/sys"),
        *(word for name in masked for word in ("--ro-bind", "/dev/null", f"/proc/{name}")),
    ]


def _prelude(plan: SandboxSpec, pipes: Pipes) -> str:
    """What the keeper does first: it closes pipes that bwrap left open, and bounds each process.

    Bounds of a process stand in for the control groups that could not be had.
    """
    bounds = [f"ulimit -c 0 -n 4096 -f {plan.limits.file_size // 1024}"]
    if "memory" not in plan.bounds:
        bounds.append(f"ulimit -d {plan.limits.memory // 1024}")
    if "pids" not in plan.bounds:
        bounds.append(f"ulimit -u {plan.limits.processes}")
    return "; ".join([f"exec 2>/dev/null {pipes.go}<&- {pipes.owners}<&-", *bounds]) + "\n"
