"""Texts in pickles of others, read without running anything of theirs."""

import io
import pickle  # nosec B403  # only the reader below, which finds no class
from typing import Any, NoReturn

from forager.untrusted import Malformed, unpacked_bytes
from tasks.rows import UnusableRow


class PlainUnpickler(pickle.Unpickler):  # nosec B301  # it finds no class and calls nothing
    """Builds plain values only: texts, numbers, lists, tuples, dicts."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Raise: a pickle that names anything would call it."""
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        """Raise: there is nothing outside the pickle."""
        raise pickle.UnpicklingError(f"it refers to {pid!r}")


def unpickled_text(packed: str, most: int) -> str:
    """The text in a pickle, compressed by zlib and in base64; `most` bounds its bytes.

    Raises UnusableRow.
    """
    try:
        value = PlainUnpickler(io.BytesIO(unpacked_bytes(packed, most))).load()
    except Malformed as error:
        raise UnusableRow(f"a pickled field: {error}") from None
    except Exception as error:  # unpickling raises anything
        raise UnusableRow(f"a pickled field: {type(error).__name__}: {error}") from None
    if not isinstance(value, str):
        raise UnusableRow("a pickled field is not a text")
    return value
