"""Starts as the reporter, or in the role that the reporter asks for."""

from __future__ import annotations

import sys

from .reporter import report
from .server import SERVE, serve


def main() -> None:
    """Run one of the roles; neither returns."""
    if sys.argv[1:2] == [SERVE]:
        serve([int(number) for number in sys.argv[2:]])
    report()
