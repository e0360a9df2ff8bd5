"""An independent look at a search: whether its ledger and MLflow say what can have happened, and the same.

It shares no code with what writes them and reads nothing but the two databases, with queries of its own:
an error in the writer, in the history or in the upload is not repeated here.
"""

from __future__ import annotations

from hpo.audit import ledger
from hpo.audit.check import Check

__all__ = ["Check", "audit"]


def audit(store: str, name: str, tracking: str) -> list[Check]:
    """Check a search.

    Args:
        store: the SQLAlchemy address of the ledger.
        name: the search's name.
        tracking: the address of MLflow.

    Raises:
        InputError: there is no such search.
    """
    account = ledger.read(store, name)
    from hpo.audit import mirror  # MLflow takes seconds to import, and a wrong name is said before

    return [*account.checks, *mirror.examine(account, tracking)]
