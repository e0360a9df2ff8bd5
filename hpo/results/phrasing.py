"""A configuration, and a value, in a few words."""

from __future__ import annotations

from collections.abc import Iterator

from hpo.config import Config, Value
from hpo.training.words import VOCABULARY


def short(config: Config) -> str:
    """Return a config in a few words: its optimizer, lr and schedule, and whatever is not at its default.

    >>> short(Config({"optimizer": "sgd", "optimizer.lr": 0.05, "schedule": "cosine", "clip_norm": None}))
    'sgd lr=0.05 · cosine'
    """
    config = _telling(config)
    heads = dict.fromkeys([*_PLAIN, *(key.partition(".")[0] for key in config)])
    return " · ".join(filter(None, (" ".join(_phrase(config, head)) for head in heads)))


def _telling(config: Config) -> Config:
    """Return what a reader could not guess: all but the defaults of the words that are in the config."""
    vocabulary = VOCABULARY.saying(config)
    branches = vocabulary.branches
    named = Config({key: word for key, word in config.items() if word in branches.get(key, ())})
    own = [
        key for key in branches if key in config and key not in named
    ]  # of the recipe, without known defaults
    implied = vocabulary.defaults(named) | vocabulary.default_values
    implied = Config({key: value for key, value in implied.items() if key.partition(".")[0] not in own})
    guessed = {key for key, value in implied.items() if key not in _ALWAYS and config.get(key) == value}
    return Config({key: value for key, value in config.items() if key not in guessed})


def _phrase(config: Config, head: str) -> Iterator[str]:
    """The words for one part of a config: `sgd lr=0.05`, `clip 1`, `model width=32`."""
    value = config.get(head)
    below = {name: item for name, item in config.below(head).items() if item is not None}
    names = sorted(below, key=lambda name: name != "lr")  # what is looked for first comes first
    if isinstance(value, str) and head in _PLAIN:
        yield value
    elif value is not None:
        yield f"{_NICKNAMES.get(head, head)} {brief(value)}"
    elif below:
        yield head
    for name in names:
        yield name if below[name] is True else f"{name}={brief(below[name])}"


_PLAIN = ("optimizer", "schedule")  # whose words speak for themselves
_ALWAYS = (*_PLAIN, "optimizer.lr")
_NICKNAMES = {"clip_norm": "clip", "clip_value": "clip value", "batch_size": "batch"}


def brief(value: Value, digits: int = 3) -> str:
    """Return a value in at most about eight characters: `0.05`, `1.2e-5`, `false`.

    >>> brief(0.000012345)
    '1.23e-5'
    """
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e")
        if isinstance(value, float)
        else str(value)
    )
