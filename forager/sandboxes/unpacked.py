"""Images of the Docker engine unpacked into directories, for sandboxes that need no daemon.

An image comes from the engine, if one answers, or from an archive that `docker save` wrote
(`unpack`). Each layer is unpacked once, under the digest of its content, so that images share their
base on disk too. Deletions in a layer are marked for overlayfs. As root, files keep their owners;
for any other user, all files belong to that user.

An archive may come from anybody. Its image is what its digest says: the digest names the settings,
these name the layers, and each is compared while it is unpacked. So nobody can put another layer
under the name of one that other images share.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, cast

from docker.errors import DockerException, ImageNotFound
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from requests import RequestException

from forager.atomic import new_directory
from forager.errors import EngineError, ImageMissing, SandboxError, StoreError, UsageError
from forager.inside import place_inside
from forager.locks import locked
from forager.paths import data_directory
from forager.records import Record, write_records
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import USER
from forager.scratch import scratch

_SMALL = 8 << 20  # bytes of a file of settings
_LAYER_LIMIT = 256 << 30  # bytes of a layer
_GZIP = b"\x1f\x8b"
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_OPAQUE_ATTRIBUTE = "trusted.overlay.opaque" if os.geteuid() == 0 else "user.overlay.opaque"


Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./:@-]*$", max_length=512)]
LayerName = Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
VariableValue = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=1 << 16)]


class UnpackedImage(Record):
    """An image whose layers are unpacked on this machine."""

    digest: Digest = Field(description="Id that the Docker engine gives it.")
    references: list[Reference] = Field(description="Docker names of the image.")
    layers: list[LayerName] = Field(
        description="Names below the directory of layers, the topmost first."
    )
    environment: dict[VariableName, VariableValue] = Field(description="The image's variables.")
    user: int = Field(gt=0, lt=1 << 31, description=f"Number of the user '{USER}' in the image.")
    group: int = Field(gt=0, lt=1 << 31, description="Number of that user's group.")


class _Manifest(BaseModel):
    """What manifest.json tells of one image."""

    config: str = Field(alias="Config")
    tags: list[str] | None = Field(None, alias="RepoTags")
    layers: list[str] = Field(alias="Layers", max_length=128)


class _Variables(BaseModel):
    lines: list[str] | None = Field(None, alias="Env")


class _Layers(BaseModel):
    diff_ids: list[Digest] = Field(max_length=128)


class _Config(BaseModel):
    """What the settings of an image tell, of which its digest is made."""

    config: _Variables = _Variables()
    rootfs: _Layers


_MANIFESTS = TypeAdapter(list[_Manifest])


def layers_directory() -> Path:
    """Return the directory of unpacked layers, made if need be."""
    path = data_directory() / "unpacked" / "layers"
    path.mkdir(parents=True, exist_ok=True)
    return path


@cache
def unpacked(reference: str) -> UnpackedImage:
    """Return an image by its Docker name or id, unpacked from the engine if necessary.

    Raises ImageMissing if neither the engine nor this machine's directory has it.
    """
    try:
        image = connect().images.get(reference)
    except (EngineError, ImageNotFound):
        found = [image for image in _stored() if reference in (image.digest, *image.references)]
        if not found:
            raise ImageMissing(
                f"there is no image {reference} here; build it with `forager image build`, or "
                f"`docker save {reference} -o FILE` elsewhere and `forager image import FILE` here"
            ) from None
        return found[0]
    known = _read(_record_path(str(image.id)))
    return known if known else _from_engine(reference, image)


def stored_images() -> set[str]:
    """The references of the images that are unpacked on this machine."""
    return {reference for image in _stored() for reference in image.references}


def _from_engine(reference: str, image: Any) -> UnpackedImage:
    record = _record_path(str(image.id))
    with locked(f"unpack-{record.stem[:24]}"):
        if known := _read(record):  # another process was faster
            return known
        try:
            with scratch("unpack") as directory:
                archive = directory / "image.tar"
                with archive.open("wb") as file:
                    named = reference if reference in image.tags else False
                    file.writelines(image.save(chunk_size=1 << 20, named=named))
                return unpack(archive)[0]
        except (DockerException, RequestException, StoreError, OSError) as error:
            raise SandboxError(f"cannot unpack {reference}: {error}") from error


def unpack(archive: Path) -> list[UnpackedImage]:
    """Unpack the images of an archive that `docker save` wrote; return their records.

    Raises UsageError for another file, StoreError where the disk does not take the layers.
    """
    try:
        with tarfile.open(archive) as file:
            entries = _MANIFESTS.validate_json(_small(file, "manifest.json"))
            return [_unpacked_from(file, entry) for entry in entries]
    except (tarfile.TarError, KeyError, ValueError, EOFError, FileNotFoundError) as error:
        raise UsageError(
            f"{archive} is not an archive of `docker save`: {_first_line(error)}"
        ) from error


def _unpacked_from(file: tarfile.TarFile, entry: _Manifest) -> UnpackedImage:
    content = _small(file, entry.config)
    digest = hashlib.sha256(content).hexdigest()
    if PurePosixPath(entry.config).name.removesuffix(".json") != digest:
        raise ValueError(f"{entry.config} does not have the digest that it is named by")
    config = _Config.model_validate_json(content)
    for layer, member in zip(config.rootfs.diff_ids, entry.layers, strict=True):
        _add_layer(layer, _content(file, member))
    names = [_layer_name(layer) for layer in reversed(config.rootfs.diff_ids)]
    user, group = _user(names)
    variables = (line.partition("=") for line in config.config.lines or [])
    image = UnpackedImage(
        digest=f"sha256:{digest}",
        references=entry.tags or [],
        layers=names,
        environment={name: value for name, _, value in variables},
        user=user,
        group=group,
    )
    write_records(_record_path(image.digest), [image])
    return image


def _layer_name(digest: str) -> str:
    return digest.removeprefix("sha256:")[:24]


def _add_layer(digest: str, content: IO[bytes]) -> None:
    """Unpack a layer where it is not here; one whose content has another digest is not kept."""
    name = _layer_name(digest)
    with locked(f"layer-{name}"):
        if (layers_directory() / name).exists():
            return
        with new_directory(layers_directory() / name, durable=False) as part:
            read = _HashingReader(_decompressed(content))
            _unpack_layer(read, part)
            if read.digest() != digest:
                raise ValueError(f"a layer is not the one that {digest} names")


def _decompressed(content: IO[bytes]) -> IO[bytes]:
    """The tar file itself, of which a layer's digest is made."""
    start = content.read(len(_GZIP))
    content.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=content)) if start == _GZIP else content


