"""The tools, on a real shell in a temporary directory."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forager.agent.tool import Observation
from forager.errors import FormatError, Submitted, UsageError
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.record import FileChange
from tools import TOOLBOX, load_toolbox
from tools.bash import OUTPUT_LIMIT
from tools.encodings import encoding_of


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSandbox]:
    """One shell for all tests: starting it is what takes time."""
    with LocalSandbox(tmp_path_factory.mktemp("shell")) as sandbox:
        yield sandbox


@pytest.fixture
def box(shell: LocalSandbox, tmp_path: Path) -> LocalSandbox:
    """The shell, in a directory of the test's own."""
    shell.run(f"cd {tmp_path}")
    return shell


def use(box: LocalSandbox, tool: str, seconds: float = 20, **arguments: str) -> Observation:
    """Call a tool."""
    return TOOLBOX[tool].execute(box, arguments, seconds)


def edit(box: LocalSandbox, path: str, search: str, replace: str) -> Observation:
    """Call `edit`."""
    return use(box, "edit", path=path, search=search, replace=replace)


# bash


@pytest.mark.parametrize(
    ("command", "text", "exit_code"),
    [
        ("echo hello", "hello\n[exit code 0]", 0),
        ("printf hello", "hello\n[exit code 0]", 0),
        ("true", "[exit code 0]", 0),
        ("echo out; echo err >&2; (exit 3)", "out\nerr\n[exit code 3]", 3),
        ("cat", "[exit code 0]", 0),
        ("echo; echo", "\n\n[exit code 0]", 0),
        ("cat <<'E'\na 'b' \"c\"\nE", "a 'b' \"c\"\n[exit code 0]", 0),
    ],
)
def test_bash_answers_with_the_output_and_the_exit_code(
    box: LocalSandbox, command: str, text: str, exit_code: int
) -> None:
    """The observation is the output as it came, then a line with the exit code."""
    answer = use(box, "bash", command=command)
    printed = text.rpartition("[exit code")[0].removesuffix("\n")
    expected = Observation(text, exit_code=exit_code, output_length=len(printed))
    assert answer == expected


def test_bash_keeps_the_state_of_the_shell(box: LocalSandbox) -> None:
    """Directory and variables carry over from call to call."""
    use(box, "bash", command="mkdir deep; cd deep; name=forager")
    assert use(box, "bash", command="basename $PWD; echo $name").text.startswith("deep\nforager\n")


def test_bash_cuts_the_middle_of_long_output(box: LocalSandbox) -> None:
    """The model sees both ends of long output and the number of bytes left out."""
    answer = use(box, "bash", command="echo first; seq 100000; echo last")
    assert answer.omitted > 500_000
    assert f"{answer.omitted} bytes left out" in answer.text
    assert answer.text.startswith("first\n")
    assert answer.text.endswith("last\n[exit code 0]")
    assert len(answer.text) < OUTPUT_LIMIT + 200


def test_bash_says_that_a_command_timed_out(box: LocalSandbox) -> None:
    """A time-out is said, with what was printed before it."""
    answer = use(box, "bash", command="echo before; sleep 30", seconds=0.3)
    assert answer.timed_out
    assert answer.exit_code is None
    assert answer.text.startswith("before\n[timed out after 0.3 seconds")
    assert "all jobs in the background" in answer.text


def test_bash_says_that_the_shell_is_new(box: LocalSandbox) -> None:
    """Losing variables and directory is said, for `exit` as for a kill."""
    answer = use(box, "bash", command="exit 3")
    assert answer.exit_code == 3
    assert "[exit code 3]\n[the shell was started anew" in answer.text


@pytest.mark.parametrize("command", ["", " \n", "echo a\0b"])
def test_bash_refuses_what_is_no_command(box: LocalSandbox, command: str) -> None:
    """An empty command and a NUL are format errors, told to the model."""
    with pytest.raises(FormatError):
        use(box, "bash", command=command)


# edit


