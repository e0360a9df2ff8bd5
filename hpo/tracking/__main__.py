"""`python -m hpo.tracking NAME [URI]`: follow a search until it is over and all of it is in MLflow.

The ledger's address comes in HPO_STORE: it may hold a password, and everyone may read a command line.
Silent, but for one line if it has to give up. SIGTERM ends it after the batch that is under way. Ctrl-C
reaches it with the rest of the terminal's group and is ignored: when to stop is for the driver to say.
"""

import gc
import os
import signal
import sys
import threading
import warnings
from typing import Final

from hpo.tracking.following import follow

_RARELY: Final = 200_000
"""Objects made between two looks for garbage: of the million that imports make, all stay."""


def main(name: str, uri: str = "") -> str | None:
    """Follow the search; return why it gave up, or None."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(19)  # training goes first
    warnings.simplefilter("ignore")
    gc.set_threshold(_RARELY)
    from hpo.ledger import Ledger  # heavy, so only once a signal does no harm

    try:
        return follow(Ledger(os.environ["HPO_STORE"]), name, uri, stop=stop)
    finally:
        gc.freeze()  # or the interpreter would take its time to clear what ends with it anyway


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
