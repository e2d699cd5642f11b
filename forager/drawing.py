"""Random draws of records, by their ids."""

from hashlib import blake2b


def drawn(id: str, seed: int) -> int:
    """The number drawn for an id, which depends on nothing else than the seed.

    The records with the smallest numbers are a sample; a larger sample contains a smaller one.
    """
    key = seed.to_bytes(16, "big", signed=True)
    return int.from_bytes(blake2b(id.encode(), digest_size=8, key=key).digest(), "big") >> 1
