from kata.logic import (
    all_different,
    all_match,
    any_match,
    apply_all,
    apply_twice,
    are_ordered,
    at_least_one,
    both,
    can_enter,
    choose,
    compare,
    count_false,
    count_matching,
    count_true,
    default_to,
    drop_matching,
    equivalent,
    exactly_one,
    first_not_none,
    first_true,
    fizz_buzz,
    grade,
    has_passed,
    implies,
    keep_matching,
    larger_of,
    largest_of_three,
    majority,
    middle_of_three,
    needs_umbrella,
    neither,
    nobody,
    size_name,
    smaller_of,
    smallest_of_three,
    ticket_price,
    traffic_light,
    unanimous,
    water_state,
)


def test_both():
    assert both(True, True)
    assert not both(True, False)


def test_at_least_one():
    assert at_least_one(True, False)
    assert not at_least_one(False, False)


def test_neither():
    assert neither(False, False)
    assert not neither(True, False)
    assert not neither(False, True)


def test_exactly_one():
    assert exactly_one(True, False)
    assert not exactly_one(True, True)


def test_implies():
    assert implies(False, False)
    assert implies(True, True)
    assert not implies(True, False)


def test_equivalent():
    assert equivalent(False, False)
    assert not equivalent(True, False)


def test_majority():
    assert majority([True, True, False])
    assert not majority([True, False])


def test_unanimous():
    assert unanimous([True, True])
    assert not unanimous([True, False])


def test_nobody():
    assert nobody([False, False])
    assert not nobody([True, False])


def test_count_true():
    assert count_true([True, False, True]) == 2


def test_count_false():
    assert count_false([True, False, True]) == 1


def test_first_true():
    assert first_true([False, True, True]) == 1


def test_choose():
    assert choose(True, 1, 2) == 1
    assert choose(False, 1, 2) == 2


def test_default_to():
    assert default_to(None, 5) == 5
    assert default_to(0, 5) == 0


def test_first_not_none():
    assert first_not_none([None, 0, 5]) == 0


def test_larger_of():
    assert larger_of(3, 5) == 5
    assert larger_of(5, 3) == 5


def test_smaller_of():
    assert smaller_of(3, 5) == 3
    assert smaller_of(5, 3) == 3


def test_largest_of_three():
    assert largest_of_three(3, 5, 4) == 5


def test_smallest_of_three():
    assert smallest_of_three(4, 5, 3) == 3


def test_middle_of_three():
    assert middle_of_three(5, 3, 4) == 4


def test_compare():
    assert compare(5, 3) == 1
    assert compare(3, 5) == -1
    assert compare(3, 3) == 0


def test_are_ordered():
    assert are_ordered(1, 2, 2)
    assert are_ordered(1, 1, 2)
    assert not are_ordered(1, 3, 2)
    assert not are_ordered(2, 1, 3)


def test_all_different():
    assert all_different(1, 2, 3)
    assert not all_different(1, 1, 2)
    assert not all_different(2, 1, 1)
    assert not all_different(1, 2, 1)


def test_fizz_buzz():
    assert fizz_buzz(15) == "FizzBuzz"
    assert fizz_buzz(9) == "Fizz"
    assert fizz_buzz(10) == "Buzz"
    assert fizz_buzz(7) == "7"


def test_grade():
    assert grade(90) == "A"
    assert grade(70) == "B"
    assert grade(69) == "C"


def test_has_passed():
    assert has_passed(50, 50)
    assert not has_passed(49, 50)


def test_size_name():
    assert size_name(9) == "small"
    assert size_name(10) == "medium"
    assert size_name(100) == "large"


def test_traffic_light():
    assert traffic_light("green") == "go"
    assert traffic_light("yellow") == "wait"
    assert traffic_light("red") == "stop"


def test_ticket_price():
    assert ticket_price(5) == 0
    assert ticket_price(6) == 5
    assert ticket_price(18) == 10


def test_water_state():
    assert water_state(0) == "ice"
    assert water_state(100) == "steam"
    assert water_state(50) == "water"


def test_needs_umbrella():
    assert needs_umbrella(True, False)
    assert not needs_umbrella(True, True)
    assert not needs_umbrella(False, False)


def test_can_enter():
    assert can_enter(True, False)
    assert can_enter(False, True)
    assert not can_enter(False, False)


def test_apply_twice():
    assert apply_twice(lambda x: x * 3, 2) == 18


def test_apply_all():
    assert apply_all([abs, float], -2) == 2


def test_count_matching():
    assert count_matching([1, 2, 3], lambda x: x > 1) == 2


def test_keep_matching():
    assert keep_matching([1, 2, 3], lambda x: x > 1) == [2, 3]


def test_drop_matching():
    assert drop_matching([1, 2, 3], lambda x: x > 1) == [1]


def test_all_match():
    assert all_match([2, 3], lambda x: x > 1)
    assert not all_match([1, 2], lambda x: x > 1)


def test_any_match():
    assert any_match([1, 2], lambda x: x > 1)
    assert not any_match([0, 1], lambda x: x > 1)
