"""Coverage, reach and sieve, on a project of this machine."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from subprocess import Popen

import pytest

from forager.environments.repository.task import TestSetup
from forager.images.image import Image
from forager.images.recipe import Recipe
from forager.images.source import Source
from forager.mutation.candidates import unified_diff
from forager.mutation.coverage import Coverage, measure
from forager.mutation.reach import Reach, ReachAnalysis, edits_of
from forager.mutation.sieve import Sieve, SieveResult
from forager.programs.sieve.messages import Answer
from forager.sandboxes.local_sandbox import LocalSandbox

SCHEDSTAT = Path("/proc/self/schedstat")
CODE = '''\
"""A shop."""

from functools import lru_cache

from helper import loud


def register(kind):
    def deco(function):
        TABLE[kind] = function
        return function
    return deco


TABLE = {}
RATE = loud(2)


@register("net")
def net(price):
    return price * RATE


class Basket:
    """Holds prices."""

    def __init__(self):
        self.prices = []

    def add(self, price, *, count=1):
        for _ in range(count):
            self.prices.append(price)
        return self

    @property
    def total(self):
        return sum(self.prices)

    def empty(self):
        while self.prices:
            self.prices.pop()


@lru_cache
def rate(kind):
    return TABLE[kind](1)


def first(values):
    for value in values:
        if value > 1:
            return value


def unused(value):
    return value + 1


def long():
    return sum(range(2_000_000))
'''
HELPER = '''\
def loud(number):
    return number


class Lazy:
    """As those of six.moves and Django: to ask it for anything runs code, which may fail."""

    def __getattr__(self, name):
        raise ImportError(name)

    @property
    def __class__(self):
        raise RuntimeError("not set up")


LAZY = [Lazy()]
'''
TESTS = """\
import subprocess, sys
import pytest
import shop
from shop import Basket


@pytest.fixture(scope="module")
def full():
    return Basket().add(3).add(4, count=2)


def test_total(full):
    assert full.total == 11


def test_count(full):
    assert len(full.prices) == 3


def test_empty():
    basket = Basket().add(1)
    basket.empty()
    assert basket.total == 0


def test_rate():
    assert shop.rate("net") == 2


def test_rate_again():
    assert shop.rate("net") == 2


def test_child():
    subprocess.run([sys.executable, "-c", "import shop"], check=True)


def test_first():
    assert shop.first([3]) == 3


def test_first_of_none():
    assert shop.first([1, 1]) is None


def test_long():
    assert shop.long() > 0


class TestNested:
    def test_net(self):
        assert shop.net(4) == 8
"""
NAMES = ["test_total", "test_count", "test_empty", "test_rate", "test_rate_again", "test_child"]
NAMES += ["test_first", "test_first_of_none", "test_long"]
PASSING = [f"test_shop.py::{name}" for name in [*NAMES, "TestNested::test_net"]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a project with constructs that make coverage hard."""
    root = tmp_path_factory.mktemp("shop")
    for name, text in {"shop.py": CODE, "helper.py": HELPER, "test_shop.py": TESTS}.items():
        (root / name).write_text(text)
    return root


@pytest.fixture(scope="module")
def image(project: Path) -> Image:
    """Return the record that `image build` would write."""
    setup = TestSetup(workdir=str(project), python=sys.executable)
    return Image(
        reference="local", digest="", key="k", base="", commit="", created_at="", test_seconds=1,
        source=Source(given="shop", kind="path", name="local/shop", digest=""),
        recipe=Recipe(), setup=setup, passing=PASSING,
    )  # fmt: skip


@pytest.fixture(scope="module")
def coverage(project: Path, image: Image) -> Coverage:
    """Measure coverage once."""
    with LocalSandbox(project) as sandbox:
        return measure(sandbox, image)


@pytest.fixture(scope="module")
def sieve(project: Path, image: Image, coverage: Coverage) -> Iterator[Sieve]:
    """Start one resident program for all tests."""
    with LocalSandbox(project) as sandbox:
        yield Sieve(sandbox, image, coverage)


