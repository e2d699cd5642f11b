"""Texts in pickles of others, read without running anything of theirs."""

import binascii
import io
import pickle  # nosec B403  # only the reader below, which finds no class
import zlib
from typing import Any, NoReturn

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
    unzip = zlib.decompressobj()
    try:
        data = unzip.decompress(binascii.a2b_base64(packed), most + 1)
        if len(data) > most or not unzip.eof:
            raise UnusableRow(f"a pickled field is torn, or longer than {most >> 20} MiB")
        value = PlainUnpickler(io.BytesIO(data)).load()
    except UnusableRow:
        raise
    except Exception as error:  # unpickling raises anything
        raise UnusableRow(f"a pickled field: {type(error).__name__}: {error}") from None
    if not isinstance(value, str):
        raise UnusableRow("a pickled field is not a text")
    return value
