"""What may be odd about a repository, by name. Each oddity changes a drawn repository."""

import os
from pathlib import Path

from repositories import Change, DrawnRepository, git

SHA = "c0ffee" + "0" * 34  # a commit that is nowhere


def _on_disk(act: str, link: str = "", target: str = "") -> Change:
    """A change of the disk: a link, or another kind of file."""

    def change(repo: DrawnRepository) -> None:
        def do(root: Path) -> None:
            path = root / link
            path.parent.mkdir(parents=True, exist_ok=True)
            if act == "link" and not os.path.lexists(path):
                path.symlink_to(target.format(code=repo.code, tests=repo.tests or repo.code))
            elif act == "fifo":
                os.mkfifo(path)
            elif act == "directory":
                path.mkdir(exist_ok=True)

        repo.on_disk.append(do)

    return change


def _file(name: str, text: str | bytes = "x = 1\n") -> Change:
    return lambda repo: repo.write(name, text)


def _attributes(*lines: str) -> Change:
    return lambda repo: repo.append(".gitattributes", "".join(f"{line}\n" for line in lines))


def _settings(name: str, section: str, *lines: str) -> Change:
    """Settings of pytest, unless the style of the tests needs its own."""

    def change(repo: DrawnRepository) -> None:
        if "pytest.ini" not in repo.files:
            repo.append(name, f"[{section}]\n" + "".join(f"{line}\n" for line in lines))

    return change


def _ini(*lines: str) -> Change:
    return _settings("pytest.ini", "pytest", *lines)


def _toml(*lines: str) -> Change:
    return _settings("pyproject.toml", "tool.pytest.ini_options", *lines)


def _bom(repo: DrawnRepository) -> None:
    repo.recode(lambda data: b"\xef\xbb\xbf" + data, tests=repo.random.random() < 0.3)


def _latin(repo: DrawnRepository) -> None:
    words = "# -*- coding: latin-1 -*-\n# caf\xe9\n".encode("latin-1")
    repo.recode(lambda data: words + data)


def _endings(new: bytes) -> Change:
    def change(repo: DrawnRepository) -> None:
        repo.recode(lambda data: data.replace(b"\n", new), tests=repo.random.random() < 0.5)

    return change


def _mixed_endings(repo: DrawnRepository) -> None:
    def mixed(data: bytes) -> bytes:
        return b"".join(
            line + repo.random.choice([b"\n", b"\r\n"]) for line in data.split(b"\n")[:-1]
        )

    repo.recode(mixed)


def _form_feed(repo: DrawnRepository) -> None:
    repo.recode(lambda data: data.replace(b"\n\n\n", b"\n\x0c\n\n"))


def _no_newline(repo: DrawnRepository) -> None:
    repo.recode(lambda data: data.rstrip(b"\n"), tests=True)


def _tabs(repo: DrawnRepository) -> None:
    repo.recode(lambda data: data.replace(b"    ", b"\t"))


def _gitlink(repo: DrawnRepository) -> None:
    def add(root: Path) -> None:
        git(root, "update-index", "--add", "--cacheinfo", f"160000,{SHA},vendor/sub")

    repo.write(".gitmodules", '[submodule "sub"]\n\tpath = vendor/sub\n\turl = ../sub\n')
    repo.in_index.append(add)


def _byte_code(repo: DrawnRepository) -> None:
    folder, _, name = repo.code.rpartition("/")
    cache = f"{folder}/__pycache__" if folder else "__pycache__"
    stem = name.removesuffix(".py")
    for version in ("312", "311"):
        repo.write(f"{cache}/{stem}.cpython-{version}.pyc", b"\xcb\r\r\n" + bytes(60))
    repo.write(f"{folder}/old.pyc" if folder else "old.pyc", b"old")

    def add(root: Path) -> None:
        git(root, "add", "-f", "--", cache)

    repo.in_index.append(add)


def _nested_repository(repo: DrawnRepository) -> None:
    def make(root: Path) -> None:
        inner = root / "vendor" / "inner"
        inner.mkdir(parents=True)
        (inner / "inner.py").write_text("x = 1\n")
        git(inner, "init", "-q")
        git(inner, "add", "-A")
        git(inner, "commit", "-qm", "inner")

    repo.on_disk.append(make)


