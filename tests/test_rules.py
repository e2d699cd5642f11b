"""The rules that repair recipes: what a log names is what they propose."""

from pathlib import Path

import pytest

from forager.images.builder import BrokenRun, Diagnosis, FileRun, SourceProject, Stage
from forager.images.debian import Contents, DebianRelease
from forager.images.pins import constraints, lock_files
from forager.images.recipe import Recipe
from forager.images.rules import RULES
from forager.images.source import Source

INDEX = """\
usr/include/curl/curl.h\tlibcurl4-openssl-dev
usr/include/mysql.h\tlibmariadb-dev
usr/bin/curl-config\tlibcurl4-openssl-dev
usr/bin/pg_config\tlibpq-dev
usr/bin/tesseract\ttesseract-ocr
usr/lib/x86_64-linux-gnu/libGL.so.1\tlibgl1
usr/lib/x86_64-linux-gnu/libgobject-2.0.so.0\tlibglib2.0-0
usr/lib/x86_64-linux-gnu/libmagic.so\tlibmagic-dev
usr/lib/x86_64-linux-gnu/libxml2.so\tlibxml2-dev
usr/lib/x86_64-linux-gnu/libxslt.so\tlibxslt1-dev
usr/lib/x86_64-linux-gnu/pkgconfig/mysqlclient.pc\tlibmariadb-dev-compat
"""
PROJECT = "uv pip install -e ."


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceProject:
    """A project without files, whose commit is of 2021."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "debian").mkdir(parents=True)
    (tmp_path / "home" / "debian" / "bookworm.txt").write_text(INDEX)
    tree = tmp_path / "tree"
    tree.mkdir()
    source = Source(given="x", kind="path", name="local/x", digest="tree:1", date="2021-05-06")
    contents = Contents(DebianRelease("debian", "bookworm"))
    return SourceProject(source, tree, lambda _: pytest.fail("nothing is built"), print, contents)


def proposals(
    project: SourceProject,
    log: str,
    stage: Stage = "install",
    recipe: Recipe | None = None,
    broken: BrokenRun | None = None,
) -> dict[str, Recipe]:
    """What the rules propose, by the name of the rule; the first of each."""
    failure = Diagnosis(
        stage=stage, message="", command=PROJECT, log=log, run=10, passing=9, broken=broken
    )
    found: dict[str, Recipe] = {}
    for change in RULES.changes(project, recipe or Recipe(install=[PROJECT]), failure):
        found.setdefault(change.rule, change.recipe)
        assert change.reason
        assert "\n" not in change.reason
    return found


@pytest.mark.parametrize(
    ("log", "package"),
    [
        ("src/pycurl.h:10:10: fatal error: curl/curl.h: No such file or directory", "openssl"),
        ("Could not run curl-config: [Errno 2] No such file or directory: 'curl-config'", "curl4"),
        ("Error: pg_config executable not found.", "libpq-dev"),
        ("Trying pkg-config --exists mysqlclient\nCan not find valid pkg-config name", "compat"),
        (
            "Please make sure the libxml2 and libxslt development packages are installed.",
            "libxml2-dev libxslt1-dev",
        ),
        ("E   ImportError: libGL.so.1: cannot open shared object file: No such file", "libgl1"),
        (
            "TesseractNotFoundError: tesseract is not installed or it's not in your PATH.",
            "tesseract-ocr",
        ),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'tesseract'", "tesseract-ocr"),
        ("ImportError: failed to find libmagic.  Check your installation", "libmagic-dev"),
        ("/bin/sh: 1: tesseract: not found", "tesseract-ocr"),
        ("OSError: cannot load library 'libgobject-2.0-0': no such file", "libglib2.0-0"),
        ("Could not find tesseract executable. Append its path to PATH", "tesseract-ocr"),
        ("No such file or directory: '/usr/bin/tesseract'", "tesseract-ocr"),
        ("ClusterError: could not find pg_ctl executable in /usr/lib", "postgresql"),
    ],
)
def test_a_log_that_misses_a_file_names_the_package(
    project: SourceProject, log: str, package: str
) -> None:
    """Headers, libraries, pkg-config's modules and programs become Debian packages."""
    system = proposals(project, log)["system packages"].system
    assert all(word in " ".join(system) for word in package.split()), system


