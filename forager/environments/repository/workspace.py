"""Puts a sandbox into a task's state.

A task's bug becomes part of the repository's only commit, so that no git object holds the right
code, and the commit is the same in every sandbox. This happens in place if every object that is
left belongs to that commit: references, logs and stashes go, the rest is pruned and counted.
Otherwise a new repository of the same tracked files replaces `.git`.

The bug does not show in modification times: files, directories and git objects get those that they
had without it. Change times and inode numbers still differ. To make them equal, the container would
have to copy every file, which takes Docker seconds for a thousand files.

Where no agent works, as in grading, the steps that only hide the bug's place or prepare the taking
of a patch are left out.
"""

from forager.environments.repository.services import start_services
from forager.environments.repository.task import RepositoryTask
from forager.errors import SandboxError, SandboxLost, TaskError
from forager.sandboxes.default_sandbox import default_sandbox
from forager.sandboxes.sandbox import CommandResult, Limits, Sandbox, SandboxFactory

PATCH_FILE = "/tmp/forager.patch"
APPLY = "git apply --whitespace=nowarn --index"
"""Applies a bug to the working tree, which must be that of the index."""
INDEX, PRESENT = ".git/forager.index", ".git/forager.present"
"""The index, and the names of untracked files, as they are when the agent begins."""

THERE = """while IFS= read -r -d '' path; do
  if [ -e "./$path" ] || [ -L "./$path" ]; then printf '%s\\0' "$path"; fi
done"""
"""Of paths that end with NUL bytes, prints those that exist."""
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
_REFRESH = "git update-index -q --refresh"
_PLAIN_BREAK = f"{_REFRESH}; {APPLY} {PATCH_FILE}; code=$?; rm -f {PATCH_FILE}; exit $code"
# Applies the setup patch. What it changes keeps its modification time, and so do the directories;
# new files get the time of the top.
_BREAK = rf"""
{_REFRESH}
declare -A among=()
while IFS= read -r -d '' path; do
  if [[ $path == *$'\t'*$'\t'* ]]; then path=${{path#*$'\t'}} path=${{path#*$'\t'}}; fi
  while [[ $path ]]; do
    among[$path]=1
    [[ $path == */* ]] && path=${{path%/*}} || path=
  done
done < <(git apply --numstat -z {PATCH_FILE})
mapfile -d '' -t before < <(stat --printf '%.9Y %n\0' -- . "${{!among[@]}}" 2>/dev/null)
{APPLY} {PATCH_FILE}
code=$?
rm -f {PATCH_FILE}
time=${{before[0]%% *}} same=(.)
touch -c -h -d "@$time" -- "${{!among[@]}}" 2>/dev/null
for line in "${{before[@]:1}}" ' '; do
  if [[ ${{line%% *}} != "$time" ]]; then
    touch -c -h -d "@$time" -- "${{same[@]}}"
    time=${{line%% *}} same=()
  fi
  same+=("${{line#* }}")
done
exit $code
"""
# Replaces the history in place; afterwards every object must belong to the commit.
_KNOWN_FILES = ("HEAD", "config", "description", "index", "COMMIT_EDITMSG", "*_HEAD", "packed-refs")
_KNOWN_DIRECTORIES = ("branches", "hooks", "info", "logs", "objects", "refs")
_REPLACED = rf"""
{_DATES}
shopt -s nullglob
GLOBIGNORE={":".join(f".git/{name}" for name in (*_KNOWN_FILES, *_KNOWN_DIRECTORIES))}
unknown=(.git/*)
unset GLOBIGNORE
[ ${{#unknown[@]}} = 0 ] && [[ $(<.git/config) != *'[remote'* ]] &&
rm -rf .git/logs .git/refs/* .git/packed-refs .git/*_HEAD &&
echo 'ref: refs/heads/main' >.git/HEAD && {_COMMIT} && git prune --expire=now &&
mapfile -t held < <(git rev-list --objects HEAD) || exit
loose=(.git/objects/??/*) elsewhere=(.git/objects/pack/* .git/objects/info/*alternates)
[[ ${{#loose[@]}} == "${{#held[@]}}" && ${{#elsewhere[@]}} == 0 ]]"""
_PLAIN_REPLACE = f'{_REPLACED} && echo "$held"'
_REPLACE = rf"""
time=$(stat -c %.9Y .git/HEAD) since=$(($(printf '%(%s)T' -1) - 1))
{_REPLACED} &&
find .git ! -path .git/index -newermt "@$since" -exec touch -h -d "@$time" {{}} + &&
echo "$held"
"""
# Replaces the repository by a new one with the same files. Some images lack tracked files.
_ANEW = rf"""
{_DATES}
git ls-files -z | {THERE} >/tmp/forager.files && mkdir -p /tmp/forager.info &&
{{ cp .git/info/exclude .git/info/attributes /tmp/forager.info 2>/dev/null; true; }} &&
rm -rf .git && git init -q -b main && mkdir -p .git/info && cp -r /tmp/forager.info/. .git/info &&
git --literal-pathspecs add -f --pathspec-from-file=/tmp/forager.files --pathspec-file-nul &&
{_COMMIT} && rm -rf /tmp/forager.files /tmp/forager.info && git rev-parse HEAD
"""
# Stale byte code could stand for a changed file. Tracked byte code is part of the project.
_CACHED = "-o -- ':(glob)**/__pycache__/**'"
_UNCACHE = (
    f"git ls-files -z {_CACHED} | xargs -0 -r rm -f; "
    "find . -name __pycache__ -type d -empty -delete"
)
_PLAIN_BEGIN = f"found=$(git ls-files {_CACHED}) || exit; [[ -z $found ]] || {{ {_UNCACHE}; }}"
_BEGIN = rf"""
git ls-files -z -o >{PRESENT} && cp -p .git/index {INDEX} || exit
if grep -q __pycache__/ {PRESENT}; then
  {_UNCACHE}
  git ls-files -z -o >{PRESENT}
fi
"""


