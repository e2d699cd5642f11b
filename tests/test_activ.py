"""The builder `activ` without a container: reading, ranking, vetting, distilling."""

import json
import subprocess
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from forager.images.activ.distil import Tree, distilled, variants
from forager.images.activ.frozen import FrozenPackage, FrozenTests, asked_for
from forager.images.activ.matrix import chosen_row, rows
from forager.images.activ.ranking import LikelyJob, ranked
from forager.images.activ.runner import UV
from forager.images.activ.vetting import Vetted, vetted
from forager.images.activ.workflow import BadWorkflow, Workflow, parsed, workflows
from forager.images.git import commit_all
from forager.images.recipe import Recipe

CI = """
    on: [push, pull_request]
    env: {TZ: UTC, UV_PYTHON_PREFERENCE: only-managed}
    jobs:
      lint:
        runs-on: ubuntu-latest
        steps: [{run: tox -e lint}]
      build:
        runs-on: ubuntu-latest
        outputs: {name: "${{ steps.a.outputs.name }}"}
        steps: [{id: a, run: echo name=x}]
      test:
        needs: [lint, build]
        runs-on: ${{ matrix.os }}
        strategy:
          matrix:
            os: [windows-latest, ubuntu-latest]
            python: ["3.9", "3.10", "pypy-3.9"]
        steps:
          - uses: actions/checkout@v4
          - uses: actions/setup-python@v5
            with: {python-version: "${{ matrix.python }}"}
          - uses: someone/unknown@v1
            with: {secret: "${{ secrets.X }}"}
          - run: |
              tox -e linting
              mypy src
          - run: pytest -k "not ${{ needs.build.outputs.name }}"
          - run: ./upload-report
"""


def _tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / ".github" / "workflows" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return root


def _vetted(root: Path, text: str, job: str = "test") -> tuple[dict[str, Any], Vetted]:
    tree = _tree(root / "tree", ci=text)
    commit_all(tree)
    (root / "actions").mkdir()
    workflow = next(iter(workflows(tree)))
    assert isinstance(workflow, Workflow)
    found = vetted(tree, LikelyJob(workflow, job, {}, 1), "3.11", root / "actions")
    return json.loads(found.text), found


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x]\n"
        + "".join(f"{n}: &{n} [{', '.join(f'*{b}' for _ in range(8))}]\n" for b, n in
                  zip("abcdefgh", "bcdefghi", strict=True)),
        "[" * 50_000,
        "on: push\njobs: " + "x" * (600 << 10),
        "- a\n- b\n",
        "a: b: c",
        "? [a, b]\n: c",
        "a: *unknown",
        "a: \x00",
        "x: &x [*x]",
    ],
)  # fmt: skip
def test_a_hostile_workflow_gives_one_line_soon(tmp_path: Path, text: str) -> None:
    """Alias bombs, deep, huge and odd files end in a line that names the file, within seconds."""
    started = time.monotonic()
    (problem,) = workflows(_tree(tmp_path, bomb=text))
    assert isinstance(problem, BadWorkflow)
    assert time.monotonic() - started < 10
    assert "bomb.yml" in str(problem) and "\n" not in str(problem) and len(str(problem)) < 400


def test_a_tag_makes_no_object() -> None:
    """Scalars are text whatever their tag says, and versions keep their zeros."""
    found = parsed('a: !!python/object/apply:os.system ["x"]\nb: 3.10\non: yes\n', "w")
    assert found == {"a": ["x"], "b": "3.10", "on": "yes"}


def test_a_link_out_of_the_project_is_not_read(tmp_path: Path) -> None:
    """Files of the host are no workflows of a project."""
    (tmp_path / "host.yml").write_text("on: push")
    tree = _tree(tmp_path / "tree", ci="on: push")
    (tree / ".github/workflows/link.yml").symlink_to(tmp_path / "host.yml")
    problems = [str(found) for found in workflows(tree) if isinstance(found, BadWorkflow)]
    assert problems == [".github/workflows/link.yml is not a file of the project"]


def test_the_job_of_the_tests_is_first(tmp_path: Path) -> None:
    """Jobs that lint, document or publish are no candidates, nor are those of other systems."""
    docs = "on: push\njobs: {docs: {steps: [{run: pip install pytest}, {run: make html}]}}"
    mac = "on: push\njobs: {test: {runs-on: macos-14, steps: [{run: pytest}]}}"
    found = ranked(_tree(tmp_path, ci=CI, docs=docs, mac=mac), "3.11").candidates
    assert [candidate.title for candidate in found] == ["test of ci.yml"]