def reach_of(coverage: Coverage, old: str, new: str) -> Reach:
    """Return the reach of one change of text."""
    assert CODE.count(old) == 1, old
    diff = unified_diff("shop.py", CODE, CODE.replace(old, new))
    return ReachAnalysis(coverage, {"shop.py": CODE}).of(diff)


def names(coverage: Coverage, reach: Reach) -> set[str]:
    """Return test names without their file."""
    return {test.rpartition("::")[2] for test in coverage.names(reach.tests)}


REACHES = [  # a change, the tests that run it, whether it shows at import
    ("sum(self.prices)", "0", {"test_total", "test_empty"}, False),
    ("self.prices.pop()", "break", {"test_empty"}, False),
    # the fixture of the module runs it for all that use the fixture
    ("self.prices.append(price)", "pass", {"test_total", "test_count", "test_empty"}, False),
    # the second test runs nothing of it but for the cache
    ("TABLE[kind](1)", "0", {"test_rate", "test_rate_again"}, False),
    ("return value + 1", "return value", set(), False),
    # a signature is no line of a call
    ("def add(self, price, *, count=1)", "def add(self, price, *, count=2)",
     {"test_total", "test_count", "test_empty"}, False),
    # what is inserted after a block runs for those who skip the block
    ("            return value\n", "            return value\n        break\n",
     {"test_first", "test_first_of_none"}, False),
    # what runs at import is known as such
    ("        TABLE[kind] = function\n", "", set(), True),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "tests", "at_import"), REACHES)
def test_reach_is_the_tests_that_run_the_change(
    coverage: Coverage, old: str, new: str, tests: set[str], at_import: bool
) -> None:
    """Reach has every test that can notice a change, despite fixtures and caches."""
    reach = reach_of(coverage, old, new)
    assert names(coverage, reach) == tests
    assert reach.at_import is at_import


def test_code_outside_functions_concerns_all_that_use_the_file(coverage: Coverage) -> None:
    """Module code runs before any test, so every user of the file may notice."""
    reach = reach_of(coverage, "RATE = loud(2)", "RATE = loud(3)")
    assert reach.at_import
    assert names(coverage, reach) >= {"test_net", "test_rate", "test_total"}


REMOVED = [
    "    @property\n",
    "\n    def empty(self):\n        while self.prices:\n            self.prices.pop()\n",
]


@pytest.mark.parametrize("text", REMOVED)
def test_a_method_that_goes_or_changes_its_kind_shows_at_import(
    coverage: Coverage, text: str
) -> None:
    """Tests may look for a method without ever running a line of it."""
    reach = reach_of(coverage, text, "")
    assert reach.at_import
    assert names(coverage, reach) >= {"test_total", "test_count", "test_empty"}


def test_a_test_that_starts_processes_is_opaque(coverage: Coverage) -> None:
    """Coverage misses child processes, so their tests are marked opaque."""
    assert coverage.names(int(coverage.opaque, 16)) == ["test_shop.py::test_child"]


def test_distance_counts_calls_and_files(coverage: Coverage) -> None:
    """Distance counts calls and file boundaries from the nearest failing test."""
    lines = CODE.split("\n")
    net, rate = lines.index('@register("net")') + 1, lines.index("@lru_cache") + 1
    assert coverage.distance("shop.py", net, ["test_shop.py::TestNested::test_net"]) == (1, 1)
    assert coverage.distance("shop.py", net, ["test_shop.py::test_rate"]) == (2, 1)
    assert coverage.distance("shop.py", rate, ["test_shop.py::TestNested::test_net"]) is None


