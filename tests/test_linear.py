"""What reads text of others takes time in proportion to its length."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from forager.environments.repository.patches import changes_by_file
from forager.images.layout import read_ini, read_toml
from forager.images.requirements import read_requirements, stated_requirements
from forager.logins import LOGINS, without_login
from forager.mutation.model_written import _block
from forager.repair.observation import ToolAnswer
from forager.sandboxes.shell import BoundedOutput, _Scanner
from forager.text import ending, safe, safe_json
from forager.trajectories.record import ToolCall
from forager.trajectories.show import _shown_file
from tasks.r2e import _statement
from tools.files import occurrences
from tools.nearest import nearest

TOKEN = "0123456789abcdef" * 2
UNITS = ["a", " ", "\n", "a\n", "E ", "E\n", "a.", "Error", "FAILED a - ", "\x1b]", "\x1b[", "["]
UNITS += [
    "http://a@",
    "?key=",
    "[ISSUE]",
    "```\n",
    "```python\n",
    "\\\n",
    "x b/",
    "&& cat ",
    f"{TOKEN} 0 ",
]
SECONDS, TIMES, LENGTH = 0.2, 24, 8000


def written(directory: Path, name: str, text: str) -> Path:
    """Write a file of a project."""
    (directory / name).write_text(text)
    return directory


def scan(text: str) -> None:
    """Scan output of a command."""
    scanner = _Scanner((TOKEN, TOKEN[::-1]), BoundedOutput(1000))
    data = text.encode()
    for start in range(0, len(data), 4096):
        scanner.write(data[start : start + 4096])


def observe(text: str) -> None:
    """Read what a command printed."""
    answer = ToolAnswer(text, ToolCall(message=0, tool="bash"))
    found = (answer.failed, answer.errors, answer.words, answer.frames)
    assert all(isinstance(part, list) for part in found)


def blocks(text: str) -> None:
    """Read the code blocks of an answer."""
    try:
        _block(text)
    except Exception as error:
        assert "code blocks" in str(error)


def edit(text: str) -> None:
    """Look for lines in a file."""
    lines = text.encode().split(b"\n")
    search = [*lines[: len(lines) // 10], b"none"]
    assert not list(occurrences(lines, search))
    nearest(lines, search)


READERS: dict[str, Callable[[str, Path], object]] = {
    "text": lambda text, _: (safe(text), safe_json(text), ending(text)),
    "logins": lambda text, _: (LOGINS.hide(text), without_login(text), LOGINS.take(text)),
    "scanner": lambda text, _: scan(text),
    "patches": lambda text, _: changes_by_file(f"diff --git a/{text}\n@@ x"),
    "observations": lambda text, _: observe(text),
    "answers": lambda text, _: blocks(text),
    "statements": lambda text, _: _statement(text),
    "edits": lambda text, _: edit(text),
    "commands": lambda text, _: _shown_file(f"cat {text}!"),
    "requirements": lambda text, place: read_requirements(
        written(place, "requirements.txt", f"a{text}b"), "requirements.txt"
    ),
    "ini": lambda text, place: read_ini(written(place, "tox.ini", f"[a]\na{text}b"), "tox.ini"),
    "toml": lambda text, place: read_toml(written(place, "a.toml", f"a = {text}"), "a.toml"),
    "keys of toml": lambda text, place: read_toml(
        written(place, "b.toml", f"{text}a = 1"), "b.toml"
    ),
    "projects": lambda text, place: list(
        stated_requirements(written(place, "setup.py", f"name = '{text}'\n{text}"))
    ),
}


def seconds(read: Callable[[str, Path], object], text: str, place: Path) -> float:
    """The processor time of this thread, as others use the machine, too."""
    began = time.thread_time()
    read(text, place)
    return time.thread_time() - began


@pytest.mark.parametrize("name", READERS)
def test_eight_times_the_length_takes_less_than_24_times_the_time(
    name: str, tmp_path: Path
) -> None:
    """Each unit of hostile text repeats; a reader whose time grows with the square takes 64 times.

    Short times are not compared.
    """
    read = READERS[name]
    for unit in UNITS:
        small, large = (unit * (length // len(unit)) for length in (LENGTH, 8 * LENGTH))
        if seconds(read, large, tmp_path) > SECONDS:
            short = min(seconds(read, small, tmp_path) for _ in range(3))
            assert seconds(read, large, tmp_path) < TIMES * short, unit


def test_requirements_that_name_each_other_are_read_once(tmp_path: Path) -> None:
    """Files that name themselves many times would be read exponentially often."""
    for name in ("a.txt", "b.txt"):
        written(tmp_path, name, 50 * "-r a.txt\n-r b.txt\n" + "widget\n")
    assert read_requirements(tmp_path, "a.txt") == ["widget", "widget"]
