"""Candidates over real code: every diff applies, compiles, and can be taken back.

FORAGER_FUZZ_MUTANTS=1000 tries so many of each module instead of the few of CI.
"""

import ast
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import libcst as cst
import pytest

from forager.cli.mutate_fix import PRESETS
from forager.mutation.candidates import (
    Candidate,
    Change,
    Families,
    Region,
    Replacement,
    Sketch,
    Variant,
    candidates,
    unified_diff,
    variants,
)
from forager.mutation.files import read_source, source_files
from forager.mutation.pick import pick
from mutators import FAMILIES
from mutators.branches import remove_branch
from mutators.functions import delete_part
from mutators.operators import swap_binary, swap_boolean, swap_comparison
from mutators.statements import remove_import, remove_return
from tasks.sources import ProjectTexts

TRIED = int(os.environ.get("FORAGER_FUZZ_MUTANTS", "15"))  # mutants of each module
MODULES = ["textwrap", "heapq", "statistics", "json.decoder", "configparser"]


def source_of(module: str) -> str:
    """The source of a module of the standard library."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    text = read_source(Path(spec.origin).read_bytes())
    assert text is not None
    return text


@cache
def variants_of(module: str) -> list[Variant]:
    """All variants of a module, computed once for several tests."""
    return list(variants(source_of(module), FAMILIES))


def git(folder: Path, *arguments: str, stdin: str = "") -> bytes:
    """Run git and return its output; fail if git fails."""
    isolated = ["-c", "core.autocrlf=false", "-c", "core.safecrlf=false"]
    command = ["git", *isolated, *arguments]
    done = subprocess.run(
        command, cwd=folder, input=stdin.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty repository."""
    git(tmp_path, "init", "-q")
    return tmp_path


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> str:
    """The name of a module of the standard library."""
    return str(request.param)


def test_all_families_and_order(module: str) -> None:
    """Real code has candidates of nearly every family, in source order, without duplicates."""
    found = variants_of(module)
    assert len({variant.family for variant in found}) >= 8
    assert [variant.line for variant in found] == sorted(variant.line for variant in found)
    assert len({variant.text for variant in found}) == len(found)


@pytest.mark.parametrize("module", ["textwrap", "heapq"])
def test_deterministic(module: str) -> None:
    """Two runs list the same candidates."""
    assert list(variants(source_of(module), FAMILIES)) == variants_of(module)


def test_compiles_to_something_else(module: str) -> None:
    """The whole file compiles after each change, though the engine compiles only functions."""
    text = source_of(module)
    original = ast.dump(ast.parse(text))
    for variant in sample(variants_of(module)):
        compile(variant.text, variant.operator, "exec")
        assert ast.dump(ast.parse(variant.text)) != original


def test_line_is_where_the_change_starts(module: str) -> None:
    """All lines before a candidate's line are unchanged."""
    text = source_of(module)
    old = text.split("\n")
    for variant in variants_of(module):
        assert variant.text.split("\n")[: variant.line - 1] == old[: variant.line - 1]


def test_operators_regroup_nothing(module: str) -> None:
    """An operator swap changes nothing in the syntax tree but the operator."""
    text = source_of(module)
    swaps = {"swap_binary", "swap_boolean", "swap_comparison", "swap_augmented"}
    original = shape(text)
    for variant in sample(
        [variant for variant in variants_of(module) if variant.operator in swaps]
    ):
        assert shape(variant.text) == original


