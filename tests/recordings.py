"""Recordings of small programs, made by the interpreters that this machine has."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from textwrap import dedent
from typing import NamedTuple

import pytest
from test_programs import interpreter

from forager.tracing.stream import Event, StreamReader

ROOT = Path(__file__).parent.parent
HELPERS = Path(gettempdir()) / f"forager-test-helpers-{os.getuid()}"
RECORDERS = ("c", "python")


class Recording(NamedTuple):
    """What was recorded, why something is missing, and what the program returned."""

    stream: bytes
    missing: list[str]
    answer: str
    recorder: str

    @property
    def events(self) -> list[Event]:
        """The events of the stream."""
        return list(StreamReader(self.stream).events())


find = cache(interpreter)


def python_of(version: str) -> str:
    """Return an interpreter; skip the test, with the version in the reason, if there is none."""
    return find(version) or pytest.skip(f"there is no Python {version} on this machine")


def record(path: Path, recorder: str, version: str = "", limits: Sequence[float] = ()) -> Recording:
    """Record `main()` of a file; by default with the Python of the tests."""
    HELPERS.mkdir(exist_ok=True)
    program = Path(__file__).parent / "recording_program.py"
    programs = ROOT / "forager" / "programs"
    done = subprocess.run(
        [
            *(python_of(version) if version else sys.executable, "-W", "ignore", str(program)),
            *(str(programs), str(path), recorder, str(HELPERS), *map(str, limits)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "SECRET": "hunter22hunter22"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    stream = base64.b64decode(found["stream"])
    return Recording(stream, found["missing"], found["answer"], found["recorder"])


def recorded(
    tmp_path: Path, source: str, recorder: str, version: str = "", limits: Sequence[float] = ()
) -> Recording:
    """Record `main()` of a source text."""
    path = tmp_path / "program.py"
    path.write_text(dedent(source))
    return record(path, recorder, version, limits)
