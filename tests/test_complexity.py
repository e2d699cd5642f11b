"""Growth rates: which are equal, what a message answers, and rows of BigO(Bench)."""

from collections.abc import Callable
from typing import Any

import pytest

from forager.environments.answer.complexity import ComplexityEnvironment, ComplexityTask
from forager.environments.answer.growth import NoGrowthRate, rates_in, same_growth
from forager.sandboxes.sandbox import Limits
from tasks.bigobench import space_complexity, time_complexity
from tasks.rows import UnusableRow

CLASSES = [  # of BigO(Bench)'s two test sets, as they are written there
    *("O(1)", "O(logn)", "O(n)", "O(nlogn)", "O(n**2)", "O(n**3)", "O(n+m)", "O(n*m)"),
    *("O(n+mlogm)", "O(nlogn+mlogm)", "O((n+m)log(n+m))"),
]
EQUAL = [
    ("O(n)", "o(m)"),
    ("O(N log N)", "O(n*log(n))"),
    (r"$O(n \log_{2} n)$", "O(nlogn)"),
    ("O(n²)", "O(n*n)"),
    (r"O(n^{2})", "O(n**2)"),
    (r"O(n \cdot m)", "O(mn)"),
    ("O(|V| + |E|)", "O(n+m)"),
    ("O(max(n, m))", "O(n+m)"),
    ("O(n^2 + n log n + 7)", "O(n^2)"),
    ("O(12)", "O(1)"),
    ("O(2n)", "O(n)"),
    ("O(sqrt(n))", "O(n^0.5)"),
    ("O(log(n*m))", "O(log n + log m)"),
    ("O(n log^2 n)", "O(n*(log n)^2)"),
    ("O(2^n)", "O(2^m)"),
    ("O(n!)", "O(m!)"),
    ("O((a+b)*log(a+b))", "O((n+m)log(n+m))"),
    ("O(n*m + k)", "O(n + m*k)"),
    ("O(n_1 * n_2)", "O(n*m)"),
]
DIFFERENT = [
    ("O(n)", "O(n+m)"),
    ("O(n)", "O(log n)"),
    ("O(n*m)", "O(n^2)"),
    ("O(2^n)", "O(3^n)"),
    ("O(2^n)", "O(n^2)"),
    ("O(n*m)", "O(n+m)"),
    ("O((n+m)log(n+m))", "O((n+m)log(n))"),
    ("O(n log n)", "O(n log^2 n)"),
]
UNREADABLE = ["O()", "O(n", "O(n))", "O(n^)", "O(n^99)", "O(" + "(" * 50 + "n", "O(n" + "+n" * 200]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_names_constants_and_lower_terms_do_not_count(one: str, other: str) -> None:
    """Equal rates are equal in both directions."""
    assert same_growth(one, other) and same_growth(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_rates_are_told_apart(one: str, other: str) -> None:
    """Different rates are different in both directions."""
    assert not same_growth(one, other) and not same_growth(other, one)


def test_the_classes_of_the_benchmark_are_distinct() -> None:
    """Each equals itself alone."""
    for growth in CLASSES:
        assert [other for other in CLASSES if same_growth(growth, other)] == [growth]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Depth, length and powers are bounded."""
    with pytest.raises(NoGrowthRate):
        same_growth(text, "O(n)")


def test_hostile_rates_cost_little() -> None:
    """A product of sums stays below the most terms, and what is compared below a length."""
    with pytest.raises(NoGrowthRate, match="too many terms"):
        same_growth("O((a+b+c+d+e+f+g+h+i+j)(a+b+c+d+e+f+g+h+i+j))", "O(n)")
    text = "n+m"
    for _ in range(9):  # each power repeats what it holds nine times
        text = f"log({text})^9+m"
    with pytest.raises(NoGrowthRate, match="too long"):
        same_growth(f"O({text})", "O(n)")


def test_the_last_rate_of_a_message_is_its_answer() -> None:
    """Brackets are balanced, and words that end in O are none."""
    message = "The loop is O(n), foo(n) too, so: O((n+m) log(n+m))."
    assert rates_in(message) == ["O(n)", "O((n+m) log(n+m))"]
    assert rates_in("O" * 9 + "O(" * 5000) == []


ROW: dict[str, Any] = {
    "problem_id": "12_A",
    "solution_id": "3",
    "description": "Add.",
    "solution_code": "print(sum(map(int, input().split())))",
    "time_complexity_inferred": "O(n)",
    "space_complexity_inferred": "O(n+m)",
}


@pytest.mark.parametrize(
    ("message", "kind"),
    [("O(m)", ""), ("<think>O(1)</think>It is O(n^2)", "policy"), ("linear", "format")],
)
def test_a_row_becomes_a_task(message: str, kind: str) -> None:
    """The label decides; the labels of the program say what is measured."""
    never: Callable[..., Any] = lambda *_, **__: None  # noqa: E731
    task, environment = time_complexity(ROW), ComplexityEnvironment()
    answer = environment.answer(task, None, message)  # type: ignore[arg-type]
    if not answer.problem:
        grade = environment.grade(task, answer.text, Limits(), never)
        assert (grade.cause_kind if grade.cause else "") == kind
    else:
        assert answer.problem_kind == kind
    assert environment.grade(task, environment.reference(task), Limits(), never).resolved
    assert task.labels.more == {"measure": "time"}
    other = space_complexity(ROW)
    assert isinstance(other, ComplexityTask)
    assert (other.measure, other.complexity) == ("space", "O(n+m)")
    assert "memory" in other.problem_statement and "O(n+m)" not in other.problem_statement


def test_a_label_that_cannot_be_read_costs_its_row() -> None:
    """No task has an answer that nothing equals."""
    with pytest.raises(UnusableRow, match="label"):
        time_complexity({**ROW, "time_complexity_inferred": "linear?"})
