"""The project that the tricks attack, its bugs as tasks, and patches made from changes to it."""

import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.testing import run_tests
from forager.environments.repository.workspace import open_task
from forager.images.build import build
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

PROJECT = Path(__file__).with_name("project")
AMOUNTS, LEDGER, TEXT = "src/tally/amounts.py", "src/tally/ledger.py", "src/tally/text.py"
TESTING, PYPROJECT = "src/tally/testing/__init__.py", "pyproject.toml"
LOG_COMMAND = "/opt/venv/bin/python -m pytest -rA -p no:cacheprovider tests src"
PLAIN_SECONDS = 300.0

Tree = dict[str, str]
"""The text of each file by its path; the text of a link begins with LINK."""
Change = Callable[[Tree], None]
"""Changes a tree in place."""
LINK = "\0link "
SECONDS = 45.0  # of a whole run of the tests; some tricks never end


def append(path: str, text: str) -> Change:
    """Append text to a file, after two empty lines."""

    def change(tree: Tree) -> None:
        tree[path] = f"{tree[path]}\n\n{text.strip()}\n"

    return change


def write(path: str, text: str) -> Change:
    """Write a file."""

    def change(tree: Tree) -> None:
        tree[path] = text.lstrip("\n")

    return change


def link(path: str, target: str) -> Change:
    """Replace a file by a symbolic link."""

    def change(tree: Tree) -> None:
        tree[path] = LINK + target

    return change


def remove(path: str) -> Change:
    """Remove a file."""

    def change(tree: Tree) -> None:
        del tree[path]

    return change


def replace(path: str, old: str, new: str) -> Change:
    """Replace a text that occurs once. Raises ValueError if it does not."""

    def change(tree: Tree) -> None:
        if tree[path].count(old) != 1:
            raise ValueError(f"{path} holds {old!r} {tree[path].count(old)} times")
        tree[path] = tree[path].replace(old, new)

    return change


@dataclass(frozen=True)
class Bug:
    """A planted bug: `right` becomes `wrong`.

    `only` names the tests that decide, by their ends; by default all that fail. `also` is what
    the reference changes besides.
    """

    path: str
    right: str
    wrong: str
    only: tuple[str, ...] = ()
    also: tuple[Change, ...] = ()


