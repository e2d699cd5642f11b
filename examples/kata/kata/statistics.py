"""Figures of lists of numbers."""


def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result


def product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result


def mean(numbers):
    return sum(numbers) / len(numbers)


def median(numbers):
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def mode(numbers):
    return max(set(numbers), key=numbers.count)


def spread(numbers):
    return max(numbers) - min(numbers)


def middle_of_range(numbers):
    return (max(numbers) + min(numbers)) / 2


def variance(numbers):
    average = sum(numbers) / len(numbers)
    return sum((number - average) ** 2 for number in numbers) / len(numbers)


def deviations(numbers):
    average = sum(numbers) / len(numbers)
    return [number - average for number in numbers]


def largest(numbers):
    return max(numbers)


def smallest(numbers):
    return min(numbers)


def second_largest(numbers):
    return sorted(numbers)[-2]


def second_smallest(numbers):
    return sorted(numbers)[1]


def largest_absolute(numbers):
    return max(abs(number) for number in numbers)


def smallest_absolute(numbers):
    return min(abs(number) for number in numbers)


def sum_of_positives(numbers):
    return sum(number for number in numbers if number > 0)


def sum_of_negatives(numbers):
    return sum(number for number in numbers if number < 0)


def sum_of_evens(numbers):
    return sum(number for number in numbers if number % 2 == 0)


def sum_of_odds(numbers):
    return sum(number for number in numbers if number % 2 == 1)


def count_positives(numbers):
    return sum(number > 0 for number in numbers)


def count_negatives(numbers):
    return sum(number < 0 for number in numbers)


def count_zeros(numbers):
    return sum(number == 0 for number in numbers)


def count_above(numbers, limit):
    return sum(number > limit for number in numbers)


def count_below(numbers, limit):
    return sum(number < limit for number in numbers)


def count_above_mean(numbers):
    average = sum(numbers) / len(numbers)
    return sum(number > average for number in numbers)


def evens(numbers):
    return [number for number in numbers if number % 2 == 0]


def odds(numbers):
    return [number for number in numbers if number % 2 == 1]


def above(numbers, limit):
    return [number for number in numbers if number > limit]


def below(numbers, limit):
    return [number for number in numbers if number < limit]


def within(numbers, low, high):
    return [number for number in numbers if low <= number <= high]


def squares(numbers):
    return [number * number for number in numbers]


def doubled(numbers):
    return [number * 2 for number in numbers]


def scaled(numbers, factor):
    return [number * factor for number in numbers]


def shifted(numbers, offset):
    return [number + offset for number in numbers]


def normalized(numbers):
    highest = max(numbers)
    return [number / highest for number in numbers]


def index_of_largest(numbers):
    return numbers.index(max(numbers))


def index_of_smallest(numbers):
    return numbers.index(min(numbers))


def top(numbers, count):
    return sorted(numbers, reverse=True)[:count]


def bottom(numbers, count):
    return sorted(numbers)[:count]


def weighted_sum(values, weights):
    return sum(value * weight for value, weight in zip(values, weights))


def weighted_mean(values, weights):
    return sum(value * weight for value, weight in zip(values, weights)) / sum(weights)


def moving_average(numbers, size):
    return [sum(numbers[i : i + size]) / size for i in range(len(numbers) - size + 1)]


def share_above(numbers, limit):
    return sum(number > limit for number in numbers) / len(numbers)
