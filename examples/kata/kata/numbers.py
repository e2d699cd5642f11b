"""Whole and other numbers."""

from math import gcd, isqrt


def is_even(number):
    return number % 2 == 0


def is_odd(number):
    return number % 2 == 1


def is_positive(number):
    return number > 0


def is_negative(number):
    return number < 0


def sign(number):
    if number == 0:
        return 0
    return 1 if number > 0 else -1


def absolute(number):
    return -number if number < 0 else number


def clamp(number, low, high):
    return max(low, min(number, high))


def is_between(number, low, high):
    return low <= number <= high


def square(number):
    return number * number


def cube(number):
    return number**3


def double(number):
    return number * 2


def halve(number):
    return number / 2


def negate(number):
    return -number


def reciprocal(number):
    return 1 / number


def last_digit(number):
    return number % 10


def without_last_digit(number):
    return number // 10


def first_digit(number):
    while number >= 10:
        number //= 10
    return number


def digit_sum(number):
    return sum(int(digit) for digit in str(number))


def digit_count(number):
    return len(str(number))


def reverse_digits(number):
    return int(str(number)[::-1])


def is_palindrome_number(number):
    digits = str(number)
    return digits == digits[::-1]


def divides(divisor, number):
    return number % divisor == 0


def divisors(number):
    return [n for n in range(1, number + 1) if number % n == 0]


def proper_divisors(number):
    return [n for n in range(1, number) if number % n == 0]


def is_perfect(number):
    return sum(n for n in range(1, number) if number % n == 0) == number


def is_prime(number):
    if number < 2:
        return False
    return all(number % n != 0 for n in range(2, number))


def primes_up_to(limit):
    return [n for n in range(2, limit + 1) if all(n % d != 0 for d in range(2, n))]


def factorial(number):
    result = 1
    for n in range(2, number + 1):
        result *= n
    return result


def fibonacci(index):
    a, b = 0, 1
    for _ in range(index):
        a, b = b, a + b
    return a


def least_common_multiple(a, b):
    return a * b // gcd(a, b)


def are_coprime(a, b):
    return gcd(a, b) == 1


def triangle_number(index):
    return index * (index + 1) // 2


def sum_of_squares(limit):
    return sum(n * n for n in range(1, limit + 1))


def square_of_sum(limit):
    return sum(range(1, limit + 1)) ** 2


def is_square(number):
    return isqrt(number) ** 2 == number


def power(base, exponent):
    result = 1
    for _ in range(exponent):
        result *= base
    return result


def round_up(number, step):
    return -(-number // step) * step


def round_down(number, step):
    return number // step * step


def distance(a, b):
    return abs(a - b)


def remainder(a, b):
    return a - a // b * b


def collatz_steps(number):
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps
