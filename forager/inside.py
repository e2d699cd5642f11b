"""Whether paths of foreign trees and archives stay inside a directory.

Without `strict`, Python's `resolve` and `realpath` take what they cannot look up for no link. A
chain of links can make a path too long to look up, yet the kernel follows it (CVE-2025-4517): so
what cannot be looked up counts as outside.
"""

import os
import stat
from pathlib import Path, PurePosixPath


def is_inside(path: Path, directory: Path) -> bool:
    """Whether what is at a path, with the links that it goes through, lies in a directory."""
    try:
        return path.resolve(strict=True).is_relative_to(directory.resolve(strict=True))
    except (OSError, RuntimeError):  # it is not there, or a link leads to itself
        return False


def place_inside(directory: Path, name: str) -> Path:
    """Where an archive's member is to be written.

    Raises ValueError for a name that leads out of the directory or through a link in it, or that
    cannot be looked up.
    """
    parts = PurePosixPath(name.lstrip("/")).parts
    if ".." in parts:
        raise ValueError(f"{name[:200]} leads outside")
    place = directory
    for part in parts:
        place = place / part
        try:
            state = os.lstat(place)
        except FileNotFoundError:
            break
        except OSError as error:  # such as a name that is too long
            raise ValueError(f"{name[:200]} cannot be looked up: {error.strerror}") from error
        if stat.S_ISLNK(state.st_mode):
            raise ValueError(f"{name[:200]} leads through a link")
    return directory.joinpath(*parts)
