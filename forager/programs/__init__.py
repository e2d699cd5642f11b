"""Programs that run inside sandboxes, with pytest and the standard library and nothing else.

They support CPython 3.8 to 3.14. These are the versions that the image builder chooses from
(`images/build.py`), that uv can install, and that pytest 8 or 9 runs on. The programs need what
3.8 brought: audit hooks (`coverage_tracer`), `sys.pycache_prefix` (`trial`) and the last lines of
syntax trees (`sieve`). Images of data sets may have 3.6 or 3.7. Their tests run by the data set's
own command, so only `shadows` and the programs of `repair` meet such an interpreter; they fail
there, and the error says which version they need.

A program is one module, or a package with a `main` module. Neither imports anything of forager:
inside a sandbox a module stands alone, and a package has another name.

Images hold every program compiled, which starts in a fraction of the time; `compiler` makes these
copies at the end of a build. An image of another version of forager has copies with other digests.
"""

import hashlib
import io
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from zipfile import ZipFile, ZipInfo

PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""The versions of CPython that every program supports, the oldest first."""
_COPIES = "/opt/forager"  # in images; its files are root's


def names() -> list[str]:
    """The names of all programs."""
    places = (place.name for place in files(__name__).iterdir())
    return sorted({name.removesuffix(".py") for name in places if not name.startswith("__")})


def copies(python: str) -> str:
    """The directory of an image that holds the programs compiled by this interpreter's path."""
    return f"{_COPIES}{python}"


@cache
def copy_name(name: str) -> str:
    """The file name of a compiled program, with a digest of its source."""
    return f"{name}-{hashlib.sha256(program(name)).hexdigest()[:16]}"


@cache
def program(name: str) -> bytes:
    """The one file that `python FILE` runs: the text of a module, or a package as a zip archive.

    In the archive the package `sieve` is named `forager_sieve`, because the project under test
    may have modules of any shorter name.
    """
    place = files(__name__)
    package = place / name
    return _archive(package) if package.is_dir() else (place / f"{name}.py").read_bytes()


def _archive(package: Traversable) -> bytes:
    name, result = f"forager_{package.name}", io.BytesIO()
    with ZipFile(result, "w") as archive:
        for module in sorted(package.iterdir(), key=lambda module: module.name):
            if module.name.endswith((".py", ".c")):
                # ZipInfo without the time of day: the same sources give the same archive.
                archive.writestr(ZipInfo(f"{name}/{module.name}"), module.read_bytes())
        archive.writestr(ZipInfo("__main__.py"), f"from {name}.main import main\n\nmain()\n")
    return result.getvalue()
