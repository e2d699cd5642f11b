from kata.graphs import (
    are_connected,
    complete_edges,
    edge_count,
    edges,
    has_edge,
    in_degree,
    is_cycle,
    is_leaf,
    is_path,
    isolated_nodes,
    leaf_count,
    left_child,
    node_count,
    nodes_at_depth,
    out_degree,
    parent_index,
    path_cost,
    path_length,
    reachable,
    reversed_graph,
    right_child,
    sinks,
    sources,
    tree_depth,
    tree_size,
)


def test_node_count():
    assert node_count({"a": ["b"], "b": []}) == 2


def test_edge_count():
    assert edge_count({"a": ["b", "c"], "b": ["c"], "c": []}) == 3


def test_has_edge():
    assert has_edge({"a": ["b"], "b": []}, "a", "b")
    assert not has_edge({"a": ["b"], "b": []}, "b", "a")


def test_out_degree():
    assert out_degree({"a": ["b", "c"], "b": ["c"], "c": []}, "a") == 2


def test_in_degree():
    assert in_degree({"a": ["b", "c"], "b": ["c"], "c": []}, "c") == 2


def test_edges():
    assert edges({"a": ["b", "c"], "b": []}) == [("a", "b"), ("a", "c")]


def test_sources():
    assert sources({"a": ["b"], "b": [], "c": ["b"]}) == ["a", "c"]


def test_sinks():
    assert sinks({"a": ["b"], "b": [], "c": ["b"]}) == ["b"]


def test_reversed_graph():
    assert reversed_graph({"a": ["b"], "b": []})["b"] == ["a"]
    assert reversed_graph({"a": ["b"], "b": []})["a"] == []


def test_are_connected():
    assert are_connected({"a": ["b"], "b": []}, "a", "b")
    assert are_connected({"a": ["b"], "b": []}, "b", "a")
    assert not are_connected({"a": [], "b": []}, "a", "b")


def test_isolated_nodes():
    assert isolated_nodes([("a", "b")], ["a", "b", "c"]) == ["c"]


def test_is_path():
    assert is_path({"a": ["b"], "b": ["c"], "c": []}, ["a", "b", "c"])
    assert not is_path({"a": ["b"], "b": [], "c": []}, ["a", "b", "c"])


def test_path_length():
    assert path_length(["a", "b", "c"]) == 2


def test_is_cycle():
    assert is_cycle(["a", "b", "a"])
    assert not is_cycle(["a", "b"])
    assert not is_cycle(["a"])


def test_path_cost():
    assert path_cost(["a", "b", "c"], {("a", "b"): 2, ("b", "c"): 5}) == 7


def test_reachable():
    assert reachable({"a": ["b"], "b": ["c"], "c": [], "d": []}, "a") == {"a", "b", "c"}


def test_tree_size():
    assert tree_size([[], [[]]]) == 4


def test_tree_depth():
    assert tree_depth([[], [[]]]) == 3


def test_leaf_count():
    assert leaf_count([[], [[], []]]) == 3


def test_is_leaf():
    assert is_leaf([])
    assert not is_leaf([[]])


def test_left_child():
    assert left_child(3) == 7


def test_right_child():
    assert right_child(3) == 8


def test_parent_index():
    assert parent_index(8) == 3
    assert parent_index(7) == 3


def test_nodes_at_depth():
    assert nodes_at_depth(3) == 8


def test_complete_edges():
    assert complete_edges(4) == 6
