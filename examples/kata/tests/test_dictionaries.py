from kata.dictionaries import (
    add_counts,
    added_keys,
    average_value,
    changed_keys,
    common_keys,
    count_items,
    filter_values_above,
    get_or,
    group_by_first_letter,
    group_by_length,
    has_all_keys,
    has_any_key,
    index_by,
    invert,
    key_of_largest,
    key_of_smallest,
    keys_with_value,
    largest_value,
    least_common,
    merge,
    merge_keeping_first,
    missing_keys,
    most_common,
    nested_get,
    omit_keys,
    pairs_to_dict,
    pick_keys,
    pluck,
    removed_keys,
    rows_where,
    scale_values,
    smallest_value,
    sorted_by_key,
    sorted_by_value,
    sum_of_values,
    upper_keys,
    with_key,
    without_key,
)


def test_invert():
    assert invert({"a": 1, "b": 2}) == {1: "a", 2: "b"}


def test_merge():
    assert merge({"a": 1, "b": 2}, {"b": 3}) == {"a": 1, "b": 3}


def test_merge_keeping_first():
    assert merge_keeping_first({"a": 1}, {"a": 2, "b": 3}) == {"a": 1, "b": 3}


def test_get_or():
    assert get_or({"a": 1}, "a", 0) == 1
    assert get_or({"a": 1}, "b", 0) == 0


def test_with_key():
    assert with_key({"a": 1}, "b", 2) == {"a": 1, "b": 2}


def test_without_key():
    assert without_key({"a": 1, "b": 2}, "a") == {"b": 2}


def test_pick_keys():
    assert pick_keys({"a": 1, "b": 2, "c": 3}, ["a", "c"]) == {"a": 1, "c": 3}


def test_omit_keys():
    assert omit_keys({"a": 1, "b": 2, "c": 3}, ["a", "c"]) == {"b": 2}


def test_keys_with_value():
    assert keys_with_value({"a": 1, "b": 2, "c": 1}, 1) == ["a", "c"]


def test_key_of_largest():
    assert key_of_largest({"a": 1, "b": 5, "c": 3}) == "b"


def test_key_of_smallest():
    assert key_of_smallest({"a": 4, "b": 5, "c": 3}) == "c"


def test_sum_of_values():
    assert sum_of_values({"a": 1, "b": 5}) == 6


def test_largest_value():
    assert largest_value({"z": 1, "a": 5, "b": 3}) == 5


def test_smallest_value():
    assert smallest_value({"a": 4, "b": 2, "c": 3}) == 2


def test_average_value():
    assert average_value({"a": 1, "b": 5}) == 3


def test_count_items():
    assert count_items("abca") == {"a": 2, "b": 1, "c": 1}


def test_most_common():
    assert most_common("abcacc") == "c"


def test_least_common():
    assert least_common("aabbbc") == "c"


def test_group_by_length():
    assert group_by_length(["a", "bc", "d"]) == {1: ["a", "d"], 2: ["bc"]}


def test_group_by_first_letter():
    assert group_by_first_letter(["apple", "bat", "ant"]) == {"a": ["apple", "ant"], "b": ["bat"]}


def test_index_by():
    assert index_by([{"id": 7, "x": 1}], "id") == {7: {"id": 7, "x": 1}}


def test_pluck():
    assert pluck([{"x": 1}, {"x": 2}], "x") == [1, 2]


def test_rows_where():
    assert rows_where([{"x": 1}, {"x": 2}], "x", 2) == [{"x": 2}]


def test_pairs_to_dict():
    assert pairs_to_dict(["a", "b"], [1, 2]) == {"a": 1, "b": 2}


def test_sorted_by_value():
    assert sorted_by_value({"a": 3, "b": 1, "c": 2}) == ["b", "c", "a"]


def test_sorted_by_key():
    assert sorted_by_key({"b": 1, "a": 2}) == [2, 1]


def test_has_all_keys():
    assert has_all_keys({"a": 1, "b": 2}, ["a", "b"])
    assert not has_all_keys({"a": 1}, ["a", "b"])


def test_has_any_key():
    assert has_any_key({"a": 1}, ["a", "b"])
    assert not has_any_key({"c": 1}, ["a", "b"])


def test_missing_keys():
    assert missing_keys({"a": 1}, ["a", "b"]) == ["b"]


def test_common_keys():
    assert common_keys({"a": 1, "b": 2}, {"b": 3, "c": 4}) == ["b"]


def test_changed_keys():
    assert changed_keys({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5}) == ["b"]


def test_added_keys():
    assert added_keys({"a": 1}, {"a": 1, "b": 2}) == ["b"]


def test_removed_keys():
    assert removed_keys({"a": 1, "b": 2}, {"a": 1, "c": 3}) == ["b"]


def test_scale_values():
    assert scale_values({"a": 1, "b": 3}, 4) == {"a": 4, "b": 12}


def test_filter_values_above():
    assert filter_values_above({"a": 1, "b": 5, "c": 7}, 5) == {"c": 7}


def test_add_counts():
    assert add_counts({"a": 1, "b": 2}, {"b": 3}) == {"a": 1, "b": 5}


def test_nested_get():
    assert nested_get({"a": {"b": 1}}, "a", "b") == 1
    assert nested_get({"a": {"b": 1}}, "c", "b") is None


def test_upper_keys():
    assert upper_keys({"aB": 1}) == {"AB": 1}
