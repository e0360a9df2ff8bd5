"""AlgoPerf's `tuning_search_space.json`, said in the words of a space.

    {"learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"},
     "one_minus_beta1": {"min": 0.02, "max": 0.5, "scaling": "log"},
     "warmup_factor": {"feasible_points": [0.05]}}

or a list of points, each of them to be tried as it is:

    [{"learning_rate": 0.0013, "one_minus_beta1": 0.027, "warmup_factor": 0.1}, …]

Such a file does not name its optimizer: `space.optimizer=adamw` does. The schedule is the benchmark's, a
warmup and then a cosine; with `decay_steps_factor` a straight line down in this share of the steps that are
left, with `power` a polynomial. What only some of its workloads use (dropout, label smoothing) holds where
the recipe's model or loss has an option for it, and means nothing elsewhere, as in the benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hpo.errors import did_you_mean
from hpo.space.document import Document, Path
from hpo.space.grammar import ONE_OF, Mistake, shown
from hpo.space.nodes import POINTS
from hpo.vocabulary import Vocabulary, Word

_OPTIMIZER: Final = "optimizer"
_SCHEDULE: Final = "schedule"
_ONE_MINUS: Final = "one_minus_"
_IN_OPTIMIZER: Final[Mapping[str, tuple[str, ...]]] = {
    "learning_rate": ("lr",),
    "beta1": ("beta1", "momentum"),  # which is what the benchmark calls SGD's momentum
    "beta2": ("beta2", "alpha"),
    "epsilon": ("eps",),
    "weight_decay": ("weight_decay",),
}
_BESIDE: Final[Mapping[str, Path]] = {
    "warmup_factor": ("warmup",),
    "grad_clip": ("clip_norm",),
}
_IN_SCHEDULE: Final = {"end_factor": "end_factor", "decay_steps_factor": "decay_size", "power": "power"}
_IN_RECIPE: Final = {
    "dropout_rate": "dropout",
    "aux_dropout_rate": "aux_dropout",
    "label_smoothing": "label_smoothing",
}
_SCALINGS: Final = {"log": "log", "linear": "uniform"}


def translate(document: Document, vocabulary: Vocabulary, optimizer: str | None) -> None:
    """Say in a space's words what a document says in AlgoPerf's, and note in it what cannot be said."""
    optimizers = vocabulary.branches[_OPTIMIZER]
    word = optimizers.get(optimizer or "")
    given, document.values = document.values, {}
    if word is None:
        fix = f"Add space.optimizer=NAME. Known: {', '.join(sorted(optimizers))}."
        document.complain((), f"AlgoPerf's files name no optimizer. {fix}")
        return
    translation = _Translation(word, _schedule(given), vocabulary)
    document.values = {_OPTIMIZER: {ONE_OF: {word.name: {}}}, _SCHEDULE: translation.schedule}
    if POINTS in given:
        document.values[POINTS] = _points(document, given[POINTS], translation)
        return
    for name, (path, raw) in _translated(document, given, translation).items():
        try:
            document.move((name,), path, _value(raw, complement=name.startswith(_ONE_MINUS)))
        except Mistake as mistake:
            document.complain((name,), str(mistake))


def _schedule(given: Mapping[str, Any]) -> str:
    """Return the schedule whose names a file uses."""
    points = given.get(POINTS, [given])
    names = {name for point in points if isinstance(point, Mapping) for name in point}
    return "polynomial" if "power" in names else "linear" if "decay_steps_factor" in names else "cosine"


def _points(document: Document, points: list[Any], translation: _Translation) -> list[dict[str, Any]]:
    """Return each point as a configuration."""
    found = []
    for point in points:
        if not isinstance(point, Mapping):
            document.complain((POINTS,), f"Each point maps names to values, got {shown(point)}.")
            continue
        config = {}
        for name, (path, raw) in _translated(document, point, translation).items():
            try:
                config[_key(path)] = _complement(raw) if name.startswith(_ONE_MINUS) else raw
            except Mistake as mistake:
                document.complain((POINTS,), f"{name}: {mistake}")
        found.append(config)
    return found


def _key(path: Path) -> str:
    """Return a config's name for a place, which leaves the branch out."""
    return ".".join(dict.fromkeys((path[0], path[-1])))


def _translated(
    document: Document, given: Mapping[str, Any], translation: _Translation
) -> dict[str, tuple[Path, Any]]:
    """Return where a space says each of these, and what was given; note what cannot be said."""
    said: dict[Path, str] = {}
    for name in given:
        try:
            path = translation.path(name)
        except Mistake as mistake:
            document.complain((name,), str(mistake))
            continue
        if path in said:
            document.complain((name,), f"This says the same as {said[path]}. Remove one.")
        elif path:
            said[path] = name
    return {name: (path, given[name]) for path, name in said.items()}


@dataclass(frozen=True)
class _Translation:
    """From AlgoPerf's names to a space's, for one optimizer and one schedule."""

    optimizer: Word
    schedule: str
    vocabulary: Vocabulary

    def path(self, name: str) -> Path | None:
        """Return where a space says what AlgoPerf calls `name`; None if the recipe has no use for it."""
        plain = name.removeprefix(_ONE_MINUS)
        if plain in _IN_RECIPE:
            return self._option(_IN_RECIPE[plain])
        if plain in _BESIDE:
            return _BESIDE[plain]
        if plain in _IN_SCHEDULE:
            return (_SCHEDULE, ONE_OF, self.schedule, _IN_SCHEDULE[plain])
        if plain in _IN_OPTIMIZER:
            return self._hyperparameter(plain)
        hint = did_you_mean(plain, [*_IN_OPTIMIZER, *_BESIDE, *_IN_SCHEDULE, *_IN_RECIPE])
        raise Mistake(f"{name!r} has no translation.{hint}")

    def _option(self, name: str) -> Path | None:
        owners = (owner for owner, options in self.vocabulary.options.items() if name in options)
        return next(((owner, name) for owner in owners), None)

    def _hyperparameter(self, name: str) -> Path:
        for own in _IN_OPTIMIZER[name]:
            if own in self.optimizer.names:
                return (_OPTIMIZER, ONE_OF, self.optimizer.name, own)
        raise Mistake(f"{self.optimizer.name} has no {name}. Remove it, or choose another optimizer.")


def _value(raw: Any, *, complement: bool) -> Any:
    """Translate a range or a list of points; with `complement`, they are those of 1 - value."""
    match raw:
        case {"feasible_points": [*points], **rest} if points and not rest:
            values = [_complement(point) if complement else point for point in points]
            return {"choice": values} if len(values) > 1 else values[0]
        case {"min": low, "max": high, "scaling": "linear" | "log" as scaling, **rest} if not rest:
            if not complement:
                return {_SCALINGS[scaling]: [low, high]}
            if scaling == "log":
                return {"one_minus_log": [low, high]}
            return {"uniform": [_complement(high), _complement(low)]}
    example = '{"min": …, "max": …, "scaling": "log" or "linear"} or {"feasible_points": […]}'
    raise Mistake(f"This needs {example}, got {shown(raw)}.")


def _complement(number: Any) -> float:
    """Return 1 - number as a person would write it: 0.95, not 0.9499999999999996."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Mistake(f"This needs numbers, got {shown(number)}.")
    return round(1 - number, 12)
