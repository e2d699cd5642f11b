"""What tests need while they run: modules, fixtures of plug-ins, Django's settings, displays."""

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from forager.images.builder import Diagnosis, SourceProject
from forager.images.distributions import distribution, missing_modules
from forager.images.infer import OTHER_EXTRAS
from forager.images.layout import project_name, read_text
from forager.images.recipe import Recipe
from forager.images.requirements import stated_requirements
from forager.images.rules.rule import Proposals, with_commands, with_packages, with_variables
from forager.sandboxes.sandbox import WORKDIR

_NO_FIXTURE = re.compile(r"fixture '(\w{1,60})' not found")
_PLUGINS = {  # by their fixtures
    "mocker": "pytest-mock",
    "class_mocker": "pytest-mock",
    "module_mocker": "pytest-mock",
    "session_mocker": "pytest-mock",
    "benchmark": "pytest-benchmark",
    "httpserver": "pytest-httpserver",
    "httpbin": "pytest-httpbin",
    "httpbin_secure": "pytest-httpbin",
    "requests_mock": "requests-mock",
    "httpx_mock": "pytest-httpx",
    "aiohttp_client": "pytest-aiohttp",
    "aiohttp_server": "pytest-aiohttp",
    "aioresponses": "aioresponses",
    "anyio_backend": "anyio",
    "event_loop": "pytest-asyncio<0.23",
    "fs": "pyfakefs",
    "faker": "faker",
    "freezer": "pytest-freezer",
    "snapshot": "syrupy",
    "qtbot": "pytest-qt",
    "qapp": "pytest-qt",
    "db": "pytest-django",
    "rf": "pytest-django",
    "admin_client": "pytest-django",
    "django_db_setup": "pytest-django",
    "subtests": "pytest-subtests",
    "datadir": "pytest-datadir",
    "shared_datadir": "pytest-datadir",
    "data_regression": "pytest-regressions",
    "file_regression": "pytest-regressions",
    "num_regression": "pytest-regressions",
    "vcr": "pytest-vcr",
    "vcr_cassette": "pytest-recording",
    "script_runner": "pytest-console-scripts",
    "socket_enabled": "pytest-socket",
    "socket_disabled": "pytest-socket",
    "unused_tcp_port": "pytest-asyncio",
    "postgresql": "pytest-postgresql",
    "redisdb": "pytest-redis",
    "image_regression": "pytest-regressions",
    "celery_app": "celery[pytest]",
    "worker_id": "pytest-xdist",
    "testrun_uid": "pytest-xdist",
    "cov": "pytest-cov",
}
_NO_MARKER = re.compile(r"'(\w{1,60})' not found in `markers` configuration option")
_PLUGINS_OF_MARKERS = {
    "anyio": "anyio",
    "asyncio": "pytest-asyncio",
    "benchmark": "pytest-benchmark",
    "block_network": "pytest-recording",
    "dependency": "pytest-dependency",
    "django_db": "pytest-django",
    "enable_socket": "pytest-socket",
    "flaky": "flaky",
    "forked": "pytest-forked",
    "freeze_time": "pytest-freezer",
    "httpx_mock": "pytest-httpx",
    "no_cover": "pytest-cov",
    "order": "pytest-order",
    "remote_data": "pytest-remotedata",
    "timeout": "pytest-timeout",
    "trio": "pytest-trio",
    "vcr": "pytest-recording",
    "xdist_group": "pytest-xdist",
}
_ASYNC = re.compile(r"async def functions are not natively supported|async_generator fixture")
_SETTINGS = re.compile(
    r"ImproperlyConfigured|Apps aren't loaded|AppRegistryNotReady|DJANGO_SETTINGS_MODULE|"
    r"settings are not configured"
)
_STATED = re.compile(
    r"""DJANGO_SETTINGS_MODULE['"]?(?:\s*[=:,]\s*|\s+)['"]?([A-Za-z_][\w.]{2,80})"""
)
_DISPLAY = re.compile(
    r"could not connect to display|no display name|couldn't connect to display|"
    r"Qt platform plugin|QXcbConnection|cannot open display"
)
# Wheels of Qt load them; projects that try one binding after the other hide which one is missing.
_QT_LIBRARIES = [
    "libdbus-1-3",
    "libegl1",
    "libfontconfig1",
    "libgl1",
    "libglib2.0-0",
    "libxkbcommon0",
]
_NO_QT = r"no qt bindings|QtBindingsNotFound|requires one of .{1,80}PySide|No Qt wrapper"
_MOST_MODULES = 12
_HINT = re.compile(r"pip3? install (?:-U |--upgrade )?[\"'`]*([\w.-]{1,80})\[([\w,. -]{1,100})\]")
_EVERYTHING = ("all", "full", "complete", "everything")  # names of extras


