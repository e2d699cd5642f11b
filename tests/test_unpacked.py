"""Images unpacked without an engine: archives of `docker save`, layers, refusals."""

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_inside import chain

from forager.cli.main import main
from forager.errors import SandboxError, UsageError
from forager.sandboxes.unpacked import layers_directory, unpack, unpacked

PASSWD = b"root:x:0:0::/root:/bin/bash\nagent:x:1234:77::/home/agent:/bin/bash\n"
Entry = tuple[str, bytes | str | None]  # a path, and its content, what it links to, or a directory


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """Give each test its own data directory, and no engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(tmp_path / "home"))
        yield tmp_path / "home"


def tar(entries: list[Entry], mode: int = 0o755) -> bytes:
    """Return an archive of files, links and directories, owned by the current user."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid = mode, os.getuid(), os.getgid()
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                entry.type = tarfile.LNKTYPE if name.endswith(".hard") else tarfile.SYMTYPE
                entry.linkname = content
            else:
                entry.size = len(content)
            file.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def layer_name(layer: bytes) -> str:
    """Return the name of a layer below the directory of layers."""
    return hashlib.sha256(layer).hexdigest()[:24]


def save(path: Path, *layers: bytes, name: str = "kata:1", **changed: Any) -> Path:
    """Write what `docker save` writes of an image with these layers, the lowest first.

    `changed` replaces parts of it: `content` of the layers, `diff_ids`, `env`, `config` (the name
    of the settings), `layers` (names of their members).
    """
    names = [f"layers/{layer_name(layer)}.tar" for layer in layers]
    ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    settings = {
        "config": {"Env": changed.get("env", ["PATH=/opt/bin", "A=b=c"])},
        "rootfs": {"diff_ids": changed.get("diff_ids", ids)},
    }
    content = json.dumps(settings).encode()
    config = changed.get("config", f"{hashlib.sha256(content).hexdigest()}.json")
    names = changed.get("layers", names)
    manifest = [{"Config": config, "RepoTags": [name], "Layers": names}]
    members = [*zip(names, changed.get("content", layers), strict=True)]
    members.append((config, content))
    members.append(("manifest.json", json.dumps(manifest).encode()))
    path.write_bytes(tar([*members]))
    return path


BASE: list[Entry] = [("etc", None), ("etc/passwd", PASSWD), ("etc/old", b"old"), ("srv", None)]


def test_an_image_is_found_by_name_and_id_without_an_engine(tmp_path: Path) -> None:
    """The record has what a sandbox needs: variables, user, and layers, topmost first."""
    [image] = unpack(save(tmp_path / "a.tar", tar(BASE), tar([("srv/new", b"new")])))
    assert image.environment == {"PATH": "/opt/bin", "A": "b=c"}
    assert (image.user, image.group) == (1234, 77)
    assert [(layers_directory() / layer / "srv/new").exists() for layer in image.layers] == [
        True,
        False,
    ]
    assert unpacked("kata:1") == unpacked(image.digest) == image


def test_archives_are_imported_by_a_verb(tmp_path: Path) -> None:
    """The verb prints the images that exist now; another file gives one line of error."""
    result = CliRunner().invoke(main, ["image", "import", str(save(tmp_path / "a.tar", tar(BASE)))])
    assert (result.exit_code, result.stdout) == (0, "kata:1\tunpacked\n")
    result = CliRunner().invoke(main, ["image", "import", str(tmp_path / "none.tar")])
    assert result.exit_code == 2
    assert "forager: " in result.stderr


def test_what_a_layer_deletes_is_marked_for_overlayfs(tmp_path: Path) -> None:
    """A deleted file becomes device 0:0, a replaced directory gets the attribute."""
    if os.geteuid():
        pytest.skip("the attribute's name is another's where not root")
    above = tar([("etc", None), ("etc/.wh.old", b""), ("srv", None), ("srv/.wh..wh..opq", b"")])
    [image] = unpack(save(tmp_path / "a.tar", tar(BASE), above))
    upper = layers_directory() / image.layers[0]
    mark = (upper / "etc/old").lstat()
    assert stat.S_ISCHR(mark.st_mode)
    assert mark.st_rdev == 0
    assert os.getxattr(upper / "srv", "trusted.overlay.opaque") == b"y"


