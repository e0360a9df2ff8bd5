"""The words that a configuration may use: optimizers, schedules and their hyperparameters, single values.

A `Word` is a branch of the space with hyperparameters of its own (`optimizer: sgd` with
`optimizer.lr`), a single `Hyperparameter` stands alone (`clip_norm`, `model.dropout`). What the words *do*
is defined where they are built (`hpo.training`); here is only what may be said with them, so that every
reader (the space, the command line, the engine, the export, the docs) refuses and accepts the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from hpo.config import Config, Value
from hpo.errors import Problem, did_you_mean
from hpo.vocabulary.word import Contradiction, Hyperparameter, Word

_ELSEWHERE: Final[Mapping[str, str]] = {  # what others call them
    "learning_rate": "lr",
    "eta": "lr",
    "wd": "weight_decay",
    "decay": "weight_decay",
    "beta_1": "beta1",
    "beta_2": "beta2",
    "batch": "batch_size",
    "bs": "batch_size",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "lr_schedule": "schedule",
    "opt": "optimizer",
    "optim": "optimizer",
    "clip": "clip_norm",
    "grad_clip": "clip_norm",
    "gradient_clip": "clip_norm",
    "gradient_clip_val": "clip_norm",
    "max_grad_norm": "clip_norm",
    "warmup_steps": "warmup",
    "warmup_ratio": "warmup",
    "amp": "precision",
    "gradient_accumulation_steps": "accumulate",
}

MODEL: Final = "model"
LOSS: Final = "loss"


def repeated(branch: str, position: int) -> str:
    """Return what a branch is called where it is said once more: then, then_2, and so on."""
    return branch if position == 1 else f"{branch}_{position}"


def position_of(key: str, branch: str) -> int:
    """Return how often a branch has been said when it is said by this key; 0 if that is another's.

    >>> [position_of(key, "then") for key in ("then", "then_2", "then_12.gamma", "then_1", "schedule")]
    [1, 2, 12, 0, 0]
    """
    if not key.startswith(branch):
        return 0
    match = re.fullmatch(rf"{branch}(?:_([2-9]|[1-9][0-9]+))?", key.partition(".")[0])
    return int(match[1] or 1) if match else 0


@dataclass(frozen=True)
class Vocabulary:
    """All that can be said: `branches` (`optimizer` → words), `values`, and the recipe's own `options`.

    Those are the keyword arguments of its `model` and its `loss`, by the name of the function.

    `contradictions` are those between branches and values. What is in `repeatable` may be said as often as
    one likes, see `repeated`.
    """

    branches: Mapping[str, Mapping[str, Word]]
    values: Mapping[str, Hyperparameter]
    options: Mapping[str, Mapping[str, Hyperparameter]] = field(default_factory=lambda: {MODEL: {}, LOSS: {}})
    contradictions: tuple[Contradiction, ...] = ()
    repeatable: tuple[str, ...] = ()

    def saying(self, keys: Iterable[str]) -> Vocabulary:
        """Return the same with each repeatable branch as often as these keys say it."""
        keys, more = tuple(keys), dict[str, Mapping[str, Word]]()
        for name in self.repeatable:
            last = max((position_of(key, name) for key in keys), default=0)
            more |= {repeated(name, position): self.branches[name] for position in range(2, last + 1)}
        return replace(self, branches={**self.branches, **more}) if more else self

    def with_options(self, options: Mapping[str, Mapping[str, Value]]) -> Vocabulary:
        """Return the same with a recipe's options, `model` and `loss`, typed by their defaults."""
        typed = {
            owner: {name: _option(owner, name, default) for name, default in options.get(owner, {}).items()}
            for owner in self.options
        }
        return replace(self, options=typed)

    @property
    def model(self) -> Mapping[str, Hyperparameter]:
        """The options of the recipe's model."""
        return self.options[MODEL]

    @property
    def keys(self) -> tuple[str, ...]:
        """The top-level keys of a space."""
        return (*self.branches, *self.values, *self.options)

    def meant(self, name: str) -> tuple[str, ...]:
        """Return the path of what a name from elsewhere, or one without its owner, stands for, if any.

        For `learning_rate` that is ("optimizer", "sgd", "lr"), by the first word that has one.
        """
        known = _ELSEWHERE.get(name.lower(), name)
        if known in self.keys:
            return (known,)
        owners = [(owner, known) for owner, options in self.options.items() if known in options]
        of_words = [
            (branch, word.name, known)
            for branch, words in self.branches.items()
            for word in words.values()
            if known in word.names
        ]
        return next(iter([*owners, *of_words]), ())

    def defaults(self, config: Config) -> Config:
        """Return the config with every value that it leaves open filled in, so that nothing is implied."""
        return self.saying(config)._defaults(config)

    def _defaults(self, config: Config) -> Config:
        filled = self.default_values
        for owner, options in self.options.items():
            filled |= {f"{owner}.{name}": item.default for name, item in options.items()}
        for branch, words in self.branches.items():
            word = words[self._chosen(config, branch)]
            filled |= {f"{branch}.{item.name}": item.default for item in word.hyperparameters}
        return Config({**filled, **config})

    def check(self, config: Config, where: str) -> list[Problem]:
        """Return everything that is wrong with a config, each with the right names."""
        return self.saying(config)._check(config, where)

    def _check(self, config: Config, where: str) -> list[Problem]:
        problems = []
        for key, value in config.items():
            complaint = self._complaint(config, key, value)
            if complaint:
                problems.append(Problem(f"{where}  {key}", complaint))
        return problems + self._contradictions(config, where)

    def _contradictions(self, config: Config, where: str) -> list[Problem]:
        within = [
            Problem(f"{where}  {key}", f"{word.name}: {rule}.")
            for key, words in self.branches.items()
            if (word := words.get(self._chosen(config, key)))
            for rule in word.broken_rules(config.below(key))
        ]
        full = {**self.default_values, **config}
        between = [
            Problem(f"{where}  {' + '.join(one.values)}", f"{one.rule}.")
            for one in self.contradictions
            if one.applies(full)
        ]
        return within + between

    @property
    def default_values(self) -> dict[str, Value]:
        """What stands at the top of a config that says nothing: values, and each branch's first word."""
        words = {key: next(iter(words)) for key, words in self.branches.items()}
        return words | {name: item.default for name, item in self.values.items()}

    def _complaint(self, config: Config, key: str, value: Value) -> str | None:
        if key in self.branches:
            words = self.branches[key]
            return None if value in words else f"Unknown {key} {value!r}.{did_you_mean(str(value), words)}"
        if key in self.values:
            return self.values[key].complaint(value)
        head, _, name = key.partition(".")
        scope = self._scope(config, head)
        if scope is None:
            owned = self.meant(head)
            return f"Unknown name.{meaning(owned[:1] + owned[1:][-1:]) or did_you_mean(head, self.keys)}"
        if head in self.branches and self._chosen(config, head) not in self.branches[head]:
            return None  # the word itself is complained about
        if name not in scope:
            return f"{self._owner(config, head)} has no {name!r}.{did_you_mean(name, scope)}"
        return scope[name].complaint(value)

    def _scope(self, config: Config, head: str) -> Mapping[str, Hyperparameter] | None:
        if head in self.options:
            return self.options[head]
        if head not in self.branches:
            return None
        word = self.branches[head].get(self._chosen(config, head))
        return {item.name: item for item in word.hyperparameters} if word else {}

    def _owner(self, config: Config, head: str) -> str:
        return f"The recipe's {head}" if head in self.options else self._chosen(config, head)

    def _chosen(self, config: Config, branch: str) -> str:
        """Return the word that a config says, or the first one."""
        return str(config.get(branch, next(iter(self.branches[branch]))))


def meaning(path: Iterable[str]) -> str:
    """Offer what `Vocabulary.meant` found; nothing if it found nothing.

    >>> meaning(("optimizer", "lr"))
    ' Did you mean optimizer.lr?'
    """
    dotted = ".".join(path)
    return f" Did you mean {dotted}?" if dotted else ""


def _option(owner: str, name: str, default: Value) -> Hyperparameter:
    kind = type(default) if isinstance(default, bool | int | float | str) else None
    return Hyperparameter(name, kind, default, f"an argument of the recipe's {owner}")