@pytest.mark.parametrize(
    ("before", "search", "replace", "after"),
    [
        pytest.param(b"a\nb\nc\n", "b", "B", b"a\nB\nc\n", id="a line"),
        pytest.param(b"a\nb\nc\n", "b\n", "B\n", b"a\nB\nc\n", id="newlines at the end"),
        pytest.param(b"a\nb\nc\n", "a\nb", "x\ny\nz", b"x\ny\nz\nc\n", id="more lines"),
        pytest.param(b"a\nb\nc\n", "b", "", b"a\nc\n", id="delete"),
        pytest.param(b"a\nb\nc\n", "b", "\n", b"a\n\nc\n", id="a blank line"),
        pytest.param(b"a\n", "a", "", b"", id="delete everything"),
        pytest.param(b"a\n\nb\n", "\n", "x", b"a\nx\nb\n", id="search a blank line"),
        pytest.param(b"a\nb", "b", "c", b"a\nc", id="no final newline"),
        pytest.param(b"a\nb", "b", "c\nd", b"a\nc\nd", id="no final newline, more lines"),
        pytest.param(b"a\nb", "a", "c", b"c\nb", id="no final newline, elsewhere"),
        pytest.param(b"a\nb", "b", "", b"a\n", id="delete an unended line"),
        pytest.param(b"a", "a", "b", b"b", id="only an unended line"),
        pytest.param(b"a\r\nb\r\nc\r\n", "b", "x\ny", b"a\r\nx\r\ny\r\nc\r\n", id="CRLF"),
        pytest.param(b"a\r\nb\r\n", "a\r\nb\r\n", "c\r\n", b"c\r\n", id="CRLF by the model"),
        pytest.param(b"a\r\nb", "b", "c\nd", b"a\r\nc\r\nd", id="CRLF, no final newline"),
        pytest.param(b"a\r\nb\nc\r\n", "b", "x", b"a\r\nx\nc\r\n", id="mixed endings"),
        pytest.param(b"\xef\xbb\xbfa\nb\n", "a", "c", b"\xef\xbb\xbfc\nb\n", id="byte order mark"),
        pytest.param(b"\xe9\xff\nb\n", "b", "\u00e8", b"\xe9\xff\n\xe8\n", id="Latin-1"),
        pytest.param(b"\xe9=1\n", "\u00e9=1", "\u00e8=1", b"\xe8=1\n", id="Latin-1, that line"),
        pytest.param(
            b"#!/x\n# coding: koi8-r\n\xd1\n",
            "\u044f",
            "\u044e",
            b"#!/x\n# coding: koi8-r\n\xc0\n",
            id="a declared encoding",
        ),
        pytest.param(
            b"\xc3\xa9\n\xe9\n", "\u00e9", "\u00e8", b"\xc3\xa8\n\xe9\n", id="UTF-8 with errors"
        ),
        pytest.param(b"", "", "a\nb", b"a\nb\n", id="fill an empty file"),
        pytest.param(
            b"\xef\xbb\xbf", "", "a", b"\xef\xbb\xbfa\n", id="fill a byte order mark's file"
        ),
        pytest.param(b"\tif x:\n\t\ty\n", "\t\ty", "\t\tz", b"\tif x:\n\t\tz\n", id="tabs"),
        pytest.param(b"a \nb\x0c\n", "b\x0c", "c", b"a \nc\n", id="form feed is no line end"),
        pytest.param(b"aa\na\n", "a", "b", b"aa\nb\n", id="whole lines only"),
        pytest.param(b"$x\\1'\n", "$x\\1'", "$(y)\\n", b"$(y)\\n\n", id="nothing is expanded"),
    ],
)
def test_edit_changes_the_lines_and_nothing_else(
    box: LocalSandbox, tmp_path: Path, before: bytes, search: str, replace: str, after: bytes
) -> None:
    """What is not replaced stays byte for byte: encoding, endings, a missing last newline."""
    (tmp_path / "file").write_bytes(before)
    answer = edit(box, "file", search, replace)
    assert (tmp_path / "file").read_bytes() == after
    assert not answer.error
    assert answer.exit_code == 0
    check_change(answer.change, *map(lines_of, (before, after)))