def test_modes_are_kept(tmp_path: Path) -> None:
    """Unpacking keeps write bits and the sticky bit of /tmp, but not set-user-id."""
    upper = tar([("tmp", None)], mode=0o7777)
    unpack(save(tmp_path / "a.tar", tar(BASE), upper))
    assert stat.S_IMODE((layers_directory() / layer_name(upper) / "tmp").stat().st_mode) == 0o1777


@pytest.mark.parametrize(
    "entries",
    [
        [("../out", b"x")],
        [("a/../../out", b"x")],
        [("link", ".."), ("link/out", b"x")],
        [("../.wh.out", b"")],
        [("one.hard", "../../../../out")],
        [("w", None), *chain(), ("w/escape/out", b"x")],
    ],
)
def test_an_archive_cannot_write_outside(tmp_path: Path, entries: list[Entry]) -> None:
    """An archive from elsewhere that tries to write outside is refused."""
    (tmp_path / "home").mkdir()
    with pytest.raises(UsageError, match="not an archive"):
        unpack(save(tmp_path / "a.tar", tar([*BASE, *entries])))
    assert not list(tmp_path.rglob("out")) and not Path("/etc/out").exists()
    assert not list(layers_directory().glob("[!.]*"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"diff_ids": ["sha256:$(touch${IFS}PWNED)"]}, "rootfs.diff_ids.0"),
        ({"diff_ids": ["sha256:../../../../etc"]}, "rootfs.diff_ids.0"),
        ({"diff_ids": [f"sha256:{'0' * 64}"]}, "a layer is not the one"),
        ({"content": [tar([("etc/passwd", PASSWD), ("more", b"")])]}, "a layer is not the one"),
        ({"config": f"{'0' * 64}.json"}, "does not have the digest"),
        ({"config": "c0ffee.json"}, "does not have the digest"),
        ({"env": ["A;touch PWNED=1"]}, "environment"),
        ({"env": ["A=\0"]}, "environment"),
        ({"name": "kata:1\x1b[2J"}, "references.0"),
    ],
)
def test_an_image_is_what_its_digest_says(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    """Wrong digests are refused: names reach commands, and images share layers."""
    with pytest.raises(UsageError, match=words) as caught:
        unpack(save(tmp_path / "a.tar", tar(BASE), **changed))
    assert str(caught.value).isprintable()
    assert not list(layers_directory().parent.glob("*.json"))


def test_a_compressed_layer_has_the_digest_of_its_content(tmp_path: Path) -> None:
    """A compressed layer, as registries store it, is named by its content's digest."""
    base = tar(BASE)
    [image] = unpack(save(tmp_path / "a.tar", base, content=[gzip.compress(base)]))
    assert image.layers == [layer_name(base)]


def test_an_image_whose_agent_is_root_is_refused(tmp_path: Path) -> None:
    """Commands would run as root."""
    base = tar([("etc", None), ("etc/passwd", b"agent:x:0:0::/root:/bin/bash\n")])
    with pytest.raises(UsageError, match="user: Input should be greater than 0"):
        unpack(save(tmp_path / "a.tar", base))


@pytest.mark.parametrize("content", [b"", b"not an archive", tar([("a", b"x")])])
def test_other_files_are_the_users_mistake(tmp_path: Path, content: bytes) -> None:
    """Other files give one line of error."""
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not an archive of `docker save`"):
        unpack(path)


def test_an_image_without_our_user_is_refused(tmp_path: Path) -> None:
    """Commands would lack a user to run as."""
    nobody = tar([("etc", None), ("etc/passwd", b"root:x:0:0::/root:/bin/bash\n")])
    with pytest.raises(UsageError, match="no user 'agent'"):
        unpack(save(tmp_path / "a.tar", nobody))


def test_a_torn_layer_is_made_anew(tmp_path: Path) -> None:
    """A layer that a killed process left half unpacked is unpacked again."""
    half = layers_directory() / f".{layer_name(tar(BASE))}.part" / "etc"
    half.mkdir(parents=True)
    (half / "left").touch()
    [image] = unpack(save(tmp_path / "a.tar", tar(BASE)))
    assert sorted(
        path.name for path in (layers_directory() / image.layers[0] / "etc").iterdir()
    ) == [
        "old",
        "passwd",
    ]
    assert not half.exists()


def test_an_unknown_image_says_what_to_type() -> None:
    """The error says to build the image or to import an archive."""
    with pytest.raises(SandboxError, match="forager image import"):
        unpacked("forager/none:1")