@pytest.mark.parametrize(
    "log",
    [
        "E   FileNotFoundError: [Errno 2] No such file or directory: 'data/tesseract.txt'",
        "E   FileNotFoundError: [Errno 2] No such file or directory: 'python'",
        "AssertionError: 1 != 2",
    ],
)
def test_other_missing_files_name_no_package(project: SourceProject, log: str) -> None:
    """A data file and what the base has are not looked up."""
    assert "system packages" not in proposals(project, log, "test")


@pytest.mark.parametrize(
    ("log", "constraint"),
    [
        ("ModuleNotFoundError: No module named 'pkg_resources'", "setuptools<81"),
        ("error in x setup command: use_2to3 is invalid.", "setuptools<58"),
        ("Cython.Compiler.Errors.CompileError: x.pyx", "cython<3"),
    ],
)
def test_old_build_tools_become_constraints(
    project: SourceProject, log: str, constraint: str
) -> None:
    """The constraint is part of the command that failed, and a second one joins the first."""
    (command,) = proposals(project, log)["build tools"].install
    assert f"'{constraint}'" in command
    assert command.endswith(" -e .")


def test_versions_and_python_of_the_date_come_last(project: SourceProject) -> None:
    """An old commit that today's versions break gets those of its day, then its Python."""
    found = proposals(project, "E   ImportError: cannot import name 'x' from 'y'", "collect")
    assert found["versions of the date"].exclude_newer == "2021-05-06"
    assert found["Python of the date"].python == "3.9"
    assert [*found][-2:] == ["versions of the date", "Python of the date"]
    new = project._replace(source=project.source.model_copy(update={"date": "2999-01-01"}))
    assert not {"versions of the date", "Python of the date"} & {*proposals(new, "TypeError")}


def test_fixtures_and_coroutines_name_their_plugins(project: SourceProject) -> None:
    """The plug-ins of unknown fixtures and markers are installed, and one that runs coroutines."""
    log = "E  fixture 'mocker' not found\nasync def functions are not natively supported"
    install = proposals(project, log, "test")["plug-ins"].install
    assert install == [PROJECT, "uv pip install 'pytest-asyncio'", "uv pip install 'pytest-mock'"]
    for log in (
        "E       fixture 'worker_id' not found",
        "E   Failed: 'xdist_group' not found in `markers` configuration option",
    ):
        install = proposals(project, log, "test")["plug-ins"].install
        assert install == [PROJECT, "uv pip install 'pytest-xdist'"]


def test_django_gets_the_settings_that_a_file_names(project: SourceProject) -> None:
    """What tox.ini states comes before the modules that are named settings."""
    (project.tree / "tox.ini").write_text("setenv =\n    DJANGO_SETTINGS_MODULE=tests.special\n")
    (project.tree / "tests").mkdir()
    (project.tree / "tests" / "settings.py").write_text("SECRET_KEY = 'x'\n")
    log = "django.core.exceptions.ImproperlyConfigured: Requested setting INSTALLED_APPS"
    changed = proposals(project, log, "collect")["Django settings"]
    assert changed.variables["DJANGO_SETTINGS_MODULE"] == "tests.special"
    assert "uv pip install pytest-django" in changed.install


@pytest.mark.parametrize(
    ("log", "service"),
    [
        ("redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379.", "redis"),
        ("connection to server at x, port 5432 failed: Connection refused", "postgresql"),
        ("Can't connect to local MySQL server through socket '/run/mysqld/mysqld.sock'", "mysql"),
        ('FATAL:  database "psycopg2_test" does not exist', "postgresql/psycopg2_test"),
        ("ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5672)", "rabbitmq"),
    ],
)
def test_refused_connections_name_the_service(
    project: SourceProject, log: str, service: str
) -> None:
    """A service, or a database of it, joins the recipe with the variables of its clients."""
    assert proposals(project, log, "test")["services"].services == [service]


def test_directories_and_variables_of_the_machine(project: SourceProject) -> None:
    """Directories at the root, not the system's; a variable has the value that the CI states."""
    (project.tree / "tox.ini").write_text("setenv =\n    API_KEY = 'abc-1'\n")
    log = (
        "PermissionError: [Errno 13] Permission denied: '/config'\n"
        "PermissionError: [Errno 13] Permission denied: '/etc/passwd'\n"
        "os.environ['API_KEY']\nKeyError: 'API_KEY'\nKeyError: 'OTHER_KEY'"
    )
    found = proposals(project, log, "test")
    assert found["directories"].directories == ["/config"]
    assert found["variables"].variables == {"API_KEY": "abc-1", "OTHER_KEY": "test"}