def imports(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the distributions of modules that tests import while they run."""
    if failure.stage == "install":
        return
    names = missing_modules(failure.log)[:_MOST_MODULES]
    found = {distribution(project.tree, name) for name in names} - {""}
    yield from _installing(recipe, sorted(found), "tests import")


def extras(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the extras that messages name, then all of the project's."""
    if failure.stage == "install":
        return
    own = canonicalize_name(project_name(project.tree))
    known = {entry.group for entry in stated_requirements(project.tree) if entry.extras}
    hints = {(name, extra) for name, extra in _HINT.findall(failure.log)}
    named = [extra for name, extra in sorted(hints) if canonicalize_name(name) == own]
    others = [f"{name}[{extra}]" for name, extra in sorted(hints) if canonicalize_name(name) != own]
    yield from _installing(recipe, _own(named) + others, "messages name the extras")
    if named or missing_modules(failure.log):
        most = known & {*_EVERYTHING} or {name for name in known if not OTHER_EXTRAS.match(name)}
        yield from _installing(recipe, _own(sorted(most)), "tests import what may be in the extras")


def fixtures(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the plug-ins that have the fixtures or markers, or that run coroutines."""
    if failure.stage == "install":
        return
    names = dict.fromkeys(match[1] for match in _NO_FIXTURE.finditer(failure.log))
    marks = {match[1] for match in _NO_MARKER.finditer(failure.log)}
    found = {_PLUGINS.get(name, "") for name in names}
    found = (found | {_PLUGINS_OF_MARKERS.get(name, "") for name in marks}) - {""}
    if _ASYNC.search(failure.log):
        found.add("pytest-asyncio")
    yield from _installing(recipe, sorted(found), "tests need the plug-ins")


def django(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose pytest-django with a settings module of the project."""
    if failure.stage == "install" or not _SETTINGS.search(failure.log):
        return
    plugin = "uv pip install pytest-django"
    if plugin not in recipe.install:
        recipe = with_commands(recipe, plugin)
    for module, path in _settings_modules(project.tree):
        variables = {"DJANGO_SETTINGS_MODULE": module}
        if path and "PYTHONPATH" not in recipe.variables:
            variables["PYTHONPATH"] = f"{WORKDIR}/{path}".rstrip("/")
        yield with_variables(recipe, variables), f"Django's settings are those of {module}"


def display(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose Qt without a display, and bindings of Qt where a project leaves them to its users."""
    if re.search(_NO_QT, f"{failure.message}\n{failure.log}", re.IGNORECASE):
        recipe = with_variables(recipe, {"QT_QPA_PLATFORM": "offscreen"})
        recipe = with_packages(recipe, _QT_LIBRARIES)
        for bindings in ("PyQt5", "PySide6"):
            yield from _installing(recipe, [bindings], "no bindings of Qt are installed:")
        return
    if _DISPLAY.search(failure.log) and "QT_QPA_PLATFORM" not in recipe.variables:
        yield with_variables(recipe, {"QT_QPA_PLATFORM": "offscreen"}), "there is no display"


def _own(names: list[str]) -> list[str]:
    """The project with these extras, as a requirement; nothing without extras."""
    return [f".[{','.join(names)}]"] if names else []


def _installing(recipe: Recipe, requirements: list[str], why: str) -> Proposals:
    commands = [f"uv pip install {'-e ' * text.startswith('.')}'{text}'" for text in requirements]
    new = [command for command in commands if command not in recipe.install]
    if new:
        yield with_commands(recipe, *new), f"{why} {', '.join(requirements)}"


def _settings_modules(tree: Path) -> Iterator[tuple[str, str]]:
    """Yield settings modules, those that files name first, each with the folder to import from."""
    names: dict[str, None] = {}
    for name in ("tox.ini", "setup.cfg", "pytest.ini", "pyproject.toml", "runtests.py", "Makefile",
                 "tests/runtests.py", "manage.py", "tests/manage.py", "noxfile.py", "conftest.py",
                 "tests/conftest.py", "setup.py", "tests/__init__.py"):  # fmt: skip
        names |= dict.fromkeys(_STATED.findall(read_text(tree, name)))
    for path in sorted((tree / ".github" / "workflows").glob("*.y*ml")):
        names |= dict.fromkeys(_STATED.findall(read_text(path.parent, path.name)))
    for pattern in ("tests/settings.py", "tests/*settings*.py", "test_*/settings.py",
                    "*settings*.py", "*/test_settings.py", "*/*/settings.py",
                    "tests/settings/__init__.py"):  # fmt: skip
        for path in sorted(tree.glob(pattern)):
            relative = path.relative_to(tree).with_suffix("").as_posix()
            names[relative.removesuffix("/__init__").replace("/", ".")] = None
    for name in names:
        yield name, _import_folder(tree, name)


def _import_folder(tree: Path, module: str) -> str:
    """The folder from which a module is imported if that is not the top; or empty."""
    inside = module.replace(".", "/")
    for folder in ("tests", "test", "src", "testproject", "example"):
        if (tree / folder / f"{inside}.py").is_file() and not (tree / f"{inside}.py").is_file():
            return folder
    return ""
