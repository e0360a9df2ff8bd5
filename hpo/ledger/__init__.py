"""The ledger: what happened in every search, written once, in order, and read by everything else."""

from hpo.ledger.intake import take_in
from hpo.ledger.ledger import Ledger
from hpo.ledger.meter import Meter, time_used
from hpo.ledger.outline import best_configs, outline
from hpo.ledger.patience import Patience, patiently
from hpo.ledger.pulse import beating
from hpo.ledger.trouble import UnreachableError
from hpo.ledger.writer import Writer

__all__ = [
    "Ledger",
    "Meter",
    "Patience",
    "UnreachableError",
    "Writer",
    "beating",
    "best_configs",
    "outline",
    "patiently",
    "take_in",
    "time_used",
]
