"""AlgoPerf's `tuning_search_space.json`, said in the words of a space.

    {"learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"},
     "one_minus_beta1": {"min": 0.02, "max": 0.5, "scaling": "log"},
     "warmup_factor": {"feasible_points": [0.05]}}

Such a file does not name its optimizer: `space.optimizer=adamw` does. The schedule is the benchmark's, a
warmup and then a cosine. What only some of its workloads use (dropout, label smoothing) holds where the
recipe's model or loss has an option for it, and means nothing elsewhere, as in the benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hpo.errors import did_you_mean
from hpo.space.document import Document, Path
from hpo.space.grammar import ONE_OF, Mistake, shown
from hpo.vocabulary import Vocabulary, Word

_OPTIMIZER: Final = "optimizer"
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
    "end_factor": ("schedule", ONE_OF, "cosine", "end_factor"),
}
_IN_RECIPE: Final = {"dropout_rate": "dropout", "label_smoothing": "label_smoothing"}
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
    document.values = {_OPTIMIZER: {ONE_OF: {word.name: {}}}, "schedule": "cosine"}
    said: dict[Path, str] = {}
    for name, raw in given.items():
        try:
            path = _path(name, word, vocabulary)
            value = _value(raw, complement=name.startswith(_ONE_MINUS))
        except Mistake as mistake:
            document.complain((name,), str(mistake))
            continue
        if path in said:
            document.complain((name,), f"This says the same as {said[path]}. Remove one.")
        elif path:
            said[path] = name
            document.move((name,), path, value)


def _path(name: str, optimizer: Word, vocabulary: Vocabulary) -> Path | None:
    """Return where a space says what AlgoPerf calls `name`; None if the recipe has no use for it."""
    plain = name.removeprefix(_ONE_MINUS)
    if plain in _IN_RECIPE:
        option = _IN_RECIPE[plain]
        owners = (owner for owner, options in vocabulary.options.items() if option in options)
        return next(((owner, option) for owner in owners), None)
    if plain in _BESIDE:
        return _BESIDE[plain]
    if plain not in _IN_OPTIMIZER:
        hint = did_you_mean(plain, [*_IN_OPTIMIZER, *_BESIDE, *_IN_RECIPE])
        raise Mistake(f"{name!r} has no translation.{hint}")
    for own in _IN_OPTIMIZER[plain]:
        if own in optimizer.names:
            return (_OPTIMIZER, ONE_OF, optimizer.name, own)
    raise Mistake(f"{optimizer.name} has no {plain}. Remove it, or choose another optimizer.")


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
