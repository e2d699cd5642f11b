"""Rows of programming problems: HumanEval, MBPP, MBXP, LeetCodeDataset, contests.

Columns are those that the data sets document. A known solution becomes the task's `solution`.
"""

import ast
import builtins
import re
from typing import Any

from forager.environments.function.running import Language
from forager.environments.function.task import CODING, CodingTask, JudgedCase
from forager.untrusted import Malformed, json_value
from tasks.fields import instance_id, nested, question_labels, text
from tasks.plain_pickle import unpickled_text
from tasks.rows import Row, UnusableRow

_LONGEST = 256 << 20  # characters of the cases of a problem
_INCLUDES = re.compile(r"^[ \t]*(?:#include\b.*|using namespace .*;)$", re.MULTILINE)
_COMPLETE = "complete the function below, as its description says"
_MOST_CASES = 200
_ALL_ASSERTIONS = 20.0  # seconds of a hundred and more assertions


def _task(
    name: str, origin: str, statement: str, language: Language, licence: str, **fields: Any
) -> CodingTask:
    more = {"difficulty": fields.pop("difficulty", "")}
    return CodingTask(
        instance_id=instance_id(origin, name),
        kind=CODING,
        problem_statement=statement,
        labels=question_labels(f"{CODING}-{language}", origin, name, more),
        source=origin,
        licence=licence,
        language=language,
        **fields,
    )


def humaneval(row: Row) -> CodingTask:
    """A row of HumanEval (arXiv 2107.03374), or of a data set with its columns."""
    prompt, name = text(row, "prompt"), text(row, "task_id")
    return _task(
        name.rpartition("/")[2],
        "humaneval",
        _COMPLETE,
        "python",
        "MIT",
        starter_code=prompt,
        preamble=prompt,
        function=text(row, "entry_point"),
        tests=f"{text(row, 'test')}\n\ncheck(candidate)\n",
        solution=prompt + text(row, "canonical_solution"),
    )


def humaneval_x(row: Row) -> CodingTask:
    """A C++ row of HumanEval-X (arXiv 2303.17568)."""
    prompt, name = text(row, "prompt"), text(row, "task_id")
    if not name.startswith("CPP/"):
        raise UnusableRow(f"{name} is not C++: rows of other languages are not read")
    declaration = text(row, "declaration")
    return _task(
        name.rpartition("/")[2],
        "humaneval-x-cpp",
        _COMPLETE,
        "cpp",
        "Apache-2.0",
        starter_code=prompt,
        preamble="\n".join(_INCLUDES.findall(declaration)),
        tests=text(row, "test"),
        libraries=["crypto", "ssl"] if "<openssl/" in declaration else [],
        solution=prompt + text(row, "canonical_solution"),
    )


def mbxp(row: Row) -> CodingTask:
    """A Python or C++ row of MBXP (arXiv 2210.14868)."""
    language, prompt = text(row, "language"), text(row, "prompt")
    solution = text(row, "canonical_solution", required=False)
    common: dict[str, Any] = {
        "starter_code": prompt,
        "solution": prompt + solution if solution else "",
    }
    name, tests = text(row, "task_id").rpartition("/")[2], text(row, "test")
    if language == "cpp":
        common |= {"preamble": "\n".join(_INCLUDES.findall(prompt)), "tests": tests}
        return _task(name, "mbxp-cpp", _COMPLETE, "cpp", "CC-BY-4.0", **common)
    if language != "python":
        raise UnusableRow(f"its language is {language}: python and cpp are read")
    entry = text(row, "entry_point")
    common |= {"preamble": prompt, "function": entry, "tests": _called(tests, entry)}
    return _task(name, "mbxp-python", _COMPLETE, "python", "CC-BY-4.0", **common)


def _called(tests: str, entry: str) -> str:
    """Tests that end with the call of their `check`."""
    ending = f"check({entry})"
    return tests if ending in tests else f"{tests}\n\ncheck(candidate)\n"


def mbpp(row: Row) -> CodingTask:
    """A row of MBPP (arXiv 2108.07732), full or sanitized."""
    tests = nested(row, "test_list")
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise UnusableRow("test_list is not a list of tests")
    imports = nested(row, "test_imports") or []
    setup = "\n".join([*map(str, imports), text(row, "test_setup_code", required=False)])
    statement = text(row, "text", "prompt")
    return _task(
        text(row, "task_id"),
        "mbpp",
        f"{statement}\nYour code should pass these tests:\n" + "\n".join(tests),
        "python",
        "CC-BY-4.0",
        starter_code=_signature(text(row, "code"), _callee(tests[0])),
        preamble=setup,
        function=_callee(tests[0]),
        tests="\n".join(tests),
        solution=text(row, "code"),
    )


def _callee(assertion: str) -> str:
    """The function that an assertion calls: the first name that is not a builtin."""
    try:
        tree = ast.parse(assertion)
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        raise UnusableRow("its first test is not Python") from None
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id not in dir(builtins):
            return called.id
    raise UnusableRow("its first test calls no function")


def _signature(code: str, function: str) -> str:
    """The line that defines a function."""
    found = re.search(rf"^[ \t]*def {re.escape(function)}\b.*$", code, re.MULTILINE)
    return found[0].strip() if found else f"def {function}(*arguments):"


