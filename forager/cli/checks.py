"""The checks of `forager doctor`. A check is a value and never raises."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from forager.errors import ForagerError
from forager.records import Record

if TYPE_CHECKING:
    from forager.agent.endpoint import Api, ChatEndpoint

OPTIONAL = ("torch", "deepspeed", "vllm", "ray", "transformers")
DISK_GIGABYTES = 5  # a base image, some projects, working space
MEMORY_GIGABYTES = 3  # the engine and one sandbox of the default size
REGISTRIES = {
    "image registry": "https://registry-1.docker.io/v2/",
    "package index": "https://pypi.org/simple/",
}


class Check(Record):
    """The result of a check."""

    name: str
    state: Literal["ok", "missing", "absent"] = Field(
        description="missing: every run needs it; absent: only some features need it."
    )
    found: str
    advice: str = Field("", description="What to type if the check fails.")


class EndpointToCheck(NamedTuple):
    """The endpoint that is checked, the variable of its key, the model, and its form (`--api`)."""

    url: str
    key_env: str
    model: str
    api: "Api" = "chat"


def all_checks(asked: EndpointToCheck) -> Iterator[Iterator[Check]]:
    """All checks, the quick ones first."""
    yield _machine()
    yield _engine()
    yield _bubblewrap()
    yield _kernel_limits()
    yield _network()
    yield _packages()
    yield _endpoint(asked)


def _check(name: str, good: bool, found: str, advice: str, *, needed: bool = True) -> Check:
    bad: Literal["missing", "absent"] = "missing" if needed else "absent"
    return Check(name=name, state="ok" if good else bad, found=found, advice="" if good else advice)


def _machine() -> Iterator[Check]:
    yield _check(
        "Python",
        sys.version_info >= (3, 11),
        f"{platform.python_version()}, {sys.executable}",
        "forager needs Python 3.11 or newer",
    )
    git = shutil.which("git")
    yield _check("git", bool(git), git or "not found", "sudo apt-get install git")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield _check(
        "memory",
        memory >= MEMORY_GIGABYTES,
        f"{memory:.1f} GiB, {os.cpu_count()} processor cores",
        f"a sandbox may use 2 GiB; take a machine with {MEMORY_GIGABYTES} GiB or more",
        needed=False,
    )
    yield _disk("disk here", Path.cwd())


def _disk(name: str, path: Path) -> Check:
    free = shutil.disk_usage(path).free / 2**30
    return _check(
        name,
        free >= DISK_GIGABYTES,
        f"{free:.1f} GiB free in {path}",
        f"free some space: images need {DISK_GIGABYTES} GiB or more (`docker system df` shows "
        "their size, `docker image prune` removes unused ones)",
        needed=False,
    )


def _engine() -> Iterator[Check]:
    import docker

    from forager.images.base import base_reference
    from forager.sandboxes.engine import connect
    from forager.sandboxes.leftovers import left_images, leftovers

    try:
        info = connect().info()
    except (ForagerError, docker.errors.DockerException) as error:
        yield _check("Docker engine", False, "does not answer", str(error))
        return
    yield _check(
        "Docker engine",
        True,
        f"{info['ServerVersion']}, client {docker.__version__}, storage {info['Driver']}, "
        f"cgroup version {info.get('CgroupVersion', '1')}",
        "",
    )
    lacking = [
        name
        for name, key in (("memory", "MemoryLimit"), ("processes", "PidsLimit"))
        if not info.get(key)
    ]
    yield _check(
        "container limits",
        not lacking,
        f"the engine cannot bound {' and '.join(lacking)}" if lacking else "memory and processes",
        "mount the cgroup controllers `memory` and `pids`, then restart the engine",
    )
    root = Path(info["DockerRootDir"])
    if os.access(root, os.R_OK):
        yield _disk("disk of images", root)
    base = base_reference()
    try:
        connect().images.get(base)
        yield _check("base image", True, base, "")
    except docker.errors.ImageNotFound:
        found = "the first `forager image build` makes it in a minute or two"
        yield _check("base image", False, found, "", needed=False)
    containers, images = len(leftovers()), len(left_images())
    yield _check(
        "left containers",
        containers + images == 0,
        f"{containers} containers and {images} images of dead processes",
        "forager doctor --clean",
        needed=False,
    )


def _bubblewrap() -> Iterator[Check]:
    from forager.sandboxes.bubblewrap import why_not
    from forager.sandboxes.cgroups import CONTROLLERS, parents

    reason = why_not()
    yield _check(
        "bubblewrap",
        not reason,
        reason or "namespaces and overlays work (--sandbox bubblewrap)",
        "sudo apt-get install bubblewrap util-linux; if it is installed, the kernel must allow "
        "user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, "
        "kernel.apparmor_restrict_unprivileged_userns=0) and overlays in them (Linux 6.6)",
        needed=False,
    )
    yield _check(
        "bubblewrap users",
        os.geteuid() == 0,
        "root keeps the shell, the agent runs commands"
        if os.geteuid() == 0
        else "one user: the agent owns all files, also those that grade its answer",
        "run forager as root, or use --sandbox docker",
        needed=False,
    )
    lacking = [controller for controller in CONTROLLERS if controller not in parents()]
    yield _check(
        "bubblewrap limits",
        not lacking,
        f"no control groups for {', '.join(lacking)}: bounds hold per process only"
        if lacking
        else "bound memory, processes and processors of a whole sandbox",
        "run as root, or in a control group of your own: `systemd-run --user --scope -p "
        "Delegate=yes forager run …`",
        needed=False,
    )


def _kernel_limits() -> Iterator[Check]:
    from forager.sandboxes.kernel_limits import too_low

    raised = too_low()
    yield _check(
        "kernel limits",
        not raised,
        f"one sandbox can use up {len(raised)} things that others need"
        if raised
        else "the bounds of a sandbox come first",
        f"sudo sysctl -w {' '.join(raised)}; to keep this when the machine starts again, write the "
        "settings into /etc/sysctl.d/forager.conf, one a line",
        needed=False,
    )


def _network() -> Iterator[Check]:
    import requests

    for name, url in REGISTRIES.items():
        try:
            requests.head(url, timeout=3)
            yield _check(name, True, f"{url} answers", "")
        except requests.RequestException:
            advice = "without it, images can use only what this machine has"
            yield _check(name, False, f"{url} does not answer", advice, needed=False)
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    debootstrap = shutil.which("debootstrap", path=path)
    yield _check(
        "debootstrap",
        bool(debootstrap),
        debootstrap or "not found; makes the base image if no registry answers",
        "sudo apt-get install debootstrap",
        needed=False,
    )


def _packages() -> Iterator[Check]:
    for name in OPTIONAL:
        found = _version(name) or _version(f"{name}-cpu")  # vLLM without a GPU has that name
        yield _check(name, bool(found), found or "not installed (optional)", "", needed=False)


def _version(distribution: str) -> str:
    """The installed version of a distribution; empty if there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _endpoint(asked: EndpointToCheck) -> Iterator[Check]:
    from forager.agent.endpoint import ChatEndpoint
    from forager.rollout.preflight import LIST_SECONDS

    needed = bool(asked.url or asked.model)
    if not needed and not os.environ.get("OPENAI_BASE_URL"):
        found = "none given; `-m repair` needs none"
        yield _check("model endpoint", False, found, "", needed=False)
        return
    try:
        endpoint = ChatEndpoint(
            asked.url, timeout=LIST_SECONDS, key_env=asked.key_env, api=asked.api
        )
        models = endpoint.models()
    except ForagerError as error:
        yield _check("model endpoint", False, "no list of models", str(error), needed=needed)
        return
    few = ", ".join(models[:5]) + (", …" if len(models) > 5 else "")
    yield _check("model endpoint", True, f"{endpoint.url} offers {few or 'no model'}", "")
    if asked.model:
        yield _tool_call(endpoint, asked.model)


def _tool_call(endpoint: "ChatEndpoint", name: str) -> Check:
    from forager.agent.chat import ChatModel
    from forager.agent.loop import SYSTEM, first_messages
    from forager.agent.syntax import SYNTAXES
    from forager.rollout.preflight import check_tool_call
    from tools import TOOLBOX

    syntax, notes = SYNTAXES["functions"], list[str]()
    messages = first_messages(SYSTEM, "List the files in /testbed.", syntax, TOOLBOX)
    try:
        check_tool_call(ChatModel(name, endpoint), messages, TOOLBOX, syntax, notes.append)
    except ForagerError as error:
        notes.append(str(error))
    found = "none" if notes else f"{name} calls tools"
    return _check("tool calls", not notes, found, "; ".join(notes))