@pytest.mark.parametrize(
    "message",
    [
        "or by setting the OPENAI_API_KEY environment variable",
        "ValueError: Please set the environment variable `OPENAI_API_KEY`.",
        "RuntimeError: OPENAI_API_KEY must be set",
    ],
)
def test_messages_name_the_variables_that_tests_need(project: SourceProject, message: str) -> None:
    """A client that wants a key when it is made gets one, and tests without a network pass."""
    assert proposals(project, message, "test")["variables"].variables == {"OPENAI_API_KEY": "test"}
    assert "variables" not in proposals(project, "Setting a GCP environment variable", "test")


@pytest.mark.parametrize(
    ("log", "python"),
    [
        ("AttributeError: module 'collections' has no attribute 'Mapping'", "3.9"),
        ("ImportError: cannot import name 'override' from 'typing'", "3.13"),
    ],
)
def test_another_python(project: SourceProject, log: str, python: str) -> None:
    """What newer Pythons removed asks for an older one, what they added for a newer one."""
    assert proposals(project, log, "collect")["other Python"].python == python


def test_a_good_image_is_left_alone(project: SourceProject) -> None:
    """Nothing is proposed where nearly all tests pass: another build would not pay."""
    failure = Diagnosis(
        stage="test", message="", log="fixture 'mocker' not found", passing=98, run=100, sound=True
    )
    assert [*RULES.changes(project, Recipe(), failure)] == []


def test_messages_name_the_extras_that_tests_need(project: SourceProject) -> None:
    """`pip install NAME[EXTRA]` in a message names an extra of the project or of another."""
    (project.tree / "pyproject.toml").write_text(
        "[project]\nname = 'bot'\n[project.optional-dependencies]\nweb = []\nall = []\ndocs = []\n"
    )
    log = "E  ImportError: Please install it first: `pip install Bot[web]`"
    assert proposals(project, log, "test")["extras"].install[1:] == ["uv pip install -e '.[web]'"]
    log = "E  ImportError: use pip install 'other[speed]'"
    assert proposals(project, log, "test")["extras"].install[1:] == [
        "uv pip install 'other[speed]'"
    ]
    log = "E  ModuleNotFoundError: No module named 'bot.backends'"
    assert proposals(project, log, "test")["extras"].install[1:] == ["uv pip install -e '.[all]'"]


def broken_run(
    *files: FileRun, signal: int = 0, timed_out: bool = False, running: str = "", **slow: float
) -> BrokenRun:
    """A run of a hundred seconds that broke off."""
    return BrokenRun(
        seconds=100.0, timed_out=timed_out, signal=signal, running=running, files=[*files],
        slow={f"test_x.py::{name}": seconds for name, seconds in slow.items()},
    )  # fmt: skip


def test_memory_grows_where_it_ran_out(project: SourceProject) -> None:
    """A killed run gets twice the memory, but never more than half of the machine's."""
    killed = broken_run(signal=9)
    recipe = Recipe(memory=64 << 20)
    assert proposals(project, "", "test", recipe, killed)["memory"].memory == 128 << 20
    assert "memory" not in proposals(project, "", "test", Recipe(memory=1 << 50), killed)
    assert "memory" not in proposals(project, "", "test", recipe, broken_run(signal=11))


def test_memory_that_runs_out_in_another_order_is_one_tests_fault(project: SourceProject) -> None:
    """In their own order the tests had enough; the running test is left out, if it is known."""
    killed = broken_run(signal=9).model_copy(update={"reordered": True})
    assert "crashes" not in proposals(project, "", "test", Recipe(memory=64 << 20), killed)
    assert "memory" in proposals(project, "", "test", Recipe(memory=64 << 20), killed)
    known = killed.model_copy(update={"running": "test_x.py::test_a"})
    found = proposals(project, "", "test", Recipe(memory=64 << 20), known)
    assert "memory" not in found
    assert found["crashes"].tests == ["--deselect=test_x.py::test_a"]


def test_a_test_that_ends_the_interpreter_is_left_out(project: SourceProject) -> None:
    """A crash and `os._exit` end a run; the test that was running is deselected."""
    crashed = broken_run(signal=11, running="test_x.py::test_a")
    assert proposals(project, "", "test", None, crashed)["crashes"].tests == [
        "--deselect=test_x.py::test_a"
    ]


