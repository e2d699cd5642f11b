"""Git submodules: an sdist often has their files, and a tree without them does not build."""

import re
import shutil
from pathlib import Path, PurePosixPath

from forager.images.git import commit_all
from forager.images.layout import read_text
from forager.images.sdist import download_sdist, unpack
from forager.scratch import scratch


def missing_submodules(tree: Path) -> list[str]:
    """The folders of submodules that hold no files."""
    stated = re.findall(r"^\s*path\s*=\s*(\S+)\s*$", read_text(tree, ".gitmodules"), re.MULTILINE)
    inside = [name for name in stated if not {"..", ".git", "/"} & {*PurePosixPath(name).parts}]
    return [name for name in inside if not _holds_files(tree / name)]


def fill_submodules(tree: Path, release: str) -> None:
    """Put the files of an sdist into the folders of submodules, as files of the project.

    Raises SourceError if there is no such sdist.
    """
    empty = missing_submodules(tree)
    if not empty:
        return
    sdist = download_sdist(f"pypi:{release}")
    with scratch("sdist") as directory:
        unpacked = directory / "unpacked"
        unpacked.mkdir()
        unpack(sdist.content, sdist.filename, unpacked)
        for name in empty:
            if _holds_files(unpacked / name) and _is_plain(tree, name):
                shutil.copytree(unpacked / name, tree / name, symlinks=True, dirs_exist_ok=True)
    commit_all(tree)


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and any(folder.iterdir())


def _is_plain(tree: Path, name: str) -> bool:
    """Whether no folder on the way is a link."""
    path = tree / name
    return path.parent.resolve() == tree.resolve() / PurePosixPath(name).parent
