"""What an agent reads that is to write a recipe: the project's own words, and the diagnosis."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import tomli_w

from forager.images.agent_bench import RECIPE
from forager.images.builder import Diagnosis, SourceProject
from forager.images.layout import read_text
from forager.images.recipe import Recipe
from forager.images.source import tracked_files
from forager.images.workbench import telling_lines
from forager.text import safe

SYSTEM = """You are a software engineer who makes the tests of Python projects run, at work in a \
container with a network. The project is in /testbed. You are the user `agent`, without root. The \
tools are your only way to act; nobody answers questions. Find out what the project needs, try it, \
write it into the recipe, and call `submit`. A refused submission says why: correct the recipe and \
submit again.

{instructions}"""

_PROMPT = """Write a recipe for {name}: a TOML file from which an image is built that runs the \
project's tests. It is {path}, and says so far:

```toml
{recipe}```

{failed}

The keys:
{keys}

How a recipe is built, each time from scratch:
1. Root installs the Debian packages in `system`. You cannot install them here; `apt-cache search` \
finds their names.
2. Each command in `install` runs in bash, in /testbed, as the user `agent`, with `variables`, a \
network, and /opt/venv as the active environment. It has pytest and uv. Here it is the same: try \
the commands first. Install the project with `uv pip install -e .`, so that it stays in /testbed.
3. If `tests` is empty, pytest is asked which tests there are. Leave it empty unless that fails.
4. The tests run without a network.

The recipe is accepted if at least half of the tests that run pass, and at least half of the test \
functions in the project's files ({functions}). What is skipped, ignored or deselected does not \
pass. It is refused if it changes tracked files, adds tests, conftest.py, settings of pytest or \
modules, edits installed packages, or loads plug-ins with -p.

Call `submit` when {path} is ready. It takes minutes. You may submit {submissions} times.

What the project says of itself:

{files}"""

_FILES = (  # in the order of their use; patterns of names, and characters of each file
    ("readme*", 5000),
    ("contributing*", 5000),
    (".github/contributing*", 5000),
    (".github/workflows/*.y*ml", 5000),
    (".gitlab-ci.yml", 4000),
    (".travis.yml", 4000),
    (".circleci/config.yml", 4000),
    ("azure-pipelines.yml", 4000),
    ("tox.ini", 4000),
    ("noxfile.py", 4000),
    ("makefile", 3000),
)
_MOST_FILES, _MOST_CHARACTERS = 12, 24_000
_HIDDEN_KEYS = {"untrusted", "protected"}


def prompt(project: SourceProject, recipe: Recipe, failure: Diagnosis, submissions: int) -> str:
    """Return what the agent reads first."""
    return _PROMPT.format(
        name=project.source.name,
        path=RECIPE,
        recipe=recipe_text(recipe),
        failed=diagnosis(failure),
        keys="\n".join(_keys()),
        functions=failure.functions,
        submissions=submissions,
        files="\n\n".join(_excerpts(project.tree)),
    )


def recipe_text(recipe: Recipe) -> str:
    """The recipe as TOML, without what forager decides, and without comments."""
    return tomli_w.dumps(recipe.model_dump(exclude=_HIDDEN_KEYS))


def diagnosis(failure: Diagnosis) -> str:
    """What is wrong with a recipe, with the telling lines of the log."""
    lines = [f"It fails: {failure.message}."]
    if failure.command:
        lines.append(f"The command: {failure.command}")
    if failure.run:
        lines.append(f"{failure.passing} of {failure.run} tests pass.")
    if failure.log:
        lines.append(f"The telling lines of the log:\n{telling_lines(failure.log)}")
    return safe("\n".join(lines))


def _keys() -> Iterator[str]:
    for name, field in Recipe.model_fields.items():
        if name not in _HIDDEN_KEYS:
            yield f"- {name}: {field.description}"


def _excerpts(tree: Path) -> Iterator[str]:
    """Yield the beginnings of the files that say how the project is set up and tested."""
    left = _MOST_CHARACTERS
    for name, characters in _chosen(tracked_files(tree)):
        text = safe(read_text(tree, name))[: min(characters, left)]
        left -= len(text)
        if text.strip():
            yield f'<file name="{safe(name)}">\n{text}\n</file>'


def _chosen(tracked: Sequence[str]) -> list[tuple[str, int]]:
    found = [
        (name, characters)
        for pattern, characters in _FILES
        for name in tracked
        if name.count("/") == pattern.count("/") and fnmatchcase(name.lower(), pattern)
    ]
    return found[:_MOST_FILES]
