"""hpo: a hyperparameter-search service for deep-learning training recipes.

In Python as on the command line:

    import hpo

    result = hpo.search("cnn", trials=20)
    result.best.config
    result.trials  # a pandas DataFrame

The words are those of `hpo search`; what is wrong with them is an `hpo.InputError` with all of it. Importing
this takes a moment only: what is heavy is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

from hpo.errors import HpoError, InputError, InterruptedSearch, SearchError

if TYPE_CHECKING:
    from hpo.api import Best, Result, load, search, train

__version__ = "0.1.0"

__all__ = [
    "Best",
    "HpoError",
    "InputError",
    "InterruptedSearch",
    "Result",
    "SearchError",
    "load",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    """Return what is heavy, when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'hpo' has no attribute {name!r}")
    from hpo import api

    return getattr(api, name)
