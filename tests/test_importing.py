"""Rows of data sets: what becomes of them, and that it can be solved and graded."""

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import dataset_rows as rows
import pytest
from click.testing import CliRunner, Result
from conftest import BUGGY, FAILING, PASSING, PYPROJECT
from test_rollout import FIX, SUBMIT, script
from test_rollout import run as batch

from forager.cli.imports import FORMATS as NAMED
from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.images.build import build
from forager.images.image import Image
from forager.mutation.prove import check
from forager.records import read_records, write_records
from forager.sandboxes.engine import connect
from forager.trajectories.record import Trajectory
from tasks.importing import FORMATS, ImportRequest, RefusedRow, import_rows, task_of
from tasks.rows import ReadRow, UnusableRow, read_rows

SPECS = find_spec("swebench") is not None


def forager(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def imported(format: str, row: dict[str, Any], **wanted: Any) -> RepositoryTask:
    """The task of a row, contaminated or not."""
    task = task_of(row, ImportRequest(FORMATS[format], keep_contaminated=True, **wanted))
    assert isinstance(task, RepositoryTask)
    return task


def lines(path: Path, listed: list[dict[str, Any]]) -> Path:
    """Write a JSON Lines file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in listed))
    return path


def test_the_command_has_the_formats_there_are() -> None:
    """The command lists all formats without importing their readers."""
    assert tuple(FORMATS) == NAMED == tuple(rows.ROWS)


@pytest.mark.parametrize("format", ["swe-bench", "swe-gym", "swe-rebench", "nemotron"])
def test_fields_keep_their_meaning(format: str) -> None:
    """Fields shared with SWE-bench keep their values, and test files become protected."""
    task = imported(format, rows.ROWS[format][0])
    assert (task.kind, task.repo, task.base_commit) == ("issue-fix", "sensei/dojo", rows.COMMIT)
    assert (task.patch, task.test_patch) == (rows.PATCH, rows.TEST_PATCH)
    assert (task.FAIL_TO_PASS, task.PASS_TO_PASS) == (FAILING, PASSING)
    assert (task.problem_statement, task.setup_patch) == (rows.ISSUE, "")
    assert task.setup.protected == ["tests/test_core.py"]
    assert (task.version, task.created_at) == ("1.0", "2024-03-03T15:14:54Z")


def test_a_patch_of_swe_smith_makes_the_bug() -> None:
    """The row's patch becomes the setup patch, and its reverse the reference."""
    task = imported("swe-smith", rows.SMITH)
    assert (task.setup_patch, task.patch, task.test_patch) == (rows.BUG, rows.PATCH, "")
    assert (task.repo, task.base_commit) == ("sensei/kata", "5d1f0c9f")


def test_a_commit_of_r2e_gym_is_put_together() -> None:
    """The code's diff is the reference; the row's own tests become a test patch."""
    task = imported("r2e-gym", rows.R2E)
    assert task.patch.split("\n@@")[1:] == rows.PATCH.split("\n@@")[1:]
    assert "tests/test_core.py" not in task.patch
    assert task.test_patch.startswith("diff --git a/r2e_tests/test_1.py b/r2e_tests/test_1.py\nnew")
    assert rows.r2e_names(FAILING) == task.FAIL_TO_PASS
    assert rows.r2e_names(PASSING) == task.PASS_TO_PASS
    assert task.problem_statement == rows.ISSUE


CASES = (
    "diff --git a/a.test b/a.test\n--- a/a.test\n+++ b/a.test\n"
    "@@ -0,0 +1,2 @@\n+[case testOne]\n+[case testTwo]\n"
)
CONDA = "source /opt/miniconda3/bin/activate && conda activate testbed\n"
EVALUATED = {
    "the test files": ("swe-bench", rows.BENCH, CONDA + "pytest -rA tests/test_core.py", "pytest"),
    "the eval_script": (
        "swe-bench",
        rows.BENCH_5,
        CONDA + "export KATA_LEVEL='first dan'\npytest -rA --tb=no tests/test_core.py",
        "pytest",
    ),
    "django's parser": (
        "swe-bench",
        {**rows.BENCH_5, "log_parser": "parse_log_django"},
        CONDA + "export KATA_LEVEL='first dan'\npytest -rA --tb=no tests/test_core.py",
        "unittest",
    ),
    "test_cmds": ("swe-bench", rows.LIVE, CONDA + "pytest -rA tests/test_core.py", "pytest"),
    "a repository of SWE-Gym": (
        "swe-gym",
        {**rows.GYM, "repo": "getmoto/moto"},
        CONDA + "pytest -rA -n0 tests/test_core.py",
        "pytest",
    ),
    "another one": (
        "swe-gym",
        {**rows.GYM, "repo": "conan-io/conan"},
        CONDA + "export PYTHONPATH=${PYTHONPATH:-}:$(pwd)\npytest -rA -n0 tests/test_core.py",
        "pytest",
    ),
    "cases of mypy": (
        "swe-gym",
        {**rows.GYM, "repo": "python/mypy", "test_patch": CASES},
        CONDA + "pytest -n0 -rA -k 'testOne or testTwo'",
        "pytest",
    ),
    "install_config": (
        "swe-rebench",
        rows.REBENCH,
        CONDA + "pytest --no-header -rA --tb=line --color=no -p no:cacheprovider "
        "tests/test_core.py",
        "pytest",
    ),
    "the files of the tests": (
        "swe-smith",
        rows.SMITH,
        CONDA + "pytest --disable-warnings --color=no --tb=no --verbose tests/test_core.py",
        "pytest",
    ),
    "tests of R2E-Gym": (
        "r2e-gym",
        rows.R2E,
        "export PATH=/testbed/.venv/bin:$PATH\npython -W ignore -m pytest -rA r2e_tests",
        "dotted",
    ),
    "a test_script": (
        "nemotron",
        rows.NEMOTRON_GENERATION,
        CONDA + "pytest -n0 -rA tests/test_core.py",
        "pytest",
    ),
}


@pytest.mark.parametrize("name", EVALUATED)
def test_a_row_is_evaluated_as_its_data_set_does_it(name: str) -> None:
    """A task keeps the data set's test command, environment and log parser."""
    format, row, command, parser = EVALUATED[name]
    setup = imported(format, row).setup
    assert (setup.command, setup.parser) == (command, parser)


IMAGES = {
    "swebench/sweb.eval.x86_64.sensei_1776_dojo-17:latest": ("swe-bench", rows.BENCH),
    "sweb.eval.arm64.dojo:latest": (
        "swe-bench",
        {**rows.BENCH_5, "image": "sweb.eval.arm64.dojo:latest"},
    ),
    "starryzhang/sweb.eval.x86_64.sensei_1776_dojo-19:latest": ("swe-bench", rows.LIVE),
    "xingyaoww/sweb.eval.x86_64.sensei_s_dojo-20:latest": ("swe-gym", rows.GYM),
    "swerebench/sweb.eval.x86_64.sensei_1776_dojo-21": ("swe-rebench", rows.REBENCH),
    "swebench/swesmith.x86_64.sensei_1776_kata.5d1f0c9f": ("swe-smith", rows.SMITH),
    f"namanjain12/dojo_final:{rows.COMMIT}": ("r2e-gym", rows.R2E),
    "xingyaoww/sweb.eval.x86_64.sensei_s_dojo-25:latest": ("nemotron", rows.NEMOTRON_GENERATION),
    "xingyaoww/sweb.eval.x86_64.sensei_s_dojo-26:latest": (
        "nemotron",  # NeMo Gym's `mini_swe_agent`
        {**rows.GYM, "instance_id": "sensei__dojo-26", "subset": "gym", "split": "train"},
    ),
}


@pytest.mark.parametrize("image", IMAGES)
def test_a_row_names_its_image(image: str) -> None:
    """The image comes from a field of the row or from its data set's rule."""
    format, row = IMAGES[image]
    assert imported(format, row).image == image


@pytest.mark.skipif(not SPECS, reason="swebench is not installed")
@pytest.mark.filterwarnings("ignore")  # of the many packages that it imports
@pytest.mark.parametrize(
    ("facts", "command", "parser"),
    [
        (
            (
                "astropy__astropy-12907",
                "astropy/astropy",
                "4.3",
                "astropy/modeling/tests/test_separable.py",
            ),
            "pytest -rA astropy/modeling/tests/test_separable.py",
            "pytest",
        ),
        (
            ("django__django-11099", "django/django", "3.0", "tests/auth_tests/test_validators.py"),
            "export LANG=en_US.UTF-8\nexport LANGUAGE=en_US:en\nexport LC_ALL=en_US.UTF-8\n"
            "./tests/runtests.py --verbosity 2 --settings=test_sqlite --parallel 1 "
            "auth_tests.test_validators",
            "unittest",
        ),
        (
            ("sympy__sympy-20590", "sympy/sympy", "1.7", "sympy/core/tests/test_basic.py"),
            "PYTHONWARNINGS='ignore::UserWarning,ignore::SyntaxWarning' bin/test -C --verbose "
            "sympy/core/tests/test_basic.py",
            "sympy",
        ),
        (
            ("psf__requests-2317", "psf/requests", "2.4", "test_requests.py"),
            "pytest -rA test_requests.py",
            "pytest-options",
        ),
    ],
)
def test_swebench_is_asked_for_what_only_it_knows(
    facts: tuple[str, str, str, str], command: str, parser: str
) -> None:
    """Older SWE-bench rows get their command from the package `swebench`."""
    name, repo, version, file = facts
    patch = rows.TEST_PATCH.replace("tests/test_core.py", file)
    row = {**rows.BENCH, "instance_id": name, "repo": repo, "version": version, "test_patch": patch}
    setup = imported("swe-bench", row).setup
    assert (setup.command, setup.parser) == (CONDA + command, parser)


UNFIT = {
    "no failing test": ("swe-bench", {**rows.BENCH, "FAIL_TO_PASS": "[]"}, "FAIL_TO_PASS is empty"),
    "no tests": ("swe-bench", {**rows.COMMON}, "FAIL_TO_PASS is missing or empty"),
    "no issue": (
        "swe-smith",
        {**rows.SMITH, "problem_statement": ""},
        "problem_statement is missing",
    ),
    "another language": (
        "swe-bench",
        {**rows.BENCH_5, "log_parser": "parse_log_jest"},
        "its log parser (parse_log_jest) is none that forager has",
    ),
    "a parser that is a program": (
        "swe-bench",
        {**rows.LIVE, "log_parser": "def parser(log):\n    return {}"},
        "its log parser (a program)",
    ),
    "a language of V2": ("swe-rebench", {**rows.REBENCH_2, "language": "go"}, "it is of go"),
    "another place": ("swe-rebench", rows.REBENCH_2, "the repository at /dojo; build one here"),
    "no image": ("nemotron", rows.NEMOTRON_OWN, "its image is not named; build one here"),
    "no test of Python's": (
        "swe-gym",
        {**rows.GYM, "test_patch": rows.TEST_PATCH.replace("test_core.py", "cases.txt")},
        "changes no test file",
    ),
    "a new file": (
        "swe-smith",
        {**rows.SMITH, "patch": "diff --git a/a.py b/a.py\nnew file mode 100644\n"},
        "adds, removes or renames files",
    ),
    "tests of Go": (
        "swe-smith",
        {**rows.SMITH, "FAIL_TO_PASS": ["TestOne"], "PASS_TO_PASS": ["TestTwo"]},
        "its tests are not pytest's",
    ),
    "marks are missing": (
        "swe-bench",
        {**rows.BENCH_5, "eval_script": "pytest"},
        "no marks around the tests",
    ),
    "no JSON": (
        "swe-bench",
        {**rows.BENCH, "PASS_TO_PASS": "[,"},
        "PASS_TO_PASS: it is neither JSON",
    ),
    "another format": ("r2e-gym", rows.BENCH, "parsed_commit_content or execution_result_content"),
    "parts that are not there": (
        "r2e-gym",
        {**rows.R2E, "parsed_commit_content": '{"file_diffs": [{}]}'},
        "it is not of this format",
    ),
    "nothing within": ("nemotron", {"responses_create_params": {}}, "it holds no instance"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_be_mapped_is_refused(name: str) -> None:
    """A row that cannot become a task is refused with a reason."""
    format, row, reason = UNFIT[name]
    with pytest.raises(UnusableRow) as caught:
        imported(format, row)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["jsonl", "json", "by id", "lines as json", "parquet", "hub"])
def test_rows_are_read_from(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come from every kind of file and from data sets that `datasets` loads."""
    listed = [rows.GYM, {**rows.GYM, "instance_id": "second"}]
    path = tmp_path / {"jsonl": "a.jsonl", "parquet": "a.parquet", "hub": "set"}.get(kind, "a.json")
    if kind in ("jsonl", "lines as json"):
        lines(path, listed)
    elif kind == "json":
        path.write_text(json.dumps(listed))
    elif kind == "by id":
        path.write_text(json.dumps({row["instance_id"]: row for row in listed}))
    else:
        import pyarrow
        from pyarrow.parquet import write_table

        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        if kind == "hub":
            path.mkdir()
            for split in ("train", "test"):
                write_table(pyarrow.Table.from_pylist(listed), path / f"{split}.parquet")
        else:
            write_table(pyarrow.Table.from_pylist(listed), path)
    found = [
        read.row
        for read in read_rows(str(path), "train" if kind == "hub" else None)
        if not isinstance(read.row, UnusableRow)
    ]
    assert [row["instance_id"] for row in found] == [row["instance_id"] for row in listed]
    assert found[0]["FAIL_TO_PASS"] == FAILING


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "is neither a file nor a data set on the Hub"),
        ("a.jsonl", '{"a"\n[', "a.jsonl has no rows: row 1: it is not JSON"),
        ("a.jsonl", "3\n", "a.jsonl has no rows: row 1: it is not a JSON object"),
        ("a.jsonl", "\xff\xfe{}", "a.jsonl has no rows: row 1: it is not JSON"),
        ("a.json", "[3]", "has no rows"),
        ("a.parquet", "no parquet", "cannot read"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    """An unreadable source gives one line of error and no file."""
    if content is not None:
        (tmp_path / name).write_text(content)
    out = tmp_path / "tasks.jsonl"
    result = forager("tasks", "import", "swe-gym", tmp_path / name, "-o", out)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
    assert not out.exists()


def test_an_import_adds_to_a_file(tmp_path: Path) -> None:
    """An import skips known rows, and prints, counts and records refused ones."""
    out = tmp_path / "tasks.jsonl"
    file = lines(tmp_path / "a.jsonl", [rows.GYM, {**rows.GYM, "instance_id": "b", "patch": ""}])
    first = forager("tasks", "import", "swe-gym", file, "-o", out)
    assert first.exit_code == 0
    assert first.stdout.splitlines()[0] == f"{out}\t1 tasks"
    told, untried = first.stderr.splitlines()
    assert told == "forager: b: patch is missing or empty"
    assert "the patches of 1 tasks could not be tried" in untried
    assert "patch is missing or empty" in first.stdout.splitlines()[-1]
    (refused,) = read_records(tmp_path / "tasks.refused.jsonl", RefusedRow)
    assert (refused.instance_id, refused.reason) == ("b", "patch is missing or empty")
    more = lines(tmp_path / "b.jsonl", [rows.BENCH, rows.LIVE])
    forager("tasks", "import", "swe-gym", file, "-o", out)
    forager("tasks", "import", "swe-bench", more, "-o", out, "--limit", "1")
    assert [task.instance_id for task in read_records(out, RepositoryTask)] == [
        "sensei__dojo-20",
        "sensei__dojo-17",
    ]


def test_contaminated_rows_are_left_out(tmp_path: Path) -> None:
    """Contaminated rows are left out by default; kept ones carry the reason."""
    listed = [{**rows.GYM, "repo": "psf/requests", "instance_id": "a"}, rows.GYM]
    file, out = lines(tmp_path / "a.jsonl", listed), tmp_path / "tasks.jsonl"
    read = [ReadRow(place, row) for place, row in enumerate(listed, 1)]
    counts = import_rows(read, ImportRequest(FORMATS["swe-gym"]), out)
    assert (counts.tasks, counts.refused) == (1, {"kept out of training sets": 1})
    kept = tmp_path / "kept.jsonl"
    forager("tasks", "import", "swe-gym", file, "-o", kept, "--keep-contaminated")
    told = {task.instance_id: task.contaminated for task in read_records(kept, RepositoryTask)}
    assert told == {"a": "by its name it is psf/requests, or a fork of it", "sensei__dojo-20": ""}
    also = tmp_path / "also.toml"
    also.write_text('[[projects]]\nname = "sensei/dojo"\n')
    none = tmp_path / "none.jsonl"
    result = forager("tasks", "import", "swe-gym", file, "-o", none, "--also-exclude", also)
    assert result.stdout.startswith(f"{none}\t0 tasks\n")


@pytest.fixture(scope="module")
def dojo_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of the rows' commit: it contains the bug, but not the bug's test."""
    root = tmp_path_factory.mktemp("dojo")
    files = {
        "pyproject.toml": PYPROJECT,
        "kata/__init__.py": "",
        "kata/core.py": BUGGY,
        "tests/test_core.py": rows.BEFORE,
        "session": uuid4().hex,
    }
    for name, text in files.items():
        path = root / "dojo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(root / "home"))
        image = build(str(root / "dojo"))
    yield image
    connect().images.remove(image.reference, force=True)


@pytest.mark.engine
def test_rows_of_every_format_run_from_end_to_end(
    dojo_image: Image, kata_image: Image, tmp_path: Path
) -> None:
    """Imported tasks hold in local images, an agent solves them, `repair` runs."""
    images, out, run = tmp_path / "images.jsonl", tmp_path / "tasks.jsonl", tmp_path / "run"
    write_records(images, [dojo_image, kata_image])
    for format, listed in rows.ROWS.items():
        file = lines(tmp_path / f"{format}.jsonl", listed)
        told = forager("tasks", "import", format, file, "-o", out, "--images", images)
        assert told.stdout == f"{out}\t{len(listed)} tasks\n", told.output
    tasks = list(read_records(out, RepositoryTask))
    assert len(tasks) == 10
    assert {task.image for task in tasks} == {dojo_image.reference, kata_image.reference}
    checked = forager("tasks", "check", out, "-w", "2")
    assert checked.stdout == "10 of 10 tasks hold\n", checked.output
    solved, _, _ = batch(tmp_path / "solved", tasks, script("functions", FIX, SUBMIT), workers=2)
    assert {attempt.instance_id for attempt in solved} == {task.instance_id for task in tasks}
    assert [(attempt.outcome.resolved, attempt.outcome.cause) for attempt in solved] == [
        (True, "")
    ] * 10
    how = ("-w", "2", "--max-turns", "6", "--sandbox", "bubblewrap")
    ran = forager("run", out, "-o", run, "-m", "repair", *how)
    assert ran.exit_code == 0, ran.output
    exported = tmp_path / "attempts.jsonl"
    forager("export", run, "-o", exported, "--format", "jsonl")
    attempts = list(read_records(exported, Trajectory))
    assert {attempt.instance_id for attempt in attempts} == {task.instance_id for task in tasks}
    assert all(attempt.outcome.exit_reason for attempt in attempts)


@pytest.mark.engine
def test_a_row_runs_in_the_image_that_it_names(dojo_image: Image) -> None:
    """In a row's own image, its environment is activated before the tests."""
    engine = connect()
    task = imported("swe-bench", rows.BENCH_5)
    engine.images.get(dojo_image.reference).tag(*task.image.split(":"))
    try:
        assert check(task) == ""
    finally:
        engine.images.remove(task.image)


@pytest.mark.engine
def test_an_image_is_taken_by_commit_or_by_its_name(
    dojo_image: Image, kata_image: Image, tmp_path: Path
) -> None:
    """The commit chooses the image, then the name; without either the row is refused.

    Patches are tried in the image.
    """
    commit = dojo_image.model_copy(
        update={"source": kata_image.source.model_copy(update={"commit": rows.COMMIT})}
    )
    assert imported("swe-gym", rows.GYM, images=[kata_image, commit]).image == commit.reference
    assert imported("swe-gym", rows.GYM, images=[dojo_image]).image == dojo_image.reference
    stale = rows.PATCH.replace("def clamp", "def clump")
    listed = [rows.GYM, {**rows.GYM, "instance_id": "b", "patch": stale}]
    listed += [
        {**rows.GYM, "instance_id": "c", "test_patch": rows.TEST_PATCH.replace("5, 0", "6, 0")}
    ]
    listed += [{**rows.GYM, "instance_id": "d", "patch": rows.PATCH.strip()}]
    read = [ReadRow(place, row) for place, row in enumerate(listed, 1)]
    wanted = ImportRequest(FORMATS["swe-gym"], images=[dojo_image])
    counts = import_rows(read, wanted, tmp_path / "tasks.jsonl")
    assert (counts.tasks, counts.untried) == (2, 0)
    assert counts.refused == {
        "its patch does not apply": 1,
        "its test_patch does not apply": 1,
    }
    with pytest.raises(UnusableRow, match="no image is of its repository"):
        imported("swe-gym", rows.GYM, images=[kata_image])
    with pytest.raises(UnusableRow, match="2 images are of its repository"):
        imported("swe-gym", rows.GYM, images=[dojo_image, dojo_image])


def test_rows_are_read_without_the_packages_of_others(tmp_path: Path) -> None:
    """JSON needs no extra package; Parquet names the package to install."""
    import subprocess

    file = tmp_path / "a.parquet"
    file.write_text("x")
    code = "import sys; sys.modules['pyarrow'] = None; import forager.cli.main as m; m.main()"
    command = [sys.executable, "-c", code, "tasks", "import", "swe-gym", str(file), "-o"]
    done = subprocess.run([*command, str(tmp_path / "t")], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == ("forager: reading this needs pyarrow: pip install -e '.[datasets]'\n")
