"""Questions about whether a call ends: what counts as a proof, and which are asked."""

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from forager.cli.main import main
from forager.environments.answer.prediction import PredictionTask
from forager.environments.answer.termination import TerminationEnvironment, TerminationTask
from forager.environments.function.running import Case, Program, run_cases
from forager.environments.task import Labels, Task
from forager.records import read_records, write_records
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Limits
from mutators import FAMILIES
from tasks.termination import termination_tasks, unsuitable

LOOPS = {
    "a number": """
        def f(n):
            while n:
                n = n - 2 if n > 1 else n
        """,
    "containers that are turned": """
        def f(n):
            left, right = [1, {"a": [2]}], [1, {"a": [3]}]
            while left:
                left, right = right, left
        """,
    "an instance, called from elsewhere": """
        class Box:
            def __init__(self):
                self.items = {1}
                self.count = [1]
        def spin(box):
            while box.count:
                box.count[0] ^= 1
        def f(n):
            box = Box()
            del box.items
            spin(box)
        """,
    "a comprehension in the test": """
        def f(n):
            xs = [1, 2]
            while any(x > 1 for x in xs):
                xs = xs[::-1]
        """,
    "one item of a list": """
        def f(n):
            for item in [3, 0, 2]:
                while item:
                    item = -item
        """,
}
ENDS = {
    "the iterator of a loop around it": """
        def f(n):
            for _ in [1] * 5:
                while n % 3 != 0:
                    n += 1
                n = 4
        """,
    "a loop over lines of its own": """
        def f(n):
            for _ in (
                [1] * 5
            ):
                while n % 3 != 0:
                    n += 1
                n = 4
        """,
    "an iterator": """
        def f(n):
            numbers = iter([1, 1, 1])
            while n:
                n = next(numbers)
        """,
    "a generator": """
        def numbers():
            yield 1
            yield 1
        def f(n):
            found = numbers()
            while n:
                n = next(found, 0)
        """,
    "the order of a set": """
        def f(n):
            seen = {1, 2, 3}
            while n:
                n = n if seen.pop() < 3 else 0
        """,
    "a global variable": """
        left = 5
        def f(n):
            global left
            while n:
                left -= 1
                n = n if left else 0
        """,
    "the attribute of a class": """
        class Box:
            left = 5
        def f(n):
            while n:
                Box.left -= 1
                n = n if Box.left else 0
        """,
    "a default": """
        def g(left=[1, 1, 1]):
            return left.pop() if left else 0
        def f(n):
            while n:
                n = g()
        """,
    "an attribute of a function": """
        def g():
            g.left -= 1
            return g.left
        g.left = 5
        def f(n):
            while n:
                n = 1 if g() else 0
        """,
    "a variable of an outer function": """
        def f(n):
            left = 5
            def g():
                nonlocal left
                left -= 1
                return left
            while n:
                n = 1 if g() else 0
        """,
    "an outer variable of a function that loops": """
        def f(n):
            left = [5]
            def g():
                while n:
                    left[0] -= 1
                    if not left[0]:
                        return
            g()
        """,
    "which of two equal lists is meant": """
        def f(n):
            first, second = [0], [0]
            pair, count = [first, second], 0
            while n:
                first[0] = 0
                pair = [pair[1], pair[1]]
                pair[0][0] = 1
                n = 1 - first[0] if first is pair[0] or count == 0 else 0
                count = 1
        """,
    "a generator that goes on": """
        def numbers():
            n = 1
            while n:
                yield n
        def f(n):
            for count, number in enumerate(numbers()):
                if count > 9:
                    return
        """,
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the watcher says about the call f(5) of each program."""
    case = Case(kind="halting", function="f", arguments="5")
    texts = {**LOOPS, **ENDS}
    programs = [Program(text=dedent(text), cases=[case], seconds=5) for text in texts.values()]
    with LocalSandbox(tmp_path_factory.mktemp("halting")) as sandbox:
        results = [result for (result,) in run_cases(sandbox, programs)]
    assert {result.how for result in results} == {"ended"}
    return {
        name: next(iter(json.loads(result.output)))
        for name, result in zip(texts, results, strict=True)
    }


@pytest.mark.parametrize("name", LOOPS)
def test_a_complete_state_that_occurs_again_is_a_proof(name: str, told: dict[str, str]) -> None:
    """Whatever holds the state, the repetition is found."""
    assert told[name] == "repeats"


@pytest.mark.parametrize("name", ENDS)
def test_a_call_that_ends_is_never_told_to_repeat(name: str, told: dict[str, str]) -> None:
    """What its state does not show is refused, wherever a program keeps its progress."""
    assert told[name] == "ended"


def prediction(code: str, given: str = "5") -> PredictionTask:
    """A task whose program is asked about."""
    return PredictionTask(
        instance_id="one",
        environment="output-prediction",
        problem_statement="What?",
        labels=Labels(repository="here", functions=["here:f"]),
        code=dedent(code),
        input=given,
        output="0",
    )


COUNTING = """
    def f(n):
        while n > 0:
            n -= 1
        return n
    """


@pytest.mark.parametrize(
    ("code", "given", "reason"),
    [
        (COUNTING, "5", ""),
        ("def f(n):\n    return n\n", "5", "it has no `while`"),
        (COUNTING, "print", "its input is not plain"),
        (f"import random\n{dedent(COUNTING)}", "5", "it imports what may not be deterministic"),
        (f"from time import time\n{dedent(COUNTING)}", "5", "it imports"),
        (COUNTING.replace("n -= 1", "n -= id(n)"), "5", "it uses what may not be deterministic"),
        (COUNTING.replace("n -= 1", "n -= n.__hash__()"), "5", "it uses"),
        (COUNTING.replace("n > 0", "n is f"), "5", "it compares identities"),
        (COUNTING.replace("n > 0", "n is not None"), "5", ""),
        ("def f(", "5", "it cannot be parsed"),
    ],
)
def test_what_may_not_be_deterministic_is_not_asked_about(
    code: str, given: str, reason: str
) -> None:
    """Time, chance, addresses and identities are not in the state."""
    problem = unsuitable(prediction(code, given))
    assert problem.startswith(reason) and bool(problem) == bool(reason)


def test_questions_come_in_pairs(tmp_path: Path) -> None:
    """As many calls end as never end; both answers are proven, and the choice follows the seed."""

    def sandbox() -> LocalSandbox:
        return LocalSandbox(tmp_path)

    source = prediction(COUNTING)
    made = [
        termination_tasks(source, FAMILIES, sandbox, most=2, tried=8, seed=seed) for seed in (0, 0)
    ]
    assert made[0] == made[1]
    tasks = made[0].tasks
    assert [task.ends for task in tasks] == [True, False] * (len(tasks) // 2)
    assert tasks and all(task.code != source.code for task in tasks)
    assert len({task.instance_id for task in tasks}) == len(tasks)


@pytest.mark.parametrize(
    ("answer", "ends", "kind"),
    [
        ("yes", True, ""),
        (" No.", False, ""),
        ("**yes**", False, "policy"),
        ("it depends", True, "format"),
    ],
)
def test_one_word_is_the_answer(answer: str, ends: bool, kind: str) -> None:
    """`yes` or `no`, in any case; anything else has no form."""
    task = TerminationTask(
        instance_id="t", problem_statement="?", code="", function="f", input="", ends=ends
    )
    environment = TerminationEnvironment()
    never: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    grade = environment.grade(task, answer, Limits(), never)  # type: ignore[arg-type]
    assert (grade.resolved, grade.cause_kind or "") == (not kind, kind)
    assert environment.grade(task, environment.reference(task), Limits(), never).resolved  # type: ignore[arg-type]


@pytest.mark.engine
def test_the_verb_goes_on_where_it_was(tmp_path: Path) -> None:
    """Programs with questions are not asked about twice."""
    write_records(tmp_path / "tasks.jsonl", [prediction(COUNTING)])
    command = ["tasks", "termination", str(tmp_path / "tasks.jsonl"), "--mutants", "8"]
    command += ["-o", str(tmp_path / "made.jsonl")]
    for _ in range(2):
        ran = CliRunner().invoke(main, command)
        assert ran.exit_code == 0, ran.output
        assert "made.jsonl\t2 tasks" in ran.output
    assert len(list(read_records(tmp_path / "made.jsonl", Task))) == 2
