"""A search space: what is fixed, what is searched, and the way between configs and the sampler's numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final, cast, final

from hpo.config import Config, Value
from hpo.space.nodes import POINTS, Fixed, Node, OneOf, Points, values
from hpo.space.ranges import TRUST, OneMinusLog, Suggest
from hpo.space.writing import write

FEW: Final = 2000
"""So many draws are told apart one by one."""


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

    @property
    def words(self) -> tuple[str, ...]:
        """The branches to choose from; none if it is a leaf."""
        return self.node.options if isinstance(self.node, OneOf) else ()

    def says(self, value: Value) -> Iterable[tuple[str, Value]]:
        """Return what a config says where this place has a value: that value, or a whole point's."""
        if isinstance(self.node, Points) and isinstance(value, int):
            return self.node.configs[value].items()
        return [(self.key, value)]

    def heard(self, config: Config) -> Value:
        """Return the value that a config has in this place, None if it has none."""
        return self.node.number(config) if isinstance(self.node, Points) else config.get(self.key)


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
    def fixed(self) -> dict[str, Value]:
        """What is fixed outside of branches, by config key."""
        return {key: node.value for key, node in self.nodes.items() if isinstance(node, Fixed)}

    @property
    def first(self) -> Config:
        """The configuration that takes the first of all options; the only one, if nothing is searched."""
        walk = self._walk(
            lambda place: place.node.value if isinstance(place.node, Fixed) else place.node.options[0]
        )
        return Config({parameter.key: value for parameter, value in walk})

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Everything that is searched, in every branch."""
        return tuple(parameter for parameter in self._everything() if parameter.node.searched)

    @property
    def groups(self) -> list[list[Parameter]]:
        """What is searched, in groups that are always there together: outside of branches, and in each."""
        together, branches = list[Parameter](), list[list[Parameter]]()
        for top, branched in self._places:
            below = [*branched.values()]
            together += [top, *(below[0] if len(below) == 1 else ())]
            branches += below if len(below) > 1 else ()
        return [[it for it in group if it.node.searched] for group in (together, *branches)]

    def sample(self, suggest: Suggest) -> Config:
        """Ask for each searched value and return the config; only the branch proposed is gone into."""
        walk = self._walk(lambda parameter: parameter.node.ask(parameter.name, suggest))
        return Config({name: item for parameter, value in walk for name, item in parameter.says(value)})

    def draw(self, rng: random.Random, trust: float = TRUST) -> dict[str, Value]:
        """Draw the sampler's parameters from the expert's prior.

        With a prior, a value follows it to the share `trust` and is uniform otherwise, so that a wrong expert
        costs little: numbers come from a normal around the expert's value, truncated to the range,
        with a sixth of the range as standard deviation; options come by their weights. Without a
        prior, draws are uniform. Both are meant on the verb's own scale. Only the branch that was
        drawn contributes its parameters.
        """
        return self._drawn(lambda parameter: parameter.node.draw(rng, trust))

    def near(self, params: Mapping[str, Value], rng: random.Random) -> dict[str, Value]:
        """Draw the sampler's parameters around those of another draw.

        Numbers come from a normal of a sixth of the range around the other's; options stay mostly. What the
        other has none of, since it is in another branch, is drawn from the prior.
        """

        def choose(parameter: Parameter) -> Value:
            node = parameter.node
            known = parameter.name in params
            return node.near(cast("Any", params[parameter.name]), rng) if known else node.draw(rng)

        return self._drawn(choose)

    @cached_property
    def switches(self) -> list[tuple[str, Value]]:
        """Every word that can be chosen of those that open branches, with the name of its place."""
        return [(it.name, word) for it, _ in self._places if it.node.searched for word in it.words]

    def switch(self, params: Mapping[str, Value], rng: random.Random) -> dict[str, Value]:
        """Return the parameters of another draw with one word exchanged, and all else as it was.

        What only the new word's branch has is drawn from the prior.

        Raises:
            IndexError: if the space has no `switches`.
        """
        name, word = rng.choice([(name, word) for name, word in self.switches if params.get(name) != word])
        return self.complete({**params, name: word}, rng)

    def complete(self, params: Mapping[str, Value], rng: random.Random) -> dict[str, Value]:
        """Return parameters that are known in part; the others are drawn from the prior."""
        return self._drawn(lambda it: params[it.name] if it.name in params else it.node.draw(rng))

    @cached_property
    def every(self) -> list[dict[str, Value]]:
        """Each draw that there can be, in one order; nothing where they are more than a few (`FEW`)."""
        if self._size > FEW:
            return []
        return [
            {name: value for part in parts for name, value in part.items()}
            for parts in product(*(list(_alternatives(*place)) for place in self._places))
        ]

    @property
    def _size(self) -> float:
        """How many draws there can be; infinite where any number of a range can be drawn."""
        sizes = (
            sum(math.prod(map(_count, below)) for below in branches.values()) if branches else _count(top)
            for top, branches in self._places
        )
        return math.prod(sizes)

    @cached_property
    def expected(self) -> bool:
        """Whether an expert has said anything of it."""
        return any(getattr(parameter.node, "prior", None) not in (None, {}) for parameter in self.parameters)

    def _drawn(self, choose: Callable[[Parameter], Value]) -> dict[str, Value]:
        return {parameter.name: value for parameter, value in self._walk(choose) if parameter.node.searched}

    def locate(self, config: Config) -> dict[str, Value]:
        """Return the sampler's parameters of a config: `sample` gives back exactly these values.

        What the space does not search, or not at this value, is left out.
        """
        walk = self._walk(lambda parameter: parameter.heard(config))
        return {
            parameter.name: drawn
            for parameter, value in walk
            if parameter.key in config or isinstance(parameter.node, Points)
            for drawn in parameter.node.find(value)
        }

    @property
    def listed(self) -> list[Config]:
        """The configurations that it lists (`points`), each with what is fixed beside them."""
        points = self.nodes.get(POINTS)
        return [Config(self.fixed | dict(it)) for it in points.configs] if isinstance(points, Points) else []

    def turns(self, tried: Mapping[str, Value] | None) -> list[dict[str, Value]]:
        """Return what is to be proposed first, trial by trial: each listed point but one that was tried."""
        node = self.nodes.get(POINTS)
        numbers = node.options if isinstance(node, Points) and node.searched else ()
        turns: list[dict[str, Value]] = [{POINTS: number} for number in numbers]
        return [turn for turn in turns if turn != tried]

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
        for top, branches in self._places:
            value = choose(top)
            yield top, value
            for parameter in branches.get(str(value), ()) if branches else ():
                yield parameter, choose(parameter)

    def _everything(self) -> Iterator[Parameter]:
        for top, branches in self._places:
            yield top
            for parameters in branches.values():
                yield from parameters

    @cached_property
    def _places(self) -> list[tuple[Parameter, Mapping[str, list[Parameter]]]]:
        """The places at the top, each with those in its branches."""
        tops = [_parameter(key, key, node) for key, node in self.nodes.items()]
        return [(top, {word: _below(top, word) for word in top.words}) for top in tops]


def _parameter(path: str, key: str, node: Node) -> Parameter:
    head, dot, last = path.rpartition(".")
    return Parameter(f"{head}{dot}one_minus_{last}" if isinstance(node, OneMinusLog) else path, key, node)


def _count(place: Parameter) -> float:
    found = values(place.node)
    return math.inf if found is None else len(found)


def _alternatives(top: Parameter, branches: Mapping[str, Sequence[Parameter]]) -> Iterator[dict[str, Value]]:
    """Yield what can be drawn of a place at the top, each value with all that its branch has."""
    for value in values(top.node) or ():
        below = branches.get(str(value), ())
        for drawn in product([value], *(values(it.node) or () for it in below)):
            yield {it.name: found for it, found in zip((top, *below), drawn, strict=True) if it.node.searched}


def _below(top: Parameter, word: Value) -> list[Parameter]:
    """Return the places in one branch."""
    leaves = top.node.branches.get(str(word), {}) if isinstance(top.node, OneOf) else {}
    return [
        _parameter(f"{top.name}.{word}.{name}", f"{top.key}.{name}", leaf) for name, leaf in leaves.items()
    ]
