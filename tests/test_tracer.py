"""The recorder: what it records, and that it changes nothing. Each hazard is a program."""

from pathlib import Path

import pytest
from recordings import RECORDERS, Recording, record, recorded

from forager.programs import PYTHONS
from forager.tracing.stream import Event

CONSTRUCTS = Path(__file__).parent / "data" / "traced_constructs.txt"


@pytest.mark.parametrize("version", PYTHONS)
def test_both_recorders_write_identical_bytes(version: str) -> None:
    """The C helper and the fallback record the same, on each Python that programs support."""
    by_c, by_python = (record(CONSTRUCTS, recorder, version) for recorder in RECORDERS)
    assert (by_c.recorder, by_python.recorder) == RECORDERS
    assert by_c.answer == by_python.answer
    assert by_c.stream == by_python.stream
    assert not by_c.missing and len(by_c.events) > 300


@pytest.fixture(params=RECORDERS)
def recorder(request: pytest.FixtureRequest) -> str:
    """Return each recorder."""
    return str(request.param)


def values(found: Recording, name: str) -> list[str | None]:
    """Return the values that a variable had, one after the other."""
    return [change.new for event in found.events for change in event.changes if change.name == name]


def kinds(events: list[Event], name: str) -> list[str]:
    """Return what a function did."""
    return [event.kind for event in events if event.code.name == name]


def test_values_are_written_by_structure(tmp_path: Path, recorder: str) -> None:
    """No method of the program runs: each of these raises, and the answer stays."""
    source = """
        class Hostile(list):
            def _no(self, *_): raise SystemExit("called")
            __repr__ = __len__ = __iter__ = __hash__ = __eq__ = __getattribute__ = __bool__ = _no
        class Half:
            def __init__(self):
                x = 1
                self.__dict__["a"] = x
                y = 2
            def __getattribute__(self, name):
                if name != "__dict__": raise SystemExit("called")
                return object.__getattribute__(self, name)
        def main():
            hostile = Hostile([1, 2])
            half = Half()
            return 7
        """
    found = recorded(tmp_path, source, recorder)
    assert found.answer == "7" and not found.missing
    assert values(found, "hostile") == ["Hostile([1, 2])"]
    assert values(found, "self")[-1] == "Half(a=1)"


def test_small_differences_are_seen(tmp_path: Path, recorder: str) -> None:
    """NaN, -0.0 and 0.0, True, 1 and 1.0 are different, alone and within containers."""
    source = """
        def main():
            x = float("nan")
            x = -0.0
            x = 0.0
            x = True
            x = 1
            x = 1.0
            y = [-0.0]
            y[0] = 0.0
            y[0] = False
            y[0] = 0
            return x
        """
    found = recorded(tmp_path, source, recorder)
    assert values(found, "x") == ["nan", "-0.0", "0.0", "True", "1", "1.0"]
    assert values(found, "y") == ["[-0.0]", "[0.0]", "[False]", "[0]"]


def test_changes_in_place_and_deletions(tmp_path: Path, recorder: str) -> None:
    """A container that changes is a change; so is a removal; equal assignments are none."""
    source = """
        def main():
            rows = [[0, 0], [0, 0]]
            rows[1][0] = 5
            names = {"a": {1}}
            names["a"].add(2)
            rows = [[0, 0], [5, 0]]
            del names
            names = 1
        """
    found = recorded(tmp_path, source, recorder)
    assert values(found, "rows") == ["[[0, 0], [0, 0]]", "[[0, 0], [5, 0]]"]
    assert values(found, "names") == ["{'a': {1}}", "{'a': {1, 2}}", None, "1"]


