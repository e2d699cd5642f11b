"""Records that are made once: what is there stays, a lost sandbox costs its own record alone."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from operator import attrgetter
from pathlib import Path

import pytest
from test_never_lost import ours

from forager.errors import ForagerError, ImageMissing, SandboxError
from forager.images.image import Image
from forager.records import Record, read_records
from forager.resumed import RecordFile, Resumed, check_lost, resumed, retried
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits


class Length(Record):
    """How long a name is, as a sandbox computed it."""

    name: str
    length: int


def lengths(path: Path, make: Callable[[str], Length], *names: str) -> Resumed[Length]:
    """The lengths of these names, from the file or made."""
    return resumed("names", names, make, file_of(path), 1, lambda *_: None)


def file_of(path: Path) -> RecordFile[Length]:
    """Where they are kept."""
    return RecordFile(path, Length, attrgetter("name"))


@pytest.mark.engine
def test_a_killed_container_is_replaced_and_at_last_left_to_the_next_start(
    tmp_path: Path, kata_image: Image
) -> None:
    """One that is killed once costs nothing, one that is always killed costs its record alone."""
    tries: Counter[str] = Counter()

    def measured(name: str) -> Length:
        tries[name] += 1
        with closing(docker_sandbox(kata_image.reference, limits=Limits())) as sandbox:
            if name == "doomed" or (name == "hurt" and tries[name] == 1):
                for container in ours():
                    container.kill()
            return Length(name=name, length=int(sandbox.run(f"printf {name} | wc -c").output))

    names, path = ("hurt", "doomed", "well"), tmp_path / "lengths.jsonl"
    found = lengths(path, measured, *names)
    assert {name: made.length for name, made in found.records.items()} == {"hurt": 4, "well": 4}
    assert list(found.lost) == ["doomed"] and tries == {"hurt": 2, "doomed": 3, "well": 1}
    assert ours() == []
    with pytest.raises(ForagerError, match=r"1 names were lost .*\(doomed\), the last because the"):
        check_lost("names", found.lost)
    again = lengths(path, lambda name: Length(name=name, length=6), *names)
    assert list(again.records) == [*names] and not again.lost
    assert [made.name for made in read_records(path, Length)] == ["hurt", "well", "doomed"]


def test_what_no_other_sandbox_would_help_is_tried_once() -> None:
    """An image that is missing stays missing; other losses get two more tries."""
    tries: Counter[type[SandboxError]] = Counter()

    def failing(error: type[SandboxError]) -> None:
        tries[error] += 1
        raise error("gone")

    for error in (SandboxError, ImageMissing):
        with pytest.raises(error):
            retried(partial(failing, error))
    assert tries == {SandboxError: 3, ImageMissing: 1}


def test_what_is_made_is_kept_while_an_earlier_name_is_under_way(tmp_path: Path) -> None:
    """A kill loses only what is under way, however long the first name takes."""
    path, kept = tmp_path / "lengths.jsonl", list[str]()

    def make(name: str) -> Length:
        ends = time.monotonic() + 10
        while name == "slow" and not kept and time.monotonic() < ends:
            kept.extend(record.name for record in read_records(path, Length))
        return Length(name=name, length=len(name))

    resumed("names", ["slow", "b"], make, file_of(path), 2, lambda *_: None)
    assert kept == ["b"]


def test_progress_counts_what_is_there(tmp_path: Path) -> None:
    """What an earlier start made counts from the beginning."""
    path, told = tmp_path / "lengths.jsonl", list[tuple[str, int, int]]()

    def make(name: str) -> Length:
        return Length(name=name, length=len(name))

    lengths(path, make, "a")
    resumed(
        "names",
        ["a", "b"],
        make,
        file_of(path),
        1,
        lambda *given: told.append(given),
    )
    assert told == [("names", 1, 2), ("names", 2, 2)]
