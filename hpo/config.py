"""A configuration: one point of a search space, under the same dotted names everywhere."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Value = None | bool | int | float | str


class Config(Mapping[str, Value]):
    """A frozen mapping from dotted names to plain values, JSON in and out.

    A branch is named by its own key and its hyperparameters lie below it:
    `{"optimizer": "sgd", "optimizer.lr": 0.05, "model.dropout": 0.2}`.
    Keys are kept sorted, so that equal configs print alike and hash alike.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(sorted(values.items()))

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.to_json() == other.to_json()

    def __repr__(self) -> str:
        return f"Config({self._values!r})"

    def __or__(self, other: Mapping[str, Value]) -> Config:
        """Return a config in which the values of `other` win."""
        return Config({**self._values, **other})

    def below(self, name: str) -> dict[str, Value]:
        """Return the values under `name.`, by their last name.

        >>> Config({"optimizer": "sgd", "optimizer.lr": 0.1}).below("optimizer")
        {'lr': 0.1}
        """
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.items() if key.startswith(prefix)}

    def to_json(self) -> str:
        """Return the config as a flat JSON object with sorted keys; floats round-trip exactly."""
        return json.dumps(self._values, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Read what `to_json` wrote."""
        return cls(read_json(text))

    @property
    def digest(self) -> str:
        """A short name for this configuration, the same on every machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]


def read_json(text: str) -> Any:
    """Read JSON of which there is much with the same names: each name is held in memory once."""
    return json.loads(text, object_pairs_hook=_named)


def _named(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {sys.intern(name): value for name, value in pairs}
