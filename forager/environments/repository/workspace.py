"""Puts a sandbox into a task's state, and reads the agent's changes.

A task's bug becomes part of the repository's only commit, so that no git object holds the right
code, and the commit is the same in every sandbox. This happens in place if every object that is
left belongs to that commit: references, logs and stashes go, the rest is pruned and counted.
Otherwise a new repository of the same tracked files replaces `.git`. A second repository, which is
forager's own, takes the patch; the agent's shell, index, settings and attributes have no influence.
"""

import re
import secrets
import shlex

from forager.environments.repository.task import RepositoryTask
from forager.errors import SandboxError, TaskError
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import CommandResult, Limits, Sandbox, SandboxFactory

_PATCH = "/tmp/forager.patch"
_PATCH_LIMIT = 16 << 20  # bytes
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # before the image's own
_INDEX = "forager.index"  # in .git, as it was at the start
_FILES = re.compile(rb"^(?=diff --git )", re.MULTILINE)

# The bug becomes the only commit, so that no object of the original code remains. Fixed dates give
# the same commit id in every container. Each script prints the ids of the commits it finds.
_DATES = "export GIT_AUTHOR_DATE='2000-01-01T00:00:00Z' GIT_COMMITTER_DATE='2000-01-01T00:00:00Z'"
_COMMIT = (
    "git -c user.name=forager -c user.email=forager@localhost -c core.hooksPath=/dev/null "
    "-c maintenance.auto=false commit -q --allow-empty -m 'Initial commit'"
)
_COMMITS = r"""
[[ $(<.git/config) != *'[remote'* ]] && git rev-list --all --reflog -n 2 HEAD
"""
# Replaces the history in place; afterwards every object must belong to the commit.
_KNOWN_FILES = ("HEAD", "config", "description", "index", "COMMIT_EDITMSG", "*_HEAD", "packed-refs")
_KNOWN_DIRECTORIES = ("branches", "hooks", "info", "logs", "objects", "refs")
_REPLACE = rf"""
{_DATES}
shopt -s nullglob
GLOBIGNORE={":".join(f".git/{name}" for name in (*_KNOWN_FILES, *_KNOWN_DIRECTORIES))}
unknown=(.git/*)
unset GLOBIGNORE
[ ${{#unknown[@]}} = 0 ] && [[ $(<.git/config) != *'[remote'* ]] &&
rm -rf .git/logs .git/refs/* .git/packed-refs .git/*_HEAD &&
echo 'ref: refs/heads/main' >.git/HEAD && {_COMMIT} && git prune --expire=now &&
mapfile -t held < <(git rev-list --objects HEAD) && there=$(git count-objects -v) || exit
[[ $there == "count: ${{#held[@]}}"$'\n'*$'\nin-pack: 0\n'* && $there != *alternate* ]] &&
echo "$held"
"""
# Replaces the repository by a new one with the same files.
_ANEW = rf"""
{_DATES}
git ls-files -z > /tmp/forager.files && cp .git/info/exclude /tmp/forager.exclude &&
rm -rf .git && git init -q -b main && cp /tmp/forager.exclude .git/info/exclude &&
git add -f --pathspec-from-file=/tmp/forager.files --pathspec-file-nul &&
{_COMMIT} && rm -f /tmp/forager.files /tmp/forager.exclude && git rev-parse HEAD
"""

# Stages the files in a second repository, which takes only objects and ignore rules from the
# agent's. The agent's index, settings, hooks and attributes have no effect, nor have attributes in
# files that would hide lines. The index from the start saves reading unchanged files; `cp -p` keeps
# its time, because git rereads files changed within that second. Every attempt runs this, and
# starting a process costs more than its work, so there is no `git init` and no `wc`.
_STAGE = rf"""
export GIT_DIR=$1/git GIT_WORK_TREE=$2 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C
mkdir -p "$1/git/objects/info" "$1/git/refs" "$1/git/info" && cd "$2" || exit
echo 'ref: refs/heads/main' >"$1/git/HEAD"
echo "$2/.git/objects" >"$1/git/objects/info/alternates"
[ ! -f .git/info/exclude ] || echo "$(<.git/info/exclude)" >"$1/git/info/exclude"
echo '* !diff' >"$1/git/info/attributes"
# With exit code 1, git skipped unreadable files or nested repositories without a commit.
stage() {{ git -c core.safecrlf=false add -A --ignore-errors .; [ $? -le 1 ]; }}
if ! [ -f .git/{_INDEX} ] || ! cp -p .git/{_INDEX} "$1/git/index" || ! stage; then
  rm -f "$1/git/index" && git read-tree "$3" && stage || exit
fi
"""
_BINARY = r"""
export GIT_DIR=$1/git GIT_WORK_TREE=$2 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C
cd "$2" && echo '* -diff' >"$1/git/info/attributes" || exit
"""
_DIFF = rf"""
ulimit -f {_PATCH_LIMIT >> 10}
git diff --cached --binary --no-color --no-ext-diff --no-textconv --no-renames "$3" >"$1/patch"
"""


