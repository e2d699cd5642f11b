"""Takes the agent's changes out of its sandbox, as a patch.

A second repository, which is forager's own, takes the patch, so that the agent's shell, index,
settings, ignore rules and attributes have no influence. If the agent damaged `.git`, the commit
comes from a fresh sandbox. What is too large is left out and named.
"""

import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from posixpath import basename, dirname

from forager.environments.environment import AttemptAnswer
from forager.environments.repository.objects import ATTRIBUTES
from forager.environments.repository.patches import BINARY, patch_text
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import INDEX, PRESENT, open_task
from forager.errors import SandboxLost
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory
from forager.text import ending, safe

_PATCH_LIMIT = 16 << 20  # bytes
_FILE_LIMIT = 4 << 20  # bytes of a file that a patch may hold
_NEW_LIMIT, _NEW_FILES = 8 << 20, 1000  # bytes and number of new files, the smallest first
_NAMES_LIMIT = 256 << 10  # characters of their paths
_SECONDS = 60.0  # of one script: a pipe in place of an object would hold git for ever
_NAMED = 20  # files left out that are named
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # before the image's own
# New files that tools make and nobody writes. Everything else is taken, also where the project's
# own rules ignore it: a module in a directory called `data` or `lib` is part of the answer.
_PRODUCTS = """\
__pycache__/
*.py[cod]
*.so
*.o
*.egg
*.whl
*.egg-info/
*.dist-info/
.eggs/
/build/lib*/
/build/bdist.*/
/build/temp.*/
/build/scripts-*/
site-packages/
.venv*/
venv*/
node_modules/
.pytest_cache/
.mypy_cache/
.ruff_cache/
.hypothesis/
.benchmarks/
.tox/
.nox/
.cache/
.coverage
.coverage.*
htmlcov/
.ipynb_checkpoints/
.*.sw[op]
.aider*
.claude/
.codex/
"""
_UNWANTED = " ".join(f"-x {shlex.quote(pattern)}" for pattern in _PRODUCTS.split())

# Every attempt runs the scripts below, and starting a process costs more than its work, so there is
# no `git init` and no `wc`. Their arguments are the place of forager's own repository, the working
# tree and the commit.
_GIT = r"""
export GIT_DIR=$1/git GIT_WORK_TREE=$2 GIT_INDEX_FILE=$1/forager.index LC_ALL=C
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
[ -d "$2" ] && [ ! -L "$2" ] && cd "$2" || { echo "there is no directory $2"; exit 1; }
"""
_OWN = rf"""{_GIT}
mkdir -p "$1/git/objects/info" "$1/git/objects/pack" "$1/git/refs" "$1/git/info" || exit
echo 'ref: refs/heads/main' >"$1/git/HEAD" && echo '* !diff' >"$1/git/info/attributes" || exit
"""
# For images whose working tree has the bytes of the objects; in others it follows the attributes of
# the project.
_EXACT = f"""printf %s {shlex.quote(ATTRIBUTES)} >"$1/git/info/attributes" || exit
"""
# Takes objects, and nothing else, from the agent's repository. The index from the start saves
# reading unchanged files; `cp -p` keeps its time, from which git knows which files to read again.
_BORROW = rf"""{_OWN}
echo "$2/.git/objects" >"$1/git/objects/info/alternates"
[ ! -f {INDEX} ] || [ ! -f {PRESENT} ] || cp -p {INDEX} {PRESENT} "$1"
if [ -f .git/info/attributes ]; then
  IFS= read -r -n 200 line <.git/info/attributes
  [[ $line != {shlex.quote(ATTRIBUTES.strip())} ]] || {{ {_EXACT} }}
fi
"""
# Takes the objects from a pack.
_RESTORE = rf"""{_OWN}
git index-pack "$1/git/objects/pack/pack-base.pack" >/dev/null
"""
# Lists what was there at the start, then tags and names of changed and new files, then their sizes.
_LIST = rf"""{_GIT}
[ $UID = 0 ] || find . ! -readable -exec chmod u+rwX {{}} +
listed() {{ git ls-files -z -t -m -o {_UNWANTED} >"$1/listed"; }}
if ! [ -f "$1/forager.index" ] || ! listed "$1"; then
  rm -f "$1/forager.index" && git read-tree "$3" || exit
  git update-index -q --refresh
  listed "$1" || exit
fi
printf '\0' >"$1/nul" && [ -f "$1/forager.present" ] || : >"$1/forager.present"
cat "$1/forager.present" "$1/nul" "$1/listed" "$1/nul" >"$1/listing" || exit
[ ! -s "$1/listed" ] ||
  cut -z -c3- "$1/listed" | xargs -0 stat --printf '%s %n\0' >>"$1/listing" 2>/dev/null || :
"""
# Lists the files of a repository within the tree, which is the last argument.
_LIST_WITHIN = rf"""{_GIT}
cd "./$4" && export GIT_WORK_TREE=$PWD GIT_INDEX_FILE=$1/none || exit
printf '\0' >"$1/listing"
git ls-files -z -t -o {_UNWANTED} >>"$1/listing" && printf '\0' >>"$1/listing" || exit
git ls-files -z -o {_UNWANTED} | xargs -0 -r stat --printf '%s %n\0' >>"$1/listing" 2>/dev/null || :
"""
# Further arguments: the number of changed files to leave, these files, and the new files to take.
# Byte code that the project tracks is left as it is: Python writes and people remove it.
# With exit code 1, `git add` skipped files that it could not read.
_STAGE = rf"""{_GIT}
left=("${{@:5:$4}}") new=("${{@:5+$4}}")
git -c core.safecrlf=false add -u --ignore-errors -- . \
  ':(exclude,glob)**/__pycache__/**' "${{left[@]/#/:(exclude,literal)}}"
[ $? -le 1 ] || exit
[ ${{#new[@]}} = 0 ] || printf '%s\0' "${{new[@]}}" |
  git -c core.safecrlf=false update-index --add -z --stdin || exit
"""
_BINARY = rf"""{_GIT}
printf '%s' {shlex.quote(BINARY)} >"$1/git/info/attributes" || exit
"""
_DIFF = rf"""
ulimit -f {_PATCH_LIMIT >> 10}
git diff --cached --binary --no-color --no-ext-diff --no-textconv --no-renames "$3" >"$1/patch"
"""
_SIGXFSZ = 128 + 25  # exit code of a shell whose command wrote too much
_PACKED = "/tmp/forager.pack"
_PACK = f"""git rev-list --objects HEAD | git pack-objects -q --stdout >{_PACKED} &&
if [ -f .git/info/attributes ]; then cat .git/info/attributes; fi"""


