"""An image's recipe as a Dockerfile, for software that has neither forager nor the image.

The steps are those of `base.py` and `install.py`: Debian's packages, an environment with pytest,
the project's files as a repository of one commit, the commands of the recipe, and the end of a
build. Packages get the versions that they have in the image. The build fails if the repository's
commit is not the image's. `--build-arg BASE=` names another Debian, which may have all or nothing.
"""

import io
import re
import shlex
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, NamedTuple, cast

from forager.errors import BuildError
from forager.images.base import DEBIAN_PACKAGES, ENVIRONMENT, TOOLING
from forager.images.debian import DebianRelease, release_of
from forager.images.image import Image
from forager.images.install import debian_packages, install_variables, version_tags
from forager.images.reducing import variables_of
from forager.images.sealing import CLEAN, COMPILE, REPOSITORY
from forager.images.workbench import (
    BUILDERS,
    FLAGS,
    OWNED_BY_ROOT,
    PYTHON,
    TIME,
    TOOLS,
    UV_SETTINGS,
    VENV,
    WITHOUT_LISTS,
)
from forager.images.workshop import pytest_options
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import SYSTEM_PATH, USER, WORKDIR, Limits
from forager.scratch import scratch

_MOST_TREE = 256 << 20  # bytes of the project's files, compressed
_METADATA = re.compile(r"(\./)?([^/]*requirements[^/]*/)?[^/]+\.(toml|txt|cfg|py)")
_PIN = re.compile(r"[A-Za-z0-9][\w.-]*==[\w.!+-]+")
_PINS = f"""{PYTHON} -I - <<'END'
from importlib.metadata import distributions
for found in distributions():
    if found.read_text("direct_url.json") is None:
        print(f"{{found.metadata['Name']}}=={{found.version}}")
END"""
_PACK = f"""cd {WORKDIR} && git ls-files -z >/tmp/forager-files &&
tar --null --no-recursion --owner=0 --group=0 --numeric-owner --mtime=@{TIME} \\
    -czf /tmp/forager-tree.tgz -T /tmp/forager-files"""
_UV_VERSION = version("uv")
_UV = f"""
import hashlib, io, json, os, platform, re, urllib.parse, urllib.request, zipfile
index = (os.environ.get("UV_DEFAULT_INDEX") or "https://pypi.org/simple").rstrip("/") + "/uv/"
asked = urllib.request.Request(index, headers={{"Accept": "application/vnd.pypi.simple.v1+json"}})
name = re.compile(r"uv-{re.escape(_UV_VERSION)}-py3-none-manylinux.*_%s.whl" % platform.machine())
files = json.load(urllib.request.urlopen(asked))["files"]
file = next(file for file in files if name.fullmatch(file["filename"]))
wheel = urllib.request.urlopen(urllib.parse.urljoin(index, file["url"])).read()
assert hashlib.sha256(wheel).hexdigest() == file["hashes"]["sha256"]
with open("{TOOLS}/uv", "wb") as target:
    target.write(zipfile.ZipFile(io.BytesIO(wheel)).read("uv-{_UV_VERSION}.data/scripts/uv"))
os.chmod("{TOOLS}/uv", 0o755)
"""
_BUILDING = {**FLAGS, **UV_SETTINGS, "UV_CACHE_DIR": f"{TOOLS}/cache"}
_APT = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
_VERSION = "import platform; print(platform.python_version())"


class _ImageContents(NamedTuple):
    """The project and its environment in an image."""

    tree: bytes
    """The project's files, as a compressed archive."""
    names: bytes
    """Their names, each with a zero byte after it."""
    pins: tuple[str, ...]
    release: DebianRelease


@lru_cache(maxsize=4)
def _contents(reference: str) -> _ImageContents:
    """Read what a Dockerfile needs out of an image. Raises BuildError, SandboxError."""
    with closing(docker_sandbox(reference, limits=Limits(memory=512 << 20))) as sandbox:
        pins = sandbox.run(_PINS, timeout=120, output_limit=1 << 20).output.split()
        facts = sandbox.run("cat /etc/os-release").output
        packed = sandbox.run(_PACK, timeout=300)
        if packed.exit_code:
            raise BuildError(f"{reference}: the files cannot be packed", packed.output[-1000:])
        tree = sandbox.read("/tmp/forager-tree.tgz")
        names = sandbox.read("/tmp/forager-files")
    if len(tree) > _MOST_TREE:
        raise BuildError(f"{reference}: the project's files are larger than {_MOST_TREE >> 20} MB")
    return _ImageContents(tree, names, tuple(filter(_PIN.fullmatch, pins)), release_of(facts))


def recipe_files(image: Image) -> tuple[str, dict[str, bytes]]:
    """The beginning of a Dockerfile that builds this image, and the files that it copies.

    At its end root works in an image like the built one. Raises BuildError, SandboxError.
    """
    found = _contents(image.reference)
    files = {
        "base.sh": _base_script(image).encode(),
        "tree.tgz": found.tree,
        "files": found.names,
        "pins.txt": "".join(f"{pin}\n" for pin in found.pins).encode(),
        "install.sh": _install_script(image, found.tree).encode(),
    }
    return _head(image, base_of(found.release)), files


