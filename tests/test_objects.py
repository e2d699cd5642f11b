"""A repository is its git objects: attributes and links change no byte on the way to an agent."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from attempts import make_task

from forager.environments.repository import workspace
from forager.environments.repository.staging import StagedPatch
from forager.environments.repository.taking import take_patch
from forager.environments.repository.task import TestSetup
from forager.environments.repository.workspace import open_task
from forager.errors import SourceError
from forager.images import sealing
from forager.images.git import commit_all, git, git_bytes
from forager.images.source import fetch, split_reference, tracked_files
from forager.images.workbench import TOOLS, tree_archive
from forager.programs.sieve.functions import SourceFunctions
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import WORKDIR, Limits, Sandbox
from mutators import FAMILIES
from tasks.history import open_history
from tasks.sources import LEFT_OUT, texts_of

Tree = Mapping[str, bytes | Path]
CODE = b"import os\n\n\ndef half(n):\n    if n > 3:\n        return n / 2\n    return n\n"
FIXED = CODE.replace(b"/ 2", b"// 2")
LATIN = "# coding: latin-1\nNAME = 'é'\n".encode("latin-1")


def _with(attributes: str, code: bytes = CODE) -> Tree:
    return {".gitattributes": attributes.encode(), "pkg/core.py": code}


KINDS: dict[str, Tree] = {
    "export-subst": _with("*.py export-subst\n", b'R = "$Format:%h$"\n' + CODE),
    "export-ignore": _with("pkg export-ignore\n"),
    "ident": _with("*.py ident\n", b'ID = "$Id: mine $"\n' + CODE),
    "eol=crlf": _with("* text eol=crlf\n"),
    "text=auto": _with("* text=auto\n", CODE.replace(b"\n", b"\r\n")),
    "mixed line ends": _with("*.py text\n", CODE.replace(b"os\n", b"os\r\n")),
    "encoding": _with("*.py text working-tree-encoding=UTF-16\n"),
    "unknown encoding": _with("*.py working-tree-encoding=nothing\n"),
    "no diff": _with("*.py -diff -merge binary\n"),
    "filter": _with("* filter=lfs diff=lfs merge=lfs -text\n"),
    "latin-1": _with("", LATIN + CODE),
    "links": {
        "pkg/core.py": CODE,
        "pkg/alias.py": Path("core.py"),
        "pkg/local.py": Path("missing.py"),
        "pkg/settings.py": Path("../../elsewhere/settings.py"),
        "data/host": Path("/etc/hostname"),
        "data/self": Path("self"),
        "data/folder": Path("../pkg"),
        "tests": Path("data/self/../tests"),
    },
    "names": {
        "pkg/core.py": CODE,
        ":(top)odd.txt": b"1\n",
        "[a]*.txt": b"2\n",
        "with a space.txt": b"3\n",
        'tab\t"quote".txt': b"4\n",
        "latin-\udce9.txt": b"5\n",
        "-rf": b"6\n",
    },
    "byte code": {
        "pkg/core.py": CODE,
        "pkg/__pycache__/old.cpython-36.pyc": b"\x33\r\r\njunk",
        "tests/data/sample.pyc": b"\x33\r\r\nabcd",
    },
}


def _write(tree: Path, files: Tree) -> None:
    for name, content in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def _objects(tree: Path, commit: str) -> bytes:
    """The files of a commit with modes and contents' ids, without submodules."""
    listed = git_bytes(tree, "ls-tree", "-r", "-z", commit).split(b"\0")
    return b"\0".join(entry for entry in listed if not entry.startswith(b"160000"))


@pytest.fixture(params=KINDS)
def origin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str, str]]:
    """A repository as a user has it, with a commit and its fix; it tracks a submodule, too."""
    tree = tmp_path / "job@2" / "project"
    tree.mkdir(parents=True)
    _write(tree, KINDS[request.param])
    commit_all(tree)
    git(tree, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored")
    git(tree, "commit", "--quiet", "--message", "A submodule")
    code = tree / "pkg" / "core.py"
    code.write_bytes(code.read_bytes().replace(b"/ 2", b"// 2"))
    git(tree, "add", "pkg/core.py")
    git(tree, "update-index", "--cacheinfo", f"160000,{'2' * 40},vendored")
    git(tree, "commit", "--quiet", "--message", "Fix half")
    (tree / ".git" / "info" / "attributes").unlink()
    commits = git(tree, "rev-list", "HEAD", "-n", "2").split()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(tmp_path / "home"))
        yield tree, commits[1], commits[0]


