"""Paths of foreign trees and archives, next to what the kernel makes of them."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from forager.errors import SourceError
from forager.images.layout import read_text
from forager.images.sdist import unpack
from forager.inside import is_inside, place_inside

LONG = "d" * 240
DEPTH = 17  # directories of long names: more than a path may have


def chain() -> list[tuple[str, str | None]]:
    """Directories and links whose path is short as it is written and too long as it is resolved.

    Each step has a directory of a long name and a link with a short one. What follows the last link
    leads up and outside, which Python's own resolution does not see (CVE-2025-4517).
    """
    entries: list[tuple[str, str | None]] = []
    at = "w"
    for step in range(DEPTH):
        name = chr(ord("a") + step)
        entries += [(f"{at}/{LONG}", None), (f"{at}/{name}", LONG)]
        at = f"{at}/{name}"
    short = "/".join(chr(ord("a") + step) for step in range(DEPTH))
    up = f"{short}/{'l' * 250}"  # leads to `w`, but is too long to look up
    return [*entries, (f"w/{up}", "../" * DEPTH), ("w/escape", f"{up}{'/..' * 8}/etc")]


def make_chain(directory: Path) -> None:
    """Make the chain with the kernel's own calls, as git does."""
    (directory / "w").mkdir()
    here = os.open(directory / "w", os.O_RDONLY)
    try:
        for step in range(DEPTH):
            os.mkdir(LONG, dir_fd=here)
            os.symlink(LONG, chr(ord("a") + step), dir_fd=here)
            inner = os.open(LONG, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.symlink(f"{'../' * 60}etc/passwd", "last", dir_fd=here)
    finally:
        os.close(here)
    short = "/".join(chr(ord("a") + step) for step in range(DEPTH))
    (directory / "w" / "setup.cfg").symlink_to(f"{short}/last")


def test_a_path_that_is_too_long_to_look_up_is_outside(tmp_path: Path) -> None:
    """The kernel reads /etc/passwd through it."""
    make_chain(tmp_path)
    link = tmp_path / "w" / "setup.cfg"
    assert "root" in link.read_text()
    assert not is_inside(link, tmp_path / "w")
    assert read_text(tmp_path / "w", "setup.cfg") == ""


@pytest.mark.parametrize(
    ("name", "problem"),
    [("../x", "outside"), ("a/../../x", "outside"), ("link/x", "link"), ("link", "link"),
     ("up/x", "link"), ("l" * 300, "looked up"), ("file/x", "looked up")],
)  # fmt: skip
def test_no_member_is_written_outside(tmp_path: Path, name: str, problem: str) -> None:
    """Nor over or through a link, wherever it leads."""
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "up").symlink_to("..")
    (tmp_path / "real").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=problem):
        place_inside(tmp_path, name)
    assert place_inside(tmp_path, "/real/./new/x") == tmp_path / "real/new/x"


def test_a_chain_of_links_writes_nothing_outside(tmp_path: Path) -> None:
    """The sdist of the CVE is refused, or unpacked without what leads outside."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, link in [*chain(), ("w/escape/owned", "")]:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if link is None else tarfile.SYMTYPE
            member.linkname = link or ""
            if link == "":
                member.type, member.size = tarfile.REGTYPE, 1
            archive.addfile(member, io.BytesIO(b"x"))
    (tmp_path / "into").mkdir()
    with pytest.raises(SourceError, match="cannot be unpacked"):
        unpack((tmp_path / "a.tar").read_bytes(), "w-1.tar", tmp_path / "into")
    assert not Path("/etc/owned").exists()


def test_links_hard_and_soft_and_modes_are_kept(tmp_path: Path) -> None:
    """What honest sdists hold is unpacked as it is."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind, link, mode in (
            ("w/soft", tarfile.SYMTYPE, "bin/run", 0o777),
            ("w/hard", tarfile.LNKTYPE, "w/bin/run", 0o775),
            ("./w/bin/run", tarfile.REGTYPE, "", 0o775),
            ("w/data", tarfile.REGTYPE, "", 0o600),
            ("w/folder", tarfile.SYMTYPE, "bin", 0o777),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, link, mode
            member.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(b"abc"))
    (tmp_path / "into").mkdir()
    unpack((tmp_path / "a.tar").read_bytes(), "w-1.tar", tmp_path / "into")
    found = {name: (tmp_path / "into" / name) for name in ("soft", "hard", "data", "folder/run")}
    assert {path.read_text() for path in found.values()} == {"abc"}
    assert found["hard"].samefile(found["soft"])
    assert found["hard"].stat().st_mode & 0o777 == 0o755
    assert found["data"].stat().st_mode & 0o777 == 0o644
    assert str(found["soft"].readlink()) == "bin/run"
