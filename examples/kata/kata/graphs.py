"""Graphs as dictionaries of neighbours, and trees as nested pairs."""


def node_count(graph):
    return len(graph)


def edge_count(graph):
    return sum(len(targets) for targets in graph.values())


def has_edge(graph, start, end):
    return end in graph[start]


def out_degree(graph, node):
    return len(graph[node])


def in_degree(graph, node):
    return sum(node in targets for targets in graph.values())


def edges(graph):
    return [(start, end) for start in graph for end in graph[start]]


def sources(graph):
    targets = {end for ends in graph.values() for end in ends}
    return [node for node in graph if node not in targets]


def sinks(graph):
    return [node for node in graph if not graph[node]]


def reversed_graph(graph):
    return {node: [other for other in graph if node in graph[other]] for node in graph}


def are_connected(graph, a, b):
    return b in graph[a] or a in graph[b]


def isolated_nodes(edges, nodes):
    return [node for node in nodes if all(node not in edge for edge in edges)]


def is_path(graph, nodes):
    return all(b in graph[a] for a, b in zip(nodes, nodes[1:]))


def path_length(nodes):
    return len(nodes) - 1


def is_cycle(nodes):
    return len(nodes) > 1 and nodes[0] == nodes[-1]


def path_cost(nodes, costs):
    return sum(costs[a, b] for a, b in zip(nodes, nodes[1:]))


def reachable(graph, start):
    found, waiting = {start}, [start]
    while waiting:
        for node in graph[waiting.pop()]:
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found


def tree_size(tree):
    return 1 + sum(tree_size(child) for child in tree)


def tree_depth(tree):
    return 1 + max((tree_depth(child) for child in tree), default=0)


def leaf_count(tree):
    return sum(leaf_count(child) for child in tree) if tree else 1


def is_leaf(tree):
    return len(tree) == 0


def left_child(index):
    return 2 * index + 1


def right_child(index):
    return 2 * index + 2


def parent_index(index):
    return (index - 1) // 2


def nodes_at_depth(depth):
    return 2**depth


def complete_edges(count):
    return count * (count - 1) // 2
