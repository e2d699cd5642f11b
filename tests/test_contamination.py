"""What is kept out of training sets: known by name, by its first commit, by its files."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.errors import UsageError
from forager.images.image import Image
from forager.records import read_records, write_records
from tasks.contamination import (
    ContaminatedProject,
    admitted,
    alike,
    contaminated,
    read_projects,
    signature,
)

LIST = Path(__file__).parent.parent / "tasks" / "contamination.toml"
TWELVE = (
    *("astropy/astropy", "django/django", "matplotlib/matplotlib", "mwaskom/seaborn"),
    *("pallets/flask", "psf/requests", "pydata/xarray", "pylint-dev/pylint", "pytest-dev/pytest"),
    *("scikit-learn/scikit-learn", "sphinx-doc/sphinx", "sympy/sympy"),
)


def code(subject: str, count: int = 40) -> str:
    """A file of functions that differ."""
    return "".join(
        f"def {subject}_{number}(first, second):\n"
        f"    total_{number} = first * {number} + second\n"
        f"    return [total_{number}, {subject!r}, {number * 7}]\n\n\n"
        for number in range(count)
    )


def test_swe_benchs_own_are_in_the_list() -> None:
    """The list has all twelve repositories, each with names and file signatures."""
    listed = {project.name: project for project in read_projects(LIST)}
    for name in TWELVE:
        assert f"pypi/{name.partition('/')[2]}" in listed[name].also
        assert len(listed[name].files) >= 10
    assert LIST.stat().st_size < 128 << 10


@pytest.mark.parametrize(
    ("name", "project"),
    [
        ("django/django", "django/django"),
        ("Django/Django", "django/django"),
        ("pypi/django", "django/django"),
        ("someone/django", "django/django"),
        ("local/scikit_learn", "scikit-learn/scikit-learn"),
        ("kennethreitz/requests", "psf/requests"),
        ("pypi/pvlib", "pvlib/pvlib-python"),
        ("marshmallow-code/marshmallow", "marshmallow-code/marshmallow"),
        ("internetarchive/openlibrary", "internetarchive/openlibrary"),
        ("django/channels", ""),
        ("pypi/requests-oauthlib", ""),
        ("pytoolz/toolz", ""),
        ("local/kata", ""),
    ],
)
def test_by_name(name: str, project: str) -> None:
    """Names match as repositories and as distributions; forks keep the last part."""
    assert contaminated(name) == (
        f"by its name it is {project}, or a fork of it" if project else ""
    )


def test_by_the_first_commit() -> None:
    """A fork under another name shares the first commit."""
    root = "33850c0ebd23ae615e6823993d441f46d80b1ff0"
    assert contaminated("someone/bottle", roots=[root]) == (
        "its history begins as that of pallets/flask"
    )
    assert contaminated("someone/bottle", roots=["0" * 40]) == ""


def test_signatures_are_the_stored_ones() -> None:
    """Signatures equal the stored ones; another MinHash would match nothing, silently."""
    assert signature(code("alpha")) == SIGNATURE
    assert signature("x = 1\n") == ""


def test_by_files_that_are_nearly_the_same(tmp_path: Path) -> None:
    """Three nearly equal files are enough; two files or other code are not."""
    also = tmp_path / "also.toml"
    names = ["alpha", "beta", "gamma"]
    entries = "".join(f'"{name}.py" = ["{signature(code(name))}"]\n' for name in names)
    also.write_text(f'[[projects]]\nname = "sensei/dojo"\n[projects.files]\n{entries}')
    renamed = {
        f"other/{name}_new.py": code(name).replace("total_3", "sum_3") + code("delta", 5)
        for name in names
    }
    told = contaminated("someone/else", texts=renamed, also=also)
    assert told == "3 of its files are nearly those of sensei/dojo"
    two = dict(list(renamed.items())[:2])
    assert contaminated("someone/else", texts=two, also=also) == ""
    others = {f"{name}.py": code(name) for name in ("one", "two", "three", "four")}
    assert contaminated("someone/else", texts=others, also=also) == ""
    assert contaminated("sensei/dojo", also=also).startswith("by its name it is sensei/dojo")
    assert alike(signature(code("alpha")), signature(code("one"))) < 0.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        ("[[projects]\n", "is not TOML"),
        ('[[projects]]\nrepo = "a/b"\n', "is not a list of projects"),
        ("", "is not a list of projects"),
    ],
)
def test_a_list_that_cannot_be_read_is_said(
    tmp_path: Path, content: str | None, message: str
) -> None:
    """An error about an unreadable list shows the right form."""
    path = tmp_path / "also.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=message):
        contaminated("a/b", also=path)


def test_who_takes_one_all_the_same_is_told_what_it_is() -> None:
    """`keep` returns the reason; without it the error names the option."""
    assert admitted("pallets/flask", keep=True).startswith("by its name")
    assert admitted("a/b", keep=False) == ""
    with pytest.raises(ContaminatedProject, match="--keep-contaminated"):
        admitted("pallets/flask", keep=False)


@pytest.mark.engine
def test_mutate_fix_leaves_them_out(kata_image: Image, tmp_path: Path) -> None:
    """mutate-fix skips such a project in one line; with the option tasks carry the reason."""
    images, out = tmp_path / "images.jsonl", tmp_path / "tasks.jsonl"
    renamed = kata_image.source.model_copy(update={"name": "someone/flask"})
    write_records(images, [kata_image.model_copy(update={"source": renamed})])
    given = ["tasks", "mutate-fix", images, "-o", out, "--limit", "1", "--mutators", "operators"]
    refused = CliRunner().invoke(main, list(map(str, given)))
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert re.search(r"forager: someone/flask is kept out of training sets: .*\n", refused.stderr)
    assert not out.exists()
    made = CliRunner().invoke(main, [*map(str, given), "--keep-contaminated"])
    assert made.exit_code == 0, made.output
    (task,) = read_records(out, RepositoryTask)
    assert task.contaminated == "by its name it is pallets/flask, or a fork of it"
    planned = CliRunner().invoke(main, [*map(str, given), "--keep-contaminated", "--dry-run"])
    assert json.loads(planned.stdout)["keep_contaminated"] is True


SIGNATURE = (
    "pHLiOGRC0tF3+xEyviid6zeLVliI8ujbs5d3GdsvB5hcwK6psmFMdlCQNYZXI3LL+hIHp85wubMUxl3n+ccq8w=="
)
