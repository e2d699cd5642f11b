"""The exercises before the first round of `scripts/bootstrap`."""

import ast
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

KATA = Path(__file__).parents[1] / "examples/kata"


@pytest.fixture
def bugs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that makes them."""
    monkeypatch.syspath_prepend(KATA)
    import bugs  # type: ignore[import-not-found]

    yield bugs
    for name in ("bugs", "exercises", "functions", "guesser", "invented", "outcomes", "places"):
        sys.modules.pop(name, None)


def called(code: str, call: str) -> str:
    """What a call of the function shows."""
    space: dict[str, Any] = {}
    exec(code, space)
    try:
        return repr(eval(call, space))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:60]


def test_what_a_test_saw_of_an_invented_function_is_true(bugs: Any) -> None:
    """The call returns what is expected without the bug, and what it got with the bug."""
    made = [bug for seed in range(2) for bug in bugs.shown_bugs(seed)]
    assert len(made) > 20
    for bug in made:
        call, expected, got = bug.shown.split("\n")
        assert called("\n".join(bug.fix), call) == expected.removeprefix("Expected: ")
        shown = called("\n".join(bug.bug), call)
        assert got.removeprefix("Got: ") in (shown, f"not {shown}")


def test_no_kata_is_invented(bugs: Any) -> None:
    """A kata is known by its body, whatever its names; the seed alone decides what is invented."""
    first = (KATA / "kata/lists.py").read_text()
    code = next(ast.unparse(node) for node in ast.parse(first).body if hasattr(node, "args"))
    renamed = code.replace("items", "values").replace("def first", "def other")
    assert "values" in renamed and bugs.plain(renamed) in bugs.katas()
    drawn = [list(islice(bugs.inventions(random.Random(3)), 30)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    fixes = {"\n".join(bug.fix) for bug in bugs.shown_bugs(5)}
    assert fixes and not {bugs.plain(fix) for fix in fixes} & bugs.katas()


def test_only_functions_that_compute_with_their_arguments_are_run(bugs: Any) -> None:
    """A function of a package runs here only if it calls builtins and methods of plain values."""
    from functions import harmless  # type: ignore[import-not-found]

    bodies = {
        "return [part.strip() for part in a.split(b)]": True,
        "return sorted(a, key=lambda pair: pair[1])": True,
        "return open(a).read()": False,
        "return a.__class__.__base__.__subclasses__()": False,
        "return '{0.__class__}'.format(a)": False,
        "return eval(a)": False,
        "return a ** b": False,
        "return 1 << a": False,
        "return a.unlink()": False,
        "import os\n    return os.sep.join(a)": False,
        "try:\n        return a[b]\n    except:\n        return None": False,
        "try:\n        return a[b]\n    except IndexError:\n        return None": True,
        "return [len(b) for b in range(a)] + other": False,
        "return sum(range(a * 5000))": False,
        "return (lambda c=len(a): c)() + b": False,
    }
    for body, may in bodies.items():
        (function,) = ast.parse(f"def f(a, b):\n    {body}").body
        assert harmless(function) is may, body
    (function,) = ast.parse("def f(a, b=a):\n    return a").body
    assert not harmless(function)


def test_functions_of_packages_have_true_outcomes(bugs: Any, tmp_path: Path) -> None:
    """With run=True what a test saw is true; functions that may not run are left out."""
    (tmp_path / "code.py").write_text(
        "def more(a, b):\n    return a + b + 1\n\n\ndef gone(path):\n    return open(path + 1)\n"
    )
    with ProcessPoolExecutor(1) as pool:
        made = list(bugs.in_files([tmp_path / "code.py"], random.Random(0), pool, run=True))
    assert made and {bug.name for bug in made} == {"more"}
    for bug in made:
        call, expected, _ = bug.shown.split("\n")
        assert called("\n".join(bug.fix), call) == expected.removeprefix("Expected: ")


def bounded() -> None:
    """Bound a process as `exercises.py` does, and try fewer calls there."""
    import outcomes  # type: ignore[import-not-found]

    outcomes.TRIES = 4
    outcomes.bound()


def test_what_takes_too_much_memory_is_no_exercise(bugs: Any) -> None:
    """Nor what takes too long: the process that calls it stays, and stays small."""
    from outcomes import MEMORY

    codes = [
        'def grown(text):\n    return len((text + "a") * 1000 * 1000 * 1000)',
        "def long(n):\n    while n != 1:\n        n = n\n    return n",
        "def well(n):\n    return n + 1",
    ]
    fresh = get_context("spawn")  # a fork would begin as large as this process
    with ProcessPoolExecutor(1, fresh, initializer=bounded) as pool:
        made = {bug.name for bug in pool.submit(bugs.run_bugs, (0, codes)).result()}
        status = pool.submit(Path("/proc/self/status").read_text).result()
    # Of this process alone: `ru_maxrss` still has the memory of the one that started it.
    used = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    assert made == {"well"} and used < MEMORY


def test_a_guess_is_answered_as_in_a_container(bugs: Any) -> None:
    """As `./try` answers; a guess in another form is none, and sed's own commands are refused."""
    from guesser import answer  # type: ignore[import-not-found]
    from places import TRIALS, Place  # type: ignore[import-not-found]

    code = ["def more(a):", "    return a - 1"]
    made = bugs.Bug("more", code, [code[0], "    return a + 1"], "more(1)", ["text"])
    at = Place(
        "exercise.0", made, "kata/text.py", "tests/test_text.py::test_more", first=7, left=900
    )
    for script, word in {
        "9s/ - / + /": "passed",
        "9s/ - /  +  /": "passed",
        "8s/ - / + /": "unchanged",
        "9s/ - / * /": "failed",
        "9s/1/\\n/": "failed",
        "9s/a/)/": "failed",
        "9s/a\\(/b/": "failed",
    }.items():
        command = f"./try kata/text.py '{script}'"
        assert TRIALS.file(at.call(0, 3, command, word)) == at.path, script
        assert answer(at, command) == word, script
    assert answer(at, "./try kata/words.py '9s/ - / + /'") == "failed"
    for other in ("./try kata/text.py '9s/a/b/e'", "./try kata/text.py '1e ls'", "ls"):
        assert not TRIALS.file(at.call(0, 3, other, ""))