def test_tests_in_a_script_are_recognised(tmp_path: Path) -> None:
    """The scripts that a step runs are read."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "check").write_text("#!/bin/sh\npython -m pytest\n")
    text = "on: push\njobs: {a: {steps: [{run: ./scripts/check}]}}"
    assert ranked(_tree(tmp_path, ci=text), "3.11").candidates


def test_a_called_workflow_gets_its_inputs(tmp_path: Path) -> None:
    """A reusable workflow of the project runs with what its caller gives."""
    called = """
        on: {workflow_call: {inputs: {python: {type: string}, extra: {default: x}}}}
        jobs: {inner: {steps: [{run: pytest}]}}
    """
    text = """
        on: push
        jobs:
          t: {uses: ./.github/workflows/called.yml, with: {python: "${{ matrix.python }}"}}
    """
    (found,) = ranked(_tree(tmp_path, ci=text, called=called), "3.11").candidates
    assert (found.job, found.inputs) == ("inner", {"python": "3.11", "extra": "x"})


def test_rows_are_githubs() -> None:
    """Excludes leave out, includes add to rows or make rows."""
    matrix = {
        "a": ["1", "2"],
        "b": ["x", "y"],
        "exclude": [{"a": "1", "b": "y"}],
        "include": [{"a": "2", "c": "z"}, {"a": "3", "b": "x"}],
    }
    assert list(rows(matrix, "3.11")) == [
        {"a": "1", "b": "x"},
        {"a": "2", "b": "x", "c": "z"},
        {"a": "2", "b": "y", "c": "z"},
        {"a": "3", "b": "x"},
    ]


@pytest.mark.parametrize(
    ("matrix", "row"),
    [
        ({"python": ["3.10", "3.11"]}, {"python": "3.11"}),
        ({"python": ["3.8", "pypy-3.9"]}, {"python": "3.11"}),
        ({"toxenv": ["lint", "py38-django42"]}, {"toxenv": "py311-django42"}),
        (
            {"os": ["windows-latest", "macos-14", "ubuntu-24.04"], "django": ["3.2"]},
            {"os": "ubuntu-24.04", "django": "3.2"},
        ),
        ({"python-version": "${{ fromJSON(needs.a.outputs.b) }}"}, {"python-version": "3.11"}),
        ({"debug": ["true", "false"]}, {"debug": True}),
        ({}, {}),
        (None, {}),
        ("${{ fromJSON(x) }}", {"python": "3.11", "os": "ubuntu-latest", "other": ""}),
    ],
)
def test_a_row_is_chosen_and_retargeted(matrix: Any, row: dict[str, Any]) -> None:
    """The row runs on Linux with the Python that is there; other versions stay."""
    assert chosen_row(matrix, "3.11", "matrix.python matrix.os matrix.other") == row


def test_a_huge_matrix_is_bounded() -> None:
    """A product of lists is not expanded."""
    started = time.monotonic()
    chosen_row({f"k{n}": [str(m) for m in range(100)] for n in range(20)}, "3.11")
    assert time.monotonic() - started < 10


def test_what_could_leave_the_container_is_not_copied(tmp_path: Path) -> None:
    """`act` gets no container, service, socket, other runner, foreign action or condition."""
    text = """
        on: push
        jobs:
          test:
            if: never
            runs-on: self-hosted
            container: {image: x, options: --privileged -v /:/host}
            services: {db: {image: y, options: --privileged}}
            environment: production
            permissions: write-all
            steps:
              - uses: docker://evil
                with: {args: x}
              - uses: ./evil
              - uses: ../../evil
              - uses: someone/evil@v1
              - {run: pytest, shell: pwsh}
              - {run: pytest, timeout-minutes: 9}
    """
    tree = tmp_path / "tree" / "evil"
    tree.mkdir(parents=True)
    (tree / "action.yml").write_text("runs: {using: docker, image: Dockerfile}")
    content, found = _vetted(tmp_path, text)
    job = content["jobs"]["test"]
    assert set(job) == {"runs-on", "needs", "env", "outputs", "steps"}
    assert job["runs-on"] == "ubuntu-latest"
    used = [step.get("uses") for step in job["steps"]]
    assert used == ["actions/checkout@v4", *["forager/nothing@v1"] * 4, None]
    assert all(set(step) <= {"uses", "with", "env", "run", "continue-on-error"}
               for step in job["steps"])  # fmt: skip
    assert found.unknown == ["../../evil", "./evil", "docker://evil", "someone/evil@v1"]
    assert "privileged" not in found.text


def test_needed_jobs_come_along(tmp_path: Path) -> None:
    """A job whose output is read runs first; one that is merely waited for does not."""
    content, found = _vetted(tmp_path, CI)
    assert set(content["jobs"]) == {"build", "test"}
    assert content["jobs"]["test"]["needs"] == ["build"]
    assert content["env"] == {"TZ": "UTC"}
    assert found.row == {"os": "ubuntu-latest", "python": "3.11"}
    assert found.unknown == ["someone/unknown@v1"]
    assert "secrets" not in found.text
    steps = content["jobs"]["test"]["steps"]
    assert all(step["continue-on-error"] for step in steps)
    assert [step.get("run", "")[:6] for step in steps] == ["", "", "", "pytest"]


def test_actions_that_use_each_other_end(tmp_path: Path) -> None:
    """A project's actions that use each other many times are vetted once each."""
    for number in range(50):
        folder = tmp_path / "tree" / f"a{number}"
        folder.mkdir(parents=True)
        steps = ", ".join(f"{{uses: ./a{other}}}" for other in range(50))
        (folder / "action.yml").write_text(f"runs: {{using: composite, steps: [{steps}]}}")
    started = time.monotonic()
    _, found = _vetted(tmp_path, "on: push\njobs: {test: {steps: [{uses: ./a0}]}}")
    assert len(found.actions) <= 31
    assert time.monotonic() - started < 20


