"""One meaning for each name: no two classes of the tree share one."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("forager", "mutators", "tools", "tasks")


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
    assert shared == {}