@dataclass(frozen=True, slots=True)
class Base:
    """The commit of a task as a pack, and the names of the untracked files of its image."""

    pack: bytes
    present: bytes
    exact: bool
    """Whether the working tree has the bytes of the objects, whatever attributes say."""


def read_base(task: RepositoryTask, limits: Limits, sandboxes: SandboxFactory) -> Base:
    """Read the commit from a fresh sandbox. Raises SandboxError."""
    fresh, _ = open_task(task, limits, sandbox=sandboxes)
    try:
        packed = fresh.run(_PACK)
        if packed.exit_code:
            raise SandboxLost(f"cannot pack the commit: {ending(packed.output)}")
        exact = packed.output == ATTRIBUTES
        return Base(fresh.read(_PACKED), fresh.read(PRESENT), exact)
    except OSError as error:
        raise SandboxLost(f"cannot read the commit of a fresh sandbox: {error}") from error
    finally:
        fresh.close()


def take_patch(
    sandbox: Sandbox, commit: str, workdir: str, base: Callable[[], Base]
) -> AttemptAnswer:
    """Return the changes in the working tree since `commit`, new files included.

    Ends all processes of the agent. Files that are not UTF-8 appear as binary diffs. `base` is
    called if the agent's repository lacks the commit. If no patch can be taken, `problem` says why.
    """
    if not (sandbox.elevate() or _left_alone(sandbox)):
        return AttemptAnswer(problem="no patch can be taken: the agent's shell does not end")
    try:
        return _Taking(sandbox, commit, workdir).answer()
    except _CannotTakeError:
        restored = base()  # the agent may have damaged its own repository
    try:
        return _Taking(sandbox, commit, workdir, restored).answer()
    except _CannotTakeError as error:
        return AttemptAnswer(problem=f"no patch can be taken: {error}")


def _left_alone(sandbox: Sandbox) -> bool:
    """Replace the agent's shell and end all other processes; False if the agent prevents it.

    `state_lost` comes from the shell's keeper, and nothing in the sandbox can forge it.
    """
    if not sandbox.run("builtin exec /bin/true", timeout=10).state_lost:
        return False
    if sandbox.run("set -- /proc/[0-9]*; (($# == 2))").exit_code:  # the keeper and this shell
        sandbox.run("/bin/sleep 60", timeout=0.1)  # the timeout ends all other processes
    return True


@dataclass(frozen=True, slots=True)
class Listing:
    """The changed and the new files, and what was there at the start; sizes in bytes.

    A new path that ends with a slash is a repository of its own.
    """

    changed: dict[str, int] = field(default_factory=dict)
    new: dict[str, int] = field(default_factory=dict)
    present: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PatchFiles:
    """The new files to take, the changed files to leave, and what is left out, with reasons."""

    new: list[str]
    unchanged: list[str]
    left_out: list[str]


def choose(listing: Listing) -> PatchFiles:
    """Choose the files of a patch.

    Virtual environments are products, by whatever name. Of new files the smallest are taken.
    """
    large = {path: size for path, size in listing.changed.items() if size > _FILE_LIMIT}
    environments = [dirname(path) for path in listing.new if basename(path) == "pyvenv.cfg"]
    written = {
        path: size
        for path, size in listing.new.items()
        if path not in listing.present and not _is_within(path, environments)
    }
    taken: list[str] = []
    left, total, names = dict(large), 0, 0
    for size, path in sorted((size, path) for path, size in written.items()):
        total, names = total + size, names + len(path)
        many = total > _NEW_LIMIT or names > _NAMES_LIMIT or len(taken) == _NEW_FILES
        if many or size > _FILE_LIMIT:
            left[path] = size
        else:
            taken.append(path)
    return PatchFiles(taken, list(large), _named(left))