def open_task(
    task: RepositoryTask, limits: Limits, *, sandbox: SandboxFactory = docker_sandbox
) -> tuple[Sandbox, str]:
    """Start a sandbox of the task's image in the state that the agent sees.

    Return it with the id of its only commit. Raises SandboxError, and TaskError for a bad patch.
    """
    opened = sandbox(task.image, limits=limits)
    try:
        if task.setup_patch:
            _must(opened, "git update-index -q --refresh || true")
            applied = apply_patch(opened, task.setup_patch, "--index")
            if applied.exit_code:
                raise TaskError(f"{task.instance_id}: setup_patch fails: {applied.output}")
        # Images of data sets may contain commits after the base, and so the fix.
        commits = opened.run(f"( {_REPLACE if task.setup_patch else _COMMITS} )").output.split()
        if len(commits) != 1:
            commits = _must(opened, f"( {_ANEW} )").output.split()
        _must(
            opened,
            "find . -name __pycache__ -prune -exec rm -rf {} + && "
            f"cp -p .git/index .git/{_INDEX}",
        )
        return opened, commits[0]
    except BaseException:
        opened.close()
        raise


def apply_patch(sandbox: Sandbox, patch: str, *options: str) -> CommandResult:
    """Apply a patch to the working tree, entirely (exit code 0) or not at all."""
    sandbox.write(_PATCH, patch.encode("utf-8", "surrogateescape"))
    return sandbox.run(
        f"git apply --whitespace=nowarn {' '.join(options)} {_PATCH}; "
        f"code=$?; rm -f {_PATCH}; (exit $code)"
    )


def take_patch(sandbox: Sandbox, commit: str, workdir: str) -> str:
    """Return the changes in the working tree since `commit`, new files included.

    The agent owns the repository and may have broken it; then the patch is empty. Its settings of
    the shell and of git have no effect. Files that are not UTF-8 appear as binary diffs.
    """
    if not _left_alone(sandbox):
        return ""
    place = f"/tmp/forager.{secrets.token_hex(8)}"
    patch = _diff(sandbox, _STAGE + _DIFF, place, workdir, commit)
    try:
        return patch.decode()
    except UnicodeDecodeError:
        return _readable(patch, _diff(sandbox, _BINARY + _DIFF, place, workdir, commit))


def _left_alone(sandbox: Sandbox) -> bool:
    """Replace the agent's shell and end all other processes; False if the agent prevents it.

    `state_lost` comes from the shell's keeper, and nothing in the sandbox can forge it.
    """
    if not sandbox.run("builtin exec /bin/true", timeout=10).state_lost:
        return False
    if sandbox.run("set -- /proc/[0-9]*; (($# == 2))").exit_code:  # the keeper and this shell
        sandbox.run("/bin/sleep 60", timeout=0.1)  # the timeout ends all other processes
    return True


def _diff(sandbox: Sandbox, script: str, place: str, workdir: str, commit: str) -> bytes:
    """The bytes of a diff; empty if it fails or is too large."""
    words = ["/bin/bash", "--noprofile", "--norc", "-c", script, "-", place, workdir, commit]
    result = sandbox.run(f'/usr/bin/env -i PATH="{_PATH}:$PATH" {shlex.join(words)}')
    try:
        return sandbox.read(f"{place}/patch") if result.exit_code == 0 else b""
    except OSError as error:
        raise SandboxError(f"cannot read the patch: {error}") from error


def _readable(patch: bytes, binary: bytes) -> str:
    """The patch with a binary diff for each file that is not UTF-8.

    After it come the changed lines as text that `git apply` skips, for readers and for grading.
    """
    parts = []
    for text, exact in zip(_FILES.split(patch), _FILES.split(binary), strict=True):
        try:
            parts.append(text.decode())
        except UnicodeDecodeError:
            lines = text.decode("utf-8", "replace").split("\n")
            changed = [line for line in lines if line.startswith(("+", "-"))]
            told = [f"{line}\n" for line in changed if not line.startswith(("+++", "---"))]
            parts += [exact.decode(), *told]
    return "".join(parts)


def _must(sandbox: Sandbox, command: str) -> CommandResult:
    result = sandbox.run(command)
    if result.exit_code:
        raise SandboxError(f"cannot prepare the repository: {result.output.strip()}")
    return result
