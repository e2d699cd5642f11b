"""The end of a build: one commit, no trace of the build, and forager's programs compiled."""

import re
import shlex

from forager.environments.repository.objects import ATTRIBUTES
from forager.errors import BuildError
from forager.images.git import IDENTITY
from forager.images.workbench import OWNED_BY_ROOT, PYTHON, TIME, TOOLS, VENV, Workbench, archive
from forager.programs import copies, copy_name, names, program
from forager.sandboxes.sandbox import WORKDIR

LEFT_BY_TOOLS = (
    *("build", "dist", ".eggs", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"),
    *(".tox", ".nox"),
)
"""What is removed from the top of a project, unless the project has files there."""
REMOVED_AT_HOME = (".cache", ".local", ".config", ".cargo", ".npm")
"""What is removed from the home directory of the agent."""
# Exactly one commit: no history, remote or reflog that could hold an answer. Files that the build
# left in the tree are excluded, so that a diff holds only the agent's work.
REPOSITORY = f"""set -e
export {shlex.join(f"{name}={value}" for name, value in IDENTITY.items())}
cd {WORKDIR}
rm -rf .git
git -c init.templateDir= init -q -b main .
git config core.hooksPath /dev/null
mkdir -p .git/info && printf %s {shlex.quote(ATTRIBUTES)} >.git/info/attributes
xargs -0 -r sh -c 'for f; do [ -e "$f" ] || [ -L "$f" ] && printf "%s\\0" "$f"; done; true' sh \\
    <{TOOLS}/files >/tmp/present
git --literal-pathspecs add -f --pathspec-from-file=/tmp/present --pathspec-file-nul
git -c core.logAllRefUpdates=false commit -q --allow-empty --no-gpg-sign -m 'Initial commit'
git config --unset core.hooksPath
"""
# The tree gets one modification time: a bug that is put in later gets it, too, and does not show.
CLEAN = f"""cd {WORKDIR}
git ls-files -z -o -- '*.py[co]' ':(glob)**/__pycache__/**' | xargs -0 -r rm -f
find . -name __pycache__ -type d -empty -delete
for name in {" ".join(LEFT_BY_TOOLS)}; do
    [ -n "$(git ls-files -- "$name" | head -1)" ] || rm -rf "$name"
done
(cd ~ && rm -rf {" ".join(REMOVED_AT_HOME)})
mkdir -p .git/info
git ls-files --others --exclude-standard --directory | sed 's|^|/|' >.git/info/exclude
rm -rf .git/logs .git/ORIG_HEAD
find . ! -path ./.git/index -exec touch -h -d @{TIME} {{}} +
"""
COMPILE = f"{PYTHON} -m compileall -q {VENV}/lib >/dev/null"
_SOURCES = f"{TOOLS}/programs"  # forager's
_COMPILED = f"{TOOLS}/cache/programs"  # in the agent's directory


def make_repository(bench: Workbench) -> None:
    """Make a repository of the working tree with exactly one commit."""
    bench.check(REPOSITORY, failure="the repository cannot be made")


def seal(bench: Workbench) -> str:
    """Remove the build's files and processes, make the only commit, and return its id.

    Installed files become root's, so that no test or agent can change them. Their byte code is
    complete: nobody could add to it later.
    """
    bench.check("pkill -KILL -u agent; true", user="root")
    make_repository(bench)
    bench.check(CLEAN, failure="the working tree cannot be cleaned")
    bench.run(COMPILE, directory="/")
    compiled = _compile_programs(bench)
    bench.check("pkill -KILL -u agent; true", user="root")
    bench.check(OWNED_BY_ROOT, user="root")
    if compiled:
        _keep_programs(bench)
    bench.check("rm -rf /root/.cache /root/.config /root/.local; true", user="root")
    commit = bench.check("git rev-parse HEAD", directory=WORKDIR).strip()
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise BuildError("the repository has no commit", commit[-1000:])
    return commit


def _compile_programs(bench: Workbench) -> bool:
    """Compile forager's programs with the image's Python; whether it could.

    Root runs nothing that the project installed, so the result is the agent's first.
    """
    bench.check(f"mkdir {_SOURCES}", user="root")
    sources = {copy_name(name): (program(name), 0o644) for name in names()}
    compiler = {"compiler": (program("compiler"), 0o644)}
    bench.put(archive(sources | compiler), _SOURCES)
    paths = " ".join(f"{_SOURCES}/{name}" for name in sources)
    command = f"{PYTHON} -I -S {_SOURCES}/compiler {_COMPILED} {paths}"
    return not bench.run(command, directory="/").code


def _keep_programs(bench: Workbench) -> None:
    """Copy the compiled programs to where sandboxes look for them, as root's."""
    paths = " ".join(f"{_COMPILED}/{copy_name(name)}" for name in names())
    bench.check(f"umask 022; install -D -m 644 -t {copies(PYTHON)} {paths}", user="root")
