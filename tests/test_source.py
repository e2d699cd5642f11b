"""Sources: paths, git repositories, sdists."""

import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from forager.errors import SourceError
from forager.images.git import git
from forager.images.sdist import unpack
from forager.images.source import Source, fetch, split_reference, tracked_files
from forager.images.submodules import fill_submodules, missing_submodules


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with two commits, a tag, a branch and an ignored file."""
    path = tmp_path / "origin" / "widget"
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main", ".")
    (path / "widget.py").write_text("VALUE = 1\n")
    (path / ".gitignore").write_text("*.log\n")
    (path / "LICENSE").write_text("Permission is hereby granted, free of charge, to any person")
    _commit(path, "first")
    git(path, "tag", "v1.2.0")
    (path / "widget.py").write_text("VALUE = 2\n")
    _commit(path, "second")
    git(path, "branch", "feature/two")
    (path / "debug.log").write_text("ignored")
    return path


def _commit(path: Path, message: str) -> None:
    git(path, "add", "--all", ".")
    git(path, "commit", "--quiet", "--no-gpg-sign", "--message", message)


def test_path_takes_uncommitted_work_and_leaves_ignored_files(
    repository: Path, tmp_path: Path
) -> None:
    """Uncommitted work goes along; the user's tree is as before."""
    (repository / "new.py").write_text("NEW = True\n")
    (repository / "widget.py").write_text("VALUE = 3\n")
    before = git(repository, "status", "--porcelain")
    source = fetch(str(repository), tmp_path / "tree")
    assert tracked_files(tmp_path / "tree") == [".gitignore", "LICENSE", "new.py", "widget.py"]
    assert (tmp_path / "tree" / "widget.py").read_text() == "VALUE = 3\n"
    assert source.commit == git(repository, "rev-parse", "HEAD").strip()
    assert (source.kind, source.name, source.version) == ("path", "local/widget", "1.2.0")
    assert source.licence == "MIT"
    assert git(repository, "status", "--porcelain") == before


def test_path_without_git_leaves_caches(tmp_path: Path) -> None:
    """Outputs are left at the top; deeper, `dist` may be a package."""
    project = tmp_path / "plain"
    for name in ("pkg/__init__.py", "pkg/__pycache__/x.pyc", "build/lib/x.py", "pkg/dist/kept.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("x = 1\n")
    source = fetch(str(project), tmp_path / "tree")
    assert tracked_files(tmp_path / "tree") == ["pkg/__init__.py", "pkg/dist/kept.py"]
    assert source.commit == ""
    assert source.digest == fetch(str(project), tmp_path / "again").digest


@pytest.mark.parametrize(
    ("reference", "value"),
    [("", 2), ("@v1.2.0", 1), ("@main", 2), ("@feature/two", 2), ("@COMMIT", 1)],
)
def test_git_references(repository: Path, tmp_path: Path, reference: str, value: int) -> None:
    """Branches, tags and commits; a branch's name may hold a slash."""
    first = git(repository, "rev-parse", "v1.2.0").strip()
    source = fetch(repository.as_uri() + reference.replace("COMMIT", first[:10]), tmp_path / "tree")
    assert (tmp_path / "tree" / "widget.py").read_text() == f"VALUE = {value}\n"
    assert (source.kind, source.name) == ("git", "origin/widget")
    assert (source.commit == first) is (value == 1)


def test_bare_repository(repository: Path, tmp_path: Path) -> None:
    """A local bare repository is cloned like a URL."""
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "widget.git")
    source = fetch(str(tmp_path / "widget.git"), tmp_path / "tree")
    assert source.kind == "git"
    assert (tmp_path / "tree" / "widget.py").is_file()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://host/o/n", ("https://host/o/n", "")),
        ("https://host/o/n@main", ("https://host/o/n", "main")),
        ("https://user@host/o/n.git@v1", ("https://user@host/o/n.git", "v1")),
        ("git@host:o/n.git", ("git@host:o/n.git", "")),
        ("git@host:o/n.git@feature/x", ("git@host:o/n.git", "feature/x")),
        ("ssh://git@host/o/n@v1", ("ssh://git@host/o/n", "v1")),
        ("/srv/n.git@v1", ("/srv/n.git", "v1")),
    ],
)
def test_split_reference(source: str, expected: tuple[str, str]) -> None:
    """The '@' of a user is no reference."""
    assert split_reference(source) == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "is not a SOURCE"),
        ("--upload-pack=touch /tmp/x", "is not a SOURCE"),
        ("/nowhere/at/all", "neither a directory nor a git URL"),
        ("https://host/o/n@", "missing after the '@'"),
        ("https://host/o/n@--output=x", "missing after the '@'"),
        ("ext::sh -c id", "neither a directory nor a git URL"),
        ("file:///nowhere/at/all", "holds no git repository"),
        ("pypi:", "pypi:NAME"),
        ("pypi:../x", "pypi:NAME"),
        ("pypi:toolz==", "pypi:NAME"),
        ("pypi:toolz==latest", "is not a version"),
        ("pypi:toolz>=1", "pypi:NAME"),
    ],
)
def test_bad_sources_are_told_in_one_line(tmp_path: Path, source: str, words: str) -> None:
    """Every mistake gives one line; options cannot be smuggled in."""
    with pytest.raises(SourceError, match=words) as caught:
        fetch(source, tmp_path / "tree")
    assert "\n" not in str(caught.value)


