"""The image in which jobs run: our base, made like GitHub's runner as far as projects need it.

Commands run as root there, so `sudo` only runs its command. Each Python has the hook that freezes
tests. Like a base, the image is made once and belongs to no project.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from forager.images.base import PYTHON_LABEL, ensure_base
from forager.images.workbench import TOOLS, VENV, Workbench, archive
from forager.locks import locked
from forager.sandboxes.sandbox import SYSTEM_PATH

HOME = "/forager"  # the report and the artifacts
DPKG = "/var/lib/dpkg/status"
APT = "/var/lib/apt/extended_states"
_PYTHON = "/opt/runner"  # the environment with `python` and `pip`
_HOOK = Path(__file__).with_name("hook.py")
_SUDO = """#!/bin/bash
user=
while [ $# -gt 0 ]; do
    case $1 in
        -u | --user) user=$2; shift 2 ;;
        -g | -p | -h | -C) shift 2 ;;
        --) shift; break ;;
        -*) shift ;;
        *=*) export "$1"; shift ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || exit 0
[ -z "$user" ] || [ "$user" = root ] || exec runuser -u "$user" -- "$@"
exec "$@"
"""
_APT_GET = """#!/bin/bash
words=()
for word; do
    [ "$word" != libmysqlclient-dev ] || word=default-libmysqlclient-dev
    words+=("$word")
done
/usr/bin/apt-get "${words[@]}" && exit
case " $* " in *" install "*) ;; *) exit 1 ;; esac
for word in "${words[@]}"; do  # Ubuntu has packages that Debian lacks
    case $word in -* | install) ;; *) /usr/bin/apt-get install "$word" || code=1 ;; esac
done
exit ${code:-0}
"""
UV = """#!/bin/bash
# Nothing can be fetched: a job has the Pythons that are there, and its tools run in one of them.
case "$1 $2" in "python install") exit 0 ;; tool\\ *) first=2 ;; *) first=1 ;; esac
words=("${@:1:first}")
shift $((first < $# ? first : $#))
while [ $# -gt 0 ]; do
    case $1 in
        --python-preference) shift ;;
        --python-preference=* | --managed-python | --no-managed-python) ;;
        --python | -p) [ "${words[0]}" = tool ] || words+=("$1" "$2"); shift ;;
        --python=*) [ "${words[0]}" = tool ] || words+=("$1") ;;
        --from | --with) words+=("$1" "$2"); shift ;;
        -*) words+=("$1") ;;
        *) case " ${words[*]} " in *" run "*) break ;; esac; words+=("$1") ;;
    esac
    shift
done
exec /usr/local/libexec/uv "${words[@]}" "$@"
"""
_APT = """APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
Dpkg::Options { "--force-confdef"; "--force-confold"; };
"""
_PREPARE = f"""set -e
export DEBIAN_FRONTEND=noninteractive UV_TOOL_DIR=/opt/tools UV_TOOL_BIN_DIR=/usr/local/bin
install -m 755 {TOOLS}/sudo /usr/local/bin/sudo
install -m 755 {TOOLS}/apt-get /usr/local/bin/apt-get
ln -s apt-get /usr/local/bin/apt
install -m 644 {TOOLS}/90forager /etc/apt/apt.conf.d/90forager
install -D -m 755 {TOOLS}/uv /usr/local/libexec/uv
install -m 755 {TOOLS}/uv-of-jobs /usr/local/bin/uv
printf '#!/bin/sh\\n[ "$1" = --version ] && exec uv --version\\nexec uv tool run "$@"\\n' \\
    >/usr/local/bin/uvx
chmod 755 /usr/local/bin/uvx
base=$({VENV}/bin/python -c 'import sys; print(sys._base_executable)')
case $base in /usr/bin/*) more="python3-venv python3-dev" ;; *) more= ;; esac
/usr/bin/apt-get update -q
/usr/bin/apt-get install -q bzip2 curl file gnupg jq lsb-release unzip wget xz-utils zip $more
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
uv venv -q --python "$base" --system-site-packages {_PYTHON}
uv pip install -q --python {_PYTHON}/bin/python pip 'setuptools<80' wheel  # like GitHub's
if [ -d /usr/share/python-wheels ]; then
    rm -f /usr/share/python-wheels/pip-*.whl
    {_PYTHON}/bin/python -m pip download -q --no-deps -d /usr/share/python-wheels pip
fi
uv tool install -q --python "$base" pipx
for python in /usr/bin/python3.* /usr/local/bin/python3.* /opt/python/*/bin/python3.*; do
    case $python in *[*]* | *-config) continue ;; esac
    library=$("$python" -I -S -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    rm -f "$library/sitecustomize.py"
    install -m 644 {TOOLS}/hook.py "$library/sitecustomize.py"
    install -m 644 {TOOLS}/hook.py "$library/forager_freeze.py"
done
mkdir -p {HOME}/artifacts && chmod 1777 {HOME}
"""
_VARIABLES = {
    "PATH": f"{_PYTHON}/bin:/root/.local/bin:{SYSTEM_PATH}",
    "VIRTUAL_ENV": "",
    "PYTHONDONTWRITEBYTECODE": "",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_ROOT_USER_ACTION": "ignore",
    "UV_PYTHON_DOWNLOADS": "never",  # the hook would not be in them
    "UV_PYTHON_PREFERENCE": "only-system",
    "UV_LINK_MODE": "copy",
    "UV_TOOL_BIN_DIR": "/usr/local/bin",
    "TOX_SKIP_ENV": "(lint|flake|pep8|mypy|typ|doc|style|black|ruff|isort|pre-commit|publish)",
    "VIRTUALENV_NO_PERIODIC_UPDATE": "1",
    "PIPX_BIN_DIR": "/usr/local/bin",
}


def ensure_runner(
    client: docker.DockerClient, python: str = "", report: Callable[[str], None] = lambda _: None
) -> tuple[str, str]:
    """Return the reference of the image with this Python ("" for the base's own), and its Python.

    The first call makes it. Raises BuildError.
    """
    base = ensure_base(client, python, report)
    version = client.images.get(base).labels.get(PYTHON_LABEL, "")
    minor = ".".join(version.split(".")[:2])
    parts = [base, _PREPARE, _SUDO, _APT_GET, UV, _APT, *_VARIABLES.values(), _HOOK.read_text()]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    reference = f"forager-runner:python{python}-{digest}"
    with locked(reference.replace(":", "-")):
        try:
            client.images.get(reference)
        except ImageNotFound:
            report("making an image like GitHub's runner, once (one minute)")
            _make(client, base, minor, reference)
    return reference, minor


def _make(client: docker.DockerClient, base: str, minor: str, reference: str) -> None:
    files = {
        "sudo": (_SUDO.encode(), 0o755),
        "apt-get": (_APT_GET.encode(), 0o755),
        "uv-of-jobs": (UV.encode(), 0o755),
        "90forager": (_APT.encode(), 0o644),
        "hook.py": (_HOOK.read_bytes(), 0o644),
    }
    with Workbench(client, base, memory=4 << 30, timeout=1200) as bench:
        bench.put(archive(files), TOOLS)
        bench.check(_PREPARE, user="root", failure="the image of the runner cannot be prepared")
        variables = {**_VARIABLES, "UV_PYTHON": minor}
        changes = [f'ENV {name}="{value}"' for name, value in variables.items()]
        image = bench.commit([*changes, "USER root", "WORKDIR /"])
    repository, tag = reference.rsplit(":", 1)
    client.api.tag(image, repository, tag)
