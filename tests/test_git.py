"""git on this machine runs nothing that a repository of somebody else asks for."""

import ast
import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from forager.images.git import commit_all, foreign
from forager.images.sdist import unpack
from forager.images.source import fetch
from tasks.history import open_history

ROOT = Path(__file__).parent.parent
Plant = Callable[[Path, str], None]


def git(tree: Path, *arguments: str) -> str:
    """Run plain git, as the repository's author did."""
    done = subprocess.run(["git", *arguments], cwd=tree, check=True, capture_output=True, text=True)
    return done.stdout


def _configure(tree: Path, text: str) -> None:
    with (tree / ".git" / "config").open("a") as config:
        config.write(text)


def fsmonitor(tree: Path, command: str) -> None:
    """Plant a command that git runs whenever it looks at the files."""
    _configure(tree, f'[core]\n\tfsmonitor = "{command}; false"\n')


def filters(tree: Path, command: str) -> None:
    """Plant a command that git runs on files that it adds or checks out."""
    _configure(tree, f'[filter "x"]\n\tclean = "{command}; cat"\n\tsmudge = "{command}; cat"\n')
    (tree / ".gitattributes").write_text("* filter=x\n")


def hooks(tree: Path, command: str) -> None:
    """Plant commands that git runs at commits, checkouts and fetches."""
    (tree / ".git" / "hooks").mkdir(exist_ok=True)
    for name in ("pre-commit", "post-checkout", "post-index-change", "reference-transaction"):
        hook = tree / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\n{command}\n")
        hook.chmod(0o755)


def included(tree: Path, command: str) -> None:
    """Plant the settings in another file."""
    _configure(tree, "[include]\n\tpath = ../more\n")
    (tree / "more").write_text(f'[core]\n\tfsmonitor = "{command}; false"\n')


def upload_pack(tree: Path, command: str) -> None:
    """Plant a command that git runs to fetch a partial clone's missing objects."""
    _configure(
        tree,
        '[remote "origin"]\n\turl = .\n\tpromisor = true\n\tpartialclonefilter = blob:none\n'
        f'\tuploadpack = "{command}; false"\n'
        "[extensions]\n\tpartialclone = origin\n[core]\n\trepositoryformatversion = 1\n",
    )
    blob = git(tree, "rev-parse", "HEAD:code.py").strip()
    (tree / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


def nested(tree: Path, command: str) -> None:
    """Plant the command in a repository within."""
    (tree / "within").mkdir()
    _repository(tree / "within")
    fsmonitor(tree / "within", command)


PLANTS = [fsmonitor, filters, hooks, included, upload_pack, nested]


def _repository(tree: Path) -> None:
    (tree / "code.py").write_text("value = 1\n")
    git(tree, "init", "-q")
    git(tree, "add", "code.py")
    identity = ("-c", "user.name=them", "-c", "user.email=them@host")
    git(tree, *identity, "commit", "-qm", "theirs")


@pytest.fixture(params=PLANTS, ids=lambda plant: plant.__name__)
def planted(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Return a repository that plants a command, and the file that the command would create."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    tree, proof = tmp_path / "tree", tmp_path / "PWNED"
    tree.mkdir()
    _repository(tree)
    plant: Plant = request.param
    plant(tree, f"touch {proof}")
    return tree, proof


def test_a_path_runs_nothing(planted: tuple[Path, Path], tmp_path: Path) -> None:
    """A foreign working tree as SOURCE runs none of its commands."""
    tree, proof = planted
    assert fetch(str(tree), tmp_path / "into").commit
    assert (tmp_path / "into" / "code.py").read_text() == "value = 1\n"
    assert not proof.exists()


def test_a_local_url_runs_nothing(planted: tuple[Path, Path], tmp_path: Path) -> None:
    """Cloning runs none of its commands, with history too; missing objects are an error."""
    tree, proof = planted
    for attempt in (
        lambda: fetch(tree.as_uri(), tmp_path / "into"),
        lambda: open_history(str(tree)).roots(),
    ):
        try:
            attempt()
        except Exception as error:
            assert "missing" in str(error) or "git" in str(error)
    assert not proof.exists()


def test_an_archive_runs_nothing(planted: tuple[Path, Path], tmp_path: Path) -> None:
    """Unpacking a source distribution drops its `.git` and keeps its files."""
    tree, proof = planted
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(tree, "kata-1.0")
    (tmp_path / "into").mkdir()
    unpack(content.getvalue(), "kata-1.0.tar.gz", tmp_path / "into")
    commit_all(tmp_path / "into")
    assert git(tmp_path / "into", "show", "HEAD:code.py") == "value = 1\n"
    assert not list((tmp_path / "into").glob("*/**/.git"))
    assert not proof.exists()


def test_a_repository_within_a_repository_directory_goes_with_it(tmp_path: Path) -> None:
    """A `.git` may hold another one, as an archive can contain."""
    _repository(tmp_path)
    (tmp_path / ".git" / "modules" / ".git").mkdir(parents=True)
    commit_all(tmp_path)
    assert git(tmp_path, "log", "--format=%s").split() == ["Source"]


def test_a_linked_working_tree_is_read_as_git_reads_it(tmp_path: Path) -> None:
    """In a linked tree `.git` is a file; index and HEAD are its own, objects are shared."""
    (tmp_path / "one").mkdir()
    _repository(tmp_path / "one")
    git(tmp_path / "one", "tag", "v1.5")
    git(tmp_path / "one", "worktree", "add", "-q", "-b", "other", str(tmp_path / "two"))
    (tmp_path / "two" / "new.py").write_text("new = 1\n")
    with foreign(tmp_path / "two") as found:
        assert found is not None
        assert found.run(tmp_path / "two", "ls-files", "--others").split() == ["new.py"]
        assert found.ask("rev-parse", "HEAD") == git(tmp_path / "one", "rev-parse", "HEAD").strip()
        assert found.ask("describe", "--tags") == "v1.5"


def test_git_is_run_in_one_place_only() -> None:
    """Code that needs git on this machine calls `forager.images.git`; programs run elsewhere."""
    elsewhere = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for top in ("forager", "mutators", "tools", "tasks")
        for path in (ROOT / top).rglob("*.py")
        if path != ROOT / "forager" / "images" / "git.py"
        and ROOT / "forager" / "programs" not in path.parents
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.List | ast.Tuple)
        and node.elts
        and isinstance(node.elts[0], ast.Constant)
        and str(node.elts[0].value).split("/")[-1] == "git"
    ]
    assert not elsewhere
