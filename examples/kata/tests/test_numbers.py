from kata.numbers import (
    absolute,
    are_coprime,
    clamp,
    collatz_steps,
    cube,
    digit_count,
    digit_sum,
    distance,
    divides,
    divisors,
    double,
    factorial,
    fibonacci,
    first_digit,
    halve,
    is_between,
    is_even,
    is_negative,
    is_odd,
    is_palindrome_number,
    is_perfect,
    is_positive,
    is_prime,
    is_square,
    last_digit,
    least_common_multiple,
    negate,
    power,
    primes_up_to,
    proper_divisors,
    reciprocal,
    remainder,
    reverse_digits,
    round_down,
    round_up,
    sign,
    square,
    square_of_sum,
    sum_of_squares,
    triangle_number,
    without_last_digit,
)


def test_is_even():
    assert is_even(4)
    assert not is_even(7)
    assert is_even(0)


def test_is_odd():
    assert is_odd(7)
    assert not is_odd(4)


def test_is_positive():
    assert is_positive(1)
    assert not is_positive(0)
    assert not is_positive(-3)


def test_is_negative():
    assert is_negative(-1)
    assert not is_negative(0)


def test_sign():
    assert sign(5) == 1
    assert sign(-5) == -1
    assert sign(0) == 0


def test_absolute():
    assert absolute(-4) == 4
    assert absolute(3) == 3


def test_clamp():
    assert clamp(5, 1, 3) == 3
    assert clamp(0, 1, 3) == 1
    assert clamp(2, 1, 3) == 2


def test_is_between():
    assert is_between(1, 1, 3)
    assert is_between(3, 1, 3)
    assert not is_between(4, 1, 3)


def test_square():
    assert square(3) == 9
    assert square(-5) == 25


def test_cube():
    assert cube(2) == 8
    assert cube(-3) == -27


def test_double():
    assert double(7) == 14
    assert double(-3) == -6


def test_halve():
    assert halve(7) == 3.5
    assert halve(10) == 5


def test_negate():
    assert negate(3) == -3
    assert negate(-2) == 2


def test_reciprocal():
    assert reciprocal(4) == 0.25


def test_last_digit():
    assert last_digit(347) == 7
    assert last_digit(20) == 0


def test_without_last_digit():
    assert without_last_digit(347) == 34
    assert without_last_digit(5) == 0


def test_first_digit():
    assert first_digit(347) == 3
    assert first_digit(10) == 1
    assert first_digit(8) == 8


def test_digit_sum():
    assert digit_sum(347) == 14
    assert digit_sum(0) == 0


def test_digit_count():
    assert digit_count(347) == 3
    assert digit_count(8) == 1


def test_reverse_digits():
    assert reverse_digits(347) == 743
    assert reverse_digits(20) == 2


def test_is_palindrome_number():
    assert is_palindrome_number(12321)
    assert not is_palindrome_number(123)


def test_divides():
    assert divides(3, 12)
    assert not divides(5, 12)
    assert not divides(12, 3)


def test_divisors():
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
    assert divisors(1) == [1]


def test_proper_divisors():
    assert proper_divisors(12) == [1, 2, 3, 4, 6]


def test_is_perfect():
    assert is_perfect(6)
    assert is_perfect(28)
    assert not is_perfect(12)


def test_is_prime():
    assert is_prime(2)
    assert is_prime(13)
    assert not is_prime(9)
    assert not is_prime(1)


def test_primes_up_to():
    assert primes_up_to(13) == [2, 3, 5, 7, 11, 13]
    assert primes_up_to(1) == []


def test_factorial():
    assert factorial(5) == 120
    assert factorial(0) == 1


def test_fibonacci():
    assert fibonacci(0) == 0
    assert fibonacci(7) == 13


def test_least_common_multiple():
    assert least_common_multiple(4, 6) == 12
    assert least_common_multiple(3, 5) == 15


def test_are_coprime():
    assert are_coprime(4, 9)
    assert not are_coprime(4, 6)


def test_triangle_number():
    assert triangle_number(4) == 10
    assert triangle_number(1) == 1


def test_sum_of_squares():
    assert sum_of_squares(3) == 14
    assert sum_of_squares(1) == 1


def test_square_of_sum():
    assert square_of_sum(3) == 36


def test_is_square():
    assert is_square(49)
    assert not is_square(50)


def test_power():
    assert power(2, 10) == 1024
    assert power(5, 0) == 1


def test_round_up():
    assert round_up(13, 5) == 15
    assert round_up(10, 5) == 10


def test_round_down():
    assert round_down(13, 5) == 10
    assert round_down(15, 5) == 15


def test_distance():
    assert distance(3, 8) == 5
    assert distance(8, 3) == 5


def test_remainder():
    assert remainder(17, 5) == 2
    assert remainder(10, 5) == 0


def test_collatz_steps():
    assert collatz_steps(1) == 0
    assert collatz_steps(6) == 8
