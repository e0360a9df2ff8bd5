"""Where the parameters of a model lie in a row of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby, pairwise

from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The trained parameters of a model, one after the other in a row: their names and shapes.

    Those with more than one dimension come first, so that what spares biases and norms, which have one
    dimension or none, ends at a column.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Hold the order."""
        vectors = [len(shape) < 2 for shape in self.shapes]
        if vectors != sorted(vectors):
            raise ValueError(f"Shapes with more than one dimension must come first; found {self.shapes}")

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """The columns of each parameter."""
        ends = accumulate(map(math.prod, self.shapes), initial=0)
        return tuple(slice(start, stop) for start, stop in pairwise(ends))

    def views(self, rows: Tensor) -> list[Tensor]:
        """Return each parameter, shape [K, *its own], as a view of rows of shape [K, size]."""
        pairs = zip(self.columns, self.shapes, strict=True)
        return [rows[:, columns].view(len(rows), *shape) for columns, shape in pairs]

    def runs(self, is_meant: Callable[[str], bool]) -> Iterator[tuple[bool, slice, Layout]]:
        """Yield each unbroken run of parameters that are all meant, or all not: its columns, its layout."""
        named = zip(self.names, self.shapes, self.columns, strict=True)
        for meant, run in groupby(named, key=lambda item: is_meant(item[0])):
            names, shapes, columns = zip(*run, strict=True)
            yield meant, slice(columns[0].start, columns[-1].stop), Layout(names, shapes)

    @cached_property
    def size(self) -> int:
        """How many columns there are."""
        return sum(map(math.prod, self.shapes))

    @cached_property
    def matrices(self) -> int:
        """How many columns, the leading ones, belong to parameters with more than one dimension."""
        return sum(math.prod(shape) for shape in self.shapes if len(shape) > 1)