def shape(text: str) -> str:
    """The syntax tree without its operators; an n-ary `and` as nested pairs."""

    class Plain(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            if isinstance(node, ast.BoolOp):
                pair = node.values[0]
                for value in node.values[1:]:
                    pair = ast.BoolOp(ast.And(), [pair, value])
                return pair
            kinds = ast.operator | ast.cmpop
            return ast.Add() if isinstance(node, kinds) else node

    return ast.dump(Plain().visit(ast.parse(text)))


def test_diffs_apply_and_reverse(module: str, repository: Path) -> None:
    """`git apply` accepts every diff, and its reverse restores every byte."""
    text = source_of(module)
    file = repository / "package" / "mod ule.py"
    file.parent.mkdir()
    file.write_bytes(text.encode())
    for variant in sample(variants_of(module)):
        diff = unified_diff("package/mod ule.py", text, variant.text)
        git(repository, "apply", stdin=diff)
        assert file.read_bytes() == variant.text.encode()
        git(repository, "apply", "--reverse", stdin=diff)
        assert file.read_bytes() == text.encode()


def sample(found: list[Variant]) -> list[Variant]:
    """A fixed sample of the variants."""
    return random.Random(0).sample(found, min(TRIED, len(found)))


DIFFS = [
    ("a\nb\nc\n", "a\nB\nc\n"),
    ("a\nb", "a\nB"),
    ("a\nb", "a\nb\n"),
    ("a\nb\n", "a\nb"),
    ("a\nb", "A\nb"),
    ("a", "a\nb"),
    ("a\r\nb\r\nc\r\n", "a\r\nB\r\nc\r\n"),
    ("a\r\nb\r\nc", "a\r\nc"),
    ("a\x0cb\nc\x0b\n\x1cd\u2028e\n", "a\x0cb\nc\x0b\n\x1cD\u2028e\n"),
    ("é\nß\n", "é\nẞ\n"),
    ("a\n" * 9, "a\n" * 8),
    ("a\nb\n" * 9, "a\nb\n" * 4 + "a\n" + "a\nb\n" * 4),
    ("".join(f"{i}\n" for i in range(99)), "".join(f"{i}\n" for i in range(99) if i % 40)),
    ("a\n", ""),
    ("", "a\n"),
    ("a\n\n\nb\n", "\n\nb\n"),
    ("\n\n\n\na", "\n\n\n\n\na"),
]


@pytest.mark.parametrize(("old", "new"), DIFFS)
def test_diff_edge_cases(old: str, new: str, repository: Path) -> None:
    """git keeps line ends, a missing last line end, and characters of all kinds."""
    file = repository / "é.py"
    file.write_bytes(old.encode())
    diff = unified_diff("é.py", old, new)
    git(repository, "apply", "--unidiff-zero", stdin=diff)
    assert file.read_bytes() == new.encode()
    git(repository, "apply", "--reverse", "--unidiff-zero", stdin=diff)
    assert file.read_bytes() == old.encode()


def test_diff_of_neighbours_that_end_alike(repository: Path) -> None:
    """Diffs have context even if equal line ends hide where the change is."""
    small = "if a:\n    error(\n        A\n    )\n    return ()\n\n"
    large = "if b:\n    error(\n        B(\n            b\n        )\n    )\n    return ()\n\n"
    rest = "".join(f"{number}\n" for number in range(9))
    old, new = (
        f"{rest}{first}{second}{rest}" for first, second in ((large, small), (small, large))
    )
    file = repository / "a.py"
    file.write_text(old)
    git(repository, "apply", stdin=unified_diff("a.py", old, new))
    assert file.read_text() == new
    git(repository, "apply", "--reverse", stdin=unified_diff("a.py", old, new))
    assert file.read_text() == old


def test_diff_as_git_writes_it(repository: Path) -> None:
    """The diff equals that of `git diff` except for the line of hashes."""
    old = "".join(f"{number}\n" for number in range(40)) + "end"
    new = old.replace("\n5\n", "\nfive\n").replace("\n30\n", "\n").replace("end", "END")
    (repository / "a.py").write_bytes(old.encode())
    git(repository, "add", "a.py")
    (repository / "a.py").write_bytes(new.encode())
    lines = git(repository, "diff", "--no-color").decode().splitlines(keepends=True)
    # git puts the last line before a hunk behind its second @@
    expected = [
        line[: line.rindex("@@") + 2] + "\n" if line.startswith("@@") else line
        for line in lines
        if not line.startswith("index")
    ]
    assert unified_diff("a.py", old, new) == "".join(expected)


def test_no_change_no_diff() -> None:
    """Equal texts give an empty diff without headers."""
    assert unified_diff("a.py", "a\n", "a\n") == ""


def test_candidate_holds_what_a_task_needs() -> None:
    """A candidate names operator, file, function and line of its change."""
    text = "class A:\n    class B:\n        def f(self):\n            return 1 + x\n"
    found = list(candidates("p/a.py", text, {"operators": (swap_binary,)}))
    assert [
        candidate.model_dump(exclude={"diff"}, exclude_defaults=True) for candidate in found
    ] == [
        {
            "family": "operators",
            "operator": "swap_binary",
            "file": "p/a.py",
            "function": "A.B.f",
            "line": 4,
        }
    ]


REGIONS = """
import a
try:
    def f(): return a
except b:
    class C:
        import d
        async def g(self):
            def h(): return 1
            return h
        class E:
            def i(self): return self
def f(): return 2
"""


def test_region_names() -> None:
    """Regions have qualified names; nested functions belong to the outer one."""
    found = variants(REGIONS, {"statements": (remove_import, remove_return)})
    assert [variant.function for variant in found] == [
        *("<module>", "f", "C", "C.g", "C.g", "C.E.i", "f")
    ]


def test_restricted_to_functions() -> None:
    """A restriction keeps exactly the changes in the given functions."""
    named = {"C.g", "<module>"}
    expected = [variant for variant in variants(REGIONS, FAMILIES) if variant.function in named]
    assert list(variants(REGIONS, FAMILIES, functions=named)) == expected


def test_first_family_wins() -> None:
    """A text that two families make belongs to the first."""
    text = "def f(a):\n    return a\n"
    names = ("statements", "functions")
    assert [variant.operator for variant in variants(text, {n: FAMILIES[n] for n in names})] == [
        "remove_return"
    ]
    assert [
        variant.operator for variant in variants(text, {n: FAMILIES[n] for n in names[::-1]})
    ] == ["delete_body"]


def test_same_bytecode_is_listed_once() -> None:
    """Texts that compile to equal bytecode count once, such as `else: pass`."""
    text = "def f(a):\n    if a: b()\n    else: c()\n"
    found = variants(text, {"first": (delete_part,), "second": (remove_branch,)})
    assert [(variant.operator, variant.text.count("else")) for variant in found] == [
        ("delete_part", 0),  # the whole statement
        ("remove_branch", 0),  # the `if`, so that c() stands alone
        ("delete_part", 1),
        ("delete_part", 1),
    ]


NO_VARIANTS = [
    "",
    "def f(:\n",
    "def f():\n    return None\n",  # removed, the function returns None too
    "def f(a):\n    '''Doc.'''\n    global g\n    'no effect'\n",
    "def f():\n    return 1\r    return 2\n",
    "\ufeffdef f(:\n",
]


@pytest.mark.parametrize("text", NO_VARIANTS)
def test_no_variants(text: str) -> None:
    """Code that does not parse or change its meaning gives neither candidates nor errors."""
    found = variants(text, {name: FAMILIES[name] for name in ("statements", "functions")})
    assert [variant.text for variant in found] == []


def test_later_python() -> None:
    """LibCST judges code in a grammar that this Python lacks."""
    text = "def f[T: int](a: T) -> T:\n    return -a\n"
    found = list(variants(text, FAMILIES))
    assert text.replace("-a", "a") in [variant.text for variant in found]


def test_warnings_are_no_errors() -> None:
    """A file that warns on compilation has candidates like others."""
    text = "def f(a):\n    return a is 1 or '\\d'\n"
    operators: Families = {"operators": (swap_comparison, swap_boolean)}
    assert [variant.operator for variant in variants(text, operators)] == [
        "swap_comparison",
        "swap_boolean",
    ]


def test_overlap_is_an_error() -> None:
    """A mutator that changes the same bytes twice gets a ValueError."""

    def twice(region: Region) -> Iterator[Change]:
        for node in region.find(cst.BinaryOperation):
            yield Change("twice", (Replacement(node, "1"), Replacement(node.left, "2")))

    with pytest.raises(ValueError, match="twice: two replacements overlap"):
        list(variants("def f(a): return a + 3\n", {"mine": (twice,)}))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é\r\nb\n".encode(), "é\r\nb\n"),
        ("\ufeffa = 1\n".encode(), "\ufeffa = 1\n"),
        ("# coding: latin-1\nx = 'é'\n".encode("latin-1"), "# coding: latin-1\nx = 'é'\n"),
        (
            "#!x\n# vim: fileencoding=cp1252\n‚\n".encode("cp1252"),
            "#!x\n# vim: fileencoding=cp1252\n‚\n",
        ),
        ("# coding: shift_jis\n表 = 1\n".encode("shift_jis"), "# coding: shift_jis\n表 = 1\n"),
        ("x = 'é'\n".encode("latin-1"), None),
        (b"# coding: utf-7\nx = '\xe9'\n", None),
        (b"# coding: utf-7\nx = '+AGE-'\n", "# coding: utf-7\nx = '+AGE-'\n"),
        (b"# coding: unicode_escape\nx = \\x41\ny = '\xe9'\n", None),
        (b"# coding: rot13\nx = '\xe9'\n", None),
        (b"# coding: nothing\nx = '\xe9'\n", None),
        (b"\xff\xfex\x00", None),
        (b"", ""),
    ],
)
def test_read_source(data: bytes, text: str | None) -> None:
    """A text has its line ends, in the encoding that it states; lines of ASCII are its bytes."""
    assert read_source(data) == text


