"""Rows of problems that are not repositories: what becomes of them, and answers in mathematics."""

import base64
import json
import pickle
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_answers import says
from test_coding import LIMITS
from test_rollout import run

from forager.cli.imports import QUESTIONS as NAMED
from forager.cli.main import main
from forager.environments.answer.boxes import final_answer
from forager.environments.answer.comparing import close_all, compared
from forager.environments.answer.mathematics import MATH, MathTask
from forager.environments.function.judging import judged
from forager.environments.function.task import CodingTask
from forager.environments.registry import environments
from forager.environments.task import Task
from forager.images.image import Image
from forager.records import read_records
from forager.sandboxes.kinds import SANDBOXES
from tasks.importing import ImportRequest, task_of
from tasks.plain_pickle import unpickled_text
from tasks.questions import QUESTIONS
from tasks.rows import UnusableRow

MATHS = pytest.mark.skipif(find_spec("math_verify") is None, reason="math-verify is missing")
ADD = "def add(a, b):\n    return a + b\n"
CPP = "#include <vector>\nusing namespace std;\nint add(int a, int b){\n"


def packed(value: object) -> str:
    """A field as LiveCodeBench packs it."""
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


CASES = [{"input": "[1]\n2", "output": "3", "testtype": "functional"}]
SORTING = {
    "problem_id": "12_A",
    "solution_id": "3",
    "description": "Sort the words.",
    "solution_code": "print(*sorted(input().split()))",
}
ROWS: dict[str, dict[str, Any]] = {
    "humaneval": {
        "task_id": "HumanEval/7",
        "prompt": "def add(a, b):\n    '''Add.'''\n",
        "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    },
    "humaneval-x": {
        "task_id": "CPP/7",
        "prompt": f"/* Add. */\n{CPP}",
        "declaration": CPP,
        "canonical_solution": "    return a + b;\n}\n",
        "test": "#include <assert.h>\nint main() {\n    assert(add(1, 2) == 3);\n}\n",
    },
    "mbpp": {
        "task_id": 7,
        "text": "Write a function to add.",
        "code": ADD,
        "test_list": ["assert abs(add(1, 2)) == 3", "assert add(0, 0) == 0"],
        "test_setup_code": "",
    },
    "mbxp": {
        "task_id": "MBCPP/7",
        "language": "cpp",
        "prompt": CPP,
        "entry_point": "add",
        "canonical_solution": "    return a + b;\n}",
        "test": "#include <stdexcept>\nint main(int argc, char* argv[]) {\n"
        '    if (!(add(1, 2) == 3)) {\n        throw runtime_error("0 did not pass");\n    }\n}',
    },
    "leetcode": {
        "task_id": "add-two",
        "problem_description": "Add.",
        "starter_code": "class Solution:\n    def add(self, a, b):",
        "prompt": "from typing import *\n",
        "entry_point": "Solution().add",
        "completion": "class Solution:\n    def add(self, a, b):\n        return a + b",
        "test": "def check(candidate):\n    assert candidate(a = 1, b = 2) == 3\n",
        "difficulty": "Easy",
    },
    "code-contests": {
        "name": "7_A. Add",
        "description": "Add.",
        "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
        "private_tests": {"input": [], "output": []},
        "generated_tests": {"input": ["2 2\n"], "output": ["4\n"]},
        "time_limit": {"seconds": 8, "nanos": 500_000_000},
        "memory_limit_bytes": 256_000_000,
    },
    "apps": {
        "problem_id": 7,
        "question": "Add.",
        "solutions": json.dumps(["print(sum(map(int, input().split())))"]),
        "input_output": json.dumps({"inputs": ["1 2"], "outputs": ["3"]}),
    },
    "livecodebench": {
        "question_id": "abc7_a",
        "question_content": "Add.",
        "starter_code": "class Solution:\n    def add(self, numbers, n):",
        "public_test_cases": json.dumps(CASES),
        "private_test_cases": packed(json.dumps([{"input": "[2]\n2", "output": "4"}])),
        "metadata": json.dumps({"func_name": "add"}),
        "difficulty": "easy",
    },
    "math": {"problem": "1 + 2?", "solution": r"It is $\boxed{3}$.", "level": "Level 1"},
    "math-500": {"problem": "1 + 2?", "solution": "", "answer": "3", "unique_id": "test/7.json"},
    "gsm8k": {"question": "1 + 2?", "answer": "It is <<1+2=3>>3.\n#### 1,003"},
    "aime": {"id": "2025-I-7", "problem": "1 + 2?", "answer": "003"},
    "problems": {
        "id": "add",
        "statement": "Add.",
        "cases": [{"stdin": "1 2", "expected": "3"}],
        "solution": "print(3)",
    },
    "traces": {
        "id": "project.7",
        "kind": "function",
        "outcome": "returned",
        "name": "add",
        "input": "add(1, 2)",
        "output": "3",
        "files": {"src/sums.py": ADD},
        "source": "https://example.org/project",
    },
    "cruxeval-o": {"id": "sample_7", "code": "def f(n): return n", "input": "1", "output": "1"},
    "cruxeval-i": {"id": "sample_7", "code": "def f(n): return n", "input": "1", "output": "1"},
    "bigobench-time": {**SORTING, "time_complexity_inferred": "O(nlogn)"},
    "bigobench-space": {**SORTING, "space_complexity_inferred": "O(n)"},
}


def made(format: str, row: dict[str, Any] | None = None, image: str = "image") -> Task:
    """The task of a row."""
    return task_of(row or ROWS[format], ImportRequest(QUESTIONS[format], image=image))


def test_the_command_has_the_formats_there_are() -> None:
    """The command lists all formats without importing their readers."""
    assert set(NAMED) == set(QUESTIONS) == set(ROWS)


@pytest.mark.parametrize("format", ROWS)
def test_a_row_becomes_a_task(format: str) -> None:
    """It loads as the record of its environment, and can be asked."""
    task = made(format)
    again = Task.model_validate_json(task.model_dump_json())
    assert again == task
    assert type(again) is environments()[task.environment].task_type
    assert environments()[task.environment].prompt(task)
    assert task.image == ("image" if QUESTIONS[format].runs else "")
    assert task.contaminated == QUESTIONS[format].benchmark
    assert task.labels.family and task.labels.functions


def test_solutions_pass(kata_image: Image) -> None:
    """Each known solution passes, and another program does not."""
    found = [made(format) for format in ROWS]
    tasks = [task for task in found if isinstance(task, CodingTask) and task.solution]
    assert len(tasks) == 7
    wrong = {"python": ADD.replace("+", "-"), "cpp": f"{CPP}return a - b;}}"}
    asked = [(task, task.solution) for task in tasks] + [
        (task, wrong[task.language]) for task in tasks
    ]
    verdicts = judged(asked, kata_image.reference, LIMITS, SANDBOXES["bubblewrap"])
    passed = [all(verdict.word == "passed" for verdict in found) for found in verdicts]
    assert passed == [True] * 7 + [False] * 7


def test_cases_keep_their_meaning(kata_image: Image) -> None:
    """Columns become cases, limits and functions."""
    contest, lcb = made("code-contests"), made("livecodebench")
    assert isinstance(contest, CodingTask) and isinstance(lcb, CodingTask)
    assert [case.stdin for case in contest.cases] == ["1 2\n", "2 2\n"]
    assert (contest.seconds, contest.memory) == (8.5, 256_000_000)
    assert lcb.function == "Solution().add"
    assert [(case.arguments, case.returns) for case in lcb.cases] == [
        ("[1], 2", "3"),
        ("[2], 2", "4"),
    ]
    right = "class Solution:\n    def add(self, numbers, n):\n        return numbers[0] + n"
    (verdicts,) = judged([(lcb, right)], kata_image.reference, LIMITS, SANDBOXES["bubblewrap"])
    assert [verdict.word for verdict in verdicts] == ["passed", "passed"]
    solutions = [made(format).model_dump()["solution"] for format in ("math", "gsm8k", "aime")]
    assert solutions == ["3", "1003", "3"]


class Owned:
    """Runs a command if it is unpickled carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch owned",)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (packed(Owned()), "it names posix.system"),
        (packed([1]), "is not a text"),
        (packed("a" * 10_000), "torn, or longer"),
        (packed("a")[:8], "a pickled field"),
        ("%%%", "a pickled field"),
        (base64.b64encode(zlib.compress(b"\x80\x05.")).decode(), "a pickled field"),
    ],
)
def test_pickles_run_nothing(
    field: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickled field becomes a text, or costs its row."""
    monkeypatch.chdir(tmp_path)
    assert unpickled_text(packed("ab"), 5000) == "ab"
    with pytest.raises(UnusableRow, match=reason):
        unpickled_text(field, 5000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("format", "change", "reason"),
    [
        ("humaneval-x", {"task_id": "Go/7"}, "is not C"),
        ("mbpp", {"test_list": []}, "not a list of tests"),
        ("mbpp", {"test_list": ["assert ("]}, "first test is not Python"),
        ("apps", {"input_output": json.dumps({"inputs": [1], "outputs": []})}, "of one length"),
        ("livecodebench", {"private_test_cases": packed(Owned())}, "it names posix.system"),
        ("math", {"solution": r"\boxed{1} \boxed{2}"}, "2 final answers"),
        ("gsm8k", {"answer": "3"}, "no ####"),
        ("aime", {"answer": "1000"}, "not an integer from 0 to 999"),
        ("problems", {"cases": None}, "neither answer, cases nor tests"),
        ("problems", {"case": 1}, "there is no field case"),
        ("problems", {"seconds": 1e300}, "more than 3,600"),
        ("problems", {"language": "rust"}, "language: Input should be"),
        ("problems", {"comparison": "checker"}, "it has no checker"),
        ("problems", {"cases": [{"arguments": "1"}]}, "no function is named"),
        ("problems", {"function": "f", "cases": [{"returns": "g(1)"}]}, "no literal of Python"),
        (
            "problems",
            {"function": "f", "cases": [{"arguments": "[1", "returns": "1"}]},
            "no Python",
        ),
        ("traces", {"output": "None"}, "returns nothing"),
        ("cruxeval-o", {"output": "f(1)"}, "output is not a literal"),
    ],
)
def test_what_is_wrong_with_a_row_is_its_reason(
    format: str, change: dict[str, Any], reason: str
) -> None:
    """One line says why."""
    with pytest.raises(UnusableRow, match=reason):
        made(format, {**ROWS[format], **change})


def test_a_directory_of_problems(tmp_path: Path) -> None:
    """A folder is a problem; one that is wrong costs itself."""
    files = {
        "add/statement.md": "Add.",
        "add/problem.toml": 'seconds = 2\nlabels = {level = "easy"}\n',
        "add/cases/1.in": "1 2",
        "add/cases/1.out": "3",
        "add/checker.py": "",
        "sum/statement.md": "1 + 2?",
        "sum/problem.toml": 'answer = "3"\n',
        "wrong/statement.md": "What?",
    }
    for name, text in files.items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(text)
    out = tmp_path / "tasks.jsonl"
    given = ["tasks", "import", "problems", str(tmp_path / "own"), "-o", str(out), "--image", "i"]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.output
    coding, math = read_records(out, Task)
    assert isinstance(coding, CodingTask) and isinstance(math, MathTask)
    assert (coding.seconds, coding.comparison, coding.cases[0].expected) == (2, "checker", "3")
    assert coding.labels.more == {"level": "easy"}
    assert "neither answer, cases nor tests" in result.output


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"<think>\boxed{1}</think> \boxed {2}", "2"),
        (r"\boxed{3} and again \boxed{3}", "3"),
        (r"\boxed{\{1\}}", r"\{1\}"),
        (r"\boxed{1} \boxed{2}", ""),
        (r"\boxed{\boxed{1}}", ""),
        (r"\boxed{}", ""),
        (r"\boxed{1", ""),
        ("\\boxed{" * 100_000, ""),
        ("\\boxed{" * 100_000 + "}" * 100_000, ""),
        ("\\boxed{" + "1" * 3_000_000 + "}", ""),
        ("3", ""),
    ],
)
def test_the_final_answer_is_one_box(text: str, answer: str) -> None:
    """Anything else is a mistake of format, found in linear time."""
    began = time.process_time()
    found = final_answer(text)
    assert (found.text, found.problem_kind if found.problem else "") == (
        answer,
        "" if answer else "format",
    )
    assert time.process_time() - began < 2


