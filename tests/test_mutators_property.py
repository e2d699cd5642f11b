"""Every operator on real projects: its diffs apply, compile, and can be taken back."""

import random
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from forager.mutation.candidates import Families, Variant, variants
from forager.mutation.files import read_source, source_files, unified_diff
from mutators import FAMILIES

PROJECTS = ["click", "packaging", "requests"]
LONGEST = 700  # lines of a file: each sample is a whole file, written and compiled
SAMPLE = 20  # functions of a project for each operator

# The second, for what other families offer too is not listed for these in the first.
LISTINGS: tuple[Families, ...] = (FAMILIES, {"exceptions": FAMILIES["exceptions"]})

OPERATORS = {mutator.__name__ for family in FAMILIES.values() for mutator in family}


@cache
def sources(project: str) -> dict[str, str]:
    """The files of an installed project, without the longest ones."""
    spec = find_spec(project)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    paths = [str(path.relative_to(root)) for path in root.rglob("*")]
    texts = {
        name: read_source((root / name).read_bytes()) or "" for name in source_files(paths, [])
    }
    return {name: text for name, text in texts.items() if text.count("\n") <= LONGEST}


@cache
def sampled(project: str) -> list[tuple[str, Variant]]:
    """A fixed sample: some functions for each operator, with one change each."""
    found: dict[str, dict[tuple[str, str], list[Variant]]] = {}
    for name, text in sources(project).items():
        for families in LISTINGS:
            for variant in variants(text, families):
                functions = found.setdefault(variant.operator, {})
                functions.setdefault((name, variant.function), []).append(variant)
    chooser = random.Random(0)
    return [
        (place[0], chooser.choice(functions[place]))
        for _, functions in sorted(found.items())
        for place in chooser.sample(sorted(functions), min(SAMPLE, len(functions)))
    ]


def test_every_operator_occurs() -> None:
    """The sample has every operator of every family, under unique names."""
    occurring = {variant.operator for project in PROJECTS for _, variant in sampled(project)}
    assert occurring == OPERATORS
    assert len(OPERATORS) == sum(map(len, FAMILIES.values()))


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # of the mutated code
@pytest.mark.parametrize("project", PROJECTS)
def test_diffs_apply_compile_and_reverse(project: str, tmp_path: Path) -> None:
    """`git apply` gives the text, which compiles; the reverse restores every byte."""
    texts = sources(project)
    diffs, files = [], []
    for number, (name, variant) in enumerate(sampled(project)):
        compile(variant.text, variant.operator, "exec", dont_inherit=True)
        files.append(tmp_path / f"{number}.py")
        files[-1].write_bytes(texts[name].encode())
        diffs.append(unified_diff(f"{number}.py", texts[name], variant.text))
    for arguments, right in (
        ([], [variant.text for _, variant in sampled(project)]),
        (["--reverse"], [texts[name] for name, _ in sampled(project)]),
    ):
        subprocess.run(
            ["git", "-c", "core.autocrlf=false", "apply", *arguments],
            cwd=tmp_path,
            input="".join(diffs).encode(),
            check=True,
        )
        assert [file.read_bytes() for file in files] == [text.encode() for text in right]
