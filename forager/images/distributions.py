"""Finds the distribution that brings an import: in the project's own files, in a table, by name."""

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from forager.environments.repository.protection import folder_of_tests
from forager.errors import SourceError
from forager.images.layout import modules, project_name, read_text
from forager.images.requirements import parse, read_requirements, stated_requirements
from forager.images.sdist import list_releases

_DISTRIBUTIONS = {  # imports whose distribution has another name
    "Crypto": "pycryptodome",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "Xlib": "python-xlib",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "bson": "pymongo",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "distutils": "setuptools<81",
    "dns": "dnspython",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "environ": "django-environ",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "github": "PyGithub",
    "grpc": "grpcio",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "markdown_it": "markdown-it-py",
    "memcache": "python-memcached",
    "MySQLdb": "mysqlclient",
    "nacl": "PyNaCl",
    "OpenGL": "PyOpenGL",
    "pkg_resources": "setuptools<81",
    "psycopg2": "psycopg2-binary",
    "rest_framework": "djangorestframework",
    "ruamel": "ruamel.yaml",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "socks": "PySocks",
    "tlz": "toolz",
    "umsgpack": "u-msgpack-python",
    "usb": "pyusb",
    "websocket": "websocket-client",
    "xdist": "pytest-xdist",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
    "zope": "zope.interface",
}
_MISSING = re.compile(
    r"No module named '?([A-Za-z_][\w.]{0,99})|\$ pip install ([\w.-]{1,100})\b|"
    r"Failed to import filter module '([\w.]{1,100})'"
)
_MORE_FILES = ("*requirements*.txt", "requirements/*.txt", "reqs/*.txt", "tests/*require*.txt",
               "ci/*require*.txt", ".github/*require*.txt", "docs/*require*.txt")  # fmt: skip
_ENDINGS = (".py", ".pyx", ".c", ".cpp", ".rs")  # of a module's file
_FEWEST_RELEASES = 3  # of a distribution that is known by its import's name alone


def missing_modules(*texts: str) -> list[str]:
    """The modules, or the distributions of hints to install one, that logs say are missing."""
    found = (match for text in texts for match in _MISSING.finditer(text))
    return list(dict.fromkeys(match[match.lastindex or 0] for match in found))


def distribution(tree: Path, module: str) -> str:
    """The requirement that brings a module; empty if none is known, or the project itself has it.

    A requirement of the project's own files comes first, then the table. A distribution of the same
    name counts only if the index has several releases of it: a new name could be anybody's.
    """
    top = module.partition(".")[0].replace("-", "_")  # messages name distributions, too
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,60}", top) or _is_own(tree, top):
        return ""
    known = parse(_DISTRIBUTIONS.get(top, ""))
    if known and known.specifier:  # newer versions lack the module
        return str(known)
    names = [canonicalize_name(known.name)] if known else _names(top)
    found = next(
        (
            _without_marker(parsed)
            for text in _stated_anywhere(tree)
            if (parsed := parse(text)) and canonicalize_name(parsed.name) in names
        ),
        "",
    )
    return found or (str(known) if known else next(filter(_is_known, names), ""))


def _without_marker(requirement: Requirement) -> str:
    """The requirement for any machine: the module is missing on this one."""
    return str(requirement).partition(";")[0].strip()


def _is_own(tree: Path, module: str) -> bool:
    """Whether the project itself has a module: as a package, in C or Rust, or next to its tests."""
    own = {*modules(tree), canonicalize_name(project_name(tree))}
    if own & {module, canonicalize_name(module)}:
        return True
    folders = [path for path in tree.iterdir() if path.is_dir() and not path.is_symlink()]
    places = [(tree, ("", *_ENDINGS)), *((folder, _endings_in(folder)) for folder in folders)]
    stems = {module, module.strip("_")}
    return any(
        _is_there(place / f"{stem}{ending}")
        for place, endings in places
        for ending in endings
        for stem in stems
    )


def _endings_in(folder: Path) -> tuple[str, ...]:
    """What follows a module's name in a folder of the project that holds its sources.

    A package holds none: its modules have its name before theirs. Files among tests may be found by
    their own names; a folder there may hold tests of the module.
    """
    package = _is_there(folder / "__init__.py")
    if not folder_of_tests(f"{folder.name}/test.py"):
        return () if package else ("", *_ENDINGS)
    return _ENDINGS if package else ("/__init__.py", *_ENDINGS)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that may not be read
        return False


def _stated_anywhere(tree: Path) -> Iterator[str]:
    """Yield the requirements of all the project's files, those of its tests first."""
    for stated in stated_requirements(tree):
        yield from stated.requirements
    for pattern in _MORE_FILES:
        for path in sorted(tree.glob(pattern)):
            yield from read_requirements(tree, path.relative_to(tree).as_posix())
    for path in sorted((tree / ".github" / "workflows").glob("*.y*ml")):
        yield from _named_in(read_text(path.parent, path.name))


def _named_in(workflow: str) -> Iterator[str]:
    """Yield the requirements of `pip install` lines in a workflow."""
    for line in re.findall(r"pip3? install ([^\n|&;]{1,1000})", workflow):
        for word in line.replace("'", " ").replace('"', " ").split():
            if re.fullmatch(r"[A-Za-z][\w.-]*(\[[\w,-]+\])?([<>=!~]=?[\w.,<>=!~*]+)?", word):
                yield word


def _names(module: str) -> list[str]:
    """The names under which the index may list a module's distribution."""
    plain = canonicalize_name(module)
    return [plain, f"python-{plain}", f"py{plain}"]


def _is_known(name: str) -> bool:
    try:
        return len(list_releases(name)) >= _FEWEST_RELEASES
    except SourceError:
        return False
