"""The schedules of a space, side by side: where an expert would begin, and a few draws around it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.config import Config, Value
from hpo.pictures.style import BLACK, COLORS, FAINT, NotDrawnError, panels
from hpo.space import Choice, Fixed, Node, OneOf, Space
from hpo.training.words.schedule_words import SCHEDULES, SEQUELS, THEN, schedule_call
from hpo.vocabulary import Vocabulary, position_of

_STEPS: Final = 400
_EPOCHS: Final = 20
_DRAWS: Final = 6
_COLUMNS: Final = 4
_KEY: Final = "schedule"
_HEARS: Final = {"plateau": "plateau, if nothing improves"}


def schedules(name: str, space: Space, vocabulary: Vocabulary, winner: Config | None = None) -> Figure:
    """Draw the factor of the learning rate over a training, one panel for each schedule of the space."""
    words = _words(space, vocabulary)
    if not words:
        raise NotDrawnError("the recipe's own schedules are known only where it is run")
    columns = min(_COLUMNS, len(words))
    rows = math.ceil(len(words) / columns)
    about = f"{name}: blue where an expert would begin, faint a few draws" if space.parameters else name
    about += ", black the best trial" if space.parameters and winner else ""
    figure, axes = panels("Learning rate along a training, by schedule", about, columns, rows)
    for panel, word in zip(axes, words, strict=False):
        _panel(panel, word, _Expert(space, word), vocabulary, winner)
    for panel in axes[len(words) :]:
        panel.set_visible(False)
    for panel in axes[::columns]:
        panel.set_ylabel("learning rate, as a share of its peak")
    return figure


def _panel(panel: Axes, word: str, expert: _Expert, vocabulary: Vocabulary, winner: Config | None) -> None:
    panel.set_title(_HEARS.get(word, word))
    panel.set_xlabel("share of all steps, %")
    for seed in range(_DRAWS if expert.chooses else 0):
        draw = expert.drawn(random.Random(seed))
        _line(panel, vocabulary.defaults(draw), color=FAINT, linewidth=0.8, alpha=0.6)
    _line(panel, vocabulary.defaults(expert.config), color=COLORS[0], linewidth=2)
    if expert.chooses and winner and winner.get(_KEY) == word:
        _line(panel, vocabulary.defaults(winner), color=BLACK, linewidth=1.5, linestyle="--")
    panel.set_ylim(-0.03, 1.06)


def _line(panel: Axes, config: Config, **style: object) -> None:
    if not _drawable(config):
        return
    shares = [100 * step / _STEPS for step in range(_STEPS)]
    panel.plot(shares, factors(config), **style)  # type: ignore[arg-type]


def _drawable(config: Config) -> bool:
    """Whether all that follows the first schedule is known without running the recipe."""
    return all(
        word in SEQUELS for head, word in config.items() if position_of(head, THEN) and "." not in head
    )


def factors(config: Config) -> list[float]:
    """Return the factor of each step; one that listens hears after each epoch that nothing has improved."""
    schedule = schedule_call(config).build()
    found = []
    for step in range(_STEPS):
        found.append(schedule.factor(step, _STEPS))
        if (step + 1) % (_STEPS // _EPOCHS) == 0:
            schedule.hear(1.0, step + 1, _STEPS)
    return found


def _words(space: Space, vocabulary: Vocabulary) -> Sequence[str]:
    """Return the schedules that can be drawn; a recipe's own are known only where the recipe is run."""
    node = space.nodes.get(_KEY, Fixed(vocabulary.default_values[_KEY]))
    words = node.options if isinstance(node, OneOf) else (str(node.form),)
    return [word for word in words if word in SCHEDULES]


class _Expert:
    """Proposes what the priors favour, the middle where there is none, and always one schedule."""

    def __init__(self, space: Space, word: str) -> None:
        self._space, self._word = space, word
        self._nodes: dict[str, Node] = {place.name: place.node for place in space.parameters}
        self._drawn: dict[str, Value] = {}

    @property
    def chooses(self) -> bool:
        """Whether there is anything to choose."""
        return bool(self._nodes)

    @property
    def config(self) -> Config:
        """The configuration to begin with."""
        return self._space.sample(self)

    def drawn(self, rng: random.Random) -> Config:
        """Return a configuration around it."""
        self._drawn = {name: node.draw(rng) for name, node in self._nodes.items()}
        config = self._space.sample(self)
        self._drawn = {}
        return config

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Propose the prior's centre."""
        middle = math.sqrt(low * high) if log else (low + high) / 2
        value = self._drawn.get(name, getattr(self._nodes[name], "centre", None))
        return float(middle if value is None else value)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Propose the prior's centre."""
        return round(self.suggest_float(name, low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        """Propose the favourite, or the first."""
        if name == _KEY:
            return self._word
        node = self._nodes[name]
        weights = node.prior if isinstance(node, Choice | OneOf) else {}
        favourite = max(weights, key=lambda option: weights[option], default=choices[0])
        return self._drawn.get(name, favourite)
