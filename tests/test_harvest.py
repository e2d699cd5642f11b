"""Many images in one go: lists of sources, what is kept, and where a killed harvest goes on."""

from pathlib import Path

import pytest
from test_cli import forager

from forager.config import bytes_of
from forager.errors import BuildError, SourceError, StoreError, UsageError
from forager.images.builder import Diagnosis, RecipeFailed, failed
from forager.images.harvest import FailedBuild, Harvest, check_space, sources_of
from forager.images.image import Image
from forager.images.reasons import REASONS, explained, reason_of
from forager.records import read_records
from forager.sandboxes.engine import connect


def test_a_text_file_stands_for_its_lines(tmp_path: Path) -> None:
    """Comments and empty lines are skipped; a '#' within a source is part of it."""
    path = tmp_path / "projects.txt"
    path.write_text("# all\npypi:toolz\n\n  https://h/o/n#subdirectory=libs/a  # a package\n")
    expected = ["pypi:toolz", "https://h/o/n#subdirectory=libs/a", "other"]
    assert sources_of([str(path), "other"]) == expected
    path.write_text("# nothing\n")
    with pytest.raises(UsageError, match="name no source"):
        sources_of([str(path)])


def test_a_harvest_goes_on_where_it_was(tmp_path: Path) -> None:
    """Sources with a result are not left, also after a torn line; --retry tries failures again."""
    output = tmp_path / "images.jsonl"
    harvest = Harvest(output)
    harvest.refused("a", SourceError("a: no such thing"), 1.26)
    with pytest.raises(BuildError) as caught:
        raise explained("b", _failure()) from RecipeFailed(_failure())
    harvest.refused("b", caught.value, 2)
    with harvest.failures.open("a") as file:
        file.write('{"source": "c", "rea')
    again = Harvest(output)
    assert again.left(["a", "b", "c", "c", "d"], lambda _: True) == ["c", "d"]
    assert again.funnel(["a", "b", "c"]) == [("image", 0), ("source", 1), ("system package", 1)]
    retried = Harvest(output, retry=True)
    assert retried.left(["a", "b"], lambda _: True) == ["a", "b"]
    for _ in range(2):
        retried.refused("c", SourceError("c: gone"), 0)
    kept = list(read_records(harvest.failures, FailedBuild))
    assert [failure.source for failure in kept] == ["a", "b", "c"]
    assert kept[0].seconds == 1.3


@pytest.mark.engine
def test_a_directory_is_built_again_and_its_record_replaced(
    tmp_path: Path, kata_image: Image
) -> None:
    """Files may have changed; a source has one record; an image that is gone is built again."""
    directory, release = (
        kata_image.model_copy(
            update={"source": kata_image.source.model_copy(update={"given": given})}
        )
        for given in (str(tmp_path), "pypi:kata")
    )
    harvest = Harvest(tmp_path / "images.jsonl")
    for image in (directory, release, directory, directory.model_copy(update={"skipped": 7})):
        harvest.built(image)
    kept = list(read_records(harvest.output, Image))
    assert [(image.source.given, image.skipped) for image in kept] == [
        (str(tmp_path), 7),
        ("pypi:kata", kata_image.skipped),
    ]
    again = Harvest(harvest.output)
    assert again.left([str(tmp_path), "pypi:kata"], lambda _: True) == [str(tmp_path)]
    assert again.left(["pypi:kata"], lambda _: False) == ["pypi:kata"]