def open_task(
    task: RepositoryTask,
    limits: Limits,
    *,
    sandbox: SandboxFactory = default_sandbox,
    for_agent: bool = True,
) -> tuple[Sandbox, str]:
    """Start a sandbox of the task's image in the state that the agent sees.

    Return it with the id of its only commit. Not `for_agent`, files have other times, and no patch
    can be taken. Raises SandboxError, and TaskError for a bad patch.
    """
    opened = sandbox(task.image, limits=limits)
    try:
        return opened, _prepare(opened, task, for_agent)
    except (TaskError, SandboxLost):
        opened.close()
        raise
    except SandboxError as error:  # nothing of an agent's was there yet
        opened.close()
        raise SandboxLost(str(error)) from error
    except BaseException:
        opened.close()
        raise


def _prepare(sandbox: Sandbox, task: RepositoryTask, for_agent: bool) -> str:
    """Bring a fresh sandbox into the task's state; return its only commit."""
    plain = (_PLAIN_BREAK, _PLAIN_REPLACE, _PLAIN_BEGIN)
    setup, replace, begin = (_BREAK, _REPLACE, _BEGIN) if for_agent else plain
    if task.setup_patch:
        sandbox.write(PATCH_FILE, task.setup_patch.encode("utf-8", "surrogateescape"))
        applied = sandbox.run(f"( {setup} )")
        if applied.exit_code:
            raise TaskError(f"{task.instance_id}: setup_patch fails: {applied.output}")
    # Images of data sets may contain commits after the base, and so the fix.
    commits = sandbox.run(f"( {replace if task.setup_patch else _COMMITS} )").output.split()
    if len(commits) != 1:
        commits = _must(sandbox, f"( {_ANEW} )").output.split()
    _must(sandbox, f"( {begin} )")
    start_services(sandbox, task.setup.services)
    return commits[0]


def preparation(task: RepositoryTask) -> str:
    """A script that does the same as `open_task` at the build of an image, without services.

    The agent's user runs it with bash in the repository. It removes the setup patch, which is at
    `PATCH_FILE`.
    """
    setup = f"( {_BREAK} ) || exit 1" if task.setup_patch else ":"
    return f"""set -f
{setup}
commits=( $( {_REPLACE if task.setup_patch else _COMMITS} ) )
[ ${{#commits[@]}} = 1 ] || ( {_ANEW} ) || exit 1
( {_BEGIN} )
"""


def apply_patch(sandbox: Sandbox, patch: str, *options: str) -> CommandResult:
    """Apply a patch to the working tree, entirely (exit code 0) or not at all."""
    sandbox.write(PATCH_FILE, patch.encode("utf-8", "surrogateescape"))
    return sandbox.run(
        f"git apply --whitespace=nowarn {' '.join(options)} {PATCH_FILE}; "
        f"code=$?; rm -f {PATCH_FILE}; (exit $code)"
    )


def _must(sandbox: Sandbox, command: str) -> CommandResult:
    result = sandbox.run(command)
    if result.exit_code:
        raise SandboxError(f"cannot prepare the repository: {result.output.strip()}")
    return result
