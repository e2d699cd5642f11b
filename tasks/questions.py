"""The formats of data sets whose problems are not repositories: one row is one task."""

from collections.abc import Callable
from dataclasses import dataclass

from forager.environments.task import Task
from tasks.bigobench import space_complexity, time_complexity
from tasks.cruxeval import input_prediction, output_prediction
from tasks.mathematics import aime, gsm8k, math
from tasks.problems import problem
from tasks.programming import (
    apps,
    code_contests,
    humaneval,
    humaneval_x,
    leetcode,
    livecodebench,
    mbpp,
    mbxp,
)
from tasks.rows import Row
from tasks.traced import traced_output


@dataclass(frozen=True, slots=True)
class QuestionFormat:
    """How a row becomes a task."""

    make: Callable[[Row], Task]
    """Raises UnusableRow."""
    benchmark: str = ""
    """Why training sets leave its tasks out, if they are a benchmark."""
    runs: bool = True
    """Whether grading runs something, so that tasks need an image."""
    computes: bool = False
    """Whether its models can be allowed to run Python."""


QUESTIONS: dict[str, QuestionFormat] = {
    "humaneval": QuestionFormat(humaneval, "it is of the benchmark HumanEval"),
    "humaneval-x": QuestionFormat(humaneval_x, "it is of the benchmark HumanEval-X"),
    "mbpp": QuestionFormat(mbpp, "it is of the benchmark MBPP"),
    "mbxp": QuestionFormat(mbxp, "it is of the benchmark MBXP"),
    "leetcode": QuestionFormat(leetcode),
    "code-contests": QuestionFormat(code_contests),
    "apps": QuestionFormat(apps),
    "livecodebench": QuestionFormat(livecodebench, "it is of the benchmark LiveCodeBench"),
    "math": QuestionFormat(math, runs=False, computes=True),
    "math-500": QuestionFormat(math, "it is of the benchmark MATH-500", runs=False, computes=True),
    "gsm8k": QuestionFormat(gsm8k, runs=False, computes=True),
    "aime": QuestionFormat(aime, "it is of the benchmark AIME", runs=False, computes=True),
    "problems": QuestionFormat(problem),
    "traces": QuestionFormat(traced_output, runs=False),
    "cruxeval-o": QuestionFormat(output_prediction, "it is of the benchmark CruxEval", runs=False),
    "cruxeval-i": QuestionFormat(input_prediction, "it is of the benchmark CruxEval"),
    "bigobench-time": QuestionFormat(
        time_complexity, "it is of the benchmark BigO(Bench)", runs=False
    ),
    "bigobench-space": QuestionFormat(
        space_complexity, "it is of the benchmark BigO(Bench)", runs=False
    ),
}


def allows_python(form: str) -> bool:
    """Whether tasks of this format can allow their model to run Python."""
    return form in QUESTIONS and QUESTIONS[form].computes


def runs_programs(form: str) -> bool:
    """Whether grading tasks of this format runs something in an image that rows do not name."""
    return form in QUESTIONS and QUESTIONS[form].runs