def test_source_files() -> None:
    """Only the project's own modules are listed, in order, without tests, tools and copies."""
    kept = [
        *("a.py", "package/__init__.py", "package/build/docs.py", "package/contest.py"),
        *("package/dist.py", "package/setup/a.py", "package/sub/latest.py"),
    ]
    left_out = [
        *("setup.py", "noxfile.py", "conftest.py", "versioneer.py", "package/_version.py"),
        *("tests/a.py", "package/tests/a.py", "package/testing.py", "test/a.py", "Tests/a.py"),
        *("test_a.py", "package/a_test.py", "package/a_tests.py", "docs/conf.py"),
        *("examples/a.py", "benchmarks/a.py", "build/lib/a.py", "dist/a.py", ".venv/lib/a.py"),
        *(".hidden.py", "package/_vendor/a.py", "vendor/a.py", "env/lib/a.py", "a.pyi"),
        *("checks/a.py", "package/checks.py", "node_modules/a.py"),
    ]
    paths = [*left_out, *reversed(kept), "env/pyvenv.cfg"]
    assert source_files(paths, ["checks/", "package/checks.py"]) == kept


@pytest.fixture(scope="module")
def listed() -> list[Candidate]:
    """The candidates of a small project of three files."""
    return [
        candidate
        for module in ("textwrap", "heapq", "statistics")
        for candidate in candidates(f"{module}.py", source_of(module), FAMILIES)
    ]