def _is_within(path: str, directories: Iterable[str]) -> bool:
    return any(path.startswith(f"{directory}/") for directory in directories)


def _named(sizes: Mapping[str, int]) -> list[str]:
    """The first names, each with the reason."""
    named = [
        f"{printable(path)}: {size:,} bytes, "
        + ("too large a file" if size > _FILE_LIMIT else "too many new files")
        for path, size in sorted(sizes.items())[:_NAMED]
    ]
    more = len(sizes) - len(named)
    return [*named, f"{more:,} more files"] if more else named


def printable(path: str) -> str:
    """A path as text that any file can hold."""
    return safe(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


class _CannotTakeError(Exception):
    """No patch can be taken; the message says why."""


class _Taking:
    """A repository of forager's own, with the objects of the agent's, or of `base` if given."""

    def __init__(
        self, sandbox: Sandbox, commit: str, workdir: str, base: Base | None = None
    ) -> None:
        self._sandbox, self._commit, self._workdir, self._base = sandbox, commit, workdir, base
        self._place = f"/tmp/forager.{secrets.token_hex(8)}"

    def answer(self) -> AttemptAnswer:
        """Take the patch. Raises _CannotTakeError, SandboxError."""
        if self._base:
            self._run(_OWN)
            self._write("git/objects/pack/pack-base.pack", self._base.pack)
            self._write("forager.present", self._base.present)
            self._run(_RESTORE + _EXACT * self._base.exact + _LIST)
        else:
            self._run(_BORROW + _LIST)
        choice = choose(self._listing())
        count = str(len(choice.unchanged))
        self._run(_STAGE + _DIFF, count, *choice.unchanged, *choice.new)
        patch = self._read("patch")
        if not patch and choice.left_out:
            return AttemptAnswer(problem=f"nothing was changed but {'; '.join(choice.left_out)}")
        return AttemptAnswer(text=patch_text(patch, self._binary), left_out=choice.left_out)

    def _listing(self) -> Listing:
        """The files, those of repositories within the tree included."""
        listing = read_listing(self._read("listing"))
        within = [path for path in listing.new if path.endswith("/")]
        for top in within:  # grows: repositories may lie within these, too
            del listing.new[top]
            self._run(_LIST_WITHIN, top)
            found = read_listing(self._read("listing")).new
            listing.new.update({top + path: size for path, size in found.items()})
            within += [top + path for path in found if path.endswith("/")]
            if len(within) > _NEW_FILES:
                raise _CannotTakeError("the tree holds too many other repositories")
        return listing

    def _binary(self) -> bytes:
        self._run(_BINARY + _DIFF)
        return self._read("patch")

    def _run(self, script: str, *more: str) -> None:
        arguments = [self._place, self._workdir, self._commit, *more]
        words = ["/bin/bash", "--noprofile", "--norc", "-c", script, "-", *arguments]
        command = f'/usr/bin/env -i PATH="{_PATH}:$PATH" {shlex.join(words)}'
        result = self._sandbox.run(command, timeout=_SECONDS)
        if result.exit_code == _SIGXFSZ:
            raise _CannotTakeError(f"the patch is larger than {_PATCH_LIMIT:,} bytes")
        if result.timed_out:
            raise _CannotTakeError(f"git took more than {result.seconds:.0f} s")
        if result.exit_code:
            raise _CannotTakeError(ending(result.output))

    def _read(self, name: str) -> bytes:
        try:
            return self._sandbox.read(f"{self._place}/{name}")
        except OSError as error:
            raise _CannotTakeError(f"{name} cannot be read: {error}") from error

    def _write(self, name: str, content: bytes) -> None:
        try:
            self._sandbox.write(f"{self._place}/{name}", content)
        except OSError as error:
            raise _CannotTakeError(f"{name} cannot be written: {error}") from error


def read_listing(content: bytes) -> Listing:
    """What `_LIST` has written: three parts, an empty entry after each of the first two."""
    entries = iter(content.decode("utf-8", "surrogateescape").split("\0"))
    present = frozenset(takewhile(bool, entries))
    tagged = [entry.split(" ", 1) for entry in takewhile(bool, entries)]
    sizes = {path: int(size) for size, path in _pairs(entries)}
    new = {path: sizes.get(path, 0) for tag, path in tagged if tag == "?"}
    changed = {path: sizes[path] for tag, path in tagged if tag != "?" and path in sizes}
    return Listing(changed, new, present)


def _pairs(entries: Iterable[str]) -> Iterator[list[str]]:
    return (entry.split(" ", 1) for entry in entries if entry)
