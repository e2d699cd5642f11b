"""Where forager keeps its data: records of images, unpacked layers, locks."""

import os
from pathlib import Path


def data_directory() -> Path:
    """Return the data directory, made if necessary: $FORAGER_HOME, else ~/.local/share/forager."""
    home = os.environ.get("FORAGER_HOME")
    path = Path(home) if home else Path.home() / ".local" / "share" / "forager"
    path.mkdir(parents=True, exist_ok=True)
    return path