def lines_of(content: bytes) -> list[str]:
    """The lines as facts hold them."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode(encoding_of(content), "replace")
    return text.removesuffix("\n").split("\n") if text else []


def check_change(change: FileChange | None, before: list[str], after: list[str]) -> None:
    """The fact says what was replaced where, and what stands around it."""
    assert change is not None and change.first is not None
    start, end = change.first - 1, change.first - 1 + len(change.added)
    assert before[start : start + len(change.removed)] == change.removed
    assert [*before[:start], *change.added, *before[start + len(change.removed) :]] == after
    assert change.lines == len(after)
    assert change.before == [line.removesuffix("\r") for line in after[:start]]
    assert change.after == [line.removesuffix("\r") for line in after[end:]]


def test_edit_shows_eight_lines_on_each_side(box: LocalSandbox, tmp_path: Path) -> None:
    """The answer is the new number of lines and the change in its surroundings, numbered."""
    (tmp_path / "file").write_text("".join(f"line {n}\n" for n in range(1, 31)))
    answer = edit(box, "file", "line 15", "new\nnewer")
    head, *shown = answer.text.split("\n")
    assert head == "Edited file: 31 lines now."
    assert shown[0] == "     7\tline 7"
    assert shown[8:11] == ["    15\tnew", "    16\tnewer", "    17\tline 16"]
    assert shown[-1] == "    24\tline 23"
    assert answer.change == FileChange(
        path="file",
        first=15,
        removed=["line 15"],
        added=["new", "newer"],
        lines=31,
        before=[f"line {number}" for number in range(7, 15)],
        after=[f"line {number}" for number in range(16, 24)],
    )


def test_edit_shows_long_changes_and_lines_in_part(box: LocalSandbox, tmp_path: Path) -> None:
    """The answer stays short however much is written."""
    (tmp_path / "file").write_text("a\n")
    answer = edit(box, "file", "a", "\n".join(f"{n} {'x' * 10_000}" for n in range(1000)))
    assert "1000 lines now" in answer.text
    assert "960 lines of the new text not shown" in answer.text
    assert len(answer.text) < 25_000
    (tmp_path / "wide").write_text(f"a\n{'x' * 501}\n{'x' * 500}\n")
    answer = edit(box, "wide", "a", "b")
    assert answer.change and answer.change.after == [None, "x" * 500]


def test_edit_keeps_the_mode(box: LocalSandbox, tmp_path: Path) -> None:
    """A script stays executable."""
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    edit(box, "run", "#!/bin/sh", "#!/bin/bash")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755


PROGRAM = "def f(x):\n    if x:\n        return 1\n    return 2  \n\n\ndef g():\n    return 2\n"


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ("return 1", ["only the indentation differs, line 3:", "     3\t        return 1"]),
        ("if x:\n    return 1", ["only the indentation differs, lines 2-3:"]),
        ("    return 2\n\n\n", ["whitespace at the end of lines differs, lines 4-6:"]),
        ("    if  x :", ["only whitespace differs, line 2:"]),
        ("def f(", ["must be whole lines", "line 1:"]),
        ("    if x:\n        return 3\n    return 2", ["The nearest text is, lines 2-4:"]),
        ("    returned 1", ["The nearest text is, line 3:"]),
        ("import numpy as np", ["Nothing in the file is like it"]),
    ],
)
def test_edit_says_why_nothing_matched(
    box: LocalSandbox, tmp_path: Path, search: str, told: list[str]
) -> None:
    """A search that does not occur is answered with what differs, and with the nearest text."""
    (tmp_path / "file.py").write_text(PROGRAM)
    answer = edit(box, "file.py", search, "pass")
    assert (answer.error, answer.reason, answer.change) == (True, "not_found", None)
    assert answer.exit_code is None
    assert answer.text.startswith("The text to search for does not occur in file.py.")
    for part in told:
        assert part in answer.text
    assert (tmp_path / "file.py").read_text() == PROGRAM


def test_edit_lists_the_places_of_an_ambiguous_search(box: LocalSandbox, tmp_path: Path) -> None:
    """Several matches are refused, with their lines; overlapping ones count."""
    (tmp_path / "file").write_text("a\nb\na\n" + "c\n" * 30)
    answer = edit(box, "file", "a", "x")
    assert (answer.error, answer.reason) == (True, "ambiguous")
    assert "occurs 2 times in file, at lines 1, 3. " in answer.text
    assert "occurs 29 times" in edit(box, "file", "c\nc", "x").text
    assert "12, 13, …. " in edit(box, "file", "c", "x").text


def test_edit_finds_the_nearest_text_of_a_large_file_quickly(
    box: LocalSandbox, tmp_path: Path
) -> None:
    """The search for the nearest text has a bounded cost."""
    generator = random.Random(1)
    lines = ["".join(generator.choices("abcdef ", k=300)) for _ in range(20_000)]
    (tmp_path / "file").write_text("\n".join(lines))
    started = time.monotonic()
    assert edit(box, "file", "\n".join(line[::-1] for line in lines[:50]), "x").error
    assert time.monotonic() - started < 2


def test_edit_refuses_what_it_cannot_edit(box: LocalSandbox, tmp_path: Path) -> None:
    """Missing files, directories, binaries, empty searches and no change have their message."""
    (tmp_path / "binary").write_bytes(b"a\0b\n")
    (tmp_path / "text").write_text("a\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert edit(box, "missing", "a", "b").text == "There is no file missing."
    assert edit(box, "directory", "a", "b").text.startswith("directory is a directory, not a file")
    assert "binary file" in edit(box, "binary", "a", "b").text
    assert "not a regular file" in edit(box, "pipe", "a", "b").text
    assert "Not a directory" in edit(box, "text/x", "a", "b").text
    assert (
        "The file is empty: leave the text to search for empty" in edit(box, "empty", "a", "b").text
    )
    assert edit(box, "text", "a", "a\n").text.startswith("Nothing to change")
    reasons = {
        "missing": "no_such_file",
        "directory": "is_a_directory",
        "binary": "binary_file",
        "pipe": "os_error",
        "empty": "not_found",
    }
    assert {path: edit(box, path, "a", "b").reason for path in reasons} == reasons
    assert edit(box, "text", "a", "a\n").reason == "unchanged"
    for path, search in [("text", ""), ("", "a"), ("a\0b", "a")]:
        with pytest.raises(FormatError):
            edit(box, path, search, "b")


# create


def test_create_writes_a_new_file(box: LocalSandbox, tmp_path: Path) -> None:
    """The content is written as it is, relative to the shell's directory."""
    (tmp_path / "sub").mkdir()
    use(box, "bash", command="cd sub")
    answer = use(box, "create", path="new file.py", content="é\n\n  b")
    change = FileChange(path="new file.py", first=1, added=["é", "", "  b"], lines=3, created=True)
    assert answer == Observation("Created new file.py: 3 lines.", change=change)
    assert (tmp_path / "sub" / "new file.py").read_bytes() == "é\n\n  b".encode()
    assert use(box, "create", path="-n", content="").text == "Created -n: 0 lines."