def test_a_composite_action_of_the_project_is_vetted_too(tmp_path: Path) -> None:
    """Its steps run, its files are copied, and what it uses is replaced."""
    folder = tmp_path / "tree" / "act"
    folder.mkdir(parents=True)
    (folder / "more").mkdir()
    (folder / "more" / "setup.sh").write_text("true")
    (folder / "secret").symlink_to("/etc/passwd")
    (folder / "action.yml").write_text(
        "inputs: {x: {default: '1'}}\n"
        "runs: {using: composite, steps: [{run: pytest}, {uses: evil/one@v1}, {uses: ./act}]}"
    )
    text = "on: push\njobs: {test: {steps: [{uses: ./act, with: {x: '2'}}]}}"
    content, found = _vetted(tmp_path, text)
    _, step = content["jobs"]["test"]["steps"]
    assert (step["uses"], step["with"]) == ("forager/own-1@v1", {"x": "2"})
    place = found.actions["forager/own-1@v1"]
    assert sorted(path.name for path in place.iterdir()) == ["action.yml", "more"]
    assert "evil" not in (place / "action.yml").read_text()


def _report(**changes: Any) -> FrozenTests:
    base = {
        "runner": "pytest",
        "python": "3.11",
        "directory": "/work/p",
        "workspace": "/work/p",
        "files": {"/work/p/tests/test_a.py": 2},
        "path": ["/opt/bin", "/usr/lib"],
        "packages": [],
        "variables": {},
    }
    return FrozenTests(**(base | changes))


def _package(
    name: str | None, version: str = "1.0", url: str = "", place: str = "/site-packages"
) -> FrozenPackage:
    return FrozenPackage(name=name, version=version, url=url, place=place)


def _recipe(tmp_path: Path, tests: FrozenTests, texts: str = "") -> Recipe:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "My-SourceProject"\n')
    tracked = ["pyproject.toml", "tests/test_a.py", "conftest.py", "src/my.py"]
    return distilled(
        tests, ["libxml2-dev", "-x; rm"], Tree(tmp_path, tracked, texts), Recipe(), "3.11"
    )


def test_pins_and_the_project_in_place(tmp_path: Path) -> None:
    """A copy of the project becomes an editable install, so that no code is outside the tree."""
    packages = [
        _package("my_project", url='{"url": "file:///work/p"}'),
        _package("b", "2.0+local"),
        _package("a", "1.0"),
        _package("pip", "25"),
        _package(None),
        _package("x; rm -rf /", "1"),
        _package("odd", "$(rm)"),
        _package("g", url='{"url": "https://h/g", "vcs_info": {"commit_id": "' + "a" * 40 + '"}}'),
        _package("h", url='{"url": "https://user:secret@h/h.zip"}'),
        _package("i", url="[" * 9000),
    ]
    found = _recipe(tmp_path, _report(packages=packages))
    commit = "a" * 40
    assert found.install == [
        f"uv pip install --no-deps a==1.0 b==2.0 'g @ git+https://h/g@{commit}' h==1.0 i==1.0 odd",
        "uv pip install --no-deps -e .",
    ]
    assert found.system == ["libxml2-dev"]
    assert found.protected == ["conftest.py", "tests"]


