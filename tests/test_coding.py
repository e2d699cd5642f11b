"""Coding and predictions: programs, cases, verdicts, and what hostile programs do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_answers import question, says
from test_rollout import run, script

from forager.agent.tool import Call
from forager.environments.answer.expressions import arguments_of
from forager.environments.answer.prediction import INPUT, grades
from forager.environments.function.comparison import same_lines, same_values
from forager.environments.function.judging import judged
from forager.environments.function.program_answer import only_block
from forager.environments.function.running import Case, Program, run_cases
from forager.environments.function.task import Checker, CodingTask, JudgedCase
from forager.images.image import Image
from forager.programs.cases.values import Unreadable, decode, encode
from forager.sandboxes.kinds import SANDBOXES
from forager.sandboxes.sandbox import Limits

LIMITS = Limits(memory=1 << 30)
MEMORY = 600 << 20
DOUBLE = [JudgedCase(stdin=f"{number}\n", expected=f"{2 * number}\n") for number in (1, 21)]
RIGHT = "print(2 * int(input()))"


def problem(**fields: Any) -> CodingTask:
    """A problem: print twice the number."""
    common = {"problem_statement": "Print twice the number.", "memory": MEMORY, "seconds": 20}
    given = {"instance_id": "double", "cases": DOUBLE, **common, **fields}
    return CodingTask.model_validate(given)


def function(**fields: Any) -> CodingTask:
    """A problem whose program is a function that is tested by assertions."""
    tests = "def check(candidate):\n    assert candidate([1, 2]) == 3\n\ncheck(candidate)\n"
    return problem(**{"cases": [], "function": "total", "tests": tests, **fields})


def words(task: CodingTask, text: str, image: Image, kind: str = "bubblewrap") -> list[str]:
    """The verdicts on a program."""
    return [verdict.word for verdict in judged([(task, text)], image.reference, LIMITS,
                                               SANDBOXES[kind])[0]]  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SANDBOXES))
def test_verdicts(kata_image: Image, kind: str) -> None:
    """One sandbox judges many programs, each by its own cases; an unwell case is the last."""
    patient, hasty = problem(seconds=20), problem(seconds=0.5)
    asked = [
        (patient, RIGHT, ["passed", "passed"]),
        (patient, "print(2)", ["passed", "wrong"]),
        (hasty, "while True: pass", ["time", "missing"]),
        (patient, "kept = []\nwhile True: kept.append(bytes(99 << 20))", ["memory", "missing"]),
        (patient, "raise SystemExit(1)", ["crash", "missing"]),
        (patient, "print(", ["compile error", "compile error"]),
        (patient, "import sys\nprint(int(sys.stdin.read()) * 2.0)", ["passed", "passed"]),
    ]
    programs = [(task, text) for task, text, _ in asked]
    found = judged(programs, kata_image.reference, LIMITS, SANDBOXES[kind])
    told = [[verdict.word for verdict in verdicts] for verdicts in found]
    assert told == [words for *_, words in asked]
    kinds = [verdicts[-1].kind for verdicts in found]
    assert kinds == ["", "policy", "policy", "policy", "policy", "policy", ""]
    assert found[2][0].kind == "time"


def test_cpp(kata_image: Image) -> None:
    """C++ is compiled once and run for each case; tests in C++ have opposites.

    All assertions must hold: a program that is right once and mutes the others is refused, and so
    is one whose macros replace what the tests are written with.
    """
    cpp = "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << 2 * n; }"
    tests = "#include <assert.h>\nint main() {\n    assert(total(1, 2) == 3);\n}\n"
    tested = function(language="cpp", tests=tests)
    two = tests.replace("}", "    assert(total(2, 2) == 4);\n}")
    twice = function(language="cpp", tests=two)
    thrown = function(
        language="cpp",
        tests="bool compare(int a, int b) { return a == b; }\nint main() {\n"
        '    if (!(compare(total(1, 2), 3))) throw "did not pass";\n'
        '    if (!(compare(total(2, 2), 4))) throw "did not pass";\n}\n',
    )
    three = "int total(int a, int b) { return 3; }"
    mute = "#define __assert_fail(...) ((void)0)\n#define abort() 0\n#define exit(x) 0\n"
    asked = [
        (problem(language="cpp"), cpp),
        (problem(language="cpp"), "int main() { return x; }"),
        (tested, "int total(int a, int b) { return a + b; }"),
        (tested, "int total(int a, int b) { return a - b; }"),
        (tested, "#include <stdlib.h>\nint total(int a, int b) { exit(0); }"),
        (tested, '#include <stdlib.h>\nint total(int a, int b) { puts("passed"); exit(0); }'),
        (twice, "int total(int a, int b) { return a + b; }"),
        (twice, f"#include <cassert>\n{mute}{three}"),
        (thrown, "int total(int a, int b) { return a + b; }"),
        (thrown, f"#define throw if (a == 1) throw\nint a; {three}"),
        (thrown, f"#define throw 0\n{three}"),
        (thrown, f"#define if(x) if (false)\n{three}"),
        (thrown, f"#define compare(...) true\n{three}"),
    ]
    found = judged(asked, kata_image.reference, LIMITS, SANDBOXES["bubblewrap"])
    assert [[verdict.word for verdict in verdicts] for verdicts in found] == [
        ["passed", "passed"],
        ["compile error", "compile error"],
        ["passed"],
        ["wrong"],
        ["crash"],
        ["compile error"],
        ["passed"],
        ["wrong"],
        ["passed"],
        *4 * [["crash"]],
    ]


HOSTILE = {
    "fork bomb": "import os\nwhile True: os.fork()",
    "flood": "while True: print('4' * 100000)",
    "flood of errors": "import sys\nwhile True: sys.stderr.write('4' * 100000)",
    "leaves early": "import os\nprint('passed')\nos._exit(0)",
    "kills all": "import os\nos.kill(-1, 9)\nos.kill(os.getppid(), 9)",
    "reports itself": (
        "import os\nfor n in range(3, 4000):\n  try: os.write(n, b'{}')\n  except OSError: pass"
    ),
    "looks for expected outputs": (
        "import gc, os\n"
        "texts = [str(found) for found in gc.get_objects()]\n"
        "for place, _, names in os.walk('/tmp'):\n"
        "  for name in names:\n"
        "    try: texts.append(open(os.path.join(place, name)).read())\n"
        "    except OSError: pass\n"
        "print(next((42 for text in texts if 'expected' in text and '42' in text), 0))"
    ),
    "writes next to the grader": (
        "import os\n"
        "for place in ('/tmp/x', '/dev/shm/x', '/testbed/x', '../x', '/usr/lib/python3/x.py'):\n"
        "  try: open(place, 'w').write('x'); print(4)\n"
        "  except OSError: pass"
    ),
    "daemon": (
        "import os, time\n"
        "if not os.fork():\n"
        "  os.setsid()\n"
        "  if not os.fork():\n"
        "    while True: time.sleep(1)"
    ),
}


@pytest.mark.parametrize("kind", sorted(SANDBOXES))
def test_hostile_programs_cost_their_own_verdicts(kata_image: Image, kind: str) -> None:
    """None passes, and right programs between them do."""
    asked = [
        (problem(seconds=1), text) for hostile in HOSTILE.values() for text in (hostile, RIGHT)
    ]
    found = judged(asked, kata_image.reference, LIMITS, SANDBOXES[kind])
    passed = [all(verdict.word == "passed" for verdict in verdicts) for verdicts in found]
    assert passed == [False, True] * len(HOSTILE)


def test_a_case_sees_nothing_of_another(kata_image: Image) -> None:
    """Files, processes and objects of an earlier case are gone, and its user is another."""
    text = (
        "import ctypes, os\n"
        "library = ctypes.CDLL(None)\n"
        "print(os.getuid(), len(os.listdir('.')), library.shmget(77, 10, 0))\n"
        "open('a', 'w').write('x')\n"
        "library.shmget(77, 10, 0o1777)\n"
        "os.fork() or __import__('time').sleep(9)\n"
    )
    sandbox = SANDBOXES["bubblewrap"](kata_image.reference, limits=LIMITS)
    try:
        (results,) = run_cases(sandbox, [Program(text=text, cases=[Case()] * 3, memory=MEMORY)])
    finally:
        sandbox.close()
    lines = [result.output.split() for result in results]
    assert len({line[0] for line in lines}) == 3
    assert [line[1:] for line in lines] == [["0", "-1"]] * 3


TESTED = {
    "def total(numbers): return sum(numbers)": "passed",
    "import sys\ndef total(n): sys.stderr.write('a' * 500000); return sum(n)": "passed",
    "def total(numbers): return 4": "wrong",
    "def total(numbers): raise ValueError('no')": "crash",
    "import os\ndef total(numbers): os._exit(0)": "crash",
    "class Equal:\n  def __eq__(self, other): return True\ndef total(n): return Equal()": "crash",
    "class N(int):\n  def __eq__(self, other): return True\ndef total(n): return N(4)": "wrong",
    "def total(numbers): raise AssertionError": "crash",
    "import gc\ndef total(n): return 3 + ('kcehc fed'[::-1] not in str(gc.get_objects()))": "wrong",
    "def other(numbers): return 3": "crash",
    "import builtins\nbuiltins.AssertionError = Exception\ndef total(numbers): return 4": "wrong",
}


def test_assertions_run_apart_from_the_program(kata_image: Image) -> None:
    """No object of the program decides, and it cannot read what is expected."""
    asked = [(function(), text) for text in TESTED]
    found = judged(asked, kata_image.reference, LIMITS, SANDBOXES["bubblewrap"])
    told = {text: verdicts[0].word for text, verdicts in zip(TESTED, found, strict=True)}
    assert told == TESTED


def test_tests_may_look_at_changed_arguments_exceptions_and_their_own_classes(
    kata_image: Image,
) -> None:
    """What a program changes, raises or builds comes back as plain data."""
    preamble = (
        "class Node:\n  def __init__(self, value, next=None):\n"
        "    self.value, self.next = value, next\n"
    )
    tests = (
        "numbers = [3, 1]\nassert sort(numbers) is None and numbers == [1, 3]\n"
        "try: fail(); assert False\nexcept KeyError as error: assert 'gone' in str(error)\n"
        "chain = link([1, 2, 3])\nassert type(chain) is Node and chain.next.next.value == 3\n"
        "assert list(adder(2)([5])) == [7]\n"
        "assert of([1, 'a'], int) == [1]\n"
    )
    text = (
        "def sort(numbers): numbers.sort()\n"
        "def fail(): raise KeyError('gone')\n"
        "def link(values):\n  node = None\n"
        "  for value in reversed(values): node = Node(value, node)\n  return node\n"
        "def of(values, kind): return [value for value in values if type(value) is kind]\n"
        "def adder(n): return lambda values: (value + n for value in values)\n"
    )
    task = function(function="sort", tests=tests, preamble=preamble)
    assert words(task, text, kata_image) == ["passed"]


def test_calls_and_checkers(kata_image: Image) -> None:
    """A function may return tuples for lists; a checker sees input, output and expected output."""
    cases = [
        JudgedCase(arguments="[1, 2]", returns="[2, 1]"),
        JudgedCase(arguments="[]", returns="[]"),
    ]
    called = problem(cases=cases, function="Solution().turned")
    text = "class Solution:\n  def turned(self, items): return tuple(items[::-1])"
    assert words(called, text, kata_image) == ["passed", "passed"]
    assert words(called, text.replace("[::-1]", ""), kata_image) == ["wrong", "passed"]
    checker = Checker(
        text="import sys\n"
        "given, output, expected = (open(name).read() for name in sys.argv[1:])\n"
        "sys.exit(0 if int(output) % int(given) == 0 else 1)"
    )
    checked = problem(comparison="checker", checker=checker)
    assert words(checked, "print(5 * int(input()))", kata_image) == ["passed", "passed"]
    assert words(checked, "print(1)", kata_image) == ["passed", "wrong"]


def test_input_predictions(kata_image: Image) -> None:
    """The function runs on the answer; the answer can be nothing but an input."""
    task = question().model_copy(update={"environment": INPUT, "seconds": 1.0})
    asked = {
        "f(3)": True,
        "f(n=2 + 1)": True,
        "f(4)": False,
        "f(g(3))": False,
        "f(().__class__)": False,
        "f((x := 3))": False,
        "[3, 3]": False,
        "f(10 ** 10 ** 10)": False,
        "f(int('3'))": True,
        "f(max(range(4)))": True,
    }
    sandbox = SANDBOXES["bubblewrap"](kata_image.reference, limits=Limits(memory=2 << 30))
    try:
        (found,) = grades(sandbox, [(task, list(asked))])
    finally:
        sandbox.close()
    assert [grade.resolved for grade in found] == list(asked.values())
    kinds = {text: grade.cause_kind for text, grade in zip(asked, found, strict=True)}
    assert (kinds["f(4)"], kinds["[3, 3]"], kinds["f(10 ** 10 ** 10)"]) == (
        "policy",
        "format",
        "time",
    )


def test_an_answer_is_graded_in_a_run(tmp_path: Path, kata_image: Image) -> None:
    """A block of code is the program; an agent with tools leaves it in a file."""
    task = problem(image=kata_image.reference)
    left = problem(instance_id="left", image=kata_image.reference, file="/testbed/solution.py")
    message = f"<think>```python\n1\n```</think>\n```python\n{RIGHT}\n```"
    (attempt,), (model,), _ = run(tmp_path / "asked", task, [says(message)], sandbox="bubblewrap")
    assert (attempt.outcome.exit_reason, attempt.outcome.resolved) == ("answered", True)
    assert attempt.outcome.tests == {"case 1": "passed", "case 2": "passed"}
    assert "from and write to standard io" in model.seen[0][0]["content"]
    replies = script(
        "functions",
        Call("create", {"path": "solution.py", "content": RIGHT}),
        Call("submit", {}),
    )
    (attempt,), (model,), _ = run(tmp_path / "left", left, replies, sandbox="bubblewrap")
    assert (attempt.outcome.exit_reason, attempt.outcome.resolved) == ("submitted", True)
    assert attempt.outcome.answer == RIGHT
    assert model.seen[0][0]["role"] == "system"


RETURNED = {
    "shares its parts": "x = [n]\n    for _ in range(60): x = [x, x]\n    return x",
    "shares its tuples": "x = (n,)\n    for _ in range(60): x = (x, x)\n    return {'x': [x]}",
    "holds itself": "x = [n]\n    x.append(x)\n    return x",
    "a long fraction": "import fractions\n    return [fractions.Fraction(7**90000, 3**90000)]",
    "a signalling number": "import decimal\n    return [decimal.Decimal('sNaN')]",
    "right": "row = [n, n]\n    return [row, row]",
}


def test_a_value_that_never_ends_is_compared_at_once(kata_image: Image) -> None:
    """What shares its parts counts as often as a comparison would meet them."""
    cases = [JudgedCase(arguments="2", returns="[[2, 2], [2, 2]]")]
    task = function(cases=cases, tests="")
    asked = [(task, f"def {task.function}(n):\n    {body}\n") for body in RETURNED.values()]
    found = judged(asked, kata_image.reference, LIMITS, SANDBOXES["bubblewrap"])
    assert [verdict.word for (verdict,) in found] == ["wrong"] * 5 + ["passed"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```python\na\n```", "a\n"),
        ("```py a```", " a"),
        ("```cpp\nb\n```\n```python\na\n```", "a\n"),
        ("```\na\n```", "a\n"),
        ("```python\na\n```\n```python\nb\n```", ""),
        ("a", ""),
        ("`" * 9999, ""),
        ("```" + " " * 1_000_000, ""),
        ("```" + "a" * 1_000_000, ""),
    ],
)
def test_exactly_one_block(text: str, found: str) -> None:
    """Anything else is a mistake of format."""
    answer = only_block(text, "python")
    assert (answer.text, bool(answer.problem)) == (found, not found)


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("1 2 \n\n", "1 2", True),
        ("1.0 2", "1 2.00", True),
        ("1\n2", "1 2", False),
        ("nan", "nan", True),
        ("nan 1.0", "nan 1", False),
        ("YES", "yes", False),
        ("1e999999999", "1", False),
        ("sNaN 1", "1 1", False),
        ("", "", True),
    ],
)
def test_outputs_are_compared_as_cwm_does(output: str, expected: str, same: bool) -> None:
    """Stripped lines, then words as decimal numbers."""
    assert same_lines(output, expected) is same


def test_values_survive_and_nothing_else_does() -> None:
    """Plain values, cycles and shared parts come back; the reader calls nothing of theirs."""
    loop: list[Any] = [1]
    loop.append(loop)
    back = decode(encode(loop))
    assert back[1] is back
    for value in (
        [1, (2.5, None), {"a": {3}}],
        2**80,
        -(2**80),
        b"\0",
        1j,
        {(1, 2): [range(3)]},
        [int],
    ):
        assert decode(encode(value)) == value
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    assert isinstance(decode(encode(deep)), list)
    with pytest.raises(Unreadable, match="type object is not plain"):
        encode(object())
    for text in ('{"table": [["object", "X"]], "value": [0]}', "[", '{"table": 1, "value": [0]}'):
        with pytest.raises(Unreadable):
            decode(text)
    with pytest.raises(Unreadable, match="more than 10 items"):
        decode(encode([0] * 20), most=10)
    assert same_values([(1, [2])], [[1, (2,)]])
    assert not same_values(deep, [deep])


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("f([1], key=2)", "[1], key=2"),
        ("f(lambda x: x.reverse())", "lambda x: x.reverse()"),
        ("f([y for y in range(3)], *[1], **{'a': 1})", "[y for y in range(3)], *[1], **{'a': 1}"),
        ("f(open('x'))", None),
        ("f((y for y in []).gi_frame)", None),
        ("f(x)", None),
        ("g(1)", None),
        ("f(1) or 2", None),
        ("f(" * 500, None),
    ],
)
def test_which_calls_are_inputs(call: str, arguments: str | None) -> None:
    """Arguments name nothing by which they could change what the function does."""
    assert arguments_of(call, "f") == arguments


@pytest.mark.parametrize(
    ("name", "arguments"), [("a", "a[:]"), ("b", None), ("c", None), ("d", None), ("f", None)]
)
def test_arguments_may_name_literals_that_nothing_reads(name: str, arguments: str | None) -> None:
    """Next to the function, a program may define inputs, unless it uses them itself."""
    program = "a = [1]\nb = [2]\nc = print\nd = [3]\nd = [4]\ndef f(x):\n    return b\n"
    assert arguments_of(f"f({name}[:])", "f", program) == arguments


@pytest.fixture
def cruxeval() -> Iterator[list[dict[str, str]]]:
    """The rows of CruxEval, where the data of the project's tasks is present."""
    path = Path(__file__).parent.parent.parent / "shared/data/cruxeval.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    yield list(map(json.loads, path.read_text().splitlines()))


def test_all_of_cruxeval_can_be_asked(cruxeval: list[dict[str, str]]) -> None:
    """Each output is a literal, and each input may be an answer."""
    from tasks.cruxeval import output_prediction

    assert len([output_prediction(row) for row in cruxeval]) == 800
    refused = [
        row["id"]
        for row in cruxeval
        if arguments_of(f"f({row['input']})", "f", row["code"]) is None
    ]
    assert refused == []