def test_create_refuses_existing_paths_and_missing_parents(
    box: LocalSandbox, tmp_path: Path
) -> None:
    """Nothing is overwritten, no directory is made."""
    (tmp_path / "file").write_text("kept")
    answer = use(box, "create", path="file", content="x")
    assert answer.text.startswith("file exists already")
    assert answer.reason == "file_exists"
    assert use(box, "create", path=".", content="x").error
    answer = use(box, "create", path="no/where", content="x")
    assert answer.text.startswith("The directory of no/where does not exist")
    assert (answer.error, answer.reason) == (True, "no_such_directory")
    assert (tmp_path / "file").read_text() == "kept"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("given", [b"", b"\xef\xbb\xbf", b"\n", b"x"])
@pytest.mark.parametrize("first", ["create", "edit", "edit with nothing to search for"])
def test_an_empty_file_is_filled_and_no_tool_refers_to_another_in_circles(
    box: LocalSandbox, tmp_path: Path, given: bytes, first: str
) -> None:
    """Each refusal names a way, and the way works."""
    (tmp_path / "a b.py").write_bytes(given)
    new = "x = 1\n"
    whole = given.decode().removeprefix("\ufeff")
    for _ in range(2):
        try:
            if first == "create":
                told = use(box, "create", path="a b.py", content=new)
            else:
                told = edit(box, "a b.py", "y" if first == "edit" else whole, new)
        except FormatError as error:
            told = Observation(str(error), error=True)
        if not told.error:
            break
        empty = not whole and "leave the text to search for empty" in told.text
        assert empty or "Use edit" in told.text or "nearest" in told.text or "like it" in told.text
        first = "edit with nothing to search for"
    assert not told.error
    assert (tmp_path / "a b.py").read_bytes().removeprefix(b"\xef\xbb\xbf") in (
        b"x = 1\n",
        b"x = 1",
    )


