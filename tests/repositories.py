"""Small repositories drawn from a seed, odd in the ways that real ones are."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

Change = Callable[["DrawnRepository"], None]

PARTS = {  # code, and calls with what they return
    "clamp": (
        "def clamp(value, low, high):\n{doc}    if value < low:\n        return low\n"
        "    return min(value, high)\n",
        [("clamp(5, 0, 10)", "5"), ("clamp(-1, 0, 10)", "0"), ("clamp(11, 0, 10)", "10")],
    ),
    "words": (
        "def words(text, least=2):\n{doc}    return [word.lower() for word in text.split()"
        " if len(word) >= least]\n",
        [("words('Ab c DE')", "['ab', 'de']"), ("words('a b', 1)", "['a', 'b']")],
    ),
    "total": (
        "RATE = 2\n\n\ndef total(prices, rate=RATE):\n{doc}    found = 0\n"
        "    for price in prices:\n        if price > 0:\n            found += price * rate\n"
        "    return found\n",
        [("total([1, 2])", "6"), ("total([-1, 3], 3)", "9"), ("total([])", "0")],
    ),
    "Stack": (
        "class Stack:\n    def __init__(self, *items):\n        self.items = list(items)\n\n"
        "    def push(self, item):\n        self.items.append(item)\n        return self\n\n"
        "    @property\n    def top(self):\n"
        "        return self.items[-1] if self.items else None\n",
        [("Stack(1).push(2).top", "2"), ("Stack().top is None", "True")],
    ),
    "label": (
        "def label(number):\n{doc}    sign = 'minus ' if number < 0 else ''\n"
        "    return f'{{sign}}{{abs(number):03}}'\n",
        [("label(7)", "'007'"), ("label(-12)", "'minus 012'")],
    ),
}


@dataclass
class DrawnRepository:
    """Files by name, what is done to them on the disk, and what was drawn."""

    random: Random
    files: dict[str, bytes] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    on_disk: list[Callable[[Path], None]] = field(default_factory=list)
    in_index: list[Callable[[Path], None]] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    code: str = ""
    tests: str = ""

    def write(self, name: str, text: str | bytes) -> None:
        """Add a file."""
        self.files[name] = text if isinstance(text, bytes) else text.encode()

    def append(self, name: str, text: str) -> None:
        """Add text to a file."""
        self.write(name, self.files.get(name, b"") + text.encode())

    def recode(self, change: Callable[[bytes], bytes], *, tests: bool = False) -> None:
        """Change the bytes of the code, and of the tests if asked."""
        for name in [self.code, *([self.tests] if tests else [])]:
            if name:
                self.files[name] = change(self.files[name])

    def lay(self, root: Path) -> None:
        """Write everything to the empty directory `root`."""
        for name, content in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(self.modes.get(name, 0o644))
        for act in self.on_disk:
            act(root)


def git(root: Path, *words: str, given: bytes = b"") -> str:
    """Run git in a directory, without the settings of this machine."""
    variables = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.autocrlf=false"]
    done = subprocess.run(
        [*command, *words], cwd=root, input=given, capture_output=True, check=True, env=variables
    )
    return done.stdout.decode(errors="replace").strip()


# Where code and tests lie


def _layout(repo: DrawnRepository) -> str:
    """Choose names; return the module by which tests import the code."""
    draw = repo.random
    name = draw.choice(["kit", "kit", "tool_box", "bücher", "Kit2"])
    kind = draw.choice(
        ["flat", "src", "namespace", "module", "deep", "inside", "adjacent", "src module", "lib"]
    )
    repo.features.append(kind)
    tests = draw.choice(["tests/test_core.py", "tests/test_core.py", "test/core_test.py"])
    places = {
        "flat": (f"{name}/core.py", tests),
        "src": (f"src/{name}/core.py", tests),
        "namespace": (f"{name}/part/core.py", tests),
        "module": (f"{name}.py", f"test_{name}.py"),
        "deep": ("/".join([name, *"abcdefgh", "core.py"]), "tests/unit/deep/er/test_core.py"),
        "inside": (f"{name}/core.py", f"{name}/tests/test_core.py"),
        "adjacent": (f"{name}/core.py", f"{name}/test_core.py"),
        "src module": (f"src/{name}.py", tests),
        "lib": (f"lib/{name}/core.py", tests),
    }
    repo.code, repo.tests = places[kind]
    parts = repo.code.removesuffix(".py").split("/")
    if parts[0] in ("src", "lib"):
        parts.pop(0)
    if kind == "namespace":
        repo.write(f"{name}/part/__init__.py", "")
    elif len(parts) > 1:
        top = repo.code[: repo.code.index(name)]
        for depth in range(1, len(parts)):
            repo.write(f"{top}{'/'.join(parts[:depth])}/__init__.py", "")
    if kind == "inside":
        repo.write(f"{name}/tests/__init__.py", "")
    return ".".join(parts)


def _code(repo: DrawnRepository, module: str) -> list[str]:
    """Write the code; return the names of its parts."""
    chosen = repo.random.sample(sorted(PARTS), repo.random.randint(2, 4))
    texts = []
    for name in chosen:
        code, calls = PARTS[name]
        examples = "".join(
            f"    >>> {call}\n    {value}\n" for call, value in calls if value != "None"
        )
        doc = f'    """{name.title()}.\n\n{examples}    """\n'
        texts.append(code.format(doc=doc) if "{doc}" in code else code)
    repo.write(repo.code, f'"""The module {module}."""\n\n\n' + "\n\n".join(texts))
    return chosen


# How tests are written


def _functions(calls: dict[str, list[tuple[str, str]]]) -> str:
    return "".join(
        f"\n\ndef test_{name.lower()}_{number}():\n    assert {call} == {value}\n"
        for name, pairs in calls.items()
        for number, (call, value) in enumerate(pairs)
    )


def _classes(calls: dict[str, list[tuple[str, str]]]) -> str:
    text = "\n\nclass TestCore:\n    least = 0\n"
    for name, pairs in calls.items():
        checks = "".join(f"        assert {call} == {value}\n" for call, value in pairs)
        text += f"\n    def test_{name.lower()}(self):\n{checks}"
    return text


def _unittest(calls: dict[str, list[tuple[str, str]]]) -> str:
    text = "\nimport unittest\n\n\nclass CoreTest(unittest.TestCase):\n"
    for name, pairs in calls.items():
        checks = "".join(f"        self.assertEqual({call}, {value})\n" for call, value in pairs)
        text += f"\n    def test_{name.lower()}(self):\n{checks}"
    return text + "\n\nif __name__ == '__main__':\n    unittest.main()\n"


def _parameters(calls: dict[str, list[tuple[str, str]]]) -> str:
    rows = "".join(
        f"    (lambda: {call}, {value}),\n" for pairs in calls.values() for call, value in pairs
    )
    head = "\nimport pytest\n\nROWS = [\n" + rows + "]\n\n\n"
    ids = "[str(value) + ' ü[0]::/' for _, value in ROWS]"
    return (
        f'{head}@pytest.mark.parametrize(("made", "value"), ROWS, ids={ids})\n'
        "def test_row(made, value):\n    assert made() == value\n"
    )


def _coroutines(calls: dict[str, list[tuple[str, str]]]) -> str:
    return "\nimport asyncio\n" + "".join(
        f"\n\ndef test_{name.lower()}():\n    async def made():\n        return {pairs[0][0]}\n\n"
        f"    assert asyncio.run(made()) == {pairs[0][1]}\n"
        for name, pairs in calls.items()
    )


def _cached(calls: dict[str, list[tuple[str, str]]]) -> str:
    return (
        "\nimport pytest\n\n\n@pytest.fixture\ndef kept(request):\n"
        "    request.config.cache.set('kit/kept', 1)\n"
        "    return request.config.cache.get('kit/kept', None)\n\n\n"
        "def test_kept(kept):\n    assert kept == 1\n"
    ) + _functions(calls)


STYLES = {
    "functions": _functions,
    "classes": _classes,
    "unittest": _unittest,
    "parameters": _parameters,
    "coroutines": _coroutines,
    "cache": _cached,
}


def _tests(repo: DrawnRepository, module: str, names: list[str]) -> None:
    draw = repo.random
    style = draw.choice([*STYLES, *STYLES, "doctests", "doctest file", "none"])
    repo.features.append(style)
    calls = {name: PARTS[name][1] for name in names}
    head = f"from {module} import {', '.join(names)}\n"
    if style in STYLES:
        repo.write(repo.tests, head + STYLES[style](calls))
        return
    repo.tests = ""
    if style == "doctests":
        repo.write("pytest.ini", "[pytest]\naddopts = --doctest-modules\n")
    elif style == "doctest file":
        pairs = [pair for rows in calls.values() for pair in rows]
        lines = "".join(f"    >>> {call}\n    {value}\n" for call, value in pairs)
        repo.write("docs/use it.rst", f"Use\n===\n\n    >>> {head}{lines}")
        repo.write("pytest.ini", "[pytest]\naddopts = --doctest-glob='*.rst'\n")


def drawn(seed: int) -> DrawnRepository:
    """The repository of a seed; `ODDITIES` says what may be odd about it."""
    from repository_oddities import ODDITIES

    repo = DrawnRepository(Random(seed))
    module = _layout(repo)
    _tests(repo, module, _code(repo, module))
    names = sorted(ODDITIES)
    for name in repo.random.sample(names, repo.random.choice([0, 1, 1, 2, 2, 3, 4])):
        repo.features.append(name)
        ODDITIES[name](repo)
    return repo


def source_of(repo: DrawnRepository, place: Path) -> str:
    """Lay the repository below `place`, and return the SOURCE that names it."""
    draw = repo.random
    name = draw.choice(["kit", "kit", "kit", "my kit", "kit@2", "-kit", "kït", "kit'$(x)", "a#b"])
    kind = draw.choice(["directory", "repository", "repository", "uncommitted", "url"])
    repo.features.append(f"{kind} {name}")
    root = place / name
    root.mkdir()
    repo.lay(root)
    if kind == "directory":
        return str(root)
    git(root, "init", "-q", "-b", "main")
    if kind != "uncommitted":
        git(root, "add", "-A")
        for act in repo.in_index:
            act(root)
        git(root, "commit", "-qm", "all", "--allow-empty")
    return root.as_uri() if kind == "url" else str(root)