SIFTED = [  # a change, the tests that fail, how it is run
    ("sum(self.prices)", "0", {"test_total"}, "warm"),
    ("range(count)", "range(1)", {"test_total", "test_count"}, "warm"),
    ("return price * RATE", "return price", {"test_rate", "test_rate_again", "test_net"}, "warm"),
    (
        "(self, price, *, count=1)",
        "(self, price)",
        {"test_total", "test_count", "test_empty"},
        "cold",
    ),
    ("def add(self, price,", "def add(self,", {"test_total", "test_count", "test_empty"}, "warm"),
    ("    @property\n", "", {"test_total", "test_empty"}, "cold"),
    ("RATE = loud(2)", "RATE = loud(3)", {"test_rate", "test_rate_again", "test_net"}, "cold"),
    ("TABLE[kind](1)", "TABLE[kind](1) + 0", set(), "warm"),
]


@pytest.mark.parametrize(("old", "new", "failed", "way"), SIFTED)
def test_the_sieve_says_which_tests_fail(
    sieve: Sieve, coverage: Coverage, old: str, new: str, failed: set[str], way: str
) -> None:
    """Warm and cold verdicts equal those of the plain test command."""
    (answer,) = sieve.sift([reach_of(coverage, old, new)])
    assert {test.rpartition("::")[2] for test in answer.failed} == failed
    assert (answer.way, answer.timeout, answer.crashed, answer.unstable) == (way, False, "", [])


def test_one_mutant_leaves_nothing_behind_for_the_next(
    sieve: Sieve, coverage: Coverage, project: Path
) -> None:
    """Mutants in another order get the same answers, and files stay unchanged."""
    reaches = [reach_of(coverage, old, new) for old, new, *_ in SIFTED]
    first, second = sieve.sift(reaches), sieve.sift(reaches[::-1])[::-1]
    assert [answer.failed for answer in first] == [answer.failed for answer in second]
    assert (project / "shop.py").read_text() == CODE


SPOILING = [  # changes of much the same tests; what one leaves in a cache changes the next
    ("return price * RATE", "return price", {"test_rate", "test_rate_again", "test_net"}),
    ("return price * RATE", "TABLE.clear(); return price * RATE", set()),
    ("TABLE[kind](1)", "TABLE[kind](1) + 0", set()),
    ("TABLE[kind](1)", "TABLE[kind](1) + 1", {"test_rate", "test_rate_again"}),
]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 3), (0, 3)])
def test_mutants_judged_together_are_judged_as_if_alone(
    sieve: Sieve, coverage: Coverage, order: tuple[int, ...]
) -> None:
    """What one mutant does to its process's state never affects the others.

    A mutant that survives leaves the right value in the cache of `rate`; the next must not survive
    behind it, nor die of the wrong value that another left there.
    """
    reaches = [reach_of(coverage, *SPOILING[place][:2]) for place in order]
    together = [result.failed for result in sieve.sift(reaches)]
    assert together == [sieve.sift([reach])[0].failed for reach in reaches]
    for place, failed in zip(order, together, strict=True):
        if place != 1:  # where the table is empty, another process learns of it in no fixed order
            assert {test.rpartition("::")[2] for test in failed} == SPOILING[place][2]


POP = "            self.prices.pop()"
LONG = "sum(range(2_000_000))"


def hasty(project: Path, image: Image, coverage: Coverage, mutant: str) -> SieveResult:
    """Return an impatient sieve's verdict on one statement in place of `pop`."""
    with LocalSandbox(project) as sandbox:
        impatient = Sieve(sandbox, image, coverage, patience=0.3)
        return impatient.sift([reach_of(coverage, POP, f"            {mutant}")])[0]


def test_a_mutant_that_waits_too_long_runs_again_with_more_patience(
    project: Path, image: Image, coverage: Coverage
) -> None:
    """The first run is cut short; the second, complete one decides."""
    waits = "import time; time.sleep(0.8); self.prices[:] = []; assert False"
    result = hasty(project, image, coverage, waits)
    assert result.failed == ["test_shop.py::test_empty"]
    assert not result.timeout