def _fake_git(repo: DrawnRepository) -> None:
    repo.write("vendor/fake/.git", "gitdir: /nowhere\n")
    repo.write("vendor/fake/x.py", "x = 1\n")


def _modes(repo: DrawnRepository) -> None:
    for name in list(repo.files):
        repo.modes[name] = repo.random.choice([0o600, 0o755, 0o444, 0o664, 0o4755, 0o640])


def _odd_names(repo: DrawnRepository) -> None:
    names = ["a b.py", "-dash.py", "@at.py", "ünï.py", "quote'.py", 'double".py', "back\\slash.py"]
    names += [
        "new\nline.txt",
        "tab\t.txt",
        "%s.txt",
        "$(touch x).txt",
        "~",
        ":(top)x",
        "*.txt",
        "\x7f",
    ]
    folder = repo.random.choice(
        ["", "data/", "tests/data dir/", repo.code.rpartition("/")[0] + "/"]
    )
    for name in repo.random.sample(names, 4):
        repo.write(f"{folder.lstrip('/')}{name}", "x = 1\n")


def _latin_name(repo: DrawnRepository) -> None:
    repo.write(os.fsdecode(b"data/caf\xe9.txt"), "x\n")


def _ignored(repo: DrawnRepository) -> None:
    repo.write(
        ".gitignore", repo.random.choice(["data/\n*.txt\n", "*\n!*.py\n!*/\n", "/tests/x\n"])
    )
    repo.write("data/kept.txt", "x\n")


def _broken_code(repo: DrawnRepository) -> None:
    folder = repo.code.rpartition("/")[0]
    repo.write(f"{folder}/broken.py".lstrip("/"), "def (:\n")
    repo.write("templates/{{name}}.py", "{% if x %}\n")


def _required_file(repo: DrawnRepository) -> None:
    """A test that reads a file of the repository."""
    if repo.tests:
        repo.write("data/numbers.txt", "1 2 3\n")
        repo.append(
            repo.tests,
            "\n\ndef test_data():\n    with open('data/numbers.txt') as file:\n"
            "        assert file.read().split() == ['1', '2', '3']\n",
        )


def _failing_test(repo: DrawnRepository) -> None:
    if repo.tests:
        repo.append(repo.tests, "\n\ndef test_wrong():\n    assert 1 == 2\n")


def _writing_test(repo: DrawnRepository) -> None:
    if repo.tests:
        repo.append(
            repo.tests,
            "\n\ndef test_writes(tmp_path):\n    open('made.txt', 'w').close()\n"
            "    (tmp_path / 'x').write_text('x')\n",
        )


def _conftest(repo: DrawnRepository) -> None:
    folder = repo.tests.rpartition("/")[0]
    repo.write(
        f"{folder}/conftest.py".lstrip("/"),
        "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef always():\n    yield 1\n",
    )


def _second_file(repo: DrawnRepository) -> None:
    """A second test file of the same base name, and a package of tests."""
    repo.write("checks/__init__.py", "")
    repo.write("checks/test_more.py", "def test_more():\n    assert 1 + 1 == 2\n")


def _script(repo: DrawnRepository) -> None:
    repo.write("bin/run", "#!/usr/bin/env python\nprint('x')\n")
    repo.modes["bin/run"] = 0o755


def _wide_text(repo: DrawnRepository) -> None:
    """A file whose text git stores in another encoding."""
    _attributes("wide.txt working-tree-encoding=UTF-16")(repo)
    _file("wide.txt", "wide".encode("utf-16"))(repo)