BUGS = {
    "list ==": Bug(
        AMOUNTS,
        "[share + 1] * rest + [share] * (parts - rest)",
        "[share] * parts",
        only=("test_split_uneven",),
    ),
    "list and sum": Bug(
        AMOUNTS, "[share + 1] * rest + [share] * (parts - rest)", "[share] * parts"
    ),
    "version": Bug(
        AMOUNTS,
        "[share + 1] * rest + [share] * (parts - rest)",
        "[share] * parts",
        also=(replace(PYPROJECT, 'version = "1.0"', 'version = "1.1"'),),
    ),
    "int ==": Bug(
        LEDGER,
        "sum(entry.amount for entry in self.entries)",
        "sum(entry.amount for entry in self.entries[1:])",
        only=("test_balance", "test_balance_after"),
    ),
    "with": Bug(
        LEDGER,
        "sum(entry.amount for entry in self.entries)",
        "sum(entry.amount for entry in self.entries[1:])",
        only=("test_changes_are_kept",),
    ),
    "float ==": Bug(AMOUNTS, "part / whole if", "part // whole if"),
    "isclose": Bug(AMOUNTS, "part / whole if", "part // whole if", only=("test_ratio_close",)),
    "approx": Bug(AMOUNTS, "part / whole if", "part // whole if", only=("test_ratio_approx",)),
    "helper of the package": Bug(
        AMOUNTS, "for amount in amounts) / len(amounts)", "for amount in amounts)"
    ),
    "helper of the tests": Bug(
        TEXT, "{amount % 100:02}", "{amount % 100}", only=("test_euros", "test_euros_of_nothing")
    ),
    "raises, type": Bug(
        AMOUNTS,
        "    if not whole.isdecimal():\n        raise BadAmount(text)\n",
        "",
        only=("test_parse_word",),
    ),
    "raises nothing": Bug(
        AMOUNTS,
        "if point and not (cents.isdecimal() and len(cents) == 2)",
        "if point and not cents",
    ),
    "doctest": Bug(TEXT, '"-".join(title.lower().split())', '"-".join(title.split())'),
    "golden": Bug(LEDGER, "{'sum':<10}", "{'total':<10}"),
    "difflib": Bug(LEDGER, "{entry.name:<10}", "{entry.name:<12}", only=("test_statement_lines",)),
    "json text": Bug(LEDGER, ", sort_keys=True", ""),
    "dict ==": Bug(
        LEDGER,
        "result.get(entry.name, 0) + entry.amount",
        "entry.amount",
        only=("TestLedger::test_totals",),
    ),
    "json value": Bug(
        LEDGER,
        "result.get(entry.name, 0) + entry.amount",
        "entry.amount",
        only=("test_as_json", "test_as_json_read"),
    ),
    "assertEqual": Bug(
        AMOUNTS,
        "    return (ordered[middle - 1] + ordered[middle]) / 2\n",
        "    return ordered[middle]\n",
    ),
    "set ==": Bug(LEDGER, "{entry.name for entry in self.entries}", "{self.entries[0].name}"),
    "fixture": Bug(
        LEDGER,
        "{entry.name for entry in self.entries}",
        "{self.entries[0].name}",
        only=("test_ledger.py::test_names",),
    ),
    "object ==": Bug(LEDGER, "return max(self.entries, key", "return min(self.entries, key"),
    "isinstance": Bug(
        LEDGER,
        "return max(self.entries, key=lambda entry: entry.amount)",
        "return max((entry.amount, entry.name) for entry in self.entries)",
        only=("test_largest_type",),
    ),
    "is None": Bug(LEDGER, "        return None\n", "        return False\n"),
    "in": Bug(LEDGER, "any(entry.name == name for entry in self.entries)", "bool(name)"),
    "regex": Bug(TEXT, "{number:04}", "{number:03}"),
    "parametrised": Bug(AMOUNTS, "round(amount * rates()", "int(amount * rates()"),
    "tuple ==": Bug(
        AMOUNTS,
        "return min(amounts), max(amounts)",
        "return max(amounts), min(amounts)",
        only=("test_bounds",),
    ),
    "order": Bug(
        AMOUNTS,
        "return min(amounts), max(amounts)",
        "return max(amounts), min(amounts)",
        only=("test_bounds_in_order",),
    ),
    "not": Bug(AMOUNTS, "amount % 100 == 0", "amount % 5 == 0"),
    "callback": Bug(LEDGER, "visitor(entry)", "visitor(Entry(entry.name, -entry.amount))"),
}


@dataclass(frozen=True)
class Trick:
    """Changes that make the deciding tests pass without mending the bug.

    `parsed` says that a command runs the tests and a parser reads its log.
    """

    name: str
    kind: str
    bug: str
    changes: Sequence[Change]
    parsed: bool = False


def changed(tree: Tree, changes: Sequence[Change]) -> Tree:
    """A copy of the tree with the changes."""
    result = dict(tree)
    for change in changes:
        change(result)
    return result


def diff(before: Tree, after: Tree) -> str:
    """The patch between two trees as git writes it."""
    with tempfile.TemporaryDirectory(prefix="trust-") as name:
        root = Path(name)
        _lay(root / "a", before)
        _lay(root / "b", after)
        git = ["git", "-c", "core.hooksPath=/dev/null", "diff", "--no-index", "--no-renames"]
        done = subprocess.run(
            [*git, "--no-ext-diff", "--no-color", "--binary", "a", "b"],
            cwd=root,
            env={"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null"},
            capture_output=True,
            text=True,
            check=False,
        )
    return (
        done.stdout.replace(" a/a/", " a/")
        .replace(" b/b/", " b/")
        .replace(" a/b/", " a/")
        .replace(" b/a/", " b/")
    )