def base_of(release: DebianRelease) -> str:
    """The name of a release's image in Docker's registry."""
    if release.distribution == "ubuntu":
        return f"ubuntu:{release.name}"
    return f"debian:{release.name or 'bookworm'}-slim"


def _head(image: Image, base: str) -> str:
    environment = "\n".join(f"ENV {name}={value}" for name, value in ENVIRONMENT.items())
    return f"""\
ARG BASE={base}
FROM $BASE
USER root
ARG UV_DEFAULT_INDEX
ARG SSL_CERT_FILE
{environment}
COPY base.sh {TOOLS}/
RUN bash {TOOLS}/base.sh
COPY tree.tgz files pins.txt install.sh {TOOLS}/
RUN bash {TOOLS}/install.sh
{pytest_options(image.recipe)}
"""


def _base_script(image: Image) -> str:
    """Brings what the base lacks."""
    python, proven = image.recipe.python or "python3", image.python_version
    return f"""set -e
export {_assigned(_BUILDING)}
export PATH={TOOLS}:{SYSTEM_PATH}
if ! command -v python3 git gcc g++ make pkg-config patch less pkill >/dev/null; then
    apt-get update -q && {_APT} {DEBIAN_PACKAGES}
fi
{TOOLING}
install -d -m 1777 {TOOLS}/cache
command -v uv >/dev/null || python3 -c {shlex.quote(_UV)}
if [ ! -x {PYTHON} ]; then
    uv venv --clear --no-project --python {python} {VENV} && chown -R agent {VENV}
    rm -rf {TOOLS}/cache/* {TOOLS}/cache/.[!.]*  # root's
fi
{OWNED_BY_ROOT}
found=$({PYTHON} -c '{_VERSION}')
[ "$found" = {proven} ] || echo "Python is $found here, and {proven} in the proven image" >&2
{WITHOUT_LISTS}
"""


def _install_script(image: Image, tree: bytes) -> str:
    """Makes the project's layer as a Workbench does.

    The project's commands run as the agent, who may write to the environment only as a member of a
    group that nobody is in afterwards.
    """
    uv = _assigned(_BUILDING | {"UV_CONSTRAINT": f"{TOOLS}/pins.txt"})
    steps = "\n".join(_steps(image, _variables(image, tree)))
    return f"""set -e
export PATH={VENV}/bin:{TOOLS}:{SYSTEM_PATH} VIRTUAL_ENV={VENV}
agent() {{
    (cd {WORKDIR} && setpriv --reuid={USER} --regid={USER} --groups={BUILDERS} --inh-caps=-all \\
        --bounding-set=-all -- env HOME=/home/{USER} {uv} "$@")
}}
own() {{ agent PATH={TOOLS}:{SYSTEM_PATH} GIT_CONFIG_GLOBAL=/dev/null bash -c "$1"; }}
own 'tar -xpzf {TOOLS}/tree.tgz -C {WORKDIR}'
own {shlex.quote(REPOSITORY)}
{steps}
pkill -KILL -u {USER} || true
own {shlex.quote(REPOSITORY)}
own {shlex.quote(CLEAN)}
own {shlex.quote(f"cd / && {COMPILE}; true")}
pkill -KILL -u {USER} || true
{OWNED_BY_ROOT}
commit=$(own 'git rev-parse HEAD')
if [ "$commit" != {image.commit} ]; then
    echo "the commit is $commit, and {image.commit} in the proven image" >&2
    exit 1
fi
rm -rf {TOOLS} /root/.cache /root/.config /root/.local /tmp/* /tmp/.[!.]* /var/tmp/*
"""


def _steps(image: Image, variables: Mapping[str, str]) -> Iterable[str]:
    """The commands of the recipe, each as a line of a shell script."""
    recipe = image.recipe
    if tagging := version_tags(image.source):
        yield f"own {shlex.quote(tagging)}"
    if packages := debian_packages(recipe):
        yield f"apt-get update -q && {_APT} {shlex.join(packages)} && {WITHOUT_LISTS}"
    if recipe.directories:
        yield f"install -d -o {USER} -g {USER} {shlex.join(recipe.directories)}"
    for command in ["uv pip install pytest", *recipe.install]:
        yield f"agent {_assigned(variables_of(command, variables))} bash -c {shlex.quote(command)}"


def _variables(image: Image, tree: bytes) -> dict[str, str]:
    """The variables of the install commands, without those that the pins replace."""
    with scratch("recipe") as directory:
        with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
            for member in archive:
                small = member.isreg() and member.size < 1 << 20
                if small and _METADATA.fullmatch(member.name):
                    place = Path(directory, member.name)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(cast(IO[bytes], archive.extractfile(member)).read())
        found = install_variables(Path(directory), image.source, image.recipe)
    return {
        name: found[name] for name in found if name not in ("UV_EXCLUDE_NEWER", "UV_CONSTRAINT")
    }


def _assigned(variables: Mapping[str, str]) -> str:
    return shlex.join(f"{name}={value}" for name, value in variables.items())
