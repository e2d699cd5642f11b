"""Debian's index of contents: which package has a header, a library or a program."""

from pathlib import Path

import pytest

from forager.images import debian
from forager.images.debian import Contents, DebianRelease, release_of

BOOKWORM = DebianRelease("debian", "bookworm")
INDEX = """\
usr/include/curl/curl.h\tlibcurl4-gnutls-dev,libcurl4-nss-dev,libcurl4-openssl-dev
usr/include/openssl/ssl.h\tlibssl-dev
usr/include/wolfssl/openssl/ssl.h\tlibwolfssl-dev
usr/include/zlib.h\tzlib1g-dev
usr/include/Poco/zlib.h\tlibpoco-dev
usr/include/x86_64-linux-gnu/ffi.h\tlibffi-dev
usr/lib/x86_64-linux-gnu/libGL.so.1\tlibgl1
usr/lib/x86_64-linux-gnu/libxml2.so\tlibxml2-dev
usr/lib/x86_64-linux-gnu/pkgconfig/cairo.pc\tlibcairo2-dev
usr/bin/pg_config\tlibpq-dev,postgresql-common
usr/bin/tesseract\ttesseract-ocr
"""


@pytest.fixture(autouse=True)
def _index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path))
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / "bookworm.txt").write_text(INDEX)


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [
        ("header", "curl/curl.h", "libcurl4-openssl-dev"),
        ("header", "openssl/ssl.h", "libssl-dev"),
        ("header", "zlib.h", "zlib1g-dev"),
        ("header", "ffi.h", "libffi-dev"),
        ("header", "nothing.h", ""),
        ("library", "xml2", "libxml2-dev"),
        ("shared", "libGL.so.1", "libgl1"),
        ("pkg_config", "cairo", "libcairo2-dev"),
        ("program", "pg_config", "libpq-dev"),
        ("program", "tesseract", "tesseract-ocr"),
        ("program", "sseract", ""),
    ],
)
def test_the_likeliest_package_is_found(kind: str, name: str, package: str) -> None:
    """The shortest path wins, a package named like the file, and OpenSSL where TLS differs."""
    assert getattr(Contents(BOOKWORM), kind)(name) == package


def test_an_unknown_release_has_no_packages() -> None:
    """Other distributions and malformed names are not looked up on the network."""
    for release in (DebianRelease("alpine", "x"), DebianRelease("debian", "../../etc/passwd")):
        assert Contents(release).header("zlib.h") == ""


def test_the_index_is_reduced_to_what_builds_look_for() -> None:
    """Lines become paths and packages without sections; debug packages are left out."""
    text = (
        b"usr/include/zlib.h                    libdevel/zlib1g-dev\n"
        b"usr/share/doc/zlib1g/copyright        libs/zlib1g\n"
        b"usr/include/a b.h                     libdevel/spaces\n"
        b"usr/bin/pg_config                     libdevel/libpq-dev,database/postgresql-common\n"
        b"usr/bin/only-debug                    debug/x-dbg\n"
    )
    found = "".join(map(debian._entry, debian._KEPT.finditer(text)))
    assert found == (
        "usr/include/zlib.h\tzlib1g-dev\nusr/bin/pg_config\tlibpq-dev,postgresql-common\n"
    )


def test_the_release_is_read_from_the_base() -> None:
    """Quoted and plain values of /etc/os-release are read."""
    facts = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n'
    assert release_of(facts) == BOOKWORM
