"""Work by several threads whose results come in order."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_order(
    pool: Executor, work: Callable[[A], B], items: Iterable[A], ahead: int
) -> Generator[tuple[A, B], None, None]:
    """Work on up to `ahead` items at a time; yield items with results in the given order."""
    queue: list[tuple[A, Future[B]]] = []
    source = iter(items)
    try:
        while True:
            queue += [
                (item, pool.submit(work, item)) for item in islice(source, ahead - len(queue))
            ]
            if not queue:
                return
            item, future = queue.pop(0)
            yield item, future.result()
    finally:
        for _, future in queue:
            future.cancel()
