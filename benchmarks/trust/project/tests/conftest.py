import pytest
from tally.testing import sample


@pytest.fixture
def ledger():
    return sample()


@pytest.fixture
def names(ledger):
    return ledger.names()