def test_unknown_reference(repository: Path, tmp_path: Path) -> None:
    """A reference that the repository lacks is named."""
    with pytest.raises(SourceError, match="no branch, tag or commit 'nope'"):
        fetch(repository.as_uri() + "@nope", tmp_path / "tree")


def test_credentials_are_not_recorded(tmp_path: Path) -> None:
    """Passwords of URLs stay out of messages."""
    with pytest.raises(SourceError) as caught:
        fetch("https://user:secret@127.0.0.1:9/o/n", tmp_path / "tree")
    assert "secret" not in str(caught.value)


def _sdist(files: dict[str, str], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


class _Index(SimpleHTTPRequestHandler):
    """Serves a directory, quietly."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package index with the JSON API, and its directory."""
    root = tmp_path / "index"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Index, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://u:secret@127.0.0.1:{server.server_port}/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield root
    server.shutdown()
    server.server_close()
    thread.join()


def _file(size: int) -> bytes:
    """Return the header of a file in a tar archive."""
    made = tarfile.TarInfo("widget/a.py")
    made.size = size
    return made.tobuf()


def _publish(root: Path, content: bytes, digest: str = "", kind: str = "sdist") -> None:
    (root / "pypi/widget").mkdir(parents=True)
    (root / "files").mkdir()
    (root / "files/widget-1.0.tar.gz").write_bytes(content)
    digest = digest or hashlib.sha256(content).hexdigest()
    entry = {"packagetype": kind, "filename": "widget-1.0.tar.gz", "digests": {"sha256": digest}}
    entry["url"] = "../../files/widget-1.0.tar.gz"
    (root / "pypi/widget/json").write_text(
        json.dumps(
            {
                "info": {"version": "1.0", "license": "MIT"},
                "urls": [entry],
                "releases": {"1.0": [entry]},
            }
        )
    )


def test_pypi_sdist_becomes_one_commit(index: Path, tmp_path: Path) -> None:
    """Relative file URLs, ignored files kept, egg-info dropped."""
    files = {"widget-1.0/widget.py": "x = 1\n", "widget-1.0/.gitignore": "_version.py\n"}
    files |= {"widget-1.0/_version.py": "1", "widget-1.0/widget.egg-info/PKG-INFO": "x"}
    _publish(index, _sdist(files))
    source = fetch("pypi:Widget", tmp_path / "tree")
    assert tracked_files(tmp_path / "tree") == [".gitignore", "_version.py", "widget.py"]
    assert git(tmp_path / "tree", "rev-list", "--count", "HEAD").strip() == "1"
    assert (source.name, source.version, source.licence) == ("pypi/widget", "1.0", "MIT")
    assert source.digest.startswith("sha256:")
    assert "secret" not in source.model_dump_json()
    assert fetch("pypi:widget", tmp_path / "again").commit == source.commit


def _headed(size: int) -> bytes:
    """An empty file with a PAX header of this size."""
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, size
    record = f"{size} comment=".encode()
    body = record + bytes(size - len(record) - 1).replace(b"\0", b"x") + b"\n"
    return header.tobuf() + body + bytes(-len(body) % 512) + _file(0)


@pytest.mark.parametrize(
    ("digest", "kind", "words"),
    [("0" * 64, "sdist", "SHA-256"), ("", "bdist_wheel", "has no sdist")],
)
def test_pypi_refusals(index: Path, tmp_path: Path, digest: str, kind: str, words: str) -> None:
    """A wrong digest, or a release of wheels only."""
    _publish(index, _sdist({"widget-1.0/widget.py": "x = 1\n"}), digest, kind)
    with pytest.raises(SourceError, match=words):
        fetch("pypi:widget", tmp_path / "tree")


@pytest.mark.parametrize(
    ("urls", "home", "place"),
    [
        ({"Docs": "https://widget.example", "Source": "https://gitlab.com/of/widget/-/tree"}, "",
         "https://gitlab.com/of/widget"),
        (None, "https://github.com/of/widget.js/", "https://github.com/of/widget.js"),
        (["no object"], "https://widget.example/github.com", "the URL of its git repository"),
    ],
)  # fmt: skip
def test_a_release_without_sdist_names_its_repository(
    index: Path, tmp_path: Path, urls: object, home: str, place: str
) -> None:
    """As the index states it, if it is a public one."""
    _publish(index, _sdist({"widget-1.0/widget.py": "x = 1\n"}), "", "bdist_wheel")
    file = index / "pypi/widget/json"
    told = json.loads(file.read_text())
    told["info"] |= {"project_urls": urls, "home_page": home}
    file.write_text(json.dumps(told))
    with pytest.raises(SourceError, match=f"has no sdist on the index: give {re.escape(place)}$"):
        fetch("pypi:widget", tmp_path / "tree")


def test_pypi_unknown_name(index: Path, tmp_path: Path) -> None:
    """A name or version that the index lacks is named."""
    with pytest.raises(SourceError, match=r"has no absent 2\.0"):
        fetch("pypi:absent==2.0", tmp_path / "tree")


@pytest.mark.parametrize(
    "made",  # only where it is used: every worker loads this file
    [
        lambda: _sdist({"../outside.py": "x"}),
        lambda: b"no archive at all",
        lambda: _sdist({"widget/a.py": "x" * 1000})[:-40],
        lambda: gzip.compress(_file(2 << 30), compresslevel=1),
        lambda: gzip.compress(201_000 * _file(0), compresslevel=1),
        lambda: gzip.compress(_headed(1 << 20), compresslevel=1),
        lambda: gzip.compress(2000 * _headed(50_000), compresslevel=1),
    ],
    ids=["outside", "no archive", "cut off", "large", "many files", "header", "headers"],
)
def test_hostile_or_broken_archives_are_refused(tmp_path: Path, made: Callable[[], bytes]) -> None:
    """Nothing is written outside the directory."""
    (tmp_path / "into").mkdir()
    with pytest.raises(SourceError, match="cannot be unpacked"):
        unpack(made(), "widget-1.0.tar.gz", tmp_path / "into")
    assert not (tmp_path / "outside.py").exists()


def test_links_that_lead_outside_are_left_out(tmp_path: Path) -> None:
    """An archive with such links is unpacked without them."""
    links = {"w/host": "/etc/passwd", "w/up": "../../x", "w/good": "a.py", "w/broken": "b.py"}
    (tmp_path / "into").mkdir()
    unpack(_sdist({"w/a.py": "x = 1\n"}, links), "widget-1.0.tar.gz", tmp_path / "into")
    assert sorted(path.name for path in (tmp_path / "into").iterdir()) == ["a.py", "broken", "good"]


def test_source_round_trip(repository: Path, tmp_path: Path) -> None:
    """The record survives JSON."""
    source = fetch(str(repository), tmp_path / "tree")
    assert Source.model_validate_json(source.model_dump_json()) == source


def test_hooks_of_the_user_do_not_run(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook of the user's git template is not run."""
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (hooks / "post-checkout").chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(hooks.parent))
    fetch(repository.as_uri(), tmp_path / "tree")
    assert not (tmp_path / "ran").exists()


def test_a_package_of_a_monorepo_is_the_whole_tree(repository: Path, tmp_path: Path) -> None:
    """The folder that #subdirectory= names becomes the top; the rest is left out."""
    (repository / "libs" / "core").mkdir(parents=True)
    (repository / "libs" / "core" / "pyproject.toml").write_text('[project]\nname = "core"\n')
    (repository / "libs" / "core" / "core.py").write_text("X = 1\n")
    _commit(repository, "a package")
    for given in (str(repository), repository.as_uri()):
        tree = tmp_path / f"tree-{len(given)}"
        source = fetch(f"{given}#subdirectory=libs/core", tree)
        assert tracked_files(tree) == ["core.py", "pyproject.toml"]
        assert source.subdirectory == "libs/core"
        assert source.given.endswith("#subdirectory=libs/core")
        assert source.date


@pytest.mark.parametrize("folder", ["nowhere", "..", "/etc", "link", "link/inside", ""])
def test_a_folder_outside_or_without_files_is_no_package(
    repository: Path, tmp_path: Path, folder: str
) -> None:
    """A link, a way out, or nothing at all is refused in one line."""
    (repository / "link").symlink_to("/etc")
    with pytest.raises(SourceError, match="has no folder"):
        fetch(f"{repository}#subdirectory={folder}", tmp_path / "tree")


def test_submodules_are_filled_from_the_sdist(index: Path, tmp_path: Path) -> None:
    """Only the folders of submodules get files, and only where they hold none."""
    _publish(
        index,
        _sdist({"widget-1.0/widget.py": "x = 2\n", "widget-1.0/lib/trie/trie.c": "int x;\n"}),
    )
    tree = tmp_path / "tree"
    (tree / "lib" / "trie").mkdir(parents=True)
    (tree / "widget.py").write_text("x = 1\n")
    (tree / "evil").symlink_to("/tmp")
    paths = ("lib/trie", "../outside", "evil/inside", ".git/hooks")
    (tree / ".gitmodules").write_text("".join(f"\tpath = {path}\n" for path in paths))
    assert "lib/trie" in missing_submodules(tree)
    fill_submodules(tree, "widget==1.0")
    assert tracked_files(tree) == [".gitmodules", "evil", "lib/trie/trie.c", "widget.py"]
    assert (tree / "widget.py").read_text() == "x = 1\n"
    assert not (tmp_path / "outside").exists()