def test_pick_is_a_permutation(listed: list[Candidate]) -> None:
    """Every candidate comes once, in an order that depends on the seed alone."""
    order = list(pick(listed, seed=1))
    assert sorted(map(repr, order)) == sorted(map(repr, listed))
    assert list(pick(listed[::-1], seed=1)) == order
    assert list(pick(listed, seed=2)) != order


def test_pick_in_another_process(listed: list[Candidate]) -> None:
    """A process with another hash seed picks the same order."""
    program = (
        "import json, sys; from forager.mutation.pick import pick;"
        "from forager.mutation.candidates import Candidate;"
        "given = [Candidate(**row) for row in json.load(sys.stdin)];"
        "print(json.dumps([candidate.diff for candidate in pick(given, seed=7)]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        input=json.dumps([candidate.model_dump() for candidate in listed]),
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "123"},
    )
    assert json.loads(done.stdout) == [candidate.diff for candidate in pick(listed, seed=7)]


def test_pick_spreads(listed: list[Candidate]) -> None:
    """Families take turns; each function of a file comes once before one comes twice."""
    order = list(pick(listed, seed=3))
    families = Counter(candidate.family for candidate in order[:50])
    assert set(families) == set(FAMILIES)
    assert set(families.values()) == {5}
    assert {candidate.file for candidate in order[:15]} == {
        "textwrap.py",
        "heapq.py",
        "statistics.py",
    }
    for family in families:
        names = [
            candidate.function
            for candidate in order
            if (candidate.family, candidate.file) == (family, "heapq.py")
        ]
        distinct = len(set(names))
        assert len(set(names[:distinct])) == distinct


def test_what_is_drawn_is_checked_when_it_is_drawn() -> None:
    """Drawn in any order, sketches give as many changes as all checks at once, and none twice."""
    texts = {f"{module}.py": source_of(module) for module in ("textwrap", "heapq")}
    project = ProjectTexts(texts, {})
    listed = [change for change in project.listed(FAMILIES) if isinstance(change, Sketch)]
    drawn = list(project.candidates(pick(listed, seed=2)))
    diffs = {candidate.diff for candidate in drawn}
    expected = {
        candidate.diff
        for path, text in texts.items()
        for candidate in candidates(path, text, FAMILIES)
    }
    assert len(drawn) == len(diffs) == len(expected) < len(listed)
    assert len(diffs & expected) > 0.95 * len(diffs)


def test_pick_by_weight(listed: list[Candidate]) -> None:
    """Families come in proportion to their weights, and only those with a weight."""
    weights = {"functions": 1, "operators": 3, "arguments": 0}
    families = Counter(
        candidate.family for candidate in list(pick(listed, seed=4, weights=weights))[:40]
    )
    assert families == {"functions": 10, "operators": 30}


def test_preset_cwm(listed: list[Candidate]) -> None:
    """The preset has exactly CWM's five families in CWM's proportions."""
    order = list(pick(listed, seed=6, weights=PRESETS["cwm"]))
    weights = {"functions": 7, "arguments": 9, "variables": 6, "statements": 11, "operators": 12}
    assert Counter(candidate.family for candidate in order[:45]) == weights
    assert {candidate.family for candidate in order} == set(weights)
