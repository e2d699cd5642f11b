"""What `speed` measures, in one process: `workloads.py TOOL WORKLOAD SIZE` prints JSON."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = Path(__file__).name
SINK = Path(os.devnull).open("w")  # noqa: SIM115  (until the process ends)
GRAPH = {node: [(node * 7 + step * step) % 40 for step in (1, 2, 3)] for node in range(40)}
TEXT = (
    "the quick brown fox jumps over the lazy dog and runs away from all of the hounds that follow "
    "it through the woods until the evening when they go home tired and happy"
)


def numeric(size: int) -> int:
    """Numbers only."""
    a, b, total = 0, 1, 0
    for i in range(size):
        if i % 3 == 0:
            a = a + b
            a %= 1000003
        elif i % 3 == 1:
            b = (b * 31 + i) % 9973
        else:
            total += a - b
    return total


def search(size: int) -> int:
    """Breadth-first search: a queue, a dict and a list that grow to 40 items."""
    total = 0
    for start in range(size):
        queue, distances, order = [start % 40], {start % 40: 0}, []
        while queue:
            node = queue.pop(0)
            order.append(node)
            for neighbour in GRAPH[node]:
                if neighbour not in distances:
                    distances[neighbour] = distances[node] + 1
                    queue.append(neighbour)
        total += max(distances.values())
    return total


def words(size: int) -> int:
    """Counting: one dict of two dozen items and a tuple."""
    text = tuple(TEXT.split())
    counts: dict[str, int] = {}
    longest = ("", 0)
    for number in range(size):
        word = text[number % len(text)]
        count = counts.get(word, 0) + 1
        counts[word] = count
        if count > longest[1]:
            longest = (word, count)
    return len(counts)


def suite(_: int) -> Any:
    """The tests of toolz."""
    import pytest
    import toolz

    return pytest.main(["-q", "-p", "no:cacheprovider", str(Path(toolz.__file__).parent)])


def recorder(tool: str, wanted: Any) -> Any:
    """The recorder in C or in Python."""
    sys.path.insert(0, str(ROOT / "forager" / "programs"))
    from tracer.building import helper  # type: ignore[import-not-found]
    from tracer.codes import describer  # type: ignore[import-not-found]
    from tracer.fallback import RecordingLimits  # type: ignore[import-not-found]
    from tracer.recorder import Recorder  # type: ignore[import-not-found]

    made = helper([os.environ.get("TMPDIR", "/tmp")]) if tool == "c" else None
    return Recorder(describer(wanted), RecordingLimits(10**9, 10**10, 1e9, 1000), made)


def run_under(tool: str, call: Any, size: int, files: str) -> tuple[float, int]:
    """CPU seconds of a call under a tool, and bytes of its stream."""
    begin: Any
    end: Any = lambda: None  # noqa: E731
    if tool in ("c", "python"):
        made = recorder(tool, lambda file: NAME if files in file else "")
        begin, end = made.start, made.stop
    elif tool == "hunter":
        import hunter
        from hunter.actions import VarsSnooper

        action = VarsSnooper(stream=SINK)
        begin = lambda: hunter.trace(filename_contains=files, action=action)  # noqa: E731
        end = hunter.stop
    elif tool == "pysnooper":
        import pysnooper

        call = pysnooper.snoop(SINK)(call)
        begin = lambda: None  # noqa: E731
    elif tool == "snoop":
        import snoop

        snoop.install(out=SINK, color=False)
        call = snoop.snoop(call)
        begin = lambda: None  # noqa: E731
    else:
        begin = lambda: None  # noqa: E731
    start = time.process_time()
    begin()
    call(size)
    found = end()
    seconds = time.process_time() - start
    return seconds, len(found[0]) if tool in ("c", "python") else 0


def lines_of(call: Any, size: int) -> int:
    """How many line events a call has."""
    count = 0

    def local(_: Any, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    sys.settrace(lambda frame, *_: local if frame.f_code.co_filename == __file__ else None)
    call(size)
    sys.settrace(None)
    return count


def main() -> None:
    """Run one workload under one tool."""
    tool, workload, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    call = {"numeric": numeric, "search": search, "words": words, "suite": suite}[workload]
    files = "toolz" if workload == "suite" else NAME
    seconds, stream = run_under(tool, call, size, files)
    lines = 1 if workload == "suite" else lines_of(call, size)
    print("\n" + json.dumps({"seconds": seconds, "lines": lines, "bytes": stream}))


if __name__ == "__main__":
    main()