def test_a_mutant_that_waits_for_ever_has_timed_out(
    project: Path, image: Image, coverage: Coverage
) -> None:
    """A mutant that only waits fails no test, and does not survive."""
    result = hasty(project, image, coverage, "import threading; threading.Event().wait()")
    assert result.timeout
    assert not result.crashed


def test_a_child_that_dies_is_tried_again(
    project: Path, image: Image, coverage: Coverage, tmp_path: Path
) -> None:
    """The kernel may kill a child for lack of memory; only a complete run gives a verdict."""
    flag = tmp_path / "died"
    once = f"import os; os.path.exists('{flag}') or (open('{flag}', 'w').close(), os._exit(3))"
    result = hasty(project, image, coverage, f"{once}; self.prices.pop(); assert False")
    assert (result.failed, result.crashed) == (["test_shop.py::test_empty"], "")


@pytest.mark.skipif(not SCHEDSTAT.exists(), reason="this kernel counts no waiting for processors")
def test_a_busy_machine_changes_no_verdict(project: Path, image: Image, coverage: Coverage) -> None:
    """With a tenth of a processor, a mutant neither times out nor survives."""
    processor = min(os.sched_getaffinity(0))
    pinned = ["taskset", "-c", str(processor), sys.executable, "-c", "while True: pass"]
    with LocalSandbox(project) as sandbox, ExitStack() as busy:
        sandbox.run(f"taskset -cp {processor} $$")
        sieve = Sieve(sandbox, image, coverage, patience=0.05)
        assert not sieve.sift([reach_of(coverage, LONG, f"{LONG} + 1")])[0].failed
        for _ in range(9):
            loop = busy.enter_context(Popen(pinned, start_new_session=True))
            busy.callback(loop.kill)
        result = sieve.sift([reach_of(coverage, LONG, f"-{LONG}")])[0]
    assert (result.failed, result.timeout) == (["test_shop.py::test_long"], False)


HOSTILE = [
    ("self.prices.pop()", "pass", "timeout"),  # a loop without end
    ("self.prices.pop()", "sum(iter(int, 1))", "timeout"),  # one that no signal interrupts
    ("            self.prices.pop()", "            import os; os._exit(3)", "crashed"),
    ("            self.prices.pop()", "            import os; os.kill(os.getpid(), 9)", "crashed"),
]


@pytest.mark.parametrize(("old", "new", "field"), HOSTILE)
def test_a_mutant_that_hangs_or_dies_costs_that_mutant(
    sieve: Sieve, coverage: Coverage, old: str, new: str, field: str
) -> None:
    """The answer names the mutant, and the next is judged as usual."""
    good = reach_of(coverage, "sum(self.prices)", "0")
    bad, after = sieve.sift([reach_of(coverage, old, new), good])
    assert getattr(bad, field)
    assert after.failed == ["test_shop.py::test_total"]


def test_the_engine_reads_every_field_of_an_answer() -> None:
    """The record and the program's message have the same fields."""
    assert set(SieveResult.model_fields) == {field.name for field in fields(Answer)}


def test_what_breaks_the_import_is_named(sieve: Sieve, coverage: Coverage) -> None:
    """All tests of a file that cannot be loaded fail, and the answer names the file."""
    (answer,) = sieve.sift([reach_of(coverage, "from helper import loud\n", "")])
    assert answer.broken == ["test_shop.py"]
    assert isinstance(answer, SieveResult)
    assert "test_shop.py::test_total" in answer.failed


DIFF = """\
--- a/x.py
+++ b/x.py
@@ -1,4 +1,4 @@
 one
-two
+2
+2.5
 three
-four
@@ -10,2 +9,3 @@
 ten
+ten and a half
 eleven
"""


def test_a_diff_is_read_as_edits_of_lines() -> None:
    """Edits count the original's lines; an insertion removes none."""
    assert edits_of(DIFF) == {
        "x.py": [(2, 2, ["2", "2.5"]), (4, 4, []), (11, 10, ["ten and a half"])]
    }
