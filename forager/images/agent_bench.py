"""The container in which an agent looks for a recipe, with the project and a network.

Its image is a base whose environment is the agent's own, with uv, the Debian packages of the recipe
so far, and the lists of Debian's packages, which anybody may search. Of this host it gets what
builds get, without logins.
"""

import hashlib
import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import docker
from docker.errors import DockerException

from forager.errors import BuildError, SandboxLost, TaskError
from forager.images.base import CHANGES, ensure_base
from forager.images.builder import SourceProject
from forager.images.host import build_variables, ca_bundle
from forager.images.install import debian_packages, install_variables
from forager.images.recipe import Recipe
from forager.images.source import tracked_files
from forager.images.unproven import identity
from forager.images.workbench import FLAGS, TOOLS, VENV, Workbench, tree_archive
from forager.locks import locked
from forager.sandboxes.closing import ClosingSandbox
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

_PYTHONS = "/opt/python"  # where uv puts them
_MAKE = f"""set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
if [ $# -gt 0 ]; then apt-get install -y -q --no-install-recommends "$@"; fi
rm -f /var/cache/apt/archives/*.deb
install -m 755 {TOOLS}/uv /usr/local/bin/uv
mkdir -p {_PYTHONS}
chown -R agent:agent {VENV} {_PYTHONS}
"""
_SECONDS, _MEMORY = 900, 2 << 30
RECIPE = "/home/agent/recipe.toml"
"""Where the recipe is in the container."""
_BUNDLE = "/home/agent/ca.pem"
_UNPACK = """cd /testbed && tar -x -p -f /tmp/tree.tar && rm /tmp/tree.tar && git init -q \
&& git add -f -A && git commit -q --no-gpg-sign -m 'Initial commit'"""


def ensure_bench(
    client: docker.DockerClient,
    base: str,
    system: Sequence[str],
    report: Callable[[str], None] = lambda _: None,
) -> str:
    """Return the reference of the image; made unless it is here. Raises BuildError."""
    parts = (_MAKE, *CHANGES, identity(client, base), *system)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    reference = f"forager-bench:{key}"
    with locked(reference.replace(":", "-")):
        if not identity(client, reference):
            report("making the container of the agent")
            _make(client, base, system, reference)
    return reference


def _make(client: docker.DockerClient, base: str, system: Sequence[str], reference: str) -> None:
    with Workbench(client, base, memory=_MEMORY, timeout=_SECONDS) as bench:
        words = shlex.join(["bash", "-c", _MAKE, "make", *system])
        bench.check(words, user="root", failure=f"no container for an agent with {list(system)}")
        changes = ["ENV UV_NO_PROGRESS=1", f"ENV UV_PYTHON_INSTALL_DIR={_PYTHONS}"]
        digest = bench.commit([*CHANGES, *changes, "LABEL forager.bench=yes"])
    repository, tag = reference.split(":")
    client.api.tag(digest, repository, tag)


def _remove(client: docker.DockerClient, reference: str) -> None:
    """Remove the image unless somebody uses it."""
    try:
        client.images.remove(reference)
    except DockerException:
        return


def open_bench(
    project: SourceProject,
    recipe: Recipe,
    text: str,
    limits: Limits,
    sandboxes: SandboxFactory,
    needs: ExitStack,
) -> Sandbox:
    """Start the container, with `text` in the file RECIPE; `needs` close with it.

    The recipe says which Python and which Debian packages it has. Raises SandboxError.
    """
    client = connect()
    try:
        base = ensure_base(client, recipe.python, project.report)
        image = _with_packages(client, base, recipe, project.report)
    except BuildError as error:
        raise TaskError(f"no container for {project.source.given}: {error}") from error
    if debian_packages(recipe):  # nobody else needs such an image
        needs.callback(_remove, client, image)
    sandbox = sandboxes(image, limits=limits, environment=_variables(project, recipe))
    needs.callback(sandbox.close)
    _furnish(sandbox, project)
    sandbox.write(RECIPE, text.encode())
    return ClosingSandbox(sandbox, needs.pop_all().close)


def _with_packages(
    client: docker.DockerClient, base: str, recipe: Recipe, report: Callable[[str], None]
) -> str:
    """The image with the Debian packages of the recipe, or without if they are its fault."""
    try:
        return ensure_bench(client, base, debian_packages(recipe), report)
    except BuildError:
        return ensure_bench(client, base, (), report)


def _variables(project: SourceProject, recipe: Recipe) -> dict[str, str]:
    """The variables of a build."""
    host = build_variables(_BUNDLE if ca_bundle() else "", logins=False)
    return {**host, **FLAGS, **install_variables(project.tree, project.source, recipe)}


def _furnish(sandbox: Sandbox, project: SourceProject) -> None:
    """Bring the project. Raises SandboxLost."""
    if bundle := ca_bundle():
        sandbox.write(_BUNDLE, Path(bundle).read_bytes())
    sandbox.write("/tmp/tree.tar", tree_archive(project.tree, tracked_files(project.tree)))
    done = sandbox.run(f"({_UNPACK})")
    if done.exit_code:
        raise SandboxLost(f"the project cannot be brought: {done.output.strip()[:300]}")