def test_variables_of_the_job_without_tokens(tmp_path: Path) -> None:
    """A variable is kept if the project names it, and it is neither a token nor the machine's."""
    variables = {
        "DEBUG": "/work/p/x",
        "GITHUB_TOKEN": "t",
        "MY_TOKEN": "t",
        "PIP_INDEX_URL": "https://user:secret@host",
        "PATH": "/bin",
        "HTTPS_PROXY": "p",
        "OTHER": "1",
        "LONG": "x" * 5000,
        "LINES_OF": "a\nb",
    }
    texts = " ".join(variables).replace("OTHER", "")
    assert _recipe(tmp_path, _report(variables=variables), texts).variables == {
        "DEBUG": "/testbed/x"
    }


def test_what_rules_found_before_stays(tmp_path: Path) -> None:
    """Services, Debian packages and variables of the recipe before are no part of what is seen."""
    before = Recipe(
        system=["git"], services=["redis"], variables={"A": "1"}, exclude_newer="2020-01-01"
    )
    found = distilled(_report(), ["jq"], Tree(tmp_path, [], ""), before, "3.11", "2021-05-05")
    assert (found.system, found.services, found.variables) == (["git", "jq"], ["redis"], {"A": "1"})
    assert found.exclude_newer == ""


def test_arguments_are_those_of_the_job(tmp_path: Path) -> None:
    """Options that measure go, paths count from the top, and the project's own options, too."""
    tests = _report(
        directory="/work/p/sub",
        arguments=["-n", "4", "--cov=x", "-m", "not slow", "../tests/test_a.py::t", "--ignore=i"],
        paths=["../tests/test_a.py::t"],
        addopts=["--strict", "--cov"],
    )
    assert _recipe(tmp_path, tests).tests == [
        "-o", "addopts=--strict", "-m", "not slow", "--ignore=sub/i", "tests/test_a.py::t",
    ]  # fmt: skip


def test_a_project_that_is_not_installed_is_on_the_path(tmp_path: Path) -> None:
    """The folders of the project from which the job imported it go into PYTHONPATH."""
    tests = _report(path=["/work/p", "/work/p/src", "/work/p/.venv/bin", "/usr/lib"])
    found = _recipe(tmp_path, tests)
    assert found.variables == {"PYTHONPATH": "/testbed/src:/testbed"}
    assert found.install == []


def test_unittest_becomes_pytest(tmp_path: Path) -> None:
    """Files with names that pytest does not look for are named to it."""
    files = {"/work/p/tests/check_a.py": 3, "/work/p/tests/test_b.py": 1}
    found = _recipe(tmp_path, _report(runner="unittest", files=files))
    assert found.tests == ["-o", "python_files=check_a.py test_b.py", "tests"]


def test_debian_packages_that_a_person_asked_for() -> None:
    """Dependencies, removed packages and the base's are no part of a recipe."""
    status = "\n\n".join(
        f"Package: {name}\nStatus: {state}"
        for name, state in {
            "a": "install ok installed",
            "b": "install ok installed",
            "c": "deinstall ok config-files",
        }.items()
    )
    assert asked_for(status, "Package: b\nArchitecture: x\nAuto-Installed: 1\n") == {"a"}


def test_a_recipe_of_a_few_tests_has_a_variant_with_all() -> None:
    """A job may begin with the examples of the README; what it installed suits all tests."""
    recipe = Recipe(install=["uv pip install x==1"], tests=["README.rst"], protected=["README.rst"])
    found = {rule: change for change, rule in variants(recipe, {})}
    assert [*found] == ["frozen job", "all tests with its packages"]
    assert found["all tests with its packages"] == Recipe(install=recipe.install)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("tool install --python-preference only-managed --python 3.14 tox", "tool install tox"),
        ("tool run -p 3.12 --from x nox -p 3.11", "tool run --from x nox -p 3.11"),
        ("run --managed-python pytest -p no:cache", "run pytest -p no:cache"),
        ("sync --python=3.12 --locked", "sync --python=3.12 --locked"),
        ("venv -p 3.12", "venv -p 3.12"),
        ("python install 3.14", ""),
    ],
)
def test_uv_in_a_job_uses_the_pythons_that_are_there(asked: str, given: str) -> None:
    """Nothing can be fetched: tools run in the job's Python, whichever one they ask for."""
    script = UV.replace("exec /usr/local/libexec/uv", "echo")
    done = subprocess.run(["bash", "-c", script, "uv", *asked.split()], capture_output=True)
    assert (done.returncode, done.stdout.decode().strip()) == (0, given)
