"""Sequences of numbers."""


def count_up(limit):
    return list(range(1, limit + 1))


def count_down(start):
    return list(range(start, 0, -1))


def from_to(start, end):
    return list(range(start, end + 1))


def even_numbers(limit):
    return list(range(2, limit + 1, 2))


def odd_numbers(limit):
    return list(range(1, limit + 1, 2))


def multiples(number, count):
    return [number * n for n in range(1, count + 1)]


def powers_of_two(count):
    return [2**n for n in range(count)]


def powers(base, count):
    return [base**n for n in range(count)]


def square_numbers(count):
    return [n * n for n in range(1, count + 1)]


def cube_numbers(count):
    return [n**3 for n in range(1, count + 1)]


def triangle_numbers(count):
    return [n * (n + 1) // 2 for n in range(1, count + 1)]


def fibonacci_numbers(count):
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:count]


def arithmetic_sequence(start, step, count):
    return [start + step * n for n in range(count)]


def geometric_sequence(start, ratio, count):
    return [start * ratio**n for n in range(count)]


def alternating_signs(count):
    return [(-1) ** n for n in range(count)]


def alternating_sum(numbers):
    return sum(numbers[::2]) - sum(numbers[1::2])


def is_arithmetic(numbers):
    return all(b - a == numbers[1] - numbers[0] for a, b in zip(numbers, numbers[1:]))


def is_alternating(numbers):
    return all(a * b < 0 for a, b in zip(numbers, numbers[1:]))


def local_peaks(numbers):
    return [b for a, b, c in zip(numbers, numbers[1:], numbers[2:]) if a < b > c]


def local_valleys(numbers):
    return [b for a, b, c in zip(numbers, numbers[1:], numbers[2:]) if a > b < c]


def records(numbers):
    found = []
    for number in numbers:
        if not found or number > found[-1]:
            found.append(number)
    return found


def longest_run(items):
    best = current = 1
    for a, b in zip(items, items[1:]):
        current = current + 1 if a == b else 1
        best = max(best, current)
    return best


def count_increases(numbers):
    return sum(b > a for a, b in zip(numbers, numbers[1:]))


def count_decreases(numbers):
    return sum(b < a for a, b in zip(numbers, numbers[1:]))


def largest_jump(numbers):
    return max(abs(b - a) for a, b in zip(numbers, numbers[1:]))


def pairs_with_sum(numbers, wanted):
    return [(a, b) for a in numbers for b in numbers if a < b and a + b == wanted]


def encode_runs(text):
    runs = []
    for letter in text:
        if runs and runs[-1][0] == letter:
            runs[-1] = (letter, runs[-1][1] + 1)
        else:
            runs.append((letter, 1))
    return runs


def decode_runs(runs):
    return "".join(letter * count for letter, count in runs)


def look_up(numbers, index):
    return numbers[index % len(numbers)]


def binary_search(numbers, wanted):
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low
