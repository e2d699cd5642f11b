"""The test requirements that a project states, in the formats of old and new tools.

Each reader yields `Stated` values; `infer.py` chooses among them.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from forager.images.layout import read_ini, read_text, read_toml, strings, table

_REQUIREMENT_FILES = (
    "requirements-test*.txt",
    "requirements_test*.txt",
    "test-requirements*.txt",
    "test_requirements*.txt",
    "requirements/test*.txt",
    "requirements/*-test*.txt",
    "tests/requirements*.txt",
    "test/requirements*.txt",
    "requirements-dev*.txt",
    "requirements_dev*.txt",
    "dev-requirements*.txt",
    "dev_requirements*.txt",
    "requirements/dev*.txt",
)

_OTHER_FILES = (
    "*requirements*.txt",
    "requirements/*.txt",
    "reqs/*.txt",
    "ci/*.txt",
    "*/*reqs*.txt",
)
_TEST_TOOLS = re.compile(r"^(pytest|nose|nose2|testtools|hypothesis)\b", re.MULTILINE)
_DEEPEST = 5  # files that name each other


class Stated(NamedTuple):
    """Requirements found under one name, such as the extra `test` or the file `dev.txt`.

    An extra is stated both by its name and by its requirements.
    """

    group: str
    requirements: list[str]
    extras: list[str] = []  # of the project


def stated_requirements(directory: Path) -> Iterator[Stated]:
    """Yield what the project's files state, the most modern formats first."""
    pyproject = read_toml(directory, "pyproject.toml")
    yield from _dependency_groups(pyproject)
    yield from _extras(directory, pyproject)
    yield from _tool_tables(pyproject)
    yield from _files(directory)
    yield from _other_files(directory)
    yield from _tox(directory, pyproject)
    yield from _nox(directory)


def runtime_file(directory: Path) -> list[str]:
    """Return the requirements of `requirements.txt`, for projects that are never installed."""
    return read_requirements(directory, "requirements.txt")


def read_requirements(directory: Path, name: str) -> list[str]:
    """Return the requirements of a file and of its `-r` files, without pip's options."""
    return list(_read(directory, name, depth=0, seen=set()))


def _read(directory: Path, name: str, depth: int, seen: set[str]) -> Iterator[str]:
    """Yield the requirements of a file; each file that it names is read once."""
    if name in seen or depth > _DEEPEST:
        return
    seen.add(name)
    text = re.sub(r"\\\s*\n", " ", read_text(directory, name))
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        nested = re.match(r"(?:-r|--requirement)[ =]?\s*(\S+)", line)
        if nested:
            inner = (Path(name).parent / nested[1]).as_posix()
            yield from _read(directory, inner, depth + 1, seen)
        elif line and not line.startswith("-"):
            yield from plain([line.partition(" --hash")[0].rstrip()])


def plain(requirements: list[str]) -> list[str]:
    """Keep the names of distributions; drop paths and URLs, which belong to other machines."""
    return [text for text in requirements if (parsed := parse(text)) and not parsed.url]


def parse(requirement: str) -> Requirement | None:
    """Return the parsed requirement, or None for other text."""
    try:
        return Requirement(requirement)
    except InvalidRequirement:
        return None


def _dependency_groups(pyproject: dict[str, Any]) -> Iterator[Stated]:
    groups = table(pyproject, "dependency-groups")
    for name in groups:
        yield Stated(name, plain(_group(groups, name, ())))


def _group(groups: dict[str, Any], name: str, above: tuple[str, ...]) -> list[str]:
    """Resolve `include-group`; a cycle ends where it closes."""
    found: list[str] = []
    normal = {canonicalize_name(key): key for key in groups}
    entries = groups.get(normal.get(canonicalize_name(name), ""))
    for entry in entries if isinstance(entries, list) and name not in above else []:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
            found += _group(groups, entry["include-group"], (*above, name))
    return found


def _extras(directory: Path, pyproject: dict[str, Any]) -> Iterator[Stated]:
    for name, requirements in table(pyproject, "project", "optional-dependencies").items():
        yield Stated(name, plain(strings(requirements)), [name])
    setup = read_ini(directory, "setup.cfg")
    for name, text in setup.get("options.extras_require", {}).items():
        yield Stated(name, _lines(text), [name])
    yield Stated("test", _lines(setup.get("options", {}).get("tests_require", "")))
    yield from _setup_py(directory)


