"""Rows of mathematical problems: MATH, MATH-500, GSM8K, AIME."""

from hashlib import sha256

from forager.environments.answer.boxes import final_answer
from forager.environments.answer.mathematics import MATH, MathTask
from tasks.fields import instance_id, question_labels, text
from tasks.rows import Row, UnusableRow


def _task(
    name: str, origin: str, problem: str, solution: str, licence: str, **more: str
) -> MathTask:
    return MathTask(
        instance_id=instance_id(origin, name),
        kind=MATH,
        problem_statement=problem,
        labels=question_labels(MATH, origin, name, more),
        source=origin,
        licence=licence,
        solution=solution,
    )


def math(row: Row) -> MathTask:
    r"""A row of MATH (arXiv 2103.03874), whose solution has a box, or of MATH-500."""
    problem = text(row, "problem")
    answer = text(row, "answer", required=False)
    if not answer:
        found = final_answer(text(row, "solution"))
        if found.problem:
            raise UnusableRow(f"its solution: {found.problem}")
        answer = found.text
    name = text(row, "unique_id", "id", required=False) or _digest(problem)
    subject = text(row, "subject", "type", required=False)
    level = text(row, "level", required=False).removeprefix("Level ")
    name = name.removesuffix(".json")
    return _task(name, "math", problem, answer, "MIT", subject=subject, level=level)


def gsm8k(row: Row) -> MathTask:
    """A row of GSM8K (arXiv 2110.14168): the answer stands after ####."""
    problem = text(row, "question")
    answer = text(row, "answer").partition("####")[2].strip()
    if not answer:
        raise UnusableRow("its answer has no ####")
    return _task(_digest(problem), "gsm8k", problem, answer.replace(",", ""), "MIT")


def aime(row: Row) -> MathTask:
    """A row of AIME, by the columns of the usual copies: an integer from 0 to 999."""
    problem, answer = text(row, "problem", "Problem", "question"), text(row, "answer", "Answer")
    if not answer.isdecimal() or int(answer) > 999:
        raise UnusableRow(f"its answer is not an integer from 0 to 999: {answer}")
    name = text(row, "id", "ID", "problem_idx", required=False) or _digest(problem)
    return _task(name, "aime", problem, str(int(answer)), "")


def _digest(problem: str) -> str:
    return sha256(problem.encode()).hexdigest()[:12]
