"""Keeps the repositories that SWE-bench evaluates on, and their forks, out of training sets.

Recognises a project by its name, by the first commit of its history, or by nearly identical files.
`scripts/contamination` writes the list, `contamination.toml`: the repositories of SWE-bench with
its dev split (Lite and Verified are subsets), and the Python ones of SWE-bench Pro.

Not covered: benchmarks whose repositories change (SWE-bench Live, SWE-rebench's leaderboard), a
renamed fork with rewritten history and files, and single copied files.
"""

import base64
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from pydantic import Field, ValidationError

from forager.config import load_settings, load_toml
from forager.errors import UsageError
from forager.minhash import minhash
from forager.records import Record, describe_problem

PERMUTATIONS = 64
"""Hash functions of a signature, which keeps the last byte of each minimum."""

_WORDS = 8  # words in a shingle
_SMALL = 120  # a file with fewer shingles does not reveal its origin
_ALIKE = 0.5  # MinHash estimate of the share of common shingles from which files count as alike
_ENOUGH = 3  # files alike from which a repository counts as a copy


class Project(Record):
    """A project whose code must stay out of training sets."""

    name: str = Field(description="owner/name of the repository.")
    also: list[str] = Field([], description="Other names, such as pypi/NAME or an older owner.")
    roots: list[str] = Field([], description="First commits of the history.")
    files: dict[str, list[str]] = Field(
        {}, description="Signatures of some files by path, one for each very different version."
    )


class ContaminatedProject(UsageError):
    """The project is contaminated and the user did not ask to keep it."""


class _ProjectList(Record):
    projects: list[Project]


def contaminated(
    name: str,
    *,
    roots: Collection[str] = (),
    texts: Mapping[str, str] = MappingProxyType({}),
    also: Path | None = None,
) -> str:
    """Return why a project must stay out of training sets, or "".

    `name` is the name of a source ('owner/name', 'pypi/name', 'local/name'), `roots` the first
    commits of its history, `texts` its files by path. `also` is a file with more projects, like
    `contamination.toml`. A repository with the name of a listed one counts as its fork, whoever
    owns it.
    """
    projects = [*_known(), *(read_projects(also) if also else ())]
    ours = {_plain(name), _plain(name).rpartition("/")[2]}
    for project in projects:
        if ours & _names(project):
            return f"by its name it is {project.name}, or a fork of it"
        if set(roots) & set(project.roots):
            return f"its history begins as that of {project.name}"
    found = _most_alike(projects, texts) if texts else None
    return f"{found[1]} of its files are nearly those of {found[0]}" if found else ""


def admitted(
    name: str,
    *,
    keep: bool,
    roots: Collection[str] = (),
    texts: Mapping[str, str] = MappingProxyType({}),
    also: Path | None = None,
) -> str:
    """Like `contaminated`, but raises ContaminatedProject for a reason unless `keep` is set."""
    reason = contaminated(name, roots=roots, texts=texts, also=also)
    if reason and not keep:
        raise ContaminatedProject(
            f"{name} is kept out of training sets: {reason}; "
            "pass --keep-contaminated to make tasks anyway"
        )
    return reason


def read_projects(path: Path) -> list[Project]:
    """Read a file of projects. Raises UsageError."""
    try:
        return _ProjectList.model_validate(load_toml(path)).projects
    except ValidationError as error:
        problem = describe_problem(_ProjectList, error)
        raise UsageError(
            f'{path} is not a list of projects ([[projects]] with name = "owner/name"): {problem}'
        ) from error


def signature(text: str) -> str:
    """A file's MinHash as base64, one byte for each hash function; empty for a small file."""
    import numpy

    words = re.findall(r"\w+|[^\w\s]", text)
    shingles = {" ".join(words[at : at + _WORDS]) for at in range(len(words) - _WORDS + 1)}
    if len(shingles) < _SMALL:
        return ""
    made = minhash((text.encode("utf-8", "replace") for text in shingles), PERMUTATIONS)
    low = (made & 0xFF).astype(numpy.uint8)
    return base64.b64encode(low.tobytes()).decode()


def alike(first: str, second: str) -> float:
    """The estimated Jaccard similarity of two files, from 0 to 1, by their signatures.

    Two bytes are equal by chance in one of 256 cases; the estimate corrects for this.
    """
    pairs = zip(base64.b64decode(first), base64.b64decode(second), strict=True)
    same = sum(a == b for a, b in pairs)
    return max(0.0, (same / PERMUTATIONS - 1 / 256) * 256 / 255)


def _most_alike(projects: list[Project], texts: Mapping[str, str]) -> tuple[str, int] | None:
    """The project with most files alike, and their number; None if they are too few."""
    # Signatures of similar files share a pair of neighbouring bytes at the same place. An index of
    # these pairs finds the few signatures to compare.
    table: defaultdict[tuple[int, int, int], set[tuple[str, str, str]]] = defaultdict(set)
    for project in projects:
        for path, known in project.files.items():
            for version in known:
                for pair in _pairs(version):
                    table[pair].add((project.name, path, version))
    found: defaultdict[str, set[str]] = defaultdict(set)
    for text in texts.values() if table else ():
        ours = signature(text)
        near = set().union(*(table.get(pair, ()) for pair in _pairs(ours)))
        for name, path, theirs in near:
            if path not in found[name] and alike(ours, theirs) >= _ALIKE:
                found[name].add(path)
    name, paths = max(found.items(), key=lambda item: len(item[1]), default=("", set()))
    return (name, len(paths)) if len(paths) >= _ENOUGH else None


def _pairs(text: str) -> set[tuple[int, int, int]]:
    return {(at, *pair) for at, pair in enumerate(pairwise(base64.b64decode(text)))}


def _names(project: Project) -> set[str]:
    """The names of a project with their last parts, which forks keep."""
    whole = {_plain(name) for name in (project.name, *project.also)}
    return whole | {name.rpartition("/")[2] for name in whole}


@cache
def _known() -> list[Project]:
    return load_settings(Path(__file__).with_name("contamination.toml"), _ProjectList).projects


def _plain(name: str) -> str:
    """A name normalised as package indexes do (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
