"""Intervals as pairs of a start and an end."""


def length(interval):
    return interval[1] - interval[0]


def center(interval):
    return (interval[0] + interval[1]) / 2


def contains(interval, number):
    return interval[0] <= number <= interval[1]


def contains_inside(interval, number):
    return interval[0] < number < interval[1]


def covers(outer, inner):
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def intersects(a, b):
    return a[0] <= b[1] and b[0] <= a[1]


def intersection(a, b):
    return max(a[0], b[0]), min(a[1], b[1])


def hull(a, b):
    return min(a[0], b[0]), max(a[1], b[1])


def gap(a, b):
    return max(0, b[0] - a[1])


def shift_interval(interval, offset):
    return interval[0] + offset, interval[1] + offset


def widen(interval, margin):
    return interval[0] - margin, interval[1] + margin


def shrink(interval, margin):
    return interval[0] + margin, interval[1] - margin


def is_empty_interval(interval):
    return interval[0] > interval[1]


def ordered(a, b):
    return (a, b) if a <= b else (b, a)


def is_before(a, b):
    return a[1] < b[0]


def is_after(a, b):
    return a[0] > b[1]


def touches(a, b):
    return a[1] == b[0] or b[1] == a[0]


def split_in_half(interval):
    middle = (interval[0] + interval[1]) / 2
    return (interval[0], middle), (middle, interval[1])


def total_length(intervals):
    return sum(end - start for start, end in intervals)


def longest_interval(intervals):
    return max(intervals, key=lambda each: each[1] - each[0])


def earliest_start(intervals):
    return min(start for start, _ in intervals)


def latest_end(intervals):
    return max(end for _, end in intervals)


def merge_intervals(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def fits(interval, width):
    return interval[1] - interval[0] >= width


def position_in(interval, number):
    return (number - interval[0]) / (interval[1] - interval[0])


def nearest_end(interval, number):
    start, end = interval
    return start if number - start < end - number else end
