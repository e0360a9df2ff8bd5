"""Where in a space something happens: a conjunction of few conditions, found by a beam search.

A rule list of length one, as subgroup discovery has it (Klösgen 1996; CN2, Clark and Niblett 1989): of all
conjunctions of up to three conditions, the one whose inside and outside differ the most, by the likelihood
ratio, less the logarithm of the number of cases for each condition (BIC).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

from hpo.advice.facts import is_number
from hpo.config import Value
from hpo.results.phrasing import brief

_DEPTH: Final = 3
_BEAM: Final = 8
_CUTS: Final = 24  # thresholds of one hyperparameter that are tried

Case = tuple[Mapping[str, Value], bool]
"""A configuration, and whether it happened there."""


@dataclass(frozen=True)
class Condition:
    """One hyperparameter above or below a bound, or with one value; `sign` is >, ≤ or =."""

    key: str
    sign: str
    value: Value

    def holds(self, config: Mapping[str, Value]) -> bool:
        """Whether a configuration meets it; one that lacks the hyperparameter does not."""
        if self.key not in config:
            return False
        found = config[self.key]
        if self.sign == "=":
            return found == self.value and isinstance(found, bool) == isinstance(self.value, bool)
        return is_number(found) and is_number(self.value) and (found > self.value) is (self.sign == ">")

    def __str__(self) -> str:
        name = self.key.removeprefix("optimizer.")
        if self.sign == "=":
            return f"no {name}" if self.value is None else f"{name} {brief(self.value)}"
        return f"{name} {self.sign} {brief(self.value)}"


@dataclass(frozen=True)
class Region:
    """Where it happens: in `hits` of `inside` cases there, and in `misses` of `outside` elsewhere.

    `chance` bounds the chance of such a region where there is none: Fisher's exact test, times the number of
    regions that were tried (Bonferroni).
    """

    conditions: tuple[Condition, ...]
    hits: int
    inside: int
    misses: int
    outside: int
    chance: float = 1.0

    def holds(self, config: Mapping[str, Value]) -> bool:
        """Whether a configuration lies in it."""
        return all(condition.holds(config) for condition in self.conditions)

    def counted(self, cases: Sequence[Case]) -> Region:
        """Return it with the counts of these cases."""
        inside = [happened for config, happened in cases if self.holds(config)]
        hits, total = sum(inside), sum(happened for _, happened in cases)
        outside = len(cases) - len(inside)
        return replace(self, hits=hits, inside=len(inside), misses=total - hits, outside=outside)

    @property
    def merit(self) -> float:
        """Half the likelihood ratio against one rate for all, less the price of the conditions."""
        total, hits = self.inside + self.outside, self.hits + self.misses
        gain = _entropy(hits, total) - _entropy(self.hits, self.inside) - _entropy(self.misses, self.outside)
        return gain - len(self.conditions) * math.log(total) / 2

    def __str__(self) -> str:
        parts = [str(condition) for condition in self.conditions]
        return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def find(cases: Sequence[Case], keys: Iterable[str]) -> Region | None:
    """Return the region that stands out the most, over these hyperparameters; None if none does."""
    search = _Search(cases, [condition for key in keys for condition in _conditions(key, cases)])
    best, tried = None, 0
    beam: list[_Found] = [_Found((), search.all, Region((), 0, 0, 0, 0))]
    for _ in range(_DEPTH):
        grown = [found for it in beam for found in search.grown(it)]
        tried += len(grown)
        beam = sorted(filter(_dense, grown), key=lambda it: -it.region.merit)[:_BEAM]
        best = max([*([best] if best else []), *beam[:1]], key=lambda it: it.region.merit, default=None)
    return best and replace(best.region, chance=min(1.0, _fisher(best.region) * tried))


class _Found(NamedTuple):
    """A region as numbers of conditions, in ascending order, with its cases as bits."""

    numbers: tuple[int, ...]
    bits: int
    region: Region


def _dense(found: _Found) -> bool:
    it = found.region
    return bool(it.inside) and it.hits * it.outside > it.misses * it.inside


class _Search:
    """The cases in which each condition holds, as the bits of a whole number: to combine them is one step."""

    def __init__(self, cases: Sequence[Case], conditions: Sequence[Condition]) -> None:
        self._conditions = conditions
        self._bits = [_bits(it.holds(config) for config, _ in cases) for it in conditions]
        self._happened = _bits(happened for _, happened in cases)
        self._count, self.all = len(cases), (1 << len(cases)) - 1

    def grown(self, found: _Found) -> Iterator[_Found]:
        """Yield a region with each condition that may be added, every set of them in one order only."""
        taken = {(it.key, it.sign) for it in found.region.conditions}
        first = found.numbers[-1] + 1 if found.numbers else 0
        for number in range(first, len(self._conditions)):
            condition = self._conditions[number]
            if (condition.key, condition.sign) not in taken:
                bits = found.bits & self._bits[number]
                region = self._measured((*found.region.conditions, condition), bits)
                yield _Found((*found.numbers, number), bits, region)

    def _measured(self, conditions: tuple[Condition, ...], bits: int) -> Region:
        hits, total = (bits & self._happened).bit_count(), self._happened.bit_count()
        inside = bits.bit_count()
        return Region(conditions, hits, inside, total - hits, self._count - inside)


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def _conditions(key: str, cases: Sequence[Case]) -> Iterator[Condition]:
    values = [config[key] for config, _ in cases if key in config]
    for value in dict.fromkeys(it for it in values if not is_number(it)):
        yield Condition(key, "=", value)
    found = sorted({float(it) for it in values if is_number(it)})
    cuts = [_between(low, high) for low, high in pairwise(found)]
    for cut in cuts[:: max(1, len(cuts) // _CUTS)]:
        yield Condition(key, ">", cut)
        yield Condition(key, "≤", cut)


def _between(low: float, high: float) -> float:
    """Return the number with the fewest digits that is at least `low` and below `high`.

    >>> _between(0.27, 0.334), _between(0.9731, 0.9848)
    (0.3, 0.98)
    """
    middle = math.sqrt(low * high) if low > 0 else (low + high) / 2
    for digits in range(1, 17):
        rounded = float(f"{middle:.{digits}g}")
        if low <= rounded < high:
            return rounded
    return low


def _entropy(hits: int, total: int) -> float:
    """Return the entropy of so many cases together, in nats."""
    return -sum(count * math.log(count / total) for count in (hits, total - hits) if count)


def _fisher(region: Region) -> float:
    """Return the chance of at least so many hits inside, if they fell anywhere."""
    hits, cases = region.hits + region.misses, region.inside + region.outside
    ways = sum(
        math.comb(hits, count) * math.comb(cases - hits, region.inside - count)
        for count in range(region.hits, min(hits, region.inside) + 1)
    )
    return ways / math.comb(cases, region.inside)