def test_large_values_are_bounded(tmp_path: Path, recorder: str) -> None:
    """Long texts, numbers, lists and deep or recursive containers take a bounded text and time."""
    source = """
        def main():
            number = 10 ** 5000
            text = "x" * 10_000_000
            many = list(range(1_000_000))
            many[7] = -1
            loop = []
            loop.append(loop)
            deep = []
            for _ in range(40): deep = [deep]
            nested = [["y" * 3000] * 1000] * 1000
            return len(nested)
        """
    found = recorded(tmp_path, source, recorder)
    assert found.answer == "1000"
    assert values(found, "number") == ["<int of 16610 bits, hash 2033627925444375413>"]
    assert values(found, "text") == [repr("x" * 2000) + "<+9998000>"]
    many = values(found, "many")
    assert [len(value or "") < 20_000 for value in many] == [True, True]
    assert (
        many[1]
        and many[1].startswith("[0, 1, 2, 3, 4, 5, 6, -1,")
        and many[1].endswith("<+997501>]")
    )
    assert values(found, "loop") == ["[]", "[[...]]"]
    assert (values(found, "deep")[-1] or "").count("[") == 13
    assert all(len(value or "") < 20_000 for value in values(found, "nested"))


def test_unwinding_is_no_return(tmp_path: Path, recorder: str) -> None:
    """A frame that an exception ends does not return None; one that handles it does."""
    source = """
        def inner(): raise ValueError("x")
        def middle():
            inner()
        def main():
            try: middle()
            except ValueError: return None
        """
    events = recorded(tmp_path, source, recorder).events
    assert kinds(events, "inner") == ["call", "line", "exception", "unwind"]
    assert kinds(events, "middle") == ["call", "line", "exception", "unwind"]
    assert kinds(events, "main")[-1] == "return" and events[-1].value == "None"
    raised = [event.value for event in events if event.kind == "exception"]
    assert raised == ["ValueError('x')"] * 3


@pytest.mark.parametrize("version", ["3.8", "3.11", "3.12", "3.13"])
def test_the_end_of_an_iterator_is_no_exception(
    tmp_path: Path, recorder: str, version: str
) -> None:
    """Loops and `await` end by StopIteration, which the program does not see; `next` raises it."""
    source = """
        import asyncio
        class Two:
            n = 0
            def __iter__(self): return self
            def __next__(self):
                self.n += 1
                if self.n > 2: raise StopIteration
                return self.n
        async def give(): return 1
        async def waits(): return await give()
        def main():
            for _ in Two(): pass
            try: next(iter(()))
            except StopIteration: pass
            asyncio.run(waits())
        """
    events = recorded(tmp_path, source, recorder, version).events
    assert kinds(events, "main").count("exception") == 1
    assert "exception" not in kinds(events, "waits")


def test_generators_keep_their_frame(tmp_path: Path, recorder: str) -> None:
    """A yield is no return, going on is no call, and a closed generator unwinds."""
    source = """
        def count():
            n = 0
            while True:
                n += (yield n) or 1
        def main():
            made = count()
            next(made); made.send(5)
            made.close()
        """
    events = [event for event in recorded(tmp_path, source, recorder).events if event.frame == 1]
    shown = [event.kind for event in events if event.kind != "line"]
    assert shown[:5] == ["call", "yield", "resume", "yield", "resume"][: len(shown)]
    assert [event.value for event in events if event.kind == "yield"] == ["0", "5"]


def test_assertions_of_pytest_leave_no_variables(tmp_path: Path, recorder: str) -> None:
    """pytest's rewritten assertions add locals whose names begin with `@`."""
    source = """
        import ast
        code = compile("def f(a):\\n    name = a\\n    return name", "program.py", "exec")
        tree = ast.parse("def f(a):\\n    x = a\\n    y = x\\n    return y")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == "x": node.id = "@py_assert1"
        exec(compile(tree, "program.py", "exec"))
        def main():
            return f(1)
        """
    found = recorded(tmp_path, source, recorder)
    assert values(found, "y") == ["1"] and not values(found, "@py_assert1")


