"""Dictionaries: inverting, merging and counting."""


def invert(mapping):
    return {value: key for key, value in mapping.items()}


def merge(first, second):
    return {**first, **second}


def merge_keeping_first(first, second):
    return {**second, **first}


def get_or(mapping, key, default):
    return mapping[key] if key in mapping else default


def with_key(mapping, key, value):
    return {**mapping, key: value}


def without_key(mapping, unwanted):
    return {key: value for key, value in mapping.items() if key != unwanted}


def pick_keys(mapping, wanted):
    return {key: value for key, value in mapping.items() if key in wanted}


def omit_keys(mapping, unwanted):
    return {key: value for key, value in mapping.items() if key not in unwanted}


def keys_with_value(mapping, wanted):
    return [key for key, value in mapping.items() if value == wanted]


def key_of_largest(mapping):
    return max(mapping, key=mapping.get)


def key_of_smallest(mapping):
    return min(mapping, key=mapping.get)


def sum_of_values(mapping):
    return sum(mapping.values())


def largest_value(mapping):
    return max(mapping.values())


def smallest_value(mapping):
    return min(mapping.values())


def average_value(mapping):
    return sum(mapping.values()) / len(mapping)


def count_items(items):
    counts = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


def most_common(items):
    return max(items, key=items.count)


def least_common(items):
    return min(items, key=items.count)


def group_by_length(words):
    groups = {}
    for word in words:
        groups.setdefault(len(word), []).append(word)
    return groups


def group_by_first_letter(words):
    groups = {}
    for word in words:
        groups.setdefault(word[0], []).append(word)
    return groups


def index_by(rows, field):
    return {row[field]: row for row in rows}


def pluck(rows, field):
    return [row[field] for row in rows]


def rows_where(rows, field, wanted):
    return [row for row in rows if row[field] == wanted]


def pairs_to_dict(keys, values):
    return dict(zip(keys, values))


def sorted_by_value(mapping):
    return sorted(mapping, key=mapping.get)


def sorted_by_key(mapping):
    return [mapping[key] for key in sorted(mapping)]


def has_all_keys(mapping, keys):
    return all(key in mapping for key in keys)


def has_any_key(mapping, keys):
    return any(key in mapping for key in keys)


def missing_keys(mapping, keys):
    return [key for key in keys if key not in mapping]


def common_keys(first, second):
    return [key for key in first if key in second]


def changed_keys(old, new):
    return [key for key in old if key in new and old[key] != new[key]]


def added_keys(old, new):
    return [key for key in new if key not in old]


def removed_keys(old, new):
    return [key for key in old if key not in new]


def scale_values(mapping, factor):
    return {key: value * factor for key, value in mapping.items()}


def filter_values_above(mapping, limit):
    return {key: value for key, value in mapping.items() if value > limit}


def add_counts(first, second):
    return {key: first.get(key, 0) + second.get(key, 0) for key in {**first, **second}}


def nested_get(mapping, outer, inner):
    return mapping.get(outer, {}).get(inner)


def upper_keys(mapping):
    return {key.upper(): value for key, value in mapping.items()}
