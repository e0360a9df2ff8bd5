"""MLflow as one more reader of the ledger: it follows a search from a cursor, and nothing waits for it.

One experiment per recipe, in it one parent run per search and one child run per trial. The cursor, the
number of the last record that is in, is a tag of the parent run: it lies where the data lies, so whoever
goes on, on whatever machine, goes on from there. What is sent twice changes nothing.

A search starts `python -m hpo.tracking NAME [URI]` as a process of its own. Importing this package
imports no MLflow, which takes seconds; `hpo.tracking.tracker` does.
"""

from hpo.tracking.attaching import attach
from hpo.tracking.fetching import fetch
from hpo.tracking.following import follow, sync
from hpo.tracking.places import Ui, default_uri, ui

__all__ = ["Ui", "attach", "default_uri", "fetch", "follow", "sync", "ui"]
