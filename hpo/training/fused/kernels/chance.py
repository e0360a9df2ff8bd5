"""The random numbers of dropout, so that a trial's masks are the same whatever trains beside it."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Chance:
    """Draws the masks of K trials.

    Trials of one class, which have the same dropout rates everywhere, share their masks, since a trial alone
    draws the same ones: on a CPU, those that torch draws after `torch.manual_seed(seed)`. On another device
    all trials are served from one draw, which is equal in distribution.

    Args:
        classes: The class of each trial.
        device: Torch's name for where the masks are wanted: cpu, cuda:0.
    """

    def __init__(self, classes: Sequence[int], device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._is_one_stream = self._device.type != "cpu"
        self.drew = False  # anything, since it was seeded
        names = [0 for _ in classes] if self._is_one_stream else list(classes)
        self._generators = {name: torch.Generator(self._device) for name in names}
        self._choose(names)

    def __len__(self) -> int:
        """Return how many trials there are."""
        return len(self._names)

    def seed(self, seed: int) -> None:
        """Start anew, as at the start of an epoch."""
        self.drew = False
        for generator in self._generators.values():
            generator.manual_seed(seed)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these trials only, in this order; rows count from 0."""
        self._choose([self._names[row] for row in rows])

    def _choose(self, names: list[int]) -> None:
        self._names = names
        self._generators = {name: self._generators[name] for name in dict.fromkeys(names)}
        order = list(self._generators)
        self._firsts = [names.index(name) for name in order]
        self._index = torch.tensor([order.index(name) for name in names], device=self._device)

    def is_needed(self, rates: Tensor) -> bool:
        """Whether to draw: not if no trial drops anything, unless what is drawn later would change."""
        return self._is_one_stream or bool(rates.any())

    def mask(self, like: Tensor, rates: Tensor) -> Tensor:
        """Draw what is kept, scaled by 1 / (1 - rate), for each of K trials or once for all: [K or 1, ...].

        Args:
            like: What one trial's mask looks like, its order in memory included.
            rates: The rate of each trial, [K], or of all, [1].
        """
        if self._is_one_stream:
            return self._masks_of_one_draw(like, rates)
        masks = [self._draw(like, rate, name) for name, rate in self._rates(rates).items()]
        return masks[0].unsqueeze(0) if len(masks) == 1 else torch.stack(masks)[self._index]

    def _rates(self, rates: Tensor) -> dict[int, float]:
        """Return the rate of each class."""
        each = rates.tolist()
        return {
            name: each[first if len(each) > 1 else 0]
            for name, first in zip(self._generators, self._firsts, strict=True)
        }

    def _draw(self, like: Tensor, rate: float, name: int) -> Tensor:
        """Draw as torch does, which draws nothing where nothing or everything is kept."""
        mask = torch.empty_like(like)
        if rate in {0.0, 1.0}:
            return mask.fill_(1.0 - rate)
        self.drew = True
        return mask.bernoulli_(1.0 - rate, generator=self._generators[name]).div_(1.0 - rate)

    def _masks_of_one_draw(self, like: Tensor, rates: Tensor) -> Tensor:
        rates = rates.to(like.device, like.dtype).view(-1, *[1] * like.dim())
        (generator,) = self._generators.values()
        drawn = torch.rand(like.shape, dtype=like.dtype, device=like.device, generator=generator)
        return (drawn >= rates) / (1.0 - rates).clamp(min=torch.finfo(like.dtype).tiny)
