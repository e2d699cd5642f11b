"""Puts a sandbox into the state that a task describes, and reads what was changed in it."""

from forager.environments.bubblewrap_sandbox import BubblewrapSandbox
from forager.environments.docker_sandbox import DockerSandbox
from forager.environments.sandbox import CommandResult, Limits, Sandbox, SandboxFactory
from forager.environments.task import Task
from forager.errors import SandboxError, TaskError

SANDBOXES: dict[str, SandboxFactory] = {
    "docker": DockerSandbox,
    "bubblewrap": BubblewrapSandbox,
}
"""What a run can choose from."""

_PATCH = "/tmp/forager.patch"
_PATCH_LIMIT = 16 << 20  # bytes

# The bug becomes the only commit: a new repository of the same files, so that no object of the
# right code is left. Dates are fixed, so that the commit is the same in every container.
_ONE_COMMIT = r"""
export GIT_AUTHOR_DATE='2000-01-01T00:00:00Z' GIT_COMMITTER_DATE='2000-01-01T00:00:00Z' &&
git ls-files -z > /tmp/forager.files && cp .git/info/exclude /tmp/forager.exclude &&
rm -rf .git && git init -q -b main && cp /tmp/forager.exclude .git/info/exclude &&
git add -f --pathspec-from-file=/tmp/forager.files --pathspec-file-nul &&
git -c user.name=forager -c user.email=forager@localhost \
  commit -q --allow-empty -m 'Initial commit' &&
rm -f /tmp/forager.files /tmp/forager.exclude
"""
_COMMITS = "git rev-list --all --reflog --count; git remote; git stash list"


def open_task(
    task: Task, limits: Limits, *, sandbox: SandboxFactory = DockerSandbox
) -> tuple[Sandbox, str]:
    """Start a sandbox of the task's image in the state that the agent is to see.

    Return it with the id of its one commit. Raises SandboxError.
    """
    opened = sandbox(task.image, limits=limits)
    try:
        if task.setup_patch:
            _must(opened, "git update-index -q --refresh || true")
            applied = apply_patch(opened, task.setup_patch, "--index")
            if applied.exit_code:
                raise TaskError(f"{task.instance_id}: setup_patch fails: {applied.output}")
        # Images of others may hold what came after the base, which is the fix.
        if task.setup_patch or _must(opened, _COMMITS).output.split() != ["1"]:
            _must(opened, f"( {_ONE_COMMIT} )")
        _must(opened, "find . -name __pycache__ -prune -exec rm -rf {} +")
        return opened, _must(opened, "git rev-parse HEAD").output.strip()
    except BaseException:
        opened.close()
        raise


def apply_patch(sandbox: Sandbox, patch: str, *options: str) -> CommandResult:
    """Apply a patch in the working tree; exit code 0 when it applied whole, else not at all."""
    sandbox.write(_PATCH, patch.encode("utf-8", "surrogateescape"))
    return sandbox.run(
        f"git apply --whitespace=nowarn {' '.join(options)} {_PATCH}; "
        f"code=$?; rm -f {_PATCH}; (exit $code)"
    )


def take_patch(sandbox: Sandbox, commit: str, workdir: str) -> str:
    """Return what changed in the working tree since `commit`, new files included.

    The agent owns the repository and may have broken it; then the patch is empty.
    """
    git = "git -c core.fsmonitor= -c core.hooksPath=/dev/null -c core.safecrlf=false"
    result = sandbox.run(
        f"cd {workdir} && rm -f .git/index.lock && {git} add -A . >/dev/null 2>&1 && "
        f"{git} diff --cached --binary --no-color --no-ext-diff --no-textconv --no-renames "
        f"{commit} 2>/dev/null",
        output_limit=_PATCH_LIMIT,
    )
    return result.output if result.exit_code == 0 and not result.omitted else ""


def _must(sandbox: Sandbox, command: str) -> CommandResult:
    result = sandbox.run(command)
    if result.exit_code:
        raise SandboxError(f"cannot prepare the repository: {result.output.strip()}")
    return result