def leetcode(row: Row) -> CodingTask:
    """A row of LeetCodeDataset (arXiv 2504.14655)."""
    return _task(
        text(row, "task_id"),
        "leetcode",
        text(row, "problem_description"),
        "python",
        "Apache-2.0",
        starter_code=text(row, "starter_code"),
        preamble=text(row, "prompt", required=False),
        function=text(row, "entry_point"),
        tests=f"{text(row, 'test')}\n\ncheck(candidate)\n",
        solution=text(row, "completion", required=False),
        seconds=_ALL_ASSERTIONS,
        difficulty=text(row, "difficulty", required=False),
    )


def code_contests(row: Row) -> CodingTask:
    """A row of CodeContests (AlphaCode, Science 378): standard input and output."""
    cases: list[JudgedCase] = []
    for column in ("public_tests", "private_tests", "generated_tests"):
        cases += _pairs(nested(row, column) or {}, "input", "output")
    limit = nested(row, "time_limit") or {}
    seconds = float(limit.get("seconds") or 0) + float(limit.get("nanos") or 0) / 1e9
    return _task(
        text(row, "name"),
        "code-contests",
        text(row, "description"),
        "python",
        "CC-BY-4.0",
        cases=_some(cases),
        seconds=max(6.0, seconds),
        memory=int(row.get("memory_limit_bytes") or 0) or 2_000_000_000,
        difficulty=text(row, "difficulty", required=False),
    )


def apps(row: Row) -> CodingTask:
    """A row of APPS (arXiv 2105.09938): programs, or functions with `fn_name`."""
    given = nested(row, "input_output")
    if not isinstance(given, dict):
        raise UnusableRow("input_output is missing or empty")
    solutions = nested(row, "solutions") or []
    name = str(given.get("fn_name") or "")
    starter = text(row, "starter_code", required=False)
    return _task(
        text(row, "problem_id", "id"),
        "apps",
        text(row, "question"),
        "python",
        "MIT",
        starter_code=starter,
        solution=solutions[0] if solutions and isinstance(solutions[0], str) else "",
        difficulty=text(row, "difficulty", required=False),
        **_io_cases(given.get("inputs"), given.get("outputs"), name, starter),
    )


def livecodebench(row: Row) -> CodingTask:
    """A row of LiveCodeBench's code generation (arXiv 2403.07974), private cases included."""
    cases = _lcb_cases(text(row, "public_test_cases"))
    cases += _lcb_cases(text(row, "private_test_cases", required=False))
    metadata = nested(row, "metadata") or {}
    name = str(metadata.get("func_name") or "")
    starter = text(row, "starter_code", required=False)
    inputs: list[Any] = [case["input"] for case in cases]
    outputs: list[Any] = [case["output"] for case in cases]
    if name:
        inputs = [[_json(line) for line in lines.split("\n")] for lines in inputs]
        outputs = list(map(_json, outputs))
    return _task(
        text(row, "question_id"),
        "livecodebench",
        text(row, "question_content"),
        "python",
        "see livecodebench.github.io",
        starter_code=starter,
        difficulty=text(row, "difficulty", required=False),
        **_io_cases(inputs, outputs, name, starter),
    )


def _lcb_cases(packed: str) -> list[dict[str, str]]:
    """Cases in JSON, or in JSON that was pickled, compressed and encoded."""
    if not packed:
        return []
    try:
        cases = json_value(packed, _LONGEST)
    except Malformed:
        cases = _json(unpickled_text(packed, _LONGEST))
    if not isinstance(cases, list):
        raise UnusableRow("its test cases are not a list")
    return [{"input": str(case["input"]), "output": str(case["output"])} for case in cases]


def _json(given: str) -> Any:
    try:
        return json_value(given, _LONGEST)
    except Malformed as error:
        raise UnusableRow(f"a test case is not JSON: {error}") from None


def _io_cases(inputs: Any, outputs: Any, name: str, starter: str) -> dict[str, Any]:
    """The fields of a task with these inputs and outputs; with a name those of a function."""
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise UnusableRow("its inputs and outputs are not lists of one length")
    pairs = list(zip(inputs, outputs, strict=True))
    if not name:
        texts = [
            JudgedCase(stdin=_joined(given), expected=_joined(expected))
            for given, expected in pairs
        ]
        return {"cases": _some(texts)}
    cases = [
        JudgedCase(arguments=", ".join(map(repr, given)), returns=repr(expected))
        for given, expected in pairs
    ]
    in_class = "class Solution" in starter or not starter
    return {"cases": _some(cases), "function": f"Solution().{name}" if in_class else name}


def _joined(given: Any) -> str:
    """A text, or lines of one."""
    return "\n".join(map(str, given)) if isinstance(given, list) else str(given)


def _pairs(columns: Any, first: str, second: str) -> list[JudgedCase]:
    """Cases of a column that holds lists of inputs and outputs."""
    inputs, outputs = columns.get(first) or [], columns.get(second) or []
    return [
        JudgedCase(stdin=str(given), expected=str(expected))
        for given, expected in zip(inputs, outputs, strict=True)
    ]


def _some(cases: list[JudgedCase]) -> list[JudgedCase]:
    """The first cases, each once. Raises UnusableRow without any."""
    if not cases:
        raise UnusableRow("it has no test cases")
    return list(dict.fromkeys(cases))[:_MOST_CASES]
