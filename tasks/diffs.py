"""Patches between commits or trees of a repository on this machine, as tasks record them."""

from collections.abc import Sequence
from pathlib import Path

from forager.environments.repository.patches import BINARY, patch_text
from forager.images.git import git, git_bytes
from forager.scratch import scratch

_OPTIONS = ("--binary", "--full-index", "--no-renames", "--no-color", "--no-ext-diff",
            "--ignore-submodules=all")  # fmt: skip


def patch_between(repository: Path, before: str, after: str, paths: Sequence[str] = ()) -> str:
    """The patch from one commit or tree to another, for `git apply`, without submodules.

    `repository` is one of our own. Raises SourceError.
    """
    limited = ["--", *(f":(literal){path}" for path in paths)]
    arguments = ["diff", *_OPTIONS, before, after, *limited]
    return patch_text(git_bytes(repository, *arguments), lambda: _binary(repository, arguments))


def _binary(repository: Path, arguments: Sequence[str]) -> bytes:
    """The same diff in git's binary form, made in a repository that borrows the objects."""
    objects = git(repository, "rev-parse", "--git-path", "objects").removesuffix("\n")
    kind = git(repository, "rev-parse", "--show-object-format").strip()
    with scratch("diff") as directory:
        git(directory, "init", "--quiet", "--bare", f"--object-format={kind}", ".")
        place = (repository / objects).resolve()
        (directory / "objects" / "info" / "alternates").write_text(f"{place}\n")
        (directory / "info").mkdir(exist_ok=True)
        (directory / "info" / "attributes").write_text(BINARY)
        return git_bytes(directory, *arguments)