@MATHS
def test_answers_are_compared_by_meaning_and_hang_nobody() -> None:
    """Threads compare at the same time; a hanging comparison costs its own verdict."""
    asked = {
        (r"\frac{1}{2}", "0.5"): "equal",
        ("x+1", "1 + x"): "equal",
        (r"\text{Evelyn}", "Evelyn"): "equal",
        ("3", "4"): "different",
        ("2pi", r"2\pi"): "equal",
        ("1 000", "1000"): "equal",
        ("5 6", "56"): "different",
        ("9^{9^{9^{9^9}}}", "4"): "time",
        ("__import__('os').abort()", "4"): "different",
    }
    try:
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda pair: compared(pair[0], pair[1], 3), asked))
    finally:
        close_all()
    assert dict(zip(asked, found, strict=True)) == asked


@MATHS
def test_a_mathematical_answer_is_graded_in_a_run(tmp_path: Path) -> None:
    """No engine and no sandbox; the prompt is CWM's."""
    task = MathTask(instance_id="half", kind=MATH, problem_statement="2/4?", solution=r"\frac12")
    try:
        (attempt,), (model,), _ = run(tmp_path / "run", task, [says(r"\boxed{0.5}")])
    finally:
        close_all()
    assert model.seen[0][0]["content"] == "2/4?\n\nWrap your answer in $\\boxed{}$."
    assert (attempt.outcome.answer, attempt.outcome.resolved) == ("0.5", True)
