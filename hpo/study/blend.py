"""A sampler of several minds: the expert, chance, a model, what lies near the best trials or what is known.

Each proposal comes from one of these *sources*, drawn by weights that follow the evidence. A source wins with
a trial that is among the best quarter of all that ended. Its weight is the square of the share of wins that
is to be expected of it by Laplace's rule, ((wins + 1) / (trials + 2))², so one that loses is soon asked less.
Chance keeps a third whatever happens, and half where there is an expert, so that a wrong one, and who looks
near what it proposed, cannot have more than the other half. PriorBand (Mallik et al., 2023,
arXiv 2306.12370) mixes the expert, chance and what is near, with weights from a likelihood.

A third of what chance has goes to a *switch*: one of the best trials as it is, but with another optimizer,
schedule or other word of those that open branches. The best trials soon agree on these words, and who looks
near them hardly leaves them, while by chance another word comes with numbers that do not show its worth.

The model takes, of some candidates near the best tenth of the trials, the one that is most like these and
least like all others (`hpo.study.parzen`).

The best of what the search begins from (`hpo.planning.past`) is tried as it stands, right after the
baseline; all other proposals of that source lie around that and the others.

Trials are ranked by the epochs that they were let have, then by their last score. With more goals than one,
those of as many epochs are ranked front by front, as in MOTPE (Ozaki et al. 2020, doi
10.1145/3377930.3389817), and within a front those in the thinnest company come first. Parameters are drawn
from a trial's own seed, so that workers that ask before any result is there do not crowd.
"""

from __future__ import annotations

import bisect
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from hpo.history.front import Levels
from hpo.space import Space
from hpo.study.parzen import Parzen

BASELINE: Final = "baseline"
PRIOR: Final = "prior"
CHANCE: Final = "random"
NEAR: Final = "near"
MODEL: Final = "model"
PAST: Final = "past"
SWITCH: Final = "switch"

_SOURCES: Final = (PRIOR, CHANCE, NEAR, PAST, MODEL)

_FLOOR: Final = 1 / 3  # of the weights, for chance
_GUARD: Final = 1 / 2  # the same, where there is an expert, who may be wrong
_SWITCHES: Final = 1 / 3  # of what chance has, to try another word with one of the best
_BEST: Final = 1 / 4  # of the trials: who wins
_TOP: Final = 1 / 10  # of the trials: near which to look
_ELITE: Final = 5  # of these at most
_LIKE: Final = 25  # of these at most are what is good, to the model
_UNLIKE: Final = 100  # of all others at most are what is not
_CANDIDATES: Final = 12  # of which the model takes one
_ENOUGH: Final = 5  # trials that must have ended before there is anything to be near of
_TRIES: Final = 20  # to find a proposal that was not made before


