"""A search space: what is fixed, what is searched, and the way between configs and the sampler's numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import final

from hpo.config import Config, Value
from hpo.space.nodes import Fixed, Node, OneMinusLog, OneOf, Suggest
from hpo.space.writing import write


@final
@dataclass(frozen=True, slots=True)
class Parameter:
    """One place in a space.

    `name` is its full path, by which the sampler knows it (`optimizer.sgd.one_minus_momentum`), and
    `key` is the config's name for it, without the branch (`optimizer.momentum`).
    """

    name: str
    key: str
    node: Node


@final
@dataclass(frozen=True)
class Space:
    """The nodes of a space by config key: `optimizer`, `batch_size`, `model.dropout`."""

    nodes: Mapping[str, Node]

    @classmethod
    def of(cls, config: Config, branches: Collection[str]) -> Space:
        """Return the space that holds this configuration alone; `branches` names the keys that open one."""
        nodes: dict[str, Node] = {}
        for key, value in config.items():
            if key in branches:
                leaves = {name: Fixed(leaf) for name, leaf in config.below(key).items()}
                nodes[key] = OneOf({str(value): leaves})
            elif key.partition(".")[0] not in branches:
                nodes[key] = Fixed(value)
        return cls(nodes)

    @property
    def first(self) -> Config:
        """The configuration that takes the first of all options; the only one, if nothing is searched."""
        walk = self._walk(
            lambda place: place.node.value if isinstance(place.node, Fixed) else place.node.options[0]
        )
        return Config({parameter.key: value for parameter, value in walk})

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Everything that is searched, in every branch."""
        return tuple(parameter for parameter in self._everything() if parameter.node.searched)

    def sample(self, suggest: Suggest) -> Config:
        """Ask for each searched value and return the config; only the branch proposed is gone into."""
        walk = self._walk(lambda parameter: parameter.node.ask(parameter.name, suggest))
        return Config({parameter.key: value for parameter, value in walk})

    def draw(self, rng: random.Random) -> dict[str, Value]:
        """Draw the sampler's parameters from the expert's prior.

        With a prior, a draw follows it 8 times of 10 and is uniform otherwise, so that a wrong expert
        costs little: numbers come from a normal around the expert's value, truncated to the range,
        with a sixth of the range as standard deviation; options come by their weights. Without a
        prior, draws are uniform. Both are meant on the verb's own scale. Only the branch that was
        drawn contributes its parameters.
        """
        walk = self._walk(lambda parameter: parameter.node.draw(rng))
        return {parameter.name: value for parameter, value in walk if parameter.node.searched}

    def locate(self, config: Config) -> dict[str, Value]:
        """Return the sampler's parameters of a config: `sample` gives back exactly these values.

        What the space does not search, or not at this value, is left out.
        """
        walk = self._walk(lambda parameter: config.get(parameter.key))
        return {
            parameter.name: drawn
            for parameter, value in walk
            if parameter.key in config
            for drawn in parameter.node.find(value)
        }

    def to_yaml(self) -> str:
        """Return the space as YAML; reading it gives an equal space."""
        form: dict[str, object] = {}
        owners: dict[str, dict[str, object]] = {}
        for key, node in self.nodes.items():
            head, _, option = key.partition(".")
            (owners.setdefault(head, {}) if option else form)[option or head] = node.form
        return write(form | owners)

    def _walk(self, choose: Callable[[Parameter], Value]) -> Iterator[tuple[Parameter, Value]]:
        """Yield each place with the value chosen for it, and go into the branches that were chosen."""
        for key, node in self.nodes.items():
            top = _parameter(key, key, node)
            value = choose(top)
            yield top, value
            for parameter in _below(top, value):
                yield parameter, choose(parameter)

    def _everything(self) -> Iterator[Parameter]:
        for key, node in self.nodes.items():
            top = _parameter(key, key, node)
            yield top
            for word in node.options if isinstance(node, OneOf) else ():
                yield from _below(top, word)


def _parameter(path: str, key: str, node: Node) -> Parameter:
    head, dot, last = path.rpartition(".")
    return Parameter(f"{head}{dot}one_minus_{last}" if isinstance(node, OneMinusLog) else path, key, node)


def _below(top: Parameter, word: Value) -> list[Parameter]:
    """Return the places in one branch."""
    leaves = top.node.branches.get(str(word), {}) if isinstance(top.node, OneOf) else {}
    return [
        _parameter(f"{top.name}.{word}.{name}", f"{top.key}.{name}", leaf) for name, leaf in leaves.items()
    ]
