"""A small vocabulary, the spaces that can be said in it, and a sampler that answers from a list."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from hpo.config import Value
from hpo.space import Choice, Fixed, Int, Leaf, Log, OneMinusLog, OneOf, Space, Uniform
from hpo.vocabulary import Contradiction, Hyperparameter, Vocabulary, Word

LR = Hyperparameter("lr", float, 0.1, "learning rate", low=0, open_low=True)
MOMENTUM = Hyperparameter("momentum", float, 0.0, "momentum", low=0, high=1, open_high=True)
NESTEROV = Hyperparameter("nesterov", bool, False, "look ahead")
SGD = Word(
    "sgd",
    "descent",
    (LR, MOMENTUM, NESTEROV),
    contradictions=(Contradiction({"nesterov": True, "momentum": 0}, "nesterov needs a momentum above 0"),),
)
ADAM = Word("adam", "moments", (LR, replace(MOMENTUM, name="beta1", default=0.9)))
CONSTANT = Word("constant", "stay")
STEP = Word("step", "stairs", (Hyperparameter("gamma", float, 0.1, "factor", 0, 1, open_low=True),))

VOCABULARY = Vocabulary(
    branches={
        "optimizer": {word.name: word for word in (SGD, ADAM)},
        "schedule": {word.name: word for word in (CONSTANT, STEP)},
    },
    values={
        "batch_size": Hyperparameter("batch_size", int, 64, "samples", low=1),
        "clip_norm": Hyperparameter("clip_norm", float, None, "bound", 0, open_low=True, optional=True),
    },
).with_options(
    {
        "model": {"dropout": 0.2, "width": 16, "activation": "relu", "free": None},
        "loss": {"label_smoothing": 0.0},
    }
)


@dataclass
class Answers:
    """Proposes what it was given, as Optuna does with an enqueued trial; else asks `rng`."""

    params: Mapping[str, Value]
    rng: random.Random | None = None

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        value = self._known(name) if self.rng is None else self.rng.uniform(low, high)
        assert isinstance(value, float)
        assert low <= value <= high
        assert not log or low > 0
        return value

    def suggest_int(self, name: str, low: int, high: int) -> int:
        value = self._known(name) if self.rng is None else self.rng.randint(low, high)
        assert isinstance(value, int)
        assert low <= value <= high
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        value = self._known(name) if self.rng is None else self.rng.choice(choices)
        assert value in choices
        return value

    def _known(self, name: str) -> Value:
        return self.params[name]


def rngs() -> st.SearchStrategy[random.Random]:
    return st.integers(0, 2**32).map(random.Random)


def leaves(hyperparameter: Hyperparameter) -> st.SearchStrategy[Leaf]:
    """Everything that can be said about one hyperparameter."""
    values = _values(hyperparameter)
    common = values.map(Fixed) | _choices(values)
    if hyperparameter.kind is int:
        return common | _ranges(values).flatmap(lambda pair: _expected(Int(*pair)))
    if hyperparameter.kind is float:
        return common | _numbers(hyperparameter, values.filter(lambda value: value is not None).map(float))
    return common


def _values(item: Hyperparameter) -> st.SearchStrategy[Value]:
    whole = st.integers(max(1, int(max(item.low, 1))), 10**6)
    low, high = max(item.low, -1e6), min(item.high, 1e6)
    real = st.floats(low, high, exclude_min=item.open_low, exclude_max=item.open_high)
    texts = st.text(st.characters(exclude_characters="$*&!", exclude_categories=["Cs", "Cc", "Cn", "Co"]))
    by_kind = {bool: st.booleans(), int: whole, float: real, str: texts, None: real | texts | st.booleans()}
    found: st.SearchStrategy[Value] = by_kind[item.kind]
    return found | st.none() if item.optional or item.kind is None else found


def _choices(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Leaf]:
    options = st.lists(values, min_size=2, max_size=4, unique=True).map(tuple)
    weighed = options.flatmap(lambda few: st.builds(Choice, st.just(few), _weights(few)))
    return options.map(Choice) | weighed.filter(lambda choice: not {None, "null"} <= {*choice.options})


def _weights(options: Sequence[Value]) -> st.SearchStrategy[dict[Value, float]]:
    return st.dictionaries(st.sampled_from(options), st.floats(0.1, 10), min_size=1)


def _ranges(values: st.SearchStrategy[Value]) -> st.SearchStrategy[list[Value]]:
    return st.lists(values, min_size=2, max_size=2, unique=True).map(sorted)


def _numbers(item: Hyperparameter, values: st.SearchStrategy[float]) -> st.SearchStrategy[Leaf]:
    positive = _ranges(values.filter(lambda value: value > 0))
    kinds = [_ranges(values).map(lambda pair: Uniform(*pair)), positive.map(lambda pair: Log(*pair))]
    if item.high == 1 and item.open_high:
        shares = _ranges(st.floats(1e-9, 1, exclude_max=True))
        kinds.append(shares.map(lambda pair: OneMinusLog(*pair)))
    return st.one_of(kinds).flatmap(_expected)


def _expected(node: Uniform | Log | OneMinusLog | Int) -> st.SearchStrategy[Leaf]:
    """The range, with and without an expert's value."""
    low, high = sorted(map(node.value, node.options))
    priors = st.integers(low, high) if isinstance(node, Int) else st.floats(low, high)
    return st.just(node) | priors.map(lambda prior: replace(node, prior=prior))


def _bodies(word: Word) -> st.SearchStrategy[dict[str, Leaf]]:
    named = {item.name: leaves(item) for item in word.hyperparameters if item is not NESTEROV}
    return st.fixed_dictionaries({}, optional=named)


@st.composite
def branches(draw: st.DrawFn, words: Mapping[str, Word]) -> OneOf | Fixed:
    chosen = draw(st.lists(st.sampled_from(sorted(words)), min_size=1, unique=True))
    if draw(st.booleans()):
        return Fixed(chosen[0])
    prior = draw(st.just({}) | _weights(chosen))
    return OneOf({word: draw(_bodies(words[word])) for word in chosen}, prior)


def spaces() -> st.SearchStrategy[Space]:
    """Every space in this vocabulary."""
    tops = {name: branches(words) for name, words in VOCABULARY.branches.items()}
    values = {name: leaves(item) for name, item in VOCABULARY.values.items()}
    options = {
        f"{owner}.{name}": leaves(item)
        for owner, own in VOCABULARY.options.items()
        for name, item in own.items()
    }
    return st.fixed_dictionaries({}, optional=tops | values | options).map(Space)