@pytest.mark.parametrize(
    ("path", "way", "works"),
    [
        ("~/new.py", "the home directory", "{home}/new.py"),
        ("file://{here}/a.py", "Write the path alone: {here}/a.py", "{here}/a.py"),
        ("'a.py'", "Leave the quotes out", "a.py"),
        ('"a b.py"', "Leave the quotes out", "a b.py"),
        ("my\\ dir/a.py", "Leave the backslashes out", "my dir/a.py"),
        ("$HOME/a.py", "Write the values of variables", "{home}/a.py"),
        ("my dir/", "name a file", "my dir/a.py"),
        (" a.py ", "", "a.py"),
        ("my dir/a.py", "", "my dir/a.py"),
    ],
)
def test_a_path_written_as_for_a_shell_is_refused_with_the_right_form(
    box: LocalSandbox, tmp_path: Path, path: str, way: str, works: str
) -> None:
    """`create` and `edit` say how to write it; blanks in names are taken as they are."""
    (tmp_path / "my dir").mkdir()
    places = {"here": str(tmp_path), "home": str(tmp_path / "my dir")}
    path, way, works = (text.format(**places) for text in (path, way, works))
    told = use(box, "create", path=path, content="x\n")
    assert (way in told.text) and told.error == bool(way)
    if way:
        assert edit(box, path, "x", "y").error
        assert not use(box, "create", path=works, content="x\n").error
    assert not edit(box, works, "x", "y").error
    assert (tmp_path / works).read_text() == "y\n"


def test_what_an_encoding_lacks_is_refused(box: LocalSandbox, tmp_path: Path) -> None:
    """The file stays; a line whose bytes are no text is left to bash."""
    (tmp_path / "old").write_bytes(b"\xe9\nx\n")
    told = edit(box, "old", "x", "\u2192")
    assert told.reason == "not_encodable" and "iconv" in told.text
    use(box, "bash", command="iconv -f latin1 -t utf-8 old >new && mv new old")
    assert not edit(box, "old", "x", "\u2192").error
    (tmp_path / "odd").write_bytes("\u00e9\n".encode() + b"y = \xe9\n")
    assert "change lines that show \ufffd with bash" in edit(box, "odd", "y = \ufffd", "z").text


def test_encodings_are_those_that_cost_little() -> None:
    """What a file declares is a name to look up, not code to run, and must fit its bytes."""
    for name in ("punycode", "idna", "utf-16", "rot13", "nothing", "../../x", "cp1252"):
        text = f"# coding: {name}\n".encode() + b"\xe9\x81"
        assert encoding_of(text) == "iso8859-1", name
    assert encoding_of(b"# vim: set fileencoding=shift_jis :\n\x82\xa0") == "shift_jis"


# submit


def test_submit_ends_the_attempt(box: LocalSandbox) -> None:
    """`submit` reaches the loop as an exception; its text body is empty."""
    with pytest.raises(Submitted):
        use(box, "submit")
    assert TOOLBOX["submit"].read_body("\n") == {}
    with pytest.raises(FormatError):
        TOOLBOX["submit"].read_body("a.diff")


# Text bodies


@pytest.mark.parametrize(
    ("body", "path", "search", "replace"),
    [
        ("p\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE", "p", "a\n", "b\n"),
        ("p\n<<<<<<< SEARCH\na\n=======\n>>>>>>> REPLACE", "p", "a\n", ""),
        ("p\n<<<<<<< SEARCH\n\n=======\n\n\n>>>>>>> REPLACE", "p", "\n", "\n\n"),
        ("p\n<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE", "p", "", ""),
        (" p q \n<<<<<<< SEARCH \na \n=======\t\nb\n>>>>>>> REPLACE\n\n", "p q", "a \n", "b\n"),
        (
            "p\n<<<<<<<< SEARCH\nT\n=======\n========\n>>>>>>> REPLACE\n>>>>>>>> REPLACE",
            "p",
            "T\n=======\n",
            ">>>>>>> REPLACE\n",
        ),
    ],
)
def test_edit_bodies_have_one_meaning(body: str, path: str, search: str, replace: str) -> None:
    """Empty sides can be said, and files that hold the markers edited with longer ones."""
    assert TOOLBOX["edit"].read_body(body) == {"path": path, "search": search, "replace": replace}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "first line must be the path"),
        ("p", "first line must be the path"),
        ("<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE", "first line must be the path"),
        ("p\na\n=======\nb\n>>>>>>> REPLACE", "line after the path must be <<<<<<< SEARCH"),
        ("p\n<<<<<<<\na\n=======\nb\n>>>>>>> REPLACE", "line after the path must be"),
        ("p\n<<<<<<< SEARCH\na\n=======\nb", "last line must be >>>>>>> REPLACE"),
        ("p\n<<<<<<<< SEARCH\na\n========\nb\n>>>>>>> REPLACE", "last line must be >>>>>>>> REP"),
        ("p\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE", "no line ======="),
        ("p\n<<<<<<< SEARCH\na\n=======\n=======\n>>>>>>> REPLACE", "There are 2 lines ======="),
    ],
)
def test_malformed_edit_bodies_are_told_how(body: str, told: str) -> None:
    """Each mistake has its message, and all of them show the right form."""
    with pytest.raises(FormatError, match=told) as caught:
        TOOLBOX["edit"].read_body(body)
    assert "<<<<<<< SEARCH\nWHOLE LINES" in str(caught.value)