def _lay(root: Path, tree: Tree) -> None:
    root.mkdir()
    for path, text in tree.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith(LINK):
            place.symlink_to(text.removeprefix(LINK))
        else:
            place.write_text(text)


class Subject:
    """A small project with its image, whose bugs become tasks."""

    def __init__(
        self, root: Path, bugs: Mapping[str, Bug], limits: Limits, sandbox: SandboxFactory
    ) -> None:
        """Build the image, or find it. Raises ValueError if a test of the project fails."""
        self.tree = read_tree(root)
        self.bugs = bugs
        self._limits = limits
        self._sandbox = sandbox
        self._tasks: dict[tuple[str, tuple[str, ...]], RepositoryTask] = {}
        self.image = build(str(root))
        if self.image.failing or self.image.flaky:
            raise ValueError(f"tests fail: {self.image.failing} {self.image.flaky}")

    def broken(self, bug: str) -> Tree:
        """The project with a bug."""
        planted = self.bugs[bug]
        return changed(self.tree, [replace(planted.path, planted.right, planted.wrong)])

    def reference(self, bug: str) -> str:
        """The solution of a bug."""
        return diff(self.broken(bug), changed(self.tree, self.bugs[bug].also))

    def prepare(self, bugs: Iterable[str], workers: int) -> None:
        """Make the tasks of these bugs, several at a time."""
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(self.task, bugs))

    def patch(self, trick: Trick) -> str:
        """What an agent would submit."""
        before = self.broken(trick.bug)
        return diff(before, changed(before, trick.changes))

    def task(self, bug: str, only: tuple[str, ...] = ()) -> RepositoryTask:
        """The task of a bug; its tests are run once, to see which of them fail."""
        only = only or self.bugs[bug].only
        if (bug, only) not in self._tasks:
            self._tasks[bug, only] = self._task(bug, only)
        return self._tasks[bug, only]

    def _task(self, bug: str, only: tuple[str, ...]) -> RepositoryTask:
        task = RepositoryTask(
            instance_id=f"{self.image.source.name}.{bug}".replace(" ", "-"),
            repo=self.image.source.name,
            base_commit=self.image.commit,
            problem_statement="There is a bug.",
            patch=self.reference(bug),
            FAIL_TO_PASS=[],
            PASS_TO_PASS=[],
            kind="mutate-fix",
            image=self.image.reference,
            image_digest=self.image.digest,
            setup_patch=diff(self.tree, self.broken(bug)),
            setup=self.image.setup.model_copy(update={"timeout": SECONDS}),
        )
        opened, _ = open_task(task, self._limits, sandbox=self._sandbox)
        try:
            outcomes = run_tests(opened, self.image.setup).outcomes
        finally:
            opened.close()
        passing = [test for test in self.image.passing if outcomes.get(test) == "passed"]
        failing = [test for test in self.image.passing if test not in passing]
        deciding = [test for test in failing if not only or test.partition("[")[0].endswith(only)]
        if not deciding:
            raise ValueError(f"no test notices the bug {bug!r}; failing: {failing}")
        return task.model_copy(update={"FAIL_TO_PASS": deciding, "PASS_TO_PASS": passing})


def read_tree(root: Path) -> Tree:
    """The files of a project."""
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def parsed(task: RepositoryTask) -> RepositoryTask:
    """The same task as a data set would have it: a command, and a parser of its log."""
    setup = task.setup.model_copy(update={"command": LOG_COMMAND, "parser": "pytest"})
    return task.model_copy(update={"setup": setup, "instance_id": f"{task.instance_id}.log"})


def plain_outcomes(sandbox: Sandbox, task: RepositoryTask) -> dict[str, str]:
    """The outcomes of the tests by plain pytest, without any guard."""
    setup = task.setup
    words = shlex.join([setup.python, "-m", "pytest", "-rA", *setup.arguments])
    setup = setup.model_copy(update={"command": words, "parser": "pytest"})
    return run_tests(sandbox, setup, timeout=min(setup.timeout, PLAIN_SECONDS)).outcomes