ODDITIES: dict[str, Change] = {
    "BOM": _bom,
    "Latin-1": _latin,
    "CRLF": _endings(b"\r\n"),
    "mixed line endings": _mixed_endings,
    "form feeds": _form_feed,
    "no last newline": _no_newline,
    "tabs": _tabs,
    "export-subst": _attributes("*.py export-subst"),
    "export-ignore": _attributes("tests export-ignore", "*.py export-ignore"),
    "ident": _attributes("*.py ident"),
    "eol": _attributes("*.py text eol=crlf"),
    "text auto": _attributes("* text=auto"),
    "encoding": _wide_text,
    "filter": _attributes("* filter=lfs diff=lfs merge=lfs -text"),
    "binary": _attributes("*.py binary"),
    "no diff": _attributes("*.py -diff"),
    "odd attributes": _attributes("[attr]odd -diff", '"a b.py" odd', "*.py whitespace=-all"),
    "link to code": _on_disk("link", "alias.py", "{code}"),
    "link to tests": _on_disk("link", "linked_tests.py", "{tests}"),
    "broken link": _on_disk("link", "broken.py", "nowhere.py"),
    "absolute link": _on_disk("link", "absolute.py", "/etc/hostname"),
    "link outside": _on_disk("link", "outside", "../../.."),
    "link to a directory": _on_disk("link", "folder", "."),
    "link to itself": _on_disk("link", "loop.py", "loop.py"),
    "fifo": _on_disk("fifo", "pipe"),
    "empty directory": _on_disk("directory", "empty"),
    "submodule": _gitlink,
    "byte code": _byte_code,
    "repository within": _nested_repository,
    "false repository within": _fake_git,
    "modes": _modes,
    "odd names": _odd_names,
    "Latin-1 name": _latin_name,
    "ignored": _ignored,
    "broken code": _broken_code,
    "empty file": _file("empty.py", ""),
    "null bytes": _file("nul.py", b"x = '\0'\n"),
    "large file": _file("data/large.bin", bytes(1 << 20)),
    "long line": _file("data/long.txt", "x" * 70_000),
    "file of data": _required_file,
    "failing test": _failing_test,
    "writing test": _writing_test,
    "conftest": _conftest,
    "second tests": _second_file,
    "script": _script,
    "testpaths .": _ini("testpaths = ."),
    "testpaths stars": _toml('testpaths = ["**/test*", "tests"]'),
    "testpaths of nothing": _ini("testpaths = nowhere"),
    "python_files": _ini("python_files = test_*.py *_test.py check_*.py"),
    "python_functions": _toml('python_functions = ["test_*", "check_*"]'),
    "cache_dir": _ini("addopts = --strict-config --strict-markers", "cache_dir = .cache/of/tests"),
    "verbose": _ini("addopts = -ra -q -x -vv --tb=long --durations=3", "xfail_strict = true"),
    "workers": _ini("addopts = -n logical"),
    "coverage": _toml('addopts = "--cov=kit --cov-report=term"'),
    "required plug-in": _ini("required_plugins = pytest-nowhere>=1"),
    "no cache": _ini("addopts = -p no:cacheprovider"),
    "warnings are errors": _ini("filterwarnings = error"),
    "import mode": _ini("addopts = --import-mode=importlib"),
    "minversion": _ini("minversion = 6.0"),
    "markers": _toml('markers = ["slow: takes long"]', "addopts = \"-m 'not slow'\""),
    "pythonpath": _ini("pythonpath = . src lib"),
    "setup.cfg": _settings("setup.cfg", "tool:pytest", "testpaths = tests", "addopts = -s"),
    "tox.ini": _settings("tox.ini", "pytest", "norecursedirs = .git data"),
    "malformed pytest.ini": _file("pytest.ini", "[pytest\naddopts = -q\n"),
    "malformed pyproject": _file("pyproject.toml", "[tool.pytest\nx = \n"),
    "malformed tox.ini": _file("tox.ini", "no section\n\x00"),
    "odd pyproject": _file("pyproject.toml", "[project]\nname = 3\n[tool]\npytest = 1\n"),
    "malformed setup.py": _file("setup.py", "import nowhere\nsetup(name=\n"),
    "requirements": _file("requirements.txt", "-r other.txt\n-e .\n\n# x\nnowhere-at-all==1; x\n"),
    "licence": _file("LICENSE", "Permission is hereby granted, free of charge"),
}
