import operator


def same(left, right):
    if not operator.eq(left, right):
        raise AssertionError(f"{left!r} != {right!r}")
