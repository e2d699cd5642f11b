"""What is left out of training sets: the repositories that SWE-bench evaluates on, and their forks.

A project is known by its name, by the first commit of its history, or by files that are nearly
its own. The list is `contamination.toml`; `scripts/contamination` makes it. It holds the
repositories of SWE-bench (of which Lite and Verified are parts) and of its dev split, and the
Python ones of SWE-bench Pro.

Not covered: benchmarks whose repositories change (SWE-bench Live, SWE-rebench's leaderboard), a
fork under another name whose history and files were all rewritten, and single copied files.
"""

import base64
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from zlib import crc32

from pydantic import Field, ValidationError

from forager.config import load_settings, load_toml
from forager.errors import UsageError
from forager.records import Record

PERMUTATIONS = 64
"""Hash functions of a signature; of each only the last byte of its minimum is kept."""

_WORDS = 8  # of a file's text in a shingle
_SMALL = 120  # shingles under which a file says nothing of where it comes from
_ALIKE = 0.5  # share of the shingles that two files have in common, as MinHash estimates it
_ENOUGH = 3  # files that are nearly a project's


class Project(Record):
    """A project whose code must not be trained on."""

    name: str = Field(description="owner/name of the repository.")
    also: list[str] = Field([], description="Other names, such as pypi/NAME or an older owner.")
    roots: list[str] = Field([], description="First commits of the history.")
    files: dict[str, list[str]] = Field(
        {}, description="Signatures of some of its files, one a version that differs much."
    )


class KeptOut(UsageError):
    """A project that no tasks are made of, unless that is asked for."""


class _List(Record):
    projects: list[Project]


def contaminated(
    name: str,
    *,
    roots: Collection[str] = (),
    texts: Mapping[str, str] = MappingProxyType({}),
    also: Path | None = None,
) -> str:
    """Return why a project is to be left out of training sets, or nothing.

    `name` is that of a source ('owner/name', 'pypi/name', 'local/name'), `roots` are the first
    commits of its history, `texts` its files by path. `also` is a file of more projects, like
    `contamination.toml`. A repository of a listed one's name counts as its fork, whoever owns it.
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
    """Say `contaminated` of a project that is taken all the same (`keep`). Raises KeptOut."""
    reason = contaminated(name, roots=roots, texts=texts, also=also)
    if reason and not keep:
        raise KeptOut(
            f"{name} is kept out of training sets: {reason}; "
            "--keep-contaminated makes tasks of it all the same"
        )
    return reason


def read_projects(path: Path) -> list[Project]:
    """Read a file of projects. Raises UsageError."""
    try:
        return _List.model_validate(load_toml(path)).projects
    except ValidationError as error:
        problem = str(error).splitlines()[0]
        raise UsageError(
            f'{path} is no list of projects ([[projects]] with name = "owner/name"): {problem}'
        ) from error


def signature(text: str) -> str:
    """A file's MinHash as text; empty for a file that is too small to tell."""
    import numpy
    from datasketch import MinHash  # brings numpy and scipy

    words = re.findall(r"\w+|[^\w\s]", text)
    shingles = {" ".join(words[at : at + _WORDS]) for at in range(len(words) - _WORDS + 1)}
    if len(shingles) < _SMALL:
        return ""
    made = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=crc32, scheme="affine32")
    made.update_batch([shingle.encode("utf-8", "replace") for shingle in shingles])
    low = (made.hashvalues & 0xFF).astype(numpy.uint8)
    return base64.b64encode(low.tobytes()).decode()


def alike(one: str, other: str) -> float:
    """How much of two files is the same, from 0 to 1, by their signatures.

    A byte is the same by chance in one of 256 cases, which is taken off.
    """
    same = sum(a == b for a, b in zip(base64.b64decode(one), base64.b64decode(other), strict=True))
    return max(0.0, (same / PERMUTATIONS - 1 / 256) * 256 / 255)


def _most_alike(projects: list[Project], texts: Mapping[str, str]) -> tuple[str, int] | None:
    """The project of which most files were found, and how many, where they are enough."""
    # Two files that are alike have the same pair of neighbouring bytes somewhere: by these pairs
    # the few that are worth comparing are found.
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
    """The names of a project, and their last parts, which forks keep."""
    whole = {_plain(name) for name in (project.name, *project.also)}
    return whole | {name.rpartition("/")[2] for name in whole}


@cache
def _known() -> list[Project]:
    return load_settings(Path(__file__).with_name("contamination.toml"), _List).projects


def _plain(name: str) -> str:
    """A name as package indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()
