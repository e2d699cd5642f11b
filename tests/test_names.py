"""One meaning for each name: no two classes of the tree share one."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("forager", "mutators", "tools", "tasks")
STILL_SHARED = {"Answer", "Budget", "Change", "Job", "Source", "Trials"}
"""Names to give to one class only; take a name out of this set as soon as it has one owner."""


def classes() -> dict[str, list[str]]:
    """The places of all classes by name, nested classes included."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_a_class_name_has_one_owner() -> None:
    """A new class takes a name that no other class has, private classes included."""
    shared = {name: places for name, places in classes().items() if len(places) > 1}
    assert {name: shared[name] for name in shared.keys() - STILL_SHARED} == {}


def test_the_list_of_shared_names_only_shrinks() -> None:
    """A name that has one owner again leaves the list of exceptions."""
    shared = {name for name, places in classes().items() if len(places) > 1}
    assert STILL_SHARED - shared == set()
