"""Turns rows of SWE-bench, SWE-smith, SWE-Gym and SWE-rebench into tasks.

A format is a function from a row to a Draft. Grading follows the data set, with a test command and
a parser of its log, but without a network: forager drops commands that would reinstall the project.
A row does not name the image's user: see docs/datasets.md.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forager.environments.repository.task import RepositoryTask, TestSetup
from forager.mutation.files import reverse
from tasks.fields import commands, names, nested, patch, text
from tasks.rows import Row, UnusableRow
from tasks.specs import of_package, parser, tests_of
from tasks.validate import test_files

CONDA = "source /opt/miniconda3/bin/activate && conda activate testbed"
"""Activates the environment of SWE-bench's images."""

_SMITH = "pytest --disable-warnings --color=no --tb=no --verbose"
_GYM = {  # pytest options by repository, from SWE-Gym's fork of SWE-bench
    "getmoto/moto": "-n0",
    "conan-io/conan": "-n0",
    "dask/dask": "-n0 --color=no",
    "bokeh/bokeh": "-n0",
    "modin-project/modin": "-n0",
    "pydantic/pydantic": "--tb=short -vv -o console_output_style=classic --no-header",
    "pandas-dev/pandas": "--tb=long",
    "facebookresearch/hydra": "--tb=long",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """The task of a row, in the image that the row names."""

    task: RepositoryTask
    activate: str = CONDA
    """Shell command that activates the image's environment before the test command."""
    elsewhere: str = ""
    """Path of the repository in that image, if it is not /testbed."""


Format = Callable[[Row], Draft]


def swe_bench(row: Row) -> Draft:
    """A row of SWE-bench (Full, Lite, Verified, of any version), or of SWE-bench Live."""
    name = text(row, "instance_id").lower().replace("__", "_1776_")
    owner = "starryzhang" if row.get("test_cmds") else "swebench"
    command, reader = _evaluation(row)
    image = text(row, "image", "docker_image", "image_name", required=False)
    return Draft(drafted(row, command, reader, image or f"{owner}/sweb.eval.x86_64.{name}:latest"))


def swe_gym(row: Row) -> Draft:
    """A row of SWE-Gym or its Lite."""
    repo = text(row, "repo")
    name = text(row, "instance_id").lower().replace("__", "_s_")
    if repo == "python/mypy":  # its tests are cases in data files
        cases = re.findall(r"\[case ([^\]]{1,200})\]", text(row, "test_patch"))
        command = f"pytest -n0 -rA -k {shlex.quote(' or '.join(cases))}"
    else:
        options = _GYM.get(repo, "")
        command = f"{' '.join(['pytest -rA', *options.split()])} {_files(row)}"
    if repo == "conan-io/conan":
        command = f"export PYTHONPATH=${{PYTHONPATH:-}}:$(pwd)\n{command}"
    return Draft(drafted(row, command, "pytest", f"xingyaoww/sweb.eval.x86_64.{name}:latest"))


def swe_rebench(row: Row) -> Draft:
    """A row of SWE-rebench, its leaderboard, or a Python row of SWE-rebench V2."""
    setup = nested(row, "install_config")
    if not isinstance(setup, dict):
        raise UnusableRow("install_config is missing or empty")
    second = "language" in row
    if second and str(row["language"]).lower() != "python":
        raise UnusableRow(f"it is of {row['language']}, and forager has Python only")
    if not setup.get("test_cmd"):
        raise UnusableRow("install_config has no test_cmd")
    *before, last = commands(setup["test_cmd"], "test_cmd")
    if not second:
        last += f" {_files(row)}"
    name = text(row, "instance_id").lower().replace("__", "_1776_")
    image = text(row, "docker_image", "image_name", required=False)
    reader = parser(setup.get("log_parser") or "pytest")
    return Draft(
        drafted(
            row,
            "\n".join([*before, last]),
            reader,
            image or f"swerebench/sweb.eval.x86_64.{name}:latest",
            variables=_variables(setup.get("env_vars")),
        ),
        activate="" if second else CONDA,
        elsewhere=f"/{text(row, 'repo').rpartition('/')[2]}" if second else "",
    )


def swe_smith(row: Row) -> Draft:
    """A row of SWE-smith: its patch puts the bug into the image's code; the reverse fixes it."""
    bug = patch(row, "patch")
    if re.search(r"^(new file|deleted file|rename|copy) ", bug, re.MULTILINE):
        raise UnusableRow("its patch adds, removes or renames files")
    tests = [*names(row, "FAIL_TO_PASS"), *names(row, "PASS_TO_PASS")]
    files = _of_tests(tests)
    if not files:
        raise UnusableRow("its tests are not pytest's")
    mirror = text(row, "repo").rpartition("/")[2]  # swesmith/OWNER__NAME.COMMIT
    repo, _, commit = mirror.rpartition(".")
    task = drafted(row, f"{_SMITH} {_quoted(files)}", "pytest", text(row, "image_name"))
    changed = {
        "repo": repo.replace("__", "/") or task.repo,
        "base_commit": task.base_commit or commit,
        "patch": reverse(bug),
        "setup_patch": bug,
    }
    return Draft(task.model_copy(update=changed))


def drafted(
    row: Row,
    command: str,
    reader: str,
    image: str,
    *,
    variables: dict[str, str] | None = None,
) -> RepositoryTask:
    """Make the task from the fields that all formats share with SWE-bench. Raises UnusableRow."""
    test_patch = patch(row, "test_patch", required=False)
    failing = names(row, "FAIL_TO_PASS", "fail_to_pass_select", "fail_to_pass")
    if not failing:
        raise UnusableRow("FAIL_TO_PASS is empty")
    optional = ("version", "created_at", "hints_text", "environment_setup_commit")
    return RepositoryTask(
        instance_id=text(row, "instance_id"),
        repo=text(row, "repo", "repo_name"),
        base_commit=text(row, "base_commit", "commit", required=False),
        problem_statement=text(row, "problem_statement"),
        patch=patch(row, "patch"),
        test_patch=test_patch,
        FAIL_TO_PASS=failing,
        PASS_TO_PASS=names(
            row, "PASS_TO_PASS", "pass_to_pass_select", "pass_to_pass", may_be_empty=True
        ),
        **{name: text(row, name, required=False) for name in optional},
        image=image,
        setup=TestSetup(
            command=command,
            parser=reader,
            variables=variables or {},
            protected=re.findall(r"^\+\+\+ b/(.*?)\t?$", test_patch, re.MULTILINE),
            timeout=1800,  # seconds, SWE-bench's default
        ),
        licence=text(row, "license_name", "license", required=False),
    )


def _evaluation(row: Row) -> tuple[str, str]:
    """The command and the parser of a row of SWE-bench or Live."""
    if script := text(row, "eval_script", required=False):
        return tests_of(script), parser(text(row, "log_parser"))
    if row.get("test_cmds"):
        reader = text(row, "log_parser", "parser", required=False)
        return "\n".join(commands(row["test_cmds"], "test_cmds")), parser(reader or "pytest")
    return of_package(row) or (f"pytest -rA {_files(row)}", "pytest")


def _files(row: Row) -> str:
    """The test files of the test patch or, without one, of the failing tests."""
    changed = patch(row, "test_patch", required=False)
    files = test_files(changed) if changed else _of_tests(names(row, "FAIL_TO_PASS"))
    if not files:
        raise UnusableRow("its test_patch changes no test file of Python's")
    return _quoted(files)


def _of_tests(tests: Sequence[str]) -> list[str]:
    """The files of tests with pytest node ids."""
    return sorted({file for file, mark, _ in (test.partition("::") for test in tests) if mark})


def _variables(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def _quoted(files: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, files))
