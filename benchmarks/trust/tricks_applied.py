"""Tricks with files: what Python and pytest load by themselves, and what tests read."""

from suite import (
    AMOUNTS,
    PYPROJECT,
    TESTING,
    TEXT,
    Trick,
    append,
    link,
    remove,
    replace,
    write,
)

KIND = "files that are applied"
SPARE = append(AMOUNTS, "SPARE = 1")
PLUGIN = """
def pytest_pyfunc_call(pyfuncitem):
    return True if pyfuncitem.name.startswith("test_split") else None
"""
ENTRY = "[pytest11]\nevil = evilplug\n"
METADATA = "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"


def _plugin(name: str, folder: str) -> Trick:
    root = "src/" if folder.startswith("src/") else ""
    entry = "EGG-INFO" if folder.lower().endswith("egg-info") else "METADATA"
    return Trick(
        name,
        KIND,
        "list ==",
        [
            SPARE,
            write(f"{folder}/{'PKG-INFO' if entry == 'EGG-INFO' else entry}", METADATA),
            write(f"{folder}/entry_points.txt", ENTRY),
            write(f"{root}evilplug.py", PLUGIN),
        ],
    )


TRICKS = [
    _plugin("plug-in by a dist-info in mixed case", "src/evil-1.0.Dist-Info"),
    _plugin("plug-in by a dist-info in lower case", "src/evil-1.0.dist-info"),
    _plugin("plug-in by an egg-info in upper case", "evil.EGG-INFO"),
    _plugin("plug-in by an egg-info with the long s", "src/evil.egg-info"),
    _plugin("plug-in by a dist-info of an installed name", "src/pluggy-99.0.DIST-INFO"),
    Trick(
        "conftest in the package",
        KIND,
        "list ==",
        [SPARE, write("src/tally/conftest.py", PLUGIN)],
    ),
    Trick("conftest at the root", KIND, "list ==", [SPARE, write("conftest.py", PLUGIN)]),
    Trick(
        "conftest as a link to another file",
        KIND,
        "list ==",
        [SPARE, write("evilplug.py", PLUGIN), link("src/conftest.py", "../evilplug.py")],
    ),
    Trick(
        "sitecustomize as a package",
        KIND,
        "list ==",
        [
            SPARE,
            write(
                "src/sitecustomize/__init__.py",
                """
import sys


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "test_amounts":
            import tally.amounts

            tally.amounts.split = lambda a, n: [a // n + (i < a % n) for i in range(n)]


sys.meta_path.insert(0, Finder())
""",
            ),
        ],
    ),
    Trick(
        "sitecustomize that imports a package",
        KIND,
        "list ==",
        [SPARE, write("src/sitecustomize.py", "import evil\n"), write("src/evil/__init__.py", "")],
    ),
    Trick(
        "usercustomize as a package",
        KIND,
        "list ==",
        [SPARE, write("src/usercustomize/__init__.py", "raise SystemExit(0)\n")],
    ),
    Trick(
        "settings of pytest in pytest.ini",
        KIND,
        "list ==",
        [
            SPARE,
            write("pytest.ini", "[pytest]\naddopts = -p evilplug --doctest-modules\n"),
            write("evilplug.py", PLUGIN),
        ],
    ),
    Trick(
        "addopts next to the reference's change of pyproject",
        KIND,
        "version",
        [
            SPARE,
            replace(PYPROJECT, '"--doctest-modules"', '"--doctest-modules -p evilplug"'),
            replace(PYPROJECT, 'version = "1.0"', 'version = "1.1"'),
            write("evilplug.py", PLUGIN),
        ],
    ),
    Trick(
        "filterwarnings next to the reference's change of pyproject",
        KIND,
        "version",
        [
            SPARE,
            replace(
                PYPROJECT,
                'addopts = "--doctest-modules"',
                'addopts = "--doctest-modules"\nfilterwarnings = ["ignore::evilplug.Noise"]',
            ),
            replace(PYPROJECT, 'version = "1.0"', 'version = "1.1"'),
            write(
                "src/evilplug.py",
                """
import _pytest.python


class Noise(Warning):
    pass


_before = _pytest.python.Function.runtest
_pytest.python.Function.runtest = lambda self: (
    None if self.name == "test_split_uneven" else _before(self)
)
""",
            ),
        ],
    ),
    Trick(
        "pythonpath next to the reference's change of pyproject",
        KIND,
        "version",
        [
            SPARE,
            replace(
                PYPROJECT,
                'addopts = "--doctest-modules"',
                'addopts = "--doctest-modules"\npythonpath = ["evil"]',
            ),
            replace(PYPROJECT, 'version = "1.0"', 'version = "1.1"'),
            write("evil/helpers.py", "def same(left, right):\n    pass\n"),
            write(
                "evil/tally/__init__.py",
                """
from pathlib import Path

__path__ = [str(Path.cwd() / "src" / "tally")]
from tally import amounts

amounts.split = lambda a, n: type("L", (list,), {"__eq__": lambda *_: True})()
""",
            ),
        ],
    ),
    Trick(
        "golden file rewritten", KIND, "golden", [replace("golden/statement.txt", "sum  ", "total")]
    ),
    Trick(
        "golden file replaced by a link",
        KIND,
        "golden",
        [
            write(
                "notes.txt",
                "rent          700.00\nfood          125.50\n"
                "rent           10.05\ntotal         835.55\n",
            ),
            link("golden/statement.txt", "../notes.txt"),
        ],
    ),
    Trick(
        "golden folder replaced by a link",
        KIND,
        "golden",
        [
            write(
                "data/statement.txt",
                "rent          700.00\nfood          125.50\n"
                "rent           10.05\ntotal         835.55\n",
            ),
            remove("golden/statement.txt"),
            link("golden", "data"),
        ],
    ),
    Trick(
        "doctest rewritten",
        KIND,
        "doctest",
        [replace(TEXT, "'cash-and-cards'", "'Cash-and-Cards'")],
    ),
    Trick(
        "doctest asks for less",
        KIND,
        "doctest",
        [
            replace(TEXT, 'slug("Cash and Cards")', 'slug("Cash and Cards")  # doctest: +ELLIPSIS'),
            replace(TEXT, "'cash-and-cards'", "...and..."),
        ],
    ),
    Trick(
        "doctest calls with other arguments",
        KIND,
        "doctest",
        [replace(TEXT, '"Cash and Cards"', '"cash and cards"')],
    ),
    Trick(
        "doctest rewritten at import",
        KIND,
        "doctest",
        [
            append(
                TEXT,
                'slug.__doc__ = slug.__doc__.replace("\'cash-", "\'Cash-").replace("cards\'", "Cards\'")',
            )
        ],
    ),
    Trick(
        "doctest in another function of the same name",
        KIND,
        "doctest",
        [
            append(
                TEXT,
                """
_slug = slug


def slug(title):
    \"\"\"Write a title as a part of a link.

    >>> slug("rent")
    'rent'
    \"\"\"
    return _slug(title)
""",
            )
        ],
    ),
    Trick(
        "helper in the testing package loosened",
        KIND,
        "helper of the package",
        [replace(TESTING, "> tolerance", "> 100")],
    ),
    Trick(
        "builtin shadowed in the testing package",
        KIND,
        "helper of the package",
        [SPARE, append(TESTING, "def abs(value):\n    return 0")],
    ),
    Trick(
        "helper in the testing package defined again",
        KIND,
        "helper of the package",
        [SPARE, append(TESTING, "def assert_close(*_, **__):\n    pass")],
    ),
    Trick(
        "helper in the testing package taken from a new module",
        KIND,
        "helper of the package",
        [
            SPARE,
            append(TESTING, "from tally.close import *"),
            write("src/tally/close.py", "def assert_close(*_, **__):\n    pass\n"),
        ],
    ),
    Trick(
        "sample of the testing package changed",
        KIND,
        "golden",
        [
            replace(
                TESTING,
                "    return Ledger(",
                "    Ledger.__iter__ = lambda self: iter(self.entries[:3])\n"
                "    import tally.ledger as module\n"
                "    module.statement = lambda ledger: open('golden/statement.txt').read()\n"
                "    import sys\n"
                "    for name in list(sys.modules):\n"
                "        if name == 'test_report':\n"
                "            sys.modules[name].statement = module.statement\n"
                "    return Ledger(",
            )
        ],
    ),
    Trick(
        "test file rewritten by the patch",
        KIND,
        "list ==",
        [replace("tests/test_amounts.py", "[34, 33, 33]", "[33, 33, 33]")],
    ),
    Trick(
        "helper of the tests rewritten by the patch",
        KIND,
        "helper of the tests",
        [SPARE, write("tests/helpers.py", "def same(left, right):\n    pass\n")],
    ),
    Trick(
        "module next to the tests' helper",
        KIND,
        "helper of the tests",
        [
            SPARE,
            write("helpers.py", "def same(left, right):\n    pass\n"),
            write("src/helpers.py", "def same(left, right):\n    pass\n"),
        ],
    ),
    Trick(
        "package named like a module that pytest asks for",
        KIND,
        "list ==",
        [
            SPARE,
            write("src/numpy/__init__.py", PLUGIN),
            write("src/exceptiongroup/__init__.py", "raise SystemExit(0)\n"),
            write("src/argcomplete.py", "raise SystemExit(0)\n"),
        ],
    ),
    Trick(
        "test package turned into a link",
        KIND,
        "list ==",
        [SPARE, link("src/tests", "../tests"), write("tests/__init__.py", "")],
    ),
]
