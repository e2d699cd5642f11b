"""Which packages may import which, checked in the syntax trees."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
CATALOGUES = {"mutators", "tools", "tasks"}
COMMON = {"atomic", "config", "drawing", "errors", "literals", "locks", "logins", "makers"}
COMMON |= {
    "inside",
    "minhash",
    "paths",
    "plugins",
    "records",
    "resumed",
    "scratch",
    "text",
    "threads",
}
COMMON |= {"untrusted", "version"}
BELOW = {  # package of the engine → the packages that it builds on, and all that these build on
    "programs": set(),
    "sandboxes": {"programs"},
    "environments": {"sandboxes"},
    "images": {"environments"},
    "tracing": {"environments"},
    "mutation": {"images", "tracing"},
    "trajectories": {"environments"},
    "replay": {"trajectories", "tracing"},
    "agent": {"trajectories"},
    "repair": {"agent", "mutation"},
    "rollout": {"agent"},
    "tracking": {"agent"},
    "evaluation": {"rollout"},
    "learning": {"evaluation", "tracing", "tracking"},
}


def reachable(package: str) -> set[str]:
    """Return the packages that a package may import: those below it, at any depth."""
    return BELOW[package].union(*map(reachable, BELOW[package]))


HEAVY = {"torch", "deepspeed", "vllm", "ray", "transformers", "textual", "openai", "docker"}
HEAVY |= {"matplotlib", "jinja2", "prompt_toolkit", "pyarrow", "datasets"}
HEAVY |= {"mpmath", "numpy", "swebench"}
HEAVY |= {"tensorboard", "wandb", "mlflow", "opentelemetry"}
AT_ONCE = {"sandboxes": {"docker"}, "images": {"docker"}, "replay": {"textual"}}
SOURCES = sorted(path for top in ("forager", *CATALOGUES) for path in (ROOT / top).rglob("*.py"))


def imports(tree: ast.AST, *, lazy: bool) -> Iterator[str]:
    """Return full names of imports; with `lazy`, those inside functions too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level
            yield from (f"{start}{node.module}.{name.name}" for name in node.names)
        elif lazy or not (_is_function(node) or _is_for_types(node)):
            yield from imports(node, lazy=lazy)


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file, which is read once."""
    return ast.parse(path.read_text())


@cache
def every_import(path: Path) -> list[str]:
    """Return the full names of all imports of a file, those inside functions too."""
    return list(imports(tree_of(path), lazy=True))


# The tests go through all files: thousands of tests of a millisecond would cost the run a minute.
def test_imports_keep_their_direction() -> None:
    """Catalogues import the engine, the command line imports both, and never reversed."""
    for path in SOURCES:
        keeps_direction(path)


def keeps_direction(path: Path) -> None:
    """Assert that a file imports nothing from above it."""
    where = path.relative_to(ROOT)
    top, *rest = where.parts
    package = rest[0] if len(rest) > 1 else rest[0].removesuffix(".py")
    for name in every_import(path):
        if name.startswith("."):
            assert package == "programs", f"{where}: only imports of shipped packages are relative"
            continue
        imported = name.split(".")
        assert not imported[0].startswith("forager_"), f"{where} imports {name}, which stands above"
        if top in CATALOGUES:
            assert imported[0] not in CATALOGUES - {top}, f"{where} imports {name}"
            assert imported[:2] != ["forager", "cli"], f"{where} imports {name}"
        elif package != "cli":
            assert imported[0] not in CATALOGUES, f"{where}, of the engine, imports {name}"
            if imported[0] == "forager" and package in BELOW:
                allowed = reachable(package) | COMMON | {package}
                assert imported[1] in allowed, f"{where} imports {name}"


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    """Functions import heavy packages; only packages about one library import it at once."""
    for path in SOURCES:
        here = path.relative_to(ROOT).parts
        heavy = HEAVY - AT_ONCE.get(here[1], set())
        eager = {name.split(".")[0] for name in imports(tree_of(path), lazy=False)}
        assert not eager & heavy, path


def test_every_package_of_the_engine_has_its_place_in_the_order() -> None:
    """A new package must be entered in the order above."""
    packages = {path.parent.name for path in (ROOT / "forager").glob("*/__init__.py")}
    assert packages - {"cli"} <= set(BELOW)


def test_the_top_level_names_are_ours_alone() -> None:
    """No other installed distribution provides the names `tools` and `tasks`."""
    owners = packages_distributions()
    for name in ("forager", *sorted(CATALOGUES)):
        assert set(owners[name]) == {"forager-agent"}


WITH_REPOSITORIES = {  # what is about broken repositories; all else knows tasks by the seam alone
    *("environments", "images", "mutation", "repair", "tracing", "cli"),
    "agent/oracle.py",
    "trajectories/earlier.py",
    *("learning/filters/outcome.py", "learning/filters/shorten.py"),
}


def test_only_what_is_about_repositories_knows_the_repository_environment() -> None:
    """Runs, stores, reports, splits and replay serve every environment's tasks."""
    for path in SOURCES:
        top, *rest = path.relative_to(ROOT).parts
        if top != "forager" or {rest[0], "/".join(rest)} & WITH_REPOSITORIES:
            continue
        names = [
            name
            for name in every_import(path)
            if name.startswith("forager.environments.repository")
        ]
        kinds = [
            node.value
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Constant) and node.value in ("mutate-fix", "issue-fix")
        ]
        assert not names + kinds, path


LATE = ("forager.environments.task", "forager.environments.registry")
"""A task is read as the record of the environment that it names, and environments know tasks."""


def modules() -> dict[str, Path]:
    """Return all modules by their full names."""
    found = {}
    for path in SOURCES:
        *packages, name = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(packages if name == "__init__" else [*packages, name])] = path
    return found


def test_no_module_imports_itself_by_way_of_others() -> None:
    """No import cycle exists, even within functions or for types."""
    known = modules()
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        names = every_import(path)
        imported = {name if name in known else name.rpartition(".")[0] for name in names}
        graph[module] = {name for name in imported & set(known) if (module, name) != LATE}
    TopologicalSorter(graph).prepare()  # raises CycleError, which lists a cycle


def test_an_install_has_every_file() -> None:
    """Packages are found by their __init__.py, other files by their patterns in pyproject.toml.

    A checkout works without either, and an installed forager would lack them.
    """
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    included = setuptools["packages"]["find"]["include"]
    tops = [path.parent for path in ROOT.glob("*/__init__.py")]
    assert all(any(top.match(name) for name in included) for top in tops)
    files = [path for top in tops for path in top.rglob("*") if path.is_file()]
    known = {
        path
        for top in tops
        for name in setuptools["package-data"].get(top.name, ())
        for path in top.glob(name)
    }
    for path in files:
        if "__pycache__" not in path.parts and path.suffix == ".py":
            assert (path.parent / "__init__.py").is_file(), path
        elif "__pycache__" not in path.parts:
            assert path in known, path
