"""The files of a commit, read from git's objects.

What `git archive` and a checkout write depends on attributes and links. The objects depend on
nothing, and the image, the proofs and the tasks all start from the same ones.
"""

from collections.abc import Iterator

ATTRIBUTES = "* -text -ident !working-tree-encoding -filter !diff\n"
"""For `info/attributes` of a repository, where it overrides all other attributes of the files: the
working tree has exactly the bytes of the objects, and a diff shows text as text."""

LIST_FILES = ("ls-tree", "-r", "-z", "--full-tree")
PRINT_FILES = ("cat-file", "--batch")

_FILES = ("100644", "100755")  # git's modes; others are links and submodules


def regular_files(listing: bytes) -> dict[str, str]:
    """The ids by path of the files that `LIST_FILES` lists, without links and submodules.

    Bytes of a path that are not UTF-8 become surrogates.
    """
    found: dict[str, str] = {}
    for entry in listing.split(b"\0")[:-1]:
        about, _, path = entry.partition(b"\t")
        mode, _, name = about.decode().split(" ")
        if mode in _FILES:
            found[path.decode("utf-8", "surrogateescape")] = name
    return found


def contents(batch: bytes) -> Iterator[bytes]:
    """The contents that `PRINT_FILES` prints, in the order of the request.

    Raises ValueError for an object that the repository lacks.
    """
    start = 0
    while start < len(batch):
        end = batch.index(b"\n", start)
        *_, size = batch[start:end].split(b" ")
        begin = end + 1
        yield batch[begin : begin + int(size)]
        start = begin + int(size) + 1