def test_another_hook_ends_the_recording(tmp_path: Path, recorder: str) -> None:
    """Coverage and debuggers take the trace hook away: the trace says so, and nothing else ends."""
    source = """
        import sys
        def work(): return 1
        def main():
            work()
            sys.settrace(lambda *_: None)
            work()
            sys.settrace(None)
            return work()
        """
    found = recorded(tmp_path, source, recorder)
    assert found.missing == ["hook"] and found.answer == "1"
    assert kinds(found.events, "work") == ["call", "line", "return"]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [((50, 1e7, 60, 500), "events"), ((1e6, 900, 60, 500), "bytes"),
     ((1e6, 1e7, 0, 500), "seconds"), ((1e6, 1e7, 60, 3), "depth")],
)  # fmt: skip
def test_limits_are_recorded(tmp_path: Path, limits: tuple[float, ...], reason: str) -> None:
    """The program goes on, the trace says why it ends, and both recorders end at one place."""
    source = """
        def down(n): return n and down(n - 1)
        def main():
            for i in range(3000): x = i
            down(9)
            return x
        """
    whole = [int(limits[0]), int(limits[1]), limits[2], int(limits[3])]
    by_c, by_python = (recorded(tmp_path, source, name, "", whole) for name in RECORDERS)
    assert by_c.answer == by_python.answer == "2999"
    assert by_c.missing == by_python.missing == [reason]
    assert by_c.stream == by_python.stream
    if reason == "events":
        assert len(by_c.events) == 50


def test_recursion_to_the_limit_is_not_changed(tmp_path: Path, recorder: str) -> None:
    """The recorder neither raises near the recursion limit nor moves it."""
    source = """
        import sys
        def down(n):
            try: return down(n + 1)
            except RecursionError: return n
        def leaf(n): return n if n == 0 else leaf(n - 1)
        def main():
            limit = sys.getrecursionlimit()
            return down(0) > limit - 60, leaf(500)
        """
    found = recorded(tmp_path, source, recorder, "", (100000, 10000000, 60, 100000))
    assert found.answer == "(True, 0)"
    assert found.missing in ([], ["recursion"])


def test_code_that_cython_compiled_for_tracing_runs_on(tmp_path: Path) -> None:
    """It calls what the hook returned for a call: never None for code without constants.

    Neither for files that are not traced, nor for calls that are too deep.
    """
    source = """
        import sys
        def inner(get): return get().f_trace
        inner.__code__ = inner.__code__.replace(co_consts=())
        def main():
            foreign = compile("lambda get: get().f_trace", "foreign.pyx", "eval")
            outer = eval(foreign)
            outer.__code__ = outer.__code__.replace(co_consts=())
            return outer(sys._getframe) is not None, inner(sys._getframe) is not None
        """
    found = recorded(tmp_path, source, "python", "", (1000, 1 << 20, 60, 1))
    assert found.answer == "(True, True)" and found.missing == ["depth"]
    assert not kinds(found.events, "inner")


THREADS = """
    import sys, threading
    sys.setswitchinterval(1e-6)
    def main():
        count = 0
        lock = threading.Lock()
        def add():
            nonlocal count
            for _ in range(300):
                with lock: count += 1
        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads: thread.start()
        for _ in range(300):
            with lock: count += 1
        for thread in threads: thread.join()
        return count
    """


@pytest.mark.parametrize("version", ["3.8", "3.11", "3.12", "3.13"])
def test_threads_keep_their_closures(tmp_path: Path, version: str) -> None:
    """Before 3.13 a hook in Python undoes what other threads do to a closure; these do not.

    The helper records each thread by its number. The fallback stops and says so.
    """
    by_c = recorded(tmp_path, THREADS, "c", version)
    assert by_c.answer == "1500" and not by_c.missing
    assert {event.thread for event in by_c.events} == {0, 1, 2, 3, 4}
    by_python = recorded(tmp_path, THREADS, "python", version)
    assert by_python.answer == "1500" and by_python.missing == ["threads"]
