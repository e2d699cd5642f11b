"""What the text of a recipe by a model may say, and which of its outcomes suffice."""

from pathlib import Path

import pytest

from forager.environments.repository.testing import TestReport
from forager.images.recipe import Recipe
from forager.images.vetting import refusal, shortfall, untrusted

ALLOWED: list[dict[str, object]] = [
    {"variables": {"TZ": "UTC", "PYTHONPATH": "/testbed/src:/testbed", "PYTHONHASHSEED": "0"}},
    {"variables": {"UV_NO_BUILD_ISOLATION": "1", "DJANGO_SETTINGS_MODULE": "tests.settings"}},
    {"tests": ["-o", "addopts=-m 'not network'", "-p", "no:xdist", "-pno:cov", "tests/unit"]},
    {"tests": ["--ignore=tests/gpu", "-k", "not slow", "-W", "ignore", "--import-mode=importlib"]},
    {"submodules": "kata==1.0"},
]
REFUSED: list[tuple[dict[str, object], str]] = [
    ({"variables": {"PYTHONOPTIMIZE": "1"}}, "PYTHONOPTIMIZE"),
    ({"variables": {"PYTHONSTARTUP": "x.py"}}, "PYTHONSTARTUP"),
    ({"variables": {"PYTEST_PLUGINS": "evil"}}, "PYTEST_PLUGINS"),
    ({"variables": {"PYTEST_ADDOPTS": "-k one"}}, "PYTEST_ADDOPTS"),
    ({"variables": {"LD_PRELOAD": "x.so"}}, "LD_PRELOAD"),
    ({"variables": {"UV_INDEX_URL": "http://evil"}}, "UV_INDEX_URL"),
    ({"variables": {"PATH": "/testbed/bin"}}, "variable PATH"),
    ({"variables": {"PYTHONPATH": "/testbed:/home/agent/stubs"}}, "PYTHONPATH"),
    ({"variables": {"PYTHONPATH": "/testbed/../opt"}}, "PYTHONPATH"),
    ({"tests": ["-p", "evil"]}, "-p evil"),
    ({"tests": ["-pevil"]}, "-p evil"),
    ({"tests": ["-qxpevil"]}, "-p evil"),
    ({"tests": ["-o", "addopts=-q -pevil"]}, "-p evil"),
    ({"tests": ["-oaddopts='-o' 'addopts=--co'"]}, "--co"),
    ({"tests": ["--override-ini=addopts='unclosed"]}, "@"),
    ({"tests": ["-o", "pythonpath=../stubs"]}, "pythonpath"),
    ({"tests": ["-o", "python_functions=*"]}, "python_functions"),
    ({"tests": ["-c", "other.ini"]}, "-c"),
    ({"tests": ["--rootdir=/tmp"]}, "--rootdir"),
    ({"tests": ["--setup-plan"]}, "--setup-plan"),
    ({"tests": ["/opt/venv/lib"]}, "/opt/venv/lib"),
    ({"tests": ["tests/../../x"]}, "tests/../../x"),
    ({"tests": ["@options"]}, "@options"),
    ({"submodules": "evil==1.0"}, "submodules"),
    ({"timeout": 1e9}, "3600 s"),
    ({"memory": "900g"}, "16 GiB"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files of a project named Kata."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "Kata"\n')
    return tmp_path


@pytest.mark.parametrize("fields", ALLOWED, ids=str)
def test_what_projects_need_is_allowed(tree: Path, fields: dict[str, object]) -> None:
    """Settings of tests, selections by documented marks, and plug-ins that are turned off."""
    assert refusal(Recipe.model_validate(fields), tree) == ""


@pytest.mark.parametrize(("fields", "named"), REFUSED, ids=str)
def test_what_loads_code_or_runs_no_test_is_refused(
    tree: Path, fields: dict[str, object], named: str
) -> None:
    """In any spelling, and within `addopts`; the refusal names it."""
    assert named in refusal(Recipe.model_validate(fields), tree)


def test_a_model_decides_neither_its_trust_nor_what_is_protected() -> None:
    """Tasks of the image would let agents change the tests."""
    written = Recipe(protected=["nothing"], untrusted=False)
    assert untrusted(written) == Recipe(untrusted=True)


def _report(**outcomes: str) -> TestReport:
    named = {f"tests/test_it.py::test_{name}": outcome for name, outcome in outcomes.items()}
    return TestReport(outcomes=named, durations={}, seconds=1, complete=True)


def test_skipped_and_missing_test_functions_do_not_pass() -> None:
    """Parameters, and tests of files that are not tracked, add nothing."""
    tracked = ["tests/test_it.py"]
    report = _report(a="passed", b="passed", c="skipped", d="xfailed")
    assert shortfall(report, tracked, 4) == ""
    assert "2 of the 5 test functions" in shortfall(report, tracked, 5)
    assert "0 of the 4" in shortfall(report, ["other.py"], 4)
    many = {f"tests/test_it.py::test_a[{number}]": "passed" for number in range(9)}
    wider = report.model_copy(update={"outcomes": {**report.outcomes, **many}})
    assert "2 of the 5" in shortfall(wider, tracked, 5)


def test_tests_that_no_file_spells_out_are_counted_as_they_run() -> None:
    """Doctests and generated tests have no functions; skipped ones count all the same."""
    assert shortfall(_report(a="passed", b="skipped"), [], 0) == ""
    assert "1 of the 3" in shortfall(_report(a="passed", b="skipped", c="skipped"), [], 0)
