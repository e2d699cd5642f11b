"""Lists: taking, joining and turning them."""


def first(items):
    return items[0]


def last(items):
    return items[-1]


def second(items):
    return items[1]


def second_last(items):
    return items[-2]


def rest(items):
    return items[1:]


def all_but_last(items):
    return items[:-1]


def inner(items):
    return items[1:-1]


def middle_item(items):
    return items[len(items) // 2]


def take(items, count):
    return items[:count]


def drop(items, count):
    return items[count:]


def take_last(items, count):
    return items[len(items) - count :]


def drop_last(items, count):
    return items[: len(items) - count]


def take_while_positive(items):
    taken = []
    for item in items:
        if item <= 0:
            break
        taken.append(item)
    return taken


def is_empty(items):
    return len(items) == 0


def reversed_list(items):
    return items[::-1]


def rotate_left(items, count):
    return items[count:] + items[:count]


def rotate_right(items, count):
    return items[-count:] + items[:-count]


def swap_first_and_last(items):
    return [items[-1], *items[1:-1], items[0]]


def even_positions(items):
    return items[::2]


def odd_positions(items):
    return items[1::2]


def split_at(items, index):
    return items[:index], items[index:]


def chunks(items, size):
    return [items[start : start + size] for start in range(0, len(items), size)]


def windows(items, size):
    return [items[start : start + size] for start in range(len(items) - size + 1)]


def neighbours(items):
    return list(zip(items, items[1:]))


def flatten(rows):
    return [item for row in rows for item in row]


def interleave(a, b):
    return [item for pair in zip(a, b) for item in pair]


def without_duplicates(items):
    return list(dict.fromkeys(items))


def has_duplicates(items):
    return len(set(items)) < len(items)


def without_item(items, unwanted):
    return [item for item in items if item != unwanted]


def without_empty(items):
    return [item for item in items if item]


def without_none(items):
    return [item for item in items if item is not None]


def count_item(items, wanted):
    return sum(item == wanted for item in items)


def positions_of(items, wanted):
    return [index for index, item in enumerate(items) if item == wanted]


def last_position(items, wanted):
    return len(items) - 1 - items[::-1].index(wanted)


def insert_at(items, index, item):
    return items[:index] + [item] + items[index:]


def remove_at(items, index):
    return items[:index] + items[index + 1 :]


def replace_item(items, old, new):
    return [new if item == old else item for item in items]


def append_unique(items, item):
    return items if item in items else [*items, item]


def is_sorted(items):
    return all(a <= b for a, b in zip(items, items[1:]))


def is_strictly_increasing(items):
    return all(a < b for a, b in zip(items, items[1:]))


def is_descending(items):
    return all(a >= b for a, b in zip(items, items[1:]))


def all_equal(items):
    return all(item == items[0] for item in items)


def longest(items):
    return max(items, key=len)


def shortest(items):
    return min(items, key=len)


def sort_by_length(items):
    return sorted(items, key=len)


def sort_descending(items):
    return sorted(items, reverse=True)


def partition_by_sign(items):
    return [x for x in items if x < 0], [x for x in items if x >= 0]


def pad_list(items, length, filler):
    return items + [filler] * (length - len(items))


def transpose_pairs(pairs):
    return [a for a, _ in pairs], [b for _, b in pairs]


def running_total(numbers):
    total, totals = 0, []
    for number in numbers:
        total += number
        totals.append(total)
    return totals


def differences(numbers):
    return [b - a for a, b in zip(numbers, numbers[1:])]
