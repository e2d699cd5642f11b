"""The builder `activ` with a job that runs: what the job can reach, and the image it leads to."""

import os
from pathlib import Path
from textwrap import dedent

import pytest

from forager.images.activ.builder import Activ
from forager.images.build import build
from forager.images.builder import Diagnosis, RecipeChange, SourceProject
from forager.images.debian import Contents, DebianRelease
from forager.images.recipe import Recipe
from forager.images.source import fetch
from forager.sandboxes.engine import connect

pytestmark = pytest.mark.engine

FILES = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "gadget"
        version = "1.0"
        [tool.setuptools]
        packages = ["gadget"]
    """,
    "gadget/__init__.py": """
        # A comment that makes this file longer than those that may be equal by chance: it is the
        # project's only file of code, and a copy of it outside the tree would hold every answer.
        def double(number):
            return 2 * number
    """,
    "tests/test_gadget.py": """
        from gadget import double


        def test_double():
            assert double(2) == 4
    """,
    ".actrc": "-P ubuntu-latest=-self-hosted\n",
    ".secrets": "STOLEN=1\n",
    ".github/workflows/ci.yml": """
        on: push
        env: {MY_TOKEN: "x${{ secrets.GITHUB_TOKEN }}", STATED: "1"}
        jobs:
          test:
            runs-on: ubuntu-latest
            steps:
              - uses: actions/checkout@v4
              - uses: actions/setup-python@v5
              - run: exit 3
              - run: |
                  set +e
                  sudo touch PLACE/escaped
                  sockets=$(find / -xdev -type s | tr '\\n' ' ')
                  tokens=$(env | grep -c -E '^(GITHUB|ACTIONS)_.*TOKEN=.+')
                  rights=$(grep CapEff /proc/self/status | cut -f2)
                  echo "FACTS=$sockets|$tokens|$rights|$HOME|${#MY_TOKEN}" >>"$GITHUB_ENV"
              - run: pip install . pytest pytest-xdist
              - run: python -W error -X warn_default_encoding -m pytest -q -n 2 tests
    """,
}


def _frozen(root: Path, files: dict[str, str]) -> tuple[str, RecipeChange | None, list[str]]:
    """Return the source, the first change that activ proposes, and what it reported."""
    for name, text in files.items():
        path = root / "gadget" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n").replace("PLACE", str(root)))
    source = str(root / "gadget")
    told: list[str] = []

    def attempt(_: Recipe) -> Diagnosis:
        raise AssertionError("activ builds nothing itself")

    project = SourceProject(
        fetch(source, root / "tree"),
        root / "tree",
        attempt,
        told.append,
        Contents(DebianRelease("", "")),
    )
    changes = Activ(60).changes(project, Recipe(), Diagnosis(stage="install", message=""))
    return source, next(changes, None), told


def test_a_job_reaches_nothing_of_the_host_and_leads_to_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket, token or file of the host; the image holds the code in its tree alone."""
    monkeypatch.setenv("GITHUB_TOKEN", "of-the-user")
    source, change, told = _frozen(tmp_path, FILES)
    assert change is not None, told
    assert not (tmp_path / "escaped").exists()
    sockets, tokens, rights, home, length = change.recipe.variables["FACTS"].split("|")
    assert (sockets, tokens, home, length) == ("", "0", "/root", "1")
    assert int(rights, 16) & ~0xFB == 0  # no more than in a build container
    assert change.recipe.variables.keys() == {"FACTS", "STATED"}
    assert change.recipe.tests == ["tests"]
    assert "-e ." in change.recipe.install[-1]
    assert not connect().containers.list(all=True, filters={"name": f"act-activ-{os.getpid()}-"})
    assert not connect().volumes.list(filters={"name": f"act-activ-{os.getpid()}-"})

    image = build(source, recipe=change.recipe)
    try:
        assert image.passing == ["tests/test_gadget.py::test_double"]
        found = connect().containers.run(
            image.digest,
            ["bash", "-c", "grep -rl --include='*.py*' 'would hold every answer' / 2>/dev/null"],
            user="root",
            remove=True,
            network_disabled=True,
        )
        assert found.decode().split() == ["/testbed/gadget/__init__.py"]
    finally:
        connect().images.remove(image.reference, force=True)


def test_unittest_is_frozen_too(tmp_path: Path) -> None:
    """A job that runs unittest leads to arguments of pytest; a job without tests to nothing."""
    tests = """
        import unittest

        from gadget import double


        class Test(unittest.TestCase):
            def test_double(self):
                self.assertEqual(double(2), 4)
    """
    runner = """
        import sys
        import unittest

        sys.path.insert(0, ".")
        tests = unittest.defaultTestLoader.discover("checks", "check*")
        tests(unittest.TestResult())
    """
    workflow = """
        on: push
        jobs:
          test:
            steps:
              - uses: actions/checkout@v4
              - run: python checks/own.py  # unittest, with another runner
          other:
            steps: [{run: "false && pytest"}]
    """
    files = {name: text for name, text in FILES.items() if name.startswith(("gadget", "py"))}
    more = {
        "checks/check_gadget.py": tests,
        "checks/own.py": runner,
        ".github/workflows/ci.yml": workflow,
    }
    _, change, told = _frozen(tmp_path, files | more)
    assert change is not None, told
    assert change.recipe.tests == ["-o", "python_files=check_gadget.py", "checks"]
    assert change.recipe.variables["PYTHONPATH"].endswith("/testbed")