def test_a_directory_that_failed_is_tried_again_once_it_has_changed(tmp_path: Path) -> None:
    """A harvest of directories that was killed does not begin with its failures again."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "setup.py").write_text("bad")
    harvest = Harvest(tmp_path / "images.jsonl")
    harvest.refused(str(project), SourceError("no"), 1)
    again = Harvest(harvest.output)
    assert again.left([str(project)], lambda _: True) == []
    assert Harvest(harvest.output, retry=True).left([str(project)], lambda _: True)
    (project / "setup.py").write_text("better")
    assert again.left([str(project)], lambda _: True) == [str(project)]


def _failure() -> Diagnosis:
    log = "x.c:1: fatal error: curl/curl.h: No such file or directory"
    return failed("install", "`uv pip install -e .` failed", log).failure


_LACKING = "E   FileNotFoundError: [Errno 2] No such file or directory: '/testbed/tests/a.json'\n"
_LACKING += "FAILED tests/test_a.py::test_a - AssertionError: 4...\n"


@pytest.mark.parametrize(
    ("failure", "name"),
    [
        (_failure(), "system package"),
        (failed("install", "`x` took too long or too much memory").failure, "time limit"),
        (failed("install", "x", "No solution found when resolving").failure, "dependencies"),
        (failed("install", "x", "RuntimeError: no").failure, "build of the project"),
        (failed("collect", "x", "ImproperlyConfigured: settings").failure, "settings"),
        (failed("collect", "x", "E ModuleNotFoundError: No module named 'y'").failure, "imports"),
        (failed("collect", "x", "usage: nothing known").failure, "settings of pytest"),
        (failed("test", "x", "ConnectionRefusedError: [Errno 111]").failure, "service"),
        (failed("test", "x", "gaierror: Name or service not known").failure, "network"),
        (failed("test", "hollow: 1 of 9", "ModuleNotFoundError: a").failure, "hollow"),
        (failed("test", "only 1 of 9", "AssertionError: 1 != 2").failure, "failing tests"),
        (failed("test", "only 1 of 9", _LACKING).failure, "missing files"),
    ],
)
def test_each_failure_has_a_reason_and_a_suggestion(failure: Diagnosis, name: str) -> None:
    """The reason follows from the stage and from what the log says; the message suggests."""
    reason = reason_of(failure)
    assert reason.name == name
    message = str(explained("x", failure))
    assert message.startswith(f"x: {failure.message}")
    assert reason.suggestion in message
    assert "\n" not in message
    assert (_LACKING.splitlines()[0] in message) == (name == "missing files")
    assert 10 < len(REASONS) < 16


def test_a_monorepo_is_told_its_packages() -> None:
    """The message names folders for #subdirectory=."""
    several = _failure().model_copy(update={"packages": ["libs/a", "libs/b"]})
    message = str(explained("x", several))
    assert "#subdirectory=FOLDER: libs/a, libs/b" in message


def test_a_monorepo_that_fails_stands_for_its_packages(tmp_path: Path) -> None:
    """A harvest goes on with the packages, also after a kill, and counts them instead."""
    several = _failure().model_copy(update={"packages": ["libs/a", "libs/b"]})
    harvest = Harvest(tmp_path / "images.jsonl")
    with pytest.raises(BuildError) as caught:
        raise explained("x", several) from RecipeFailed(several)
    harvest.refused("x", caught.value, 1)
    harvest.refused("x#subdirectory=libs/a", SourceError("no"), 1)
    again = Harvest(tmp_path / "images.jsonl")
    assert again.packages(["x", "y"]) == ["x#subdirectory=libs/a", "x#subdirectory=libs/b"]
    assert again.left(again.packages(["x"]), lambda _: True) == ["x#subdirectory=libs/b"]
    assert again.funnel(["x"]) == [("image", 0), ("source", 1)]


@pytest.mark.parametrize(("text", "size"), [("20GB", 20 << 30), ("512m", 512 << 20), ("7", 7)])
def test_sizes(text: str, size: int) -> None:
    """Units count in powers of 1,024."""
    assert bytes_of(text) == size
    with pytest.raises(ValueError, match="as in 20GB"):
        bytes_of(f"{text}?")


@pytest.mark.engine
def test_no_build_begins_on_a_full_disk() -> None:
    """The message says what to do; the same command goes on afterwards."""
    check_space(connect(), 1)
    with pytest.raises(StoreError, match="docker image prune"):
        check_space(connect(), 1 << 60)


@pytest.mark.engine
def test_failures_are_kept_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call does not try failed sources again, and prints the same table."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "x.py").write_text("x = 1\n")
    sources = tmp_path / "projects.txt"
    sources.write_text(f"{tmp_path / 'empty'}\n{tmp_path / 'nowhere'}\n")
    output = tmp_path / "images.jsonl"
    for _ in range(2):
        result = forager("image", "build", sources, "-o", output)
        assert "1 of 2  no tests" in result.stderr, result.stderr
        assert "1 of 2  source" in result.stderr
    kept = list(read_records(output.with_suffix(".failed.jsonl"), FailedBuild))
    assert len(kept) == 2
    assert {failure.reason for failure in kept} == {"source", "no tests"}
