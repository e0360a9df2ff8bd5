import pytest

from hpo.ledger import Ledger


@pytest.fixture
def opened():
    """Open ledgers, which are closed in the end."""
    ledgers = []

    def open_at(address):
        ledgers.append(Ledger(address))
        return ledgers[-1]

    yield open_at
    for ledger in ledgers:
        ledger.close()