@contextmanager
def _opened(fetched: Path, place: Path, setup_patch: str) -> Iterator[tuple[Sandbox, str]]:
    """A task on a repository that the build's own script makes of what was fetched."""
    names = tracked_files(fetched)
    place.mkdir()
    subprocess.run(["tar", "-x"], input=tree_archive(fetched, names), cwd=place, check=True)
    listed = place.parent / f"{place.name}.names"
    listed.write_bytes("".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape"))
    script = sealing.REPOSITORY.replace(f"{TOOLS}/files", str(listed))
    script = script.replace("/tmp/present", f"{listed}.present").replace(WORKDIR, str(place))
    who = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x", "GIT_CONFIG_GLOBAL": "/dev/null"}
    who |= {"GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x"}
    task = make_task(setup_patch=setup_patch, setup=TestSetup(workdir=str(place)))

    def start(*_: object, **__: object) -> LocalSandbox:
        return LocalSandbox(place, {**who, "PATH": "/usr/local/bin:/usr/bin:/bin"})

    with start() as sandbox:
        made = sandbox.run(f"( {script} )")
        assert not made.exit_code, made.output
    opened, commit = open_task(task, Limits(), sandbox=start)
    try:
        yield opened, commit
    finally:
        opened.close()


def test_objects_reach_the_agent_and_come_back(
    origin: tuple[Path, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source, history, image, task, patch and grading agree on every byte, and nothing ends."""
    tree, before, after = origin
    fetched = tmp_path / "fetched"
    assert fetch(f"{tree}@{before}", fetched).commit == before
    assert tracked_files(fetched) == [
        name for name in git(tree, "ls-files", "-z").split("\0") if name not in ("", "vendored")
    ]
    history = open_history(str(tree))
    fix = next(history.changes())
    assert (fix.commit, fix.base, fix.files) == (after, before, ["pkg/core.py"])
    assert sorted(history.texts(before)) == ["pkg/core.py"]
    patch = history.diff(before, after)
    taken: list[str] = []
    with _opened(fetched, tmp_path / "agent", patch) as (sandbox, commit):
        assert _objects(tmp_path / "agent", "HEAD") == _objects(tree, after)
        assert sandbox.run("git status --porcelain").output == ""
        base = partial(pytest.fail, "the agent's repository has its commit")
        nothing = take_patch(sandbox, commit, str(tmp_path / "agent"), base)
        assert (nothing.text, nothing.problem, nothing.left_out) == ("", "", [])
        code = tmp_path / "agent" / "pkg" / "core.py"
        code.write_bytes(code.read_bytes() + b"# mine\r\n")
        (tmp_path / "agent" / "pkg" / "__pycache__").mkdir(exist_ok=True)
        for compiled in (tmp_path / "agent" / "pkg" / "__pycache__").iterdir():
            compiled.unlink()
        taken.append(take_patch(sandbox, commit, str(tmp_path / "agent"), base).text)
        written = code.read_bytes()
    monkeypatch.setattr(workspace, "_REPLACE", "false")  # as in images with a longer history
    with _opened(fetched, tmp_path / "grader", patch) as (sandbox, again):
        assert again == commit
        stage = StagedPatch(sandbox, str(tmp_path / "stage"))
        assert not stage.begin(taken[0]).exit_code
        assert [change.name for change in stage.changes()] == ["pkg/core.py"]
        assert not stage.apply().exit_code
        assert (tmp_path / "grader" / "pkg" / "core.py").read_bytes() == written


SOURCES: dict[str, tuple[bytes, str]] = {
    "plain": (CODE, ""),
    "a byte order mark": (b"\xef\xbb\xbf" + CODE, ""),
    "a byte order mark before a function": (b"\xef\xbb\xbf" + CODE[12:], ""),
    "latin-1": (LATIN + CODE + b"\n\n\nX = '\xe9'\n", ""),
    "shift_jis": ("# coding: shift_jis\n表 = 1\n".encode("shift_jis") + CODE, ""),
    "form feeds": (CODE.replace(b"\n\n\n", b"\n\x0c\n\n"), ""),
    "mixed line ends": (CODE.replace(b"3:\n", b"3:\r\n"), ""),
    "carriage returns": (CODE.replace(b"\n", b"\r\n"), ""),
    "empty": (b"", "no candidates"),
    "a form feed before code": (CODE.replace(b"\ndef", b"\n\x0cdef"), "cannot be parsed"),
    "a lone carriage return": (CODE.replace(b"3:\n", b"3:\r"), "cannot be parsed"),
    "another language": (b"print 'two'\n", "cannot be parsed"),
    "no stated encoding": (b"X = '\xe9'\n" + CODE, "has an unknown encoding"),
    "utf-7": (b"# coding: utf-7\nX = '\xe9'\n" + CODE, "has an unknown encoding"),
}


def test_no_source_file_is_left_out_silently(tmp_path: Path) -> None:
    """A file gives candidates, which apply to its bytes, or is named with the reason."""
    names = {kind: f"pkg/m{number}.py" for number, kind in enumerate(SOURCES)}
    _write(tmp_path, {names[kind]: data for kind, (data, _) in SOURCES.items()})
    _write(tmp_path, {"pkg/alias.py": Path("m0.py"), "pkg/x\udce9.py": CODE, 'pkg/"q".py': CODE})
    commit_all(tmp_path)
    with LocalSandbox(tmp_path) as sandbox:
        project = texts_of(sandbox, [], [])
    found = list(project.candidates(project.listed({"operators": FAMILIES["operators"]})))
    left_out = {
        candidate.file: candidate.problem for candidate in found if candidate.family == LEFT_OUT
    }
    expected = {names[kind]: why for kind, (_, why) in SOURCES.items() if why}
    del expected[names["empty"]]
    odd = dict.fromkeys(("pkg/x\\udce9.py", 'pkg/"q".py'), "has an odd name")
    assert left_out == expected | odd
    changed = [candidate for candidate in found if not candidate.problem]
    assert {candidate.file for candidate in changed} == {
        names[kind] for kind, (_, why) in SOURCES.items() if not why
    }
    for candidate in changed:
        git_bytes(tmp_path, "apply", "--check", "-", given=candidate.diff.encode())


@pytest.mark.parametrize("data", [data for data, why in SOURCES.values() if not why])
def test_the_sieve_compiles_functions_in_any_encoding(tmp_path: Path, data: bytes) -> None:
    """Lines that are not UTF-8, and a byte order mark, do not keep a mutant from being warm."""
    (tmp_path / "a.py").write_bytes(data)
    lines = data.split(b"\n")
    at = next(number for number, line in enumerate(lines, 1) if b"n > 3" in line)
    functions = SourceFunctions(str(tmp_path / "a.py"))
    old, new = functions.change([(at, at, ["    if n >= 3:"])])
    assert (old.co_name, new.co_name) == ("half", "half")
    assert old.co_code != new.co_code


def test_a_change_next_to_other_encodings_is_named(tmp_path: Path) -> None:
    """A diff cannot hold lines of Latin-1 next to the change; such a candidate has a problem."""
    near = CODE.replace(b"3:\n", b"3:  # d\xe9j\xe0\n")
    _write(tmp_path, {"core.py": b"# coding: latin-1\n" + near})
    commit_all(tmp_path)
    with LocalSandbox(tmp_path) as sandbox:
        project = texts_of(sandbox, [], [])
    found = list(project.candidates(project.listed({"operators": FAMILIES["operators"]})))
    assert {candidate.problem for candidate in found} == {"neither UTF-8 nor ASCII"}


def test_a_link_in_the_place_of_a_folder_leads_nowhere(tmp_path: Path) -> None:
    """What an index has below a folder that is now a link is neither read nor written."""
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    _write(tree, {"data/x.txt": b"tracked\n", "a.py": CODE})
    _write(outside, {"x.txt": b"secret\n"})
    git(tree, "init", "--quiet", ".")
    git(tree, "add", "--all")
    (tree / "data" / "x.txt").unlink()
    (tree / "data").rmdir()
    (tree / "data").symlink_to(outside)
    fetch(str(tree), tmp_path / "into")
    assert tracked_files(tmp_path / "into") == ["a.py", "data"]
    assert (outside / "x.txt").read_bytes() == b"secret\n"


@pytest.mark.parametrize(
    ("source", "path", "reference"),
    [
        ("job@2/num", "job@2/num", ""),
        ("job@2/num@v1", "job@2/num", "v1"),
        ("job@2/num@num@1.0.0", "job@2/num", "num@1.0.0"),
        ("job@2/num@feature/x", "job@2/num", "feature/x"),
        ("a@b", "a@b", ""),
        ("a@b@main", "a@b", "main"),
        ("file://HERE/job@2/num@v1", "file://HERE/job@2/num", "v1"),
        ("file://HERE/job%402/num@v1", "file://HERE/job%402/num", "v1"),
        ("absent@v1", "absent", "v1"),
        ("~nobody-here@v1", "~nobody-here", "v1"),
        ("https://host/@owner/name@v1", "https://host/@owner/name", "v1"),
        ("https://host/owner/name@name@1.0.0", "https://host/owner/name", "name@1.0.0"),
    ],
)
def test_a_path_that_exists_is_a_path(
    source: str, path: str, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An '@' begins a reference only where what is before it exists."""
    for name in ("job@2/num", "a@b", "a"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    assert split_reference(source.replace("HERE", here)) == (path.replace("HERE", here), reference)
    with pytest.raises(SourceError, match="missing after the '@'"):
        split_reference("job@2/num@")
