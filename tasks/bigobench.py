"""Rows of BigO(Bench) (arXiv 2503.15242): the time or memory of a program as its input grows.

Columns are those of its test sets; of the label files, rows with `solution_code`. The prompt states
the conditions under which its labels were measured.
"""

from typing import Literal

from forager.environments.answer.complexity import COMPLEXITY, ComplexityTask
from forager.environments.answer.growth import NoGrowthRate, same_growth
from tasks.fields import instance_id, question_labels, text
from tasks.rows import Row, UnusableRow

_STATEMENT = """\
How does the {measure} of this Python program grow with its input?

The problem that it solves:

{description}

The program:

```python
{code}
```

Consider the worst case among inputs of the problem's types that do not make the program fail, \
however large: limits that the problem states do not count. Calls of input() cost nothing; what is \
done with their results does. What is printed counts as memory. Mind how CPython implements what \
the program uses.

Answer with the {measure} complexity alone, such as O(n log n).
"""
_WORDS = {"time": "running time", "space": "memory"}


def time_complexity(row: Row) -> ComplexityTask:
    """How does the running time grow?"""
    return _task(row, "time")


def space_complexity(row: Row) -> ComplexityTask:
    """How does the memory grow?"""
    return _task(row, "space")


def _task(row: Row, measure: Literal["time", "space"]) -> ComplexityTask:
    complexity, code = text(row, f"{measure}_complexity_inferred"), text(row, "solution_code")
    try:
        same_growth(complexity, complexity)
    except NoGrowthRate as error:
        raise UnusableRow(f"its label cannot be read: {error}") from error
    problem, solution = text(row, "problem_id", "problem_name"), text(row, "solution_id")
    labels = question_labels(COMPLEXITY, "bigobench", problem, {"measure": measure})
    return ComplexityTask(
        instance_id=instance_id(f"bigobench-{measure}", f"{problem}.{solution}"),
        problem_statement=_STATEMENT.format(
            measure=_WORDS[measure], description=text(row, "description"), code=code
        ),
        labels=labels,
        source="BigO(Bench)",
        licence="CC-BY-NC-4.0",
        code=code,
        measure=measure,
        complexity=complexity,
    )
