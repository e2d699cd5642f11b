"""What the pages promise, kept: sizes, links, examples, plain English."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from attempts import make_attempt

from forager.cli.main import main
from forager.learning.filters import load_filters
from forager.sandboxes.local_sandbox import LocalSandbox
from tools import load_toolbox

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [*PAGES, *(path for path in sorted(ROOT.glob("*.md")))]

WORDS = (  # what a reader stumbles over → what to write instead
    (r"\bwhence\b", "from which"),
    (r"\breckon", "compute, expect"),
    (r"\blest\b", "so that … not"),
    (r"\bbeside\b", "next to"),
    (r"\bto be had\b", "available"),
    (r"\b(is|are) told\b", "prints, returns, records, reads"),
    (r"\bthat (is|are) no \w", "name what it is"),
    (r"\bthat (is|are) (?-i:none)\b", "name what it is"),
    (r"\bnot? (kept|said|done) nor\b", "is discarded, is not printed"),
    (r"\bneither \w+ nor told\b", "is discarded silently"),
    (r"(?<!resolved )\b(is|are) wanted\b", "is needed, asked for"),
)
NAMES = (  # in Python
    (r"\bfor (one|each) in\b", "for task in, for attempt in"),
    (r"\branks_of_data\b", "data_parallel_size"),
    (r"(?<!\")\bseconds_to_meet\b", "rendezvous_timeout"),
    (r"(?<!\")\brow_tokens\b", "pack_length"),
    (r"\bclass (Shown|Ended|Sifted|Trouble|Room|Gate)\b", "a noun that says what it is"),
)


def test_the_first_pages_are_short() -> None:
    """Who is new reads all of README and ARCHITECTURE."""
    assert len((ROOT / "README.md").read_text().split()) <= 1400
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 180


def test_every_page_is_found() -> None:
    """From the navigation of the site, and from the table in README."""
    navigation = (ROOT / "mkdocs.yml").read_text().split("\nnav:")[1]
    table = (ROOT / "README.md").read_text()
    for page in PAGES:
        assert f": {page.name}\n" in navigation
        assert f"](docs/{page.name})" in table


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """To a file of the repository, and to a heading in it."""
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)#?([^)\s:]*)\)", prose(document)):
        file = document.parent / target if target else document
        assert file.exists(), f"{document.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{target} has no heading #{anchor}"


def test_files_that_documents_name_exist() -> None:
    """A file that moved is found in the documents that name it."""
    for document in DOCUMENTS:
        if document.name != "CHANGELOG.md":
            for name in re.findall(r"`((?:[a-z]+/)+[\w.]+\.(?:py|toml|sh))`", document.read_text()):
                assert (ROOT / name).exists(), f"{document.name} names {name}"


def test_the_tree_in_readme_shows_folders_that_exist() -> None:
    """It ends at folders, and holds every package of the engine."""
    tree = (ROOT / "README.md").read_text().split("```\nforager/\n")[1].split("```")[0]
    inner = re.findall(r"^  (\w+)/ ", tree, re.MULTILINE)
    outer = re.findall(r"^(\w+)/ ", tree, re.MULTILINE)
    packages = {path.parent.name for path in (ROOT / "forager").glob("*/__init__.py")}
    assert set(inner) == packages
    assert all((ROOT / name).is_dir() for name in outer)


def test_extras_that_pages_install_exist() -> None:
    """And are installed from a clone, because the package is not on PyPI."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for document in DOCUMENTS:
        text = document.read_text()
        assert "'forager-agent[" not in text
        for extras in re.findall(r"(?<!uv )pip install -e '\.\[([\w,-]+)\]'", text):
            assert set(extras.split(",")) <= set(known)


def test_options_in_prose_exist() -> None:
    """Options of forager; the pages name two of vLLM, too."""
    known = {"--enable-auto-tool-choice", "--reasoning-parser", *options(main)}
    for document in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *PAGES):
        named = set(re.findall(r"`(--[a-z][a-z-]+)", document.read_text()))
        assert named <= known, f"{document.name}: no {named - known}"


def test_the_tool_in_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/tool.md has a tool that its entry point adds, and that works."""
    install(ROOT / "docs/tool.md", tmp_path / "site", monkeypatch)
    tool = load_toolbox()["search"]
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "a.py").write_text("x = 1\nprice = 2\n")
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    subprocess.run(["git", "add", "a.py"], cwd=repository, check=True)
    sandbox = LocalSandbox(repository)
    try:
        found = tool.execute(sandbox, tool.read_body(" price\n"), 10)
    finally:
        sandbox.close()
    assert (found.text, found.exit_code) == ("a.py:2:price = 2\n", 0)


def test_the_filter_in_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/filter.md has a filter that its entry point adds, and that counts edits."""
    install(ROOT / "docs/filter.md", tmp_path / "site", monkeypatch)
    attempt = make_attempt()
    edits = sum(call.tool == "edit" for call in attempt.tool_calls)
    maker = load_filters()["few-edits"]
    survey = None  # this filter does not look at it
    assert maker(survey, most=edits)(attempt) is attempt
    assert maker(survey, most=edits - 1)(attempt) is None


def test_plain_english() -> None:
    """The sentences that CONTRIBUTING warns of stand nowhere."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: write {better}"
        for path in tracked()
        for text in [path.read_text()]
        for pattern, better in (*WORDS, *(NAMES if is_python(path) else ()))
        if re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
        for number, line in enumerate(text.splitlines(), 1)
        for match in re.finditer(pattern, line, re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare (util-linux)")
def test_the_site_builds_without_a_network(tmp_path: Path) -> None:
    """And without a warning, such as one of a dead link; its pages load nothing from elsewhere."""
    mkdocs: list[str | Path] = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        tmp_path / "site",
    ]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", *mkdocs], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r'(src="|rel="stylesheet" href=")https?:', page.read_text()), page


def options(command: click.Command) -> Iterator[str]:
    """The options of a verb, or of all verbs of a group."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        for member in command.commands.values():
            yield from options(member)


def prose(document: Path) -> str:
    """A document without its code."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", document.read_text(), flags=re.M | re.S)


def anchors(document: Path) -> set[str]:
    """The names of a document's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def install(page: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the module and the entry point of a page as an installed package."""
    text = page.read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    name = code.split("\n")[0].removeprefix("# ").removesuffix(".py")
    information = site / f"{name}-1.dist-info"
    information.mkdir(parents=True)
    (site / f"{name}.py").write_text(code)
    (information / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
    ((group, points),) = tomllib.loads(toml)["project"]["entry-points"].items()
    lines = [f"{point} = {value}\n" for point, value in points.items()]
    (information / "entry_points.txt").write_text("".join([f"[{group}]\n", *lines]))
    monkeypatch.syspath_prepend(site)


def tracked() -> Iterator[Path]:
    """The text files that we wrote, but for data and for the two tests that list these words."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    others = ("tests/data/", "examples/kata/kata/", "tests/test_docs.py", "tests/test_cli.py")
    for path in (ROOT / name for name in listed.stdout.splitlines() if not name.startswith(others)):
        if path.suffix in {".py", ".md", ".toml", ".yml", ".html", ""} and path.is_file():
            yield path


def is_python(path: Path) -> bool:
    """Whether a file is a module, or a program without a suffix."""
    return path.suffix == ".py" or path.read_text().startswith("#!/usr/bin/env python")
