"""Images of the Docker engine unpacked into directories, for sandboxes that need no daemon.

An image comes from the engine, where one answers, or from an archive that `docker save` wrote
(`unpack`). Its layers are unpacked once each, under the digest of their content, so that images of
one base share it on the disk too; what a layer deletes is marked as overlayfs wants it. As root
the files keep their owners; for any other user all of them are that user's.
"""

import json
import os
import stat
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

from docker.errors import DockerException, ImageNotFound
from pydantic import Field, ValidationError
from requests import RequestException

from forager.atomic import new_directory
from forager.errors import EngineError, ImageMissing, SandboxError, StoreError, UsageError
from forager.locks import locked
from forager.paths import data_directory
from forager.records import Record, write_records
from forager.sandboxes.engine import connect

USER = "agent"  # who commands run as, in every sandbox
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_OPAQUE_ATTRIBUTE = "trusted.overlay.opaque" if os.geteuid() == 0 else "user.overlay.opaque"


class UnpackedImage(Record):
    """An image whose layers are unpacked on this machine."""

    digest: str = Field(description="Id that the Docker engine gives it.")
    references: list[str] = Field(description="Docker names of the image.")
    layers: list[str] = Field(description="Names below the directory of layers, the upmost first.")
    environment: dict[str, str] = Field(description="The image's variables.")
    user: int = Field(description=f"Number of the user '{USER}' in the image.")
    group: int = Field(description="Number of that user's group.")


def layers_directory() -> Path:
    """Return the directory of unpacked layers, made if need be."""
    path = data_directory() / "unpacked" / "layers"
    path.mkdir(parents=True, exist_ok=True)
    return path


@cache
def unpacked(reference: str) -> UnpackedImage:
    """Return an image by its Docker name or id, unpacking it from the engine where need be.

    Raises SandboxError where neither the engine nor this machine's directory has it.
    """
    try:
        image = connect().images.get(reference)
    except (EngineError, ImageNotFound):
        found = next((one for one in _stored() if reference in (one.digest, *one.references)), None)
        if found is None:
            raise ImageMissing(
                f"there is no image {reference} here; build it with `forager image build`, or "
                f"`docker save {reference} -o FILE` elsewhere and `forager image import FILE` here"
            ) from None
        return found
    known = _read(_record_path(str(image.id)))
    return known if known else _from_engine(reference, image)


def stored_images() -> set[str]:
    """The references of the images that are unpacked on this machine."""
    return {reference for one in _stored() for reference in one.references}


def _from_engine(reference: str, image: Any) -> UnpackedImage:
    record = _record_path(str(image.id))
    archive = record.with_suffix(".save")
    with locked(f"unpack-{record.stem[:24]}"):
        if known := _read(record):  # another process was quicker
            return known
        try:
            with archive.open("wb") as file:
                named = reference if reference in image.tags else False
                file.writelines(image.save(chunk_size=1 << 20, named=named))
            return unpack(archive)[0]
        except (DockerException, RequestException, StoreError, OSError) as error:
            raise SandboxError(f"cannot unpack {reference}: {error}") from error
        finally:
            archive.unlink(missing_ok=True)


def unpack(archive: Path) -> list[UnpackedImage]:
    """Unpack the images of an archive that `docker save` wrote; return their records.

    Raises UsageError for another file, StoreError where the disk does not take the layers.
    """
    try:
        with tarfile.open(archive) as file:
            return [_unpacked_from(file, entry) for entry in _json(file, "manifest.json")]
    except (tarfile.TarError, KeyError, ValueError, FileNotFoundError) as error:
        raise UsageError(f"{archive} is not an archive of `docker save`: {error}") from error


def _unpacked_from(file: tarfile.TarFile, entry: dict[str, Any]) -> UnpackedImage:
    config = _json(file, entry["Config"])
    names = [digest.removeprefix("sha256:")[:24] for digest in config["rootfs"]["diff_ids"]]
    for name, member in zip(names, entry["Layers"], strict=True):
        with locked(f"layer-{name}"):
            if not (layers_directory() / name).exists():
                with new_directory(layers_directory() / name) as part:
                    _unpack_layer(_content(file, member), part)
    names.reverse()
    user, group = _user(names)
    digest = PurePosixPath(entry["Config"]).name.removesuffix(".json")
    image = UnpackedImage(
        digest=f"sha256:{digest}",
        references=entry["RepoTags"] or [],
        layers=names,
        environment=dict(line.split("=", 1) for line in config["config"].get("Env") or []),
        user=user,
        group=group,
    )
    write_records(_record_path(image.digest), [image])
    return image


def _unpack_layer(content: IO[bytes], part: Path) -> None:
    with tarfile.open(fileobj=content, mode="r|*") as layer:
        # What is extracted is chosen below: Python's own filters are not in every 3.11.
        layer.extraction_filter = lambda member, _: member
        layer.extractall(part, _members(layer, part), numeric_owner=True)
    part.chmod(0o755)


def _members(layer: tarfile.TarFile, part: Path) -> Iterator[tarfile.TarInfo]:
    """The entries to extract: no devices, nothing outside; marks of deletion become overlayfs's."""
    for member in layer:
        member.name = member.name.lstrip("/")
        member.mode &= 0o1777
        _must_be_inside(member.name, part)
        name = PurePosixPath(member.name).name
        if name.startswith(_WHITEOUT):
            _delete(name, (part / member.name).parent)
        elif member.isreg() or member.isdir() or member.issym():
            yield member
        elif member.islnk():  # what it links to is looked up in the same directory
            _must_be_inside(member.linkname, part)
            yield member


def _delete(name: str, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    if name == _OPAQUE:
        os.setxattr(place, _OPAQUE_ATTRIBUTE, b"y")
    else:
        os.mknod(place / name.removeprefix(_WHITEOUT), stat.S_IFCHR, os.makedev(0, 0))


def _must_be_inside(name: str, part: Path) -> None:
    """Links on the way included."""
    if not Path(os.path.realpath(part / name)).is_relative_to(os.path.realpath(part)):
        raise tarfile.TarError(f"{name} leads outside")


def _user(layers: list[str]) -> tuple[int, int]:
    """Numbers of the user and its group, from the upmost layer that says who there is."""
    for layer in layers:
        file = layers_directory() / layer / "etc" / "passwd"
        if file.is_file():
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                name, _, user, group, *_ = [*line.split(":"), "", "", ""]
                if name == USER:
                    return int(user), int(group)
            break
    raise UsageError(f"the image has no user '{USER}': build it with `forager image build`")


def _json(file: tarfile.TarFile, name: str) -> Any:
    return json.load(_content(file, name))


def _content(file: tarfile.TarFile, name: str) -> IO[bytes]:
    content = file.extractfile(name)
    if content is None:
        raise KeyError(name)
    return content


def _record_path(digest: str) -> Path:
    return layers_directory().parent / f"{digest.removeprefix('sha256:')}.json"


def _stored() -> Iterator[UnpackedImage]:
    """All images; of a name that several have had, the one that came last is the first."""
    records = layers_directory().parent.glob("*.json")
    for path in sorted(records, key=lambda one: one.stat().st_mtime, reverse=True):
        if image := _read(path):
            yield image


def _read(path: Path) -> UnpackedImage | None:
    try:
        return UnpackedImage.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
