"""Process several sources at the same time, and end cleanly when interrupted."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from forager.cli.console import echo, say
from forager.cli.progress import Progress
from forager.errors import BuildError, ForagerError, SandboxError, UsageError

T = TypeVar("T")


def make_all(
    what: str, sources: Sequence[str], make: Callable[[str, Progress], T], workers: int
) -> list[T | ForagerError]:
    """Call `make` for each source; the error of one source does not stop the others."""
    lock = Lock()
    done = failed = 0

    with Progress(what, len(sources)) as progress:

        def make_one(source: str) -> T | ForagerError:
            nonlocal done, failed
            result: T | ForagerError
            try:
                result = make(source, progress)
            except ForagerError as error:
                result = error
                if len(sources) > 1:
                    print_error(error, source, progress.note)
            with lock:
                done += 1
                failed += isinstance(result, ForagerError)
                progress.update(done, failed=failed)
            return result

        if len(sources) == 1:  # in this thread, so that Ctrl-C reaches it
            return [make_one(sources[0])]
        with ThreadPoolExecutor(workers) as pool:
            try:
                return list(pool.map(make_one, sources))
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                say("interrupted; waiting for running work to end")
                raise


def succeeded(results: Sequence[T | ForagerError]) -> list[T]:
    """The results without the errors."""
    return [result for result in results if not isinstance(result, ForagerError)]


def raise_failures(results: Sequence[T | ForagerError]) -> None:
    """End the verb if a source failed; the errors of several have been printed already."""
    errors = [result for result in results if isinstance(result, ForagerError)]
    if errors and len(results) == 1:
        raise errors[0]
    if errors:
        users = all(isinstance(error, UsageError) for error in errors)
        kind = UsageError if users else ForagerError
        raise kind(f"{len(errors)} of {len(results)} failed, see above")


@contextmanager
def going_on(name: str, results: list[T | ForagerError], count: int) -> Iterator[None]:
    """Keep the error of one of `count` projects among the results, so that the next one begins.

    Errors that the next one would meet too, such as of the engine or a model, pass through.
    """
    try:
        yield
    except (BuildError, SandboxError, UsageError) as error:
        results.append(error)
        if count > 1:
            print_error(error, name, lambda text: echo(text, stderr=True))


def print_error(error: ForagerError, source: str, note: Callable[[str], None]) -> None:
    """Print the error of a source, with the relevant lines of its build log."""
    named = str(error).startswith(f"{source}: ")
    note(f"forager: {error}" if named else f"forager: {source}: {error}")
    if isinstance(error, BuildError) and error.log:
        note(error.log.rstrip())


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a verb as Ctrl-C does, unless they are ignored."""

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