def test_create_and_bash_bodies() -> None:
    """A text's lines all end in a newline; no lines are an empty file."""
    read = TOOLBOX["create"].read_body
    assert read("p\na\nb") == {"path": "p", "content": "a\nb\n"}
    assert read("p") == {"path": "p", "content": ""}
    assert read("p\n") == {"path": "p", "content": "\n"}
    assert TOOLBOX["bash"].read_body("a\n b") == {"command": "a\n b"}
    for tool in ("create", "bash"):
        with pytest.raises(FormatError):
            TOOLBOX[tool].read_body("\n")


def test_bodies_round_trip() -> None:
    """What is written is read back the same, whatever lines the text is made of."""
    generator = random.Random(7)
    lines = ["", " ", "a", "  b ", "=======", "========", "<<<<<<< SEARCH", ">>>>>>> REPLACE"]
    lines += ["</tool>", "<tool: bash>", "é\t", "=" * 9 + " "]

    def text() -> str:
        return "".join(line + "\n" for line in generator.choices(lines, k=generator.randrange(5)))

    for _ in range(3000):
        for name, arguments in [
            ("edit", {"path": "a b", "search": text(), "replace": text()}),
            ("create", {"path": "a b", "content": text()}),
            ("bash", {"command": "x" + text()}),
            ("submit", {}),
        ]:
            tool = TOOLBOX[name]
            assert tool.read_body(tool.write_body(arguments)) == arguments


# The catalogue


def test_the_toolbox_is_cwms() -> None:
    """The names and their order are CWM's, and each definition is a closed schema."""
    assert list(TOOLBOX) == ["bash", "edit", "create", "submit"]
    for name, tool in load_toolbox().items():
        function = tool.definition()["function"]
        assert function["name"] == name
        assert function["parameters"]["additionalProperties"] is False
        assert function["parameters"]["required"] == list(tool.parameters)


PLUGIN = """
from dataclasses import replace
from tools.bash import BASH
LOOK = replace(BASH, name="look")
WRONG = "look"
"""


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("forager_plugin:WRONG", "is a str, not a forager.agent.tool.Tool"),
        ("forager_plugin:MISSING", "does not load"),
        ("no_such_package:LOOK", "does not load: No module named"),
        ("tools.bash:BASH", "takes the name 'bash' of another tool"),
    ],
)
def test_faulty_plugins_are_named(installed: Path, value: str, told: str) -> None:
    """A plug-in that does not load is the user's to know of, by name."""
    install(installed, value)
    with pytest.raises(UsageError, match=told):
        load_toolbox()


def test_plugins_add_tools(installed: Path) -> None:
    """A package's entry point in `forager.tools` adds its tool; the catalogue stays as it is."""
    install(installed, "forager_plugin:LOOK")
    assert list(load_toolbox()) == [*TOOLBOX, "python", "look"]
    assert "look" not in TOOLBOX


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on the import path."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(place: Path, value: str) -> None:
    """Install a package as far as `importlib.metadata` looks: its metadata and its module."""
    (place / "forager_plugin.py").write_text(PLUGIN)
    (place / "forager_plugin-1.dist-info").mkdir()
    (place / "forager_plugin-1.dist-info" / "METADATA").write_text("Name: forager-plugin\n")
    (place / "forager_plugin-1.dist-info" / "entry_points.txt").write_text(
        f"[forager.tools]\nlook = {value}\n"
    )
