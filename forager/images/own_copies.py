"""No copy of the project outside the working tree: it would hold answers."""

import json
import shlex
from pathlib import Path

from forager.images.builder import failed
from forager.images.layout import import_root, modules, project_name
from forager.images.recipe import Recipe
from forager.images.workbench import TOOLS, VENV, Workbench, archive
from forager.sandboxes.sandbox import WORKDIR

# Prints, as JSON, files outside the working tree that equal a file of the project, and modules of
# its name in site-packages.
_COPIES = f"""
import hashlib, json, os, sys
sources, names = json.load(open("{TOOLS}/modules.json"))
def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()
def inside(path):  # the project's own files, which an installation with -e may link to
    return os.path.realpath(path).startswith("{WORKDIR}/")
sizes, own = set(), set()
for source in sources:
    path = os.path.join("{WORKDIR}", source)
    if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) > 200:
        sizes.add(os.path.getsize(path))
        own.add(digest(path))
found = []
for top in ("{VENV}", "/home", "/root", "/opt", "/usr/local", "/srv", "/var"):
    for directory, children, files in os.walk(top):
        children[:] = [c for c in children if os.path.join(directory, c) != "{TOOLS}"]
        if os.path.basename(directory) == "site-packages":
            like = [c for c in children if c in names]
            like += [f for f in files if f.partition(".")[0] in names and not f.endswith(".pth")]
            places = [os.path.join(directory, name) for name in like]
            found += [place for place in places if not inside(place)]
        for name in files:
            path = os.path.join(directory, name)
            try:
                if not os.path.islink(path) and os.path.getsize(path) in sizes:
                    if digest(path) in own:
                        found.append(path)
            except OSError:
                pass
print(json.dumps(sorted(set(found))))
"""


def without_copies(
    bench: Workbench, tree: Path, files: list[str], recipe: Recipe
) -> tuple[Recipe, list[str]]:
    """Make sure that no copy of the project, which would hold answers, is outside the tree."""
    sources = [name for name in files if name.endswith((".py", ".pyx", ".c"))]
    names = modules(tree)
    content = json.dumps([sources, names]).encode()
    bench.put(archive({"modules.json": (content, 0o644)}), TOOLS)
    command = f"python3 -I -c {shlex.quote(_COPIES)}"  # the system's Python, as root runs it
    copies = json.loads(bench.check(command, user="root"))
    own = [path for path in copies if _inside_site(path) in names]
    name = project_name(tree)
    if own and name:
        bench.run(f"uv pip uninstall {shlex.quote(name)}")
        recipe = by_path(recipe, tree)
        copies = json.loads(bench.check(command, user="root"))
        own = [path for path in copies if _inside_site(path) in names]
    if own:
        raise failed(
            "install",
            f"{own[0]} is a copy of the project: install the project with -e, so that bugs are "
            "put in and fixed in one place",
        )
    return recipe, [f"{path} equals a file of the project" for path in copies]


def _inside_site(path: str) -> str:
    """Return the module that a path in site-packages belongs to."""
    return path.partition("/site-packages/")[2].partition("/")[0].partition(".")[0]


def by_path(recipe: Recipe, tree: Path) -> Recipe:
    """The recipe with a path to import from, for a project that is not installed."""
    root = f"{WORKDIR}/{import_root(tree)}".rstrip("/")
    return recipe.model_copy(update={"variables": {"PYTHONPATH": root, **recipe.variables}})
