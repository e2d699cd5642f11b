"""How SWE-bench evaluates a row: its test command and the parser of its log.

Rows of `swebench` 5 contain both (`eval_script`, `log_parser`). For older rows, forager asks
the package `swebench` 4 if it is installed.
"""

import re
from typing import Any

from forager.environments.repository.logs import PARSERS
from tasks.rows import Row, UnusableRow

_START, _END = ">>>>> Start Test Output", ">>>>> End Test Output"
_PYTEST = (
    *("pytest", "pytest_v2", "pytest_pydantic", "astroid", "astropy", "flask", "marshmallow"),
    *("pvlib", "pyvista", "scikit", "seaborn", "sphinx", "sqlfluff", "xarray"),
)
_OPTIONS = ("pytest_options", "pydicom", "pylint", "requests")
_NAMES = {
    **dict.fromkeys(_PYTEST, "pytest"),
    **dict.fromkeys(_OPTIONS, "pytest-options"),
    "django": "unittest",
}


def parser(name: str) -> str:
    """The name of our parser for a data set's parser. Raises UnusableRow."""
    plain = name.strip().removeprefix("parse_log_")
    ours = _NAMES.get(plain, plain)
    if ours not in PARSERS:
        known = "a program" if "\n" in name else name
        raise UnusableRow(f"its log parser ({known}) is none that forager has")
    return ours


def tests_of(script: str) -> str:
    """The test command of an `eval_script`, with the variables that the script exports before it.

    The script's other commands set up the repository and apply the test patch (forager does this),
    activate the environment (the image does), or reinstall the project (which needs a network).
    """
    lines = script.split("\n")
    marks = [at for at, line in enumerate(lines) if _START in line or _END in line]
    if len(marks) != 2:
        raise UnusableRow("its eval_script has no marks around the tests")
    start, end = marks
    variables = [line for line in lines[:start] if re.match(r"export \w+=", line)]
    return "\n".join([*variables, *lines[start + 1 : end]])


def of_package(row: Row) -> tuple[str, str] | None:
    """The test command and parser from `swebench` 4 for a row; None if it does not know the row."""
    try:
        from swebench.harness.constants import MAP_REPO_VERSION_TO_SPECS
        from swebench.harness.log_parsers import MAP_REPO_TO_PARSER
        from swebench.harness.test_spec.create_scripts import make_eval_script_list
    except ImportError:  # not installed, or another version
        return None
    repo = row.get("repo")
    specs: dict[str, Any] | None = MAP_REPO_VERSION_TO_SPECS.get(repo, {}).get(row.get("version"))
    if specs is None or repo not in MAP_REPO_TO_PARSER:
        return None
    script = make_eval_script_list(
        dict(row), specs, "testbed", "/testbed", row["base_commit"], row["test_patch"]
    )
    return tests_of("\n".join(script)), parser(MAP_REPO_TO_PARSER[repo].__name__)
