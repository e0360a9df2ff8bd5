"""Which of some candidates is most like the good trials and least like all others.

The tree-structured Parzen estimator (Bergstra et al., 2011, NeurIPS 24) in its joint form (Falkner et al.,
2018, arXiv 1807.01774): trials of each kind spread a kernel around themselves, the density of a candidate is
the mean of these and of one that is the same everywhere, and what counts is the ratio of the two densities.
The kernels are those by which a space draws near a trial: a normal on a range's own scale, and for options
mostly the same one. What candidate and trial do not both have, since they are in other branches, says
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hpo.space import KEPT, SPREAD, Choice, Node, OneOf, Points, Range, Space

Array = npt.NDArray[np.float64]

_PEAK: Final = -math.log(SPREAD * math.sqrt(2 * math.pi))  # of a normal on a unit range, as a logarithm


class Parzen:
    """Keeps where the trials of a space lie, and compares candidates by that."""

    def __init__(self, space: Space) -> None:
        self._nodes = [(parameter.name, parameter.node) for parameter in space.parameters]
        self._ranges = np.array([isinstance(node, Range) for _, node in self._nodes], dtype=bool)
        uniform = np.array([1 / _options(node) for _, node in self._nodes])
        self._anywhere = np.log(uniform)
        self._same, self._other = np.log(KEPT + (1 - KEPT) * uniform), np.log((1 - KEPT) * uniform)
        self._rows: dict[int, Array] = {}

    def proposed(self, number: int, params: Mapping[str, Any]) -> None:
        """Take in where a trial lies."""
        self._rows[number] = self._row(params)

    def best_of(
        self, candidates: Sequence[dict[str, Any]], good: Sequence[int], others: Sequence[int]
    ) -> dict[str, Any]:
        """Return the candidate that is likelier by most among the good trials than among the others."""
        places = np.array([self._row(params) for params in candidates])
        odds = self._log_density(places, good) - self._log_density(places, others)
        return candidates[int(np.argmax(odds))]

    def _row(self, params: Mapping[str, Any]) -> Array:
        """Return where it lies, shape [parameters]: in a range, the number of an option, NaN if not there."""
        return np.array(
            [_place(node, params[name]) if name in params else math.nan for name, node in self._nodes]
        )

    def _log_density(self, places: Array, trials: Sequence[int]) -> Array:
        """Return the logarithm of a density at each place, up to a constant, shape [places]."""
        centres = np.stack([self._rows[number] for number in trials])
        each = self._by_ranges(places, centres) + self._by_options(places, centres)
        everywhere = np.full((len(places), 1), self._anywhere.sum())
        density: Array = np.logaddexp.reduce(np.hstack([each, everywhere]), axis=1)
        return density

    def _by_ranges(self, places: Array, centres: Array) -> Array:
        """Return the logarithms of the normals, shape [places, centres]."""
        (there, at), (known, around) = (_split(it[:, self._ranges]) for it in (places, centres))
        squares = at**2 @ known.T + there @ (around**2).T - 2 * at @ around.T  # of what both have
        normals: Array = _PEAK * (there @ known.T) - squares / (2 * SPREAD**2)
        return normals

    def _by_options(self, places: Array, centres: Array) -> Array:
        """Return the logarithms of what the options say, shape [places, centres]."""
        which = ~self._ranges
        away = places[:, None, which] - centres[None, :, which]
        said = np.where(away == 0, self._same[which], self._other[which])
        told: Array = np.where(np.isnan(away), self._anywhere[which], said).sum(axis=2)
        return told


def _split(rows: Array) -> tuple[Array, Array]:
    """Return where something is, as 1 and 0, and what, with 0 for nothing."""
    there = ~np.isnan(rows)
    return there.astype(float), np.where(there, rows, 0.0)


def _options(node: Node) -> int:
    """Return how many there are to choose from; a range counts as one, of the density 1."""
    return len(node.options) if isinstance(node, Choice | OneOf | Points) else 1


def _place(node: Any, drawn: Any) -> float:
    return node.share(drawn) if isinstance(node, Range) else float(node.options.index(drawn))
