"""Doing one thing to each of several sources, some at a time."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from forager.cli.console import say
from forager.cli.progress import Progress
from forager.errors import BuildError, ForagerError, UsageError

T = TypeVar("T")


def make_all(
    what: str, sources: Sequence[str], make: Callable[[str, Progress], T], workers: int
) -> list[T | ForagerError]:
    """Call `make` for each source; one that fails gives its error and does not stop the others."""
    lock = Lock()
    done = failed = 0

    with Progress(what, len(sources)) as progress:

        def one(source: str) -> T | ForagerError:
            nonlocal done, failed
            result: T | ForagerError
            try:
                result = make(source, progress)
            except ForagerError as error:
                result = error
                if len(sources) > 1:
                    tell(error, source, progress.note)
            with lock:
                done += 1
                failed += isinstance(result, ForagerError)
                progress.update(done, failed=failed)
            return result

        if len(sources) == 1:  # in this thread, so that Ctrl-C reaches it
            return [one(sources[0])]
        with ThreadPoolExecutor(workers) as pool:
            try:
                return list(pool.map(one, sources))
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                say("interrupted; waiting for what is running")
                raise


def succeeded(results: Sequence[T | ForagerError]) -> list[T]:
    """The results that are no errors."""
    return [one for one in results if not isinstance(one, ForagerError)]


def raise_failures(results: Sequence[T | ForagerError]) -> None:
    """End the verb if something failed; failures of several sources were told when they came."""
    errors = [one for one in results if isinstance(one, ForagerError)]
    if errors and len(results) == 1:
        raise errors[0]
    if errors:
        kind = UsageError if all(isinstance(one, UsageError) for one in errors) else ForagerError
        raise kind(f"{len(errors)} of {len(results)} failed, see above")


def tell(error: ForagerError, source: str, note: Callable[[str], None]) -> None:
    """Say what went wrong with a source, with the telling lines of a build's log."""
    note(f"forager: {source}: {error}")
    if isinstance(error, BuildError) and error.log:
        note(error.log.rstrip())


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM, and SIGHUP where it is not ignored, end a verb as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) == signal.SIG_DFL
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