def _setup_py(directory: Path) -> Iterator[Stated]:
    """Read the literal arguments of `setup(...)`, also those given by a name."""
    tree = _syntax(read_text(directory, "setup.py"))
    values: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("extras_require", "tests_require"):
            value = values.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            if node.arg == "tests_require":
                yield Stated("test", plain(_literals(value)))
            elif isinstance(value, ast.Dict):
                for key, held in zip(value.keys, value.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield Stated(key.value, plain(_literals(held)), [key.value])


def _tool_tables(pyproject: dict[str, Any]) -> Iterator[Stated]:
    """Read the groups that Poetry, PDM and Hatch had before the standard."""
    tool = table(pyproject, "tool")
    poetry = table(tool, "poetry")
    yield Stated("dev", _poetry(table(poetry, "dev-dependencies")))
    for name, group in table(poetry, "group").items():
        yield Stated(name, _poetry(table(group, "dependencies")))
    for name in table(poetry, "extras"):
        yield Stated(name, [], [name])
    for name, requirements in table(tool, "pdm", "dev-dependencies").items():
        yield Stated(name, plain(strings(requirements)))
    yield Stated("dev", plain(strings(table(tool, "uv").get("dev-dependencies"))))
    for name, settings in table(tool, "hatch", "envs").items():
        needed = [*strings(table(settings).get("dependencies"))]
        needed += strings(table(settings).get("extra-dependencies"))
        group = "test" if name in ("default", "hatch-test") else name
        yield Stated(group, plain(needed), strings(table(settings).get("features")))


def _poetry(requirements: dict[str, Any]) -> list[str]:
    """Write Poetry's requirements as pip's: '^1.2' becomes '>=1.2'."""
    found = []
    for name, value in requirements.items():
        version = value.get("version", "*") if isinstance(value, dict) else value
        extras = ",".join(strings(table(value).get("extras")))
        version = version if isinstance(version, str) else "*"
        bound = re.match(r"[\^~]?\s*(\d[\w.]*)$", version)
        rest = f">={bound[1]}" if bound else "" if "*" in version else version
        found.append(f"{name}[{extras}]{rest}" if extras else f"{name}{rest}")
    return plain([text for text in found if not text.startswith("python>")])


def _files(directory: Path) -> Iterator[Stated]:
    for pattern in _REQUIREMENT_FILES:
        for path in sorted(directory.glob(pattern)):
            name = path.relative_to(directory).as_posix()
            yield Stated("test" if "test" in name else "dev", read_requirements(directory, name))


def _other_files(directory: Path) -> Iterator[Stated]:
    """Read the other files of requirements that name a test tool."""
    for pattern in _OTHER_FILES:
        for path in sorted(directory.glob(pattern)):
            text = read_text(path.parent, path.name)
            if _TEST_TOOLS.search(text):
                name = path.relative_to(directory).as_posix()
                own = re.findall(r"^(?:-e ?)?\.\[([\w,. -]+)\]", text, re.MULTILINE)
                extras = [extra.strip() for names in own for extra in names.split(",")]
                yield Stated("dev", read_requirements(directory, name), extras)


def _tox(directory: Path, pyproject: dict[str, Any]) -> Iterator[Stated]:
    settings = table(pyproject, "tool", "tox")
    base = table(settings, "env_run_base")
    yield Stated("test", plain(strings(base.get("deps"))), strings(base.get("extras")))
    testenv = read_ini(directory, "tox.ini").get("testenv", {})
    found = []
    for line in testenv.get("deps", "").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        file = re.match(r"-r\s*(?:\{toxinidir\}/?|\{tox_root\}/?)?(\S+)", line)
        found += read_requirements(directory, file[1]) if file else plain([line])
    extras = [name for name in re.split(r"[\s,]+", testenv.get("extras", "")) if name]
    yield Stated("test", found, [name for name in extras if re.fullmatch(r"[\w.-]+", name)])


def _nox(directory: Path) -> Iterator[Stated]:
    """Read the literals of `session.install(...)` in the sessions that test."""
    for function in ast.walk(_syntax(read_text(directory, "noxfile.py"))):
        if not isinstance(function, ast.FunctionDef) or "test" not in function.name:
            continue
        for call in ast.walk(function):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "install"
            ):
                yield _installed(directory, [word for arg in call.args for word in _literals(arg)])


def _installed(directory: Path, words: list[str]) -> Stated:
    found: list[str] = []
    extras: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        own = re.match(r"\.\[([\w,. -]+)\]", word)
        if before in ("-r", "--requirement"):
            found += read_requirements(directory, word)
        elif own:
            extras += [name.strip() for name in own[1].split(",")]
        elif not word.startswith(("-", ".")) and before not in ("-c", "-e", "--constraint"):
            found += plain([word])
    return Stated("test", found, extras)


def _literals(value: ast.expr | None) -> list[str]:
    """Return the string literals of a literal, a list or a tuple."""
    if isinstance(value, ast.Constant):
        return [value.value] if isinstance(value.value, str) else []
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return [text for item in value.elts for text in _literals(item)]
    return _literals(value.value) if isinstance(value, ast.Starred) else []


def _lines(text: str) -> list[str]:
    return plain([line.strip() for line in re.split(r"[\n;]", text) if line.strip()])


def _syntax(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])
