"""What users of tally test their code with."""


def assert_close(left, right, tolerance=1e-9):
    """Both are the same number, up to the tolerance."""
    if abs(left - right) > tolerance:
        raise AssertionError(f"{left!r} is not close to {right!r}")


def sample():
    """A ledger with three entries."""
    from tally.ledger import Entry, Ledger

    return Ledger([Entry("rent", 70000), Entry("food", 12550), Entry("rent", 1005)])
