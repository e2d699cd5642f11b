"""Files that commit 33c1043 wrote: a bootstrap of one round, with its data sets and settings.

The weights of the trained model are left out, so that the archive stays small.
"""

import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "data" / "earlier" / "bootstrap.tar.xz"


def unpack(directory: Path) -> Path:
    """Unpack the bootstrap's directory: bootstrap.toml, tasks, base, rehearsal, rounds."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extraction_filter = lambda member, _: member  # the archive is ours
        archive.extractall(directory)
    return directory / "bootstrap"
