import threading
from pathlib import Path

import pytest
from attempts import Settings, make_attempt
from test_cli import forager

from forager.errors import StoreError, UsageError
from forager.trajectories.marks import Marks, read_tags
from forager.trajectories.store import Run


def test_the_last_word_holds(tmp_path: Path) -> None:
    """The last mark wins, unchanged parts stay, and others see it when they look."""
    mine, other = Marks(tmp_path), Marks(tmp_path)
    mine.say("a.0", marked=True, tags=("good", "short"))
    mine.say("a.0", note="a lucky guess", tags=("good",))
    assert other.of("a.0").marked is False
    assert other.refresh()
    assert not other.refresh()
    found = other.of("a.0")
    assert (found.marked, found.tags, found.note) == (True, ("good",), "a lucky guess")
    assert len((tmp_path / "marks.jsonl").read_text().splitlines()) == 2


def test_marks_choose(tmp_path: Path) -> None:
    """Marks select by all named tags, and by the mark."""
    marks = Marks(tmp_path)
    marks.say("a", tags=("x", "y"))
    marks.say("b", tags=("x",), marked=True)
    assert marks.ids(["x"]) == {"a", "b"}
    assert marks.ids(["x", "y"]) == {"a"}
    assert marks.ids(marked=True) == {"b"}
    assert marks.tags() == ["x", "y"]


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    """Readers skip a torn line, and the next writer cuts it off."""
    marks = Marks(tmp_path)
    marks.say("a", marked=True)
    with marks.path.open("a") as file:
        file.write('{"id":"a","mark')
    assert Marks(tmp_path).of("a").marked
    Marks(tmp_path).say("b", marked=True)
    assert Marks(tmp_path).ids(marked=True) == {"a", "b"}


def test_several_may_write(tmp_path: Path) -> None:
    """Concurrent writers lose none of each other's marks."""

    def write(name: str) -> None:
        for number in range(20):
            Marks(tmp_path).say(f"{name}.{number}", marked=True)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Marks(tmp_path).ids(marked=True)) == 60


def test_tags_are_words() -> None:
    """Spaces or commas separate tags."""
    assert read_tags(" good, short  good ") == ("good", "short")
    for text in ("a:b", "\x1b[31m"):
        with pytest.raises(UsageError, match="is not a tag"):
            read_tags(text)


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    """An unwritable place gives one line of error."""
    marks = Marks(tmp_path / "no" / "run")
    with pytest.raises(StoreError, match="cannot write"):
        marks.say("a", marked=True)


def test_list_takes_tags_and_marks(tmp_path: Path) -> None:
    """`list` selects by marks of a run, and by those next to a file of attempts."""
    run = tmp_path / "run"
    with Run.write(run, Settings(), []) as writer:
        for number in range(3):
            writer.append(make_attempt("a", number))
    Marks(run).say("a.1", tags=("good",))
    Marks(run).say("a.2", tags=("good", "odd"), marked=True)
    for options, ids in (
        ("--tag good", ["a.1", "a.2"]),
        ("--tag good --tag odd", ["a.2"]),
        ("--marked", ["a.2"]),
        ("--tag none", []),
    ):
        rows = forager("list", run, *options.split()).stdout.splitlines()[1:]
        assert [row.split()[0] for row in rows] == ids
