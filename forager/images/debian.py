"""Which Debian package has a header, a library or a program: Debian's own index of contents.

The index of a release (`Contents-ARCH.gz`, as `apt-file` uses it) is fetched once and reduced to
the paths that builds look for.
"""

import gzip
import os
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import requests

from forager.atomic import replace_text
from forager.errors import SourceError, Unreachable
from forager.images.host import ca_bundle
from forager.locks import locked
from forager.paths import data_directory

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MIRRORS = {"debian": "http://deb.debian.org/debian", "ubuntu": "http://archive.ubuntu.com/ubuntu"}
_KEPT = re.compile(
    rb"^(usr/include/[^\s]+|(?:usr/)?s?bin/[^/\s]+|"
    rb"usr/lib/(?:[\w-]+-linux-gnu/)?(?:[^/\s]+\.so[.\d]*|pkgconfig/[^/\s]+\.pc)|"
    rb"usr/share/pkgconfig/[^/\s]+\.pc)[ \t]+([^\s]+)$",
    re.MULTILINE,
)
_SKIPPED = re.compile(r"(debug|kernel|universe/debug|oldlibs)/")
_CHUNK = 4 << 20  # bytes
_LONGEST_INDEX = 4 << 30  # bytes, unpacked
_SECONDS = 120


class DebianRelease(NamedTuple):
    """A release of Debian or Ubuntu."""

    distribution: str
    name: str


class IndexEntry(NamedTuple):
    """A path and the packages that have it."""

    path: str
    packages: list[str]


class Contents:
    """The index of a release; fetched when something is first looked up.

    Raises Unreachable where no mirror answers.
    """

    def __init__(self, release: DebianRelease) -> None:
        self._release = release
        self._lines: str | None = None

    def header(self, name: str) -> str:
        """The package with a header, such as `curl/curl.h`; or empty."""
        found = self._ending(f"/{name}", "usr/include")
        return _likely(found, name, wanted="-dev")

    def library(self, name: str) -> str:
        """The package to link with `-lNAME`; or empty."""
        found = self._ending(f"/lib{name}.so", "usr/lib")
        return _likely(found, name, wanted="-dev")

    def shared(self, name: str) -> str:
        """The package with a shared object, such as `libGL.so.1`; or empty."""
        return _likely(self._ending(f"/{name}", "usr/lib"), name, wanted="lib")

    def pkg_config(self, name: str) -> str:
        """The package with `NAME.pc`; or empty."""
        return _likely(self._ending(f"/pkgconfig/{name}.pc", "usr"), name, wanted="-dev")

    def program(self, name: str) -> str:
        """The package with a program; or empty."""
        return _likely(self._ending(f"bin/{name}", ""), name, wanted="")

    def _ending(self, end: str, start: str) -> list[IndexEntry]:
        text, wanted, found = self._text(), f"{end}\t", []
        at = text.find(wanted)
        while at >= 0:
            begin, stop = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            path, _, packages = text[begin:stop].partition("\t")
            if path.startswith(start):
                found.append(IndexEntry(path, packages.split(",")))
            at = text.find(wanted, stop)
        return found

    def _text(self) -> str:
        if self._lines is None:
            self._lines = ""  # if the mirror does not answer, it is not asked again
            self._lines = _index(self._release)
        return self._lines


def release_of(facts: str) -> DebianRelease:
    """Read the text of `/etc/os-release`."""
    values = dict(re.findall(r'^(\w+)="?([\w.-]+)"?$', facts, re.MULTILINE))
    return DebianRelease(values.get("ID", ""), values.get("VERSION_CODENAME", ""))


def _likely(entries: Iterable[IndexEntry], name: str, *, wanted: str) -> str:
    """The likeliest package: the wanted kind, the shortest path, a name like the file's.

    Where packages differ only in the TLS library that they use, Debian's default is OpenSSL.
    """
    stem = re.sub(r"\.\w+$|(?<=[-_])config$", "", name.lower().rpartition("/")[2])
    plain = re.sub(r"[^a-z0-9]", "", stem)
    ranked = [
        (
            wanted not in package,
            _depth(entry.path),
            "openssl" not in package,
            not _alike(plain, package),
            len(package),
            package,
        )
        for entry in entries
        for package in entry.packages
    ]
    return min(ranked)[-1] if ranked else ""


def _depth(path: str) -> int:
    """The number of folders, that of the architecture left out."""
    return re.sub(r"/[\w]+-linux-gnu/", "/", path).count("/")


def _alike(plain: str, package: str) -> bool:
    return plain in re.sub(r"[^a-z0-9]", "", package)


def _index(release: DebianRelease) -> str:
    """The reduced index of a release, from the data directory or from the mirror."""
    path = data_directory() / "debian" / f"{release.name}.txt"
    if not re.fullmatch(r"[a-z]+", release.name) or release.distribution not in _MIRRORS:
        return ""
    with locked(f"contents-{release.name}"):
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            replace_text(path, "".join(_fetched(release)))
    return path.read_text()


def _fetched(release: DebianRelease) -> Iterator[str]:
    mirror = os.environ.get("FORAGER_DEBIAN_MIRROR") or _MIRRORS[release.distribution]
    architecture = _ARCHITECTURES.get(platform.machine(), "amd64")
    component = "main/" if release.distribution == "debian" else ""
    for kind in (architecture, "all"):
        address = f"{mirror}/dists/{release.name}/{component}Contents-{kind}.gz"
        with suppress(_Missing):  # Ubuntu has one index for both
            yield from _reduced(address)


class _Missing(SourceError):
    """A mirror has no such file."""


def _reduced(address: str) -> Iterator[str]:
    """Yield the lines of an index that name what builds look for."""
    read = 0
    try:
        with requests.get(
            address, timeout=_SECONDS, stream=True, verify=ca_bundle() or True
        ) as answer:
            if answer.status_code == 404:
                raise _Missing(f"{address} is not there")
            answer.raise_for_status()
            with gzip.GzipFile(fileobj=answer.raw) as index:
                rest = b""
                while chunk := index.read(_CHUNK):
                    read += len(chunk)
                    if read > _LONGEST_INDEX:
                        raise Unreachable(f"{address} is longer than it can be")
                    whole, _, rest = (rest + chunk).rpartition(b"\n")
                    yield from map(_entry, _KEPT.finditer(whole))
    except (requests.RequestException, OSError, EOFError) as error:
        raise Unreachable(f"{address} cannot be read: {error}") from error


def _entry(found: re.Match[bytes]) -> str:
    packages = found[2].decode("ascii", "replace").split(",")
    names = [name.rpartition("/")[2] for name in packages if not _SKIPPED.match(name)]
    return f"{found[1].decode(errors='replace')}\t{','.join(names)}\n" if names else ""