def test_a_suite_that_takes_too_long_becomes_shorter(project: SourceProject) -> None:
    """A test that hangs goes first, then slow tests, then the slowest files; half must stay."""
    cheap, dear = FileRun("test_a.py", 100, 100, 10.0), FileRun("test_b.py", 50, 30, 88.0)
    late = broken_run(cheap, dear, timed_out=True)
    assert proposals(project, "", "test", None, late)["long suite"].tests == ["--ignore=test_b.py"]
    few = broken_run(cheap._replace(planned=40), dear, timed_out=True)
    assert "long suite" not in proposals(project, "", "test", None, few)
    slow = broken_run(
        FileRun("test_x.py", 50, 50, 90.0), timed_out=True, test_slow=80.0, test_quick=1.0
    )
    assert proposals(project, "", "test", None, slow)["long suite"].tests == [
        "--deselect=test_x.py::test_slow"
    ]
    parameters = broken_run(cheap, dear._replace(planned=9000, functions=9), timed_out=True)
    assert proposals(project, "", "test", None, parameters)["long suite"].tests == [
        "--ignore=test_b.py"
    ]
    hangs = broken_run(cheap, timed_out=True, running="test_b.py::test_c")
    assert proposals(project, "", "test", None, hangs)["long suite"].tests == [
        "--deselect=test_b.py::test_c"
    ]


def test_a_file_whose_tests_all_wait_goes_as_one(project: SourceProject) -> None:
    """Each of its tests waits for a server that is not there, the running one longest."""
    waits = broken_run(
        FileRun("test_x.py", 50, 1, 8.0), timed_out=True, running="test_x.py::test_b", test_a=8.0
    )
    assert proposals(project, "", "test", None, waits)["long suite"].tests == ["--ignore=test_x.py"]


def test_the_versions_of_a_lock_file_come_before_those_of_the_date(project: SourceProject) -> None:
    """What upstream tested with is nearer than what was new on a day."""
    (project.tree / "poetry.lock").write_text('[[package]]\nname = "a"\nversion = "1.0"\n')
    found = proposals(project, "E   ImportError: cannot import name 'x' from 'y'", "collect")
    assert found["versions of the lock file"].lock == "poetry.lock"
    assert [*found].index("versions of the lock file") < [*found].index("versions of the date")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "uv.lock",
            '[[package]]\nname = "A.b"\nversion = "1.0"\nsource = { registry = "https://x" }\n'
            '[[package]]\nname = "own"\nversion = "2"\nsource = { editable = "." }\n'
            '[[package]]\nname = "two"\nversion = "1"\n[[package]]\nname = "two"\nversion = "2"\n',
            ["a-b==1.0"],
        ),
        (
            "poetry.lock",
            '[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "b"\nversion = "2"\n'
            '[package.source]\ntype = "git"\n',
            ["a==1"],
        ),
        (
            "Pipfile.lock",
            '{"default": {"a": {"version": "==1"}, "b": {"git": "x"}}, "develop": {"c": []}}',
            ["a==1"],
        ),
        ("pylock.toml", '[[packages]]\nname = "a"\nversion = "1 ; rm"\n', []),
        ("uv.lock", "[[package", []),
        ("Pipfile.lock", "[" * 100_000, []),
    ],
)
def test_pins_of_lock_files(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    """Only versions of an index count; what is locked twice stays free; nothing odd raises."""
    (tmp_path / name).write_text(text)
    assert constraints(tmp_path, name) == expected
    assert lock_files(tmp_path) == ([name] if "[[package]]" in text or expected else [])


def test_ever_older_pytests_are_tried(project: SourceProject) -> None:
    """Hooks and constructors of old conftest.py files went away in three releases."""
    log = (
        "pluggy._manager.PluginValidationError: Plugin 'conftest.py' for hook 'pytest_collect_file'"
    )
    recipe = proposals(project, log, "collect")["older pytest"]
    assert "'pytest<9'" in recipe.install[-1]
    recipe = proposals(project, log, "collect", recipe)["older pytest"]
    recipe = proposals(project, log, "collect", recipe)["older pytest"]
    assert "'pytest<7'" in recipe.install[-1]
    assert "older pytest" not in proposals(project, log, "collect", recipe)


def test_qt_bindings_are_installed(project: SourceProject) -> None:
    """A project that works with any bindings gets some, and no display."""
    found = proposals(
        project, "qtpy.QtBindingsNotFoundError: No Qt bindings could be found", "test"
    )
    assert found["display"].install[-1] == "uv pip install 'PyQt5'"
    assert "libgl1" in found["display"].system
    assert found["display"].variables == {"QT_QPA_PLATFORM": "offscreen"}
