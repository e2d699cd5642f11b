"""Sets and what they share."""


def common(a, b):
    return set(a) & set(b)


def either(a, b):
    return set(a) | set(b)


def only_in_first(a, b):
    return set(a) - set(b)


def only_in_second(a, b):
    return set(b) - set(a)


def in_exactly_one(a, b):
    return set(a) ^ set(b)


def have_common(a, b):
    return len(set(a) & set(b)) > 0


def are_disjoint(a, b):
    return not set(a) & set(b)


def is_subset(small, large):
    return all(item in large for item in small)


def is_superset(large, small):
    return all(item in large for item in small)


def is_proper_subset(small, large):
    return small <= large and small != large


def count_common(a, b):
    return len(set(a) & set(b))


def count_distinct(items):
    return len(set(items))


def similarity(a, b):
    return len(a & b) / len(a | b)


def overlap(a, b):
    return len(a & b) / min(len(a), len(b))


def with_item(items, item):
    return items | {item}


def discard_item(items, item):
    return items - {item}


def toggle_item(items, item):
    return items - {item} if item in items else items | {item}


def union_of_all(sets):
    result = set()
    for each in sets:
        result |= each
    return result


def common_to_all(sets):
    result = set(sets[0])
    for each in sets[1:]:
        result &= each
    return result


def seen_twice(items):
    return {item for item in items if items.count(item) == 2}


def repeated(items):
    return {item for item in items if items.count(item) > 1}


def unrepeated(items):
    return {item for item in items if items.count(item) == 1}


def missing_numbers(numbers, limit):
    return set(range(1, limit + 1)) - set(numbers)


def all_pairs(items):
    return {(a, b) for a in items for b in items if a < b}


def large_items(items, limit):
    return {item for item in items if item > limit}


def small_items(items, limit):
    return {item for item in items if item < limit}