class Blend:
    """Proposes parameters for trials, and learns how they ended.

    `past` holds what it begins from, best first, as parameters of the space, all or some of them; `repeat`
    are those that would give the baseline once more, if there are any.
    """

    def __init__(
        self,
        space: Space,
        past: Sequence[Mapping[str, Any]] = (),
        repeat: Mapping[str, Any] | None = None,
    ) -> None:
        self._space, self._past, self._parzen = space, past, Parzen(space)
        self._proposed: dict[int, tuple[str, Mapping[str, Any]]] = {}
        self._known = set() if repeat is None else {_key(repeat)}
        self._ranking: list[tuple[int, float, int]] = []  # epochs (negative), cost and number, best first
        self._levels: dict[int, Levels] = defaultdict(Levels)  # where there are more goals, by epochs
        self._asked: Counter[str] = Counter()  # of those that have ended
        self.wins: Counter[str] = Counter()  # of each source

    def propose(self, seed: int) -> tuple[str, dict[str, Any]]:
        """Return a source and the parameters that it proposes; none that there were before, if it can."""
        dice = random.Random(seed)
        if self._past and len(self._proposed) == 1:
            first = self._new(PAST, lambda: self._space.complete(self._past[0], dice))
            if first:  # or else it is the baseline
                return first
        weights, draws = self._weights(), self._draws(dice)
        source = dice.choices(list(weights), list(weights.values()))[0]
        found = self._new(source, draws[source]) or self._new(CHANCE, draws[CHANCE]) or self._left(dice)
        return found or (source, draws[source]())

    def _new(self, source: str, draw: Callable[[], dict[str, Any]]) -> tuple[str, dict[str, Any]] | None:
        """Return a source and what it drew that was not proposed before; None, if it found nothing."""
        drawn = (draw() for _ in range(_TRIES))
        return next(((source, params) for params in drawn if _key(params) not in self._known), None)

    def _left(self, dice: random.Random) -> tuple[str, dict[str, Any]] | None:
        """Return a draw that was not proposed yet, where there are few in all; None, if there is none."""
        left = [params for params in self._space.every if _key(params) not in self._known]
        return (CHANCE, dict(dice.choice(left))) if left else None

    def proposed(self, number: int, source: str, params: Mapping[str, Any]) -> None:
        """Take in what a trial was proposed with, by whomever."""
        self._proposed[number] = source, params
        if source != BASELINE:  # of which the space may have no more than a part
            self._known.add(_key(params))
        self._parzen.proposed(number, params)

    def ended(self, number: int, epochs: int, cost: float, beside: tuple[float, ...] = ()) -> None:
        """Take in how long a trial was trained and its last cost; no epochs, if it diverged or was refused.

        `beside` are its other goals, as numbers to be minimized.
        """
        self._asked[self._proposed[number][0]] += 1
        if beside:
            self._levels[-epochs].add(number, (cost, *beside))
            self._rank_fronts()
        else:
            self._rank((-epochs, cost, number))

    def _rank_fronts(self) -> None:
        """Put all trials in their places anew, since one that is better moves many."""
        self._ranking = [
            (epochs, float(place), number)
            for epochs, levels in sorted(self._levels.items())
            for place, number in enumerate(levels.ranking)
        ]
        best = self._ranking[: self._winning]
        self.wins = Counter(self._proposed[number][0] for epochs, _, number in best if epochs)

    def _rank(self, entry: tuple[int, float, int]) -> None:
        """Put a trial in its place, and see who wins now: it, who is pushed out, who moves up."""
        best = self._winning
        place = bisect.bisect(self._ranking, entry)
        self._ranking.insert(place, entry)
        more = self._winning > best
        if place < best:
            self._count(place, 1)
        if more != (place < best):
            self._count(best, 1 if more else -1)

    @property
    def _winning(self) -> int:
        """How many win."""
        return math.ceil(_BEST * len(self._ranking))

    def _count(self, place: int, change: int) -> None:
        epochs, _, number = self._ranking[place]
        if epochs:
            self.wins[self._proposed[number][0]] += change

    @property
    def ranking(self) -> Iterator[int]:
        """The numbers of the trials that ended, best first."""
        return (number for *_, number in self._ranking)

    def _draws(self, dice: random.Random) -> Mapping[str, Callable[[], dict[str, Any]]]:
        return {
            PRIOR: lambda: self._space.draw(dice, 1.0),
            CHANCE: lambda: self._space.draw(dice, 0.0),
            NEAR: lambda: self._near(self._top(_ELITE), dice),
            SWITCH: lambda: self._space.switch(self._one_of(self._top(_ELITE), dice), dice),
            MODEL: lambda: self._likely(dice),
            PAST: lambda: self._space.near(dice.choice(self._past), dice),
        }

    def _near(self, trials: Sequence[int], dice: random.Random) -> dict[str, Any]:
        return self._space.near(self._one_of(trials, dice), dice)

    def _one_of(self, trials: Sequence[int], dice: random.Random) -> Mapping[str, Any]:
        return self._proposed[dice.choice(trials)][1]

    def _likely(self, dice: random.Random) -> dict[str, Any]:
        """Return the candidate that is most like the best trials and least like the others."""
        good = self._top(_LIKE)
        rest = range(len(good), len(self._ranking))
        others = [self._ranking[place][-1] for place in dice.sample(rest, min(_UNLIKE, len(rest)))]
        return self._parzen.best_of([self._near(good, dice) for _ in range(_CANDIDATES)], good, others)

    def _top(self, most: int) -> list[int]:
        """Return the numbers of the best tenth, so many at most."""
        return [number for *_, number in self._ranking[: min(most, math.ceil(_TOP * len(self._ranking)))]]

    def _weights(self) -> dict[str, float]:
        weights = {
            source: ((self.wins[source] + 1) / (self._asked[source] + 2)) ** 2
            for source in _SOURCES
            if self._can(source)
        }
        others = sum(weight for source, weight in weights.items() if source != CHANCE)
        floor = _GUARD if self._space.expected else _FLOOR
        chance = max(weights[CHANCE], others * floor / (1 - floor))
        switches = _SWITCHES * chance if self._can(SWITCH) else 0.0
        return weights | {CHANCE: chance - switches, SWITCH: switches}

    def _can(self, source: str) -> bool:
        if source == PRIOR:
            return self._space.expected
        if source == PAST:
            return bool(self._past)
        if source == SWITCH and not self._space.switches:
            return False
        return source == CHANCE or len(self._ranking) >= _ENOUGH


def _key(params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(params.items()))