class _HashingReader(io.RawIOBase):
    """Reads another file once, and knows the digest of all that it holds."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content, self._hash, self._size = content, hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        """Read on. Raises ValueError where there is more than a layer may hold."""
        data = self._content.read(size)
        self._size += len(data)
        if self._size > _LAYER_LIMIT:
            raise ValueError(f"a layer holds more than {_LAYER_LIMIT >> 30} GiB")
        self._hash.update(data)
        return data

    def digest(self) -> str:
        """The digest of the whole, what nobody has read yet included."""
        while self.read(1 << 20):
            pass
        return f"sha256:{self._hash.hexdigest()}"


def _unpack_layer(content: _HashingReader, part: Path) -> None:
    with tarfile.open(fileobj=cast(IO[bytes], content), mode="r|") as layer:
        # `_members` chooses what is extracted: not every Python 3.11 has filters.
        layer.extraction_filter = lambda member, _: member
        layer.extractall(part, _members(layer, part), numeric_owner=True)  # nosec B202
    part.chmod(0o755)


def _members(layer: tarfile.TarFile, part: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the entries to extract: no devices, none outside. Turn deletions into overlayfs's."""
    for member in layer:
        member.name = member.name.lstrip("/")
        member.mode &= 0o1777
        place_inside(part, member.name)
        name = PurePosixPath(member.name).name
        if name.startswith(_WHITEOUT):
            _delete(name, (part / member.name).parent)
        elif member.isreg() or member.isdir() or member.issym():
            yield member
        elif member.islnk():  # relative to `part`, like names
            place_inside(part, member.linkname)
            yield member


def _delete(name: str, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    if name == _OPAQUE:
        os.setxattr(place, _OPAQUE_ATTRIBUTE, b"y")
    else:
        os.mknod(place / name.removeprefix(_WHITEOUT), stat.S_IFCHR, os.makedev(0, 0))


def _user(layers: list[str]) -> tuple[int, int]:
    """Numbers of the user and its group, from the topmost layer with /etc/passwd."""
    for layer in layers:
        file = layers_directory() / layer / "etc" / "passwd"
        if file.is_file():
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                name, _, user, group, *_ = [*line.split(":"), "", "", ""]
                if name == USER and user.isdecimal() and group.isdecimal():
                    return int(user), int(group)
            break
    raise UsageError(f"the image has no user '{USER}': build it with `forager image build`")


def _small(file: tarfile.TarFile, name: str) -> bytes:
    """A small file of the archive. Raises ValueError for a large one."""
    content = _content(file, name).read(_SMALL + 1)
    if len(content) > _SMALL:
        raise ValueError(f"{name!r} is larger than {_SMALL >> 20} MiB")
    return content


def _first_line(error: Exception) -> str:
    """What is wrong, in one line that prints."""
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    return ascii(str(error).split("\n")[0].rstrip(":"))[1:-1]


def _content(file: tarfile.TarFile, name: str) -> IO[bytes]:
    content = file.extractfile(name)
    if content is None:
        raise KeyError(name)
    return content


def _record_path(digest: str) -> Path:
    return layers_directory().parent / f"{digest.removeprefix('sha256:')}.json"


def _stored() -> Iterator[UnpackedImage]:
    """Yield all images, the latest first."""
    records = layers_directory().parent.glob("*.json")
    for path in sorted(records, key=lambda record: record.stat().st_mtime, reverse=True):
        if image := _read(path):
            yield image


def _read(path: Path) -> UnpackedImage | None:
    try:
        return UnpackedImage.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