def test_the_guesses_come_before_the_answer(bugs: Any) -> None:
    """An exercise has them in their order with what each says, then the fix."""
    from places import Place, attempt

    code = ["def more(a):", "    return a - 1"]
    made = bugs.Bug("more", code, [code[0], "    return a + 1"], "more(1)", ["text"])
    at = Place(
        "exercise.0", made, "kata/text.py", "tests/test_text.py::test_more", first=7, left=900
    )
    wrong = [
        (at.command([code[0], "    return a * 1"]), "failed"),
        ("./try x '1s/a/b/'", "unchanged"),
    ]
    messages = attempt(at, wrong).messages
    texts = [str(message["content"]) for message in messages]
    assert "9     return a - 1" in texts[1]
    assert [text.split("\n")[0] for text in texts[3::2]] == ["failed", "unchanged", "passed"]
    assert "9s/ - / + /" in texts[6]
    assert "[3 turns and 780 tokens left]" in texts[7]


def test_exercises_go_on_after_a_kill(bugs: Any, tmp_path: Path) -> None:
    """The same command adds what the file lacks, as one without a kill would have made it."""
    from exercises import write  # type: ignore[import-not-found]

    made = bugs.shown_bugs(0)

    def written(path: Path) -> bytes:
        named = ((bug, f"exercise.0.{number}") for number, bug in enumerate(made))
        assert write(path, 12, named, None) == 12
        return path.read_bytes()

    whole = written(tmp_path / "whole.jsonl")
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b"".join(whole.splitlines(True)[:5]) + b'{"torn')
    assert written(torn) == whole and whole.count(b"\n") == 12
