"""The rules of the verbs: raw values → one node, or a mistake with its fix."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hpo.config import Value
from hpo.errors import did_you_mean
from hpo.space.nodes import Choice, Fixed, Leaf, Option, same
from hpo.space.ranges import Int, Log, OneMinusLog, Uniform
from hpo.vocabulary import Hyperparameter

PRIOR: Final = "prior"
ONE_OF: Final = "one_of"

_ELSEWHERE: Final = {  # the verbs of other libraries
    "loguniform": "log",
    "log_uniform": "log",
    "logspace": "log",
    "float": "uniform",
    "range": "uniform",
    "quniform": "uniform",
    "integer": "int",
    "randint": "int",
    "categorical": "choice",
    "choices": "choice",
    "values": "choice",
    "grid": "choice",
    "grid_search": "choice",
    "branches": "one_of",
}

_NO: Final = " YAML reads no and off as false, yes and on as true."


class Mistake(ValueError):  # noqa: N818 - its message is what the user reads
    """The user broke a rule; the message says which, what was found, and the fix."""


def shown(raw: object) -> str:
    """Return a raw value as the user may have written it, cut short if it is long."""
    text = json.dumps(raw, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"


def verb_of(raw: Mapping[str, Any], verbs: Collection[str]) -> str:
    """Return the one verb of a mapping, beside which only a prior may stand."""
    found = [key for key in raw if key in verbs]
    if len(found) > 1:
        raise Mistake(f"A searched value takes one verb, got {' and '.join(found)}. Remove one.")
    strays = [str(key) for key in raw if key not in (*found, PRIOR)]
    if found and strays:
        raise Mistake(f"Beside {found[0]} only prior may stand, got {', '.join(strays)}. Remove it.")
    if strays:
        raise Mistake(f"{strays[0]!r} is no verb here.{_meant(strays[0], verbs)}")
    if not found:
        raise Mistake(f"This needs a verb: {', '.join(verbs)}.")
    return found[0]


def _meant(word: str, verbs: Collection[str]) -> str:
    meant = _ELSEWHERE.get(word.lower())
    if meant not in verbs:
        return did_you_mean(word, verbs)
    return f" Did you mean {meant}? Known: {', '.join(sorted(verbs))}."


def leaf(raw: object, hyperparameter: Hyperparameter) -> Leaf:
    """Read a hyperparameter: a bare value is fixed, a mapping is searched."""
    if isinstance(raw, Mapping):
        verb = verb_of(raw, VERBS)
        return _with_prior(_fitting(VERBS[verb](raw[verb]), hyperparameter), raw)
    if isinstance(raw, list):
        raise Mistake(f"A list is no value, got {shown(raw)}. Write {{choice: {shown(raw)}}}.")
    return _fitting(Fixed(plain(raw)), hyperparameter)


def plain(raw: Any) -> Value:
    """Return a raw value that may stand in a configuration."""
    if isinstance(raw, list | dict):
        raise Mistake(f"A choice holds plain values, got {shown(raw)}. Write values, ranges stand alone.")
    if _is_number(raw) and not _is_finite(raw):
        raise Mistake(f"Numbers must be finite, got {shown(raw)}. Write a finite number.")
    return raw  # type: ignore[no-any-return]


def _is_number(raw: object) -> bool:
    return isinstance(raw, int | float) and not isinstance(raw, bool)


def _is_finite(number: float) -> bool:
    """Whether a number is one that floats can hold; `math.isfinite` chokes on huge integers."""
    return abs(number) <= sys.float_info.max


@dataclass(frozen=True)
class _Rule:
    """What the bounds of a range must be: in words, in numbers (both exclusive), and the fix."""

    node: Callable[[Any, Any], Leaf]
    words: str
    number: type[int] | type[float] = float
    above: float = -math.inf
    below: float = math.inf
    fix: str = ""


_RULES: Final = {
    "log": _Rule(Log, "0 < low < high", above=0, fix="Raise low above 0, or use uniform."),
    "uniform": _Rule(Uniform, "low < high"),
    "one_minus_log": _Rule(
        OneMinusLog, "0 < low < high < 1", above=0, below=1, fix="The bounds are those of 1 - value."
    ),
    "int": _Rule(Int, "whole numbers low < high", number=int),
}


def _range(verb: str) -> Callable[[Any], Leaf]:
    rule = _RULES[verb]

    def read(raw: Any) -> Leaf:
        fix = _misshaped(rule, raw) or _misplaced(rule, *raw)
        if fix:
            raise Mistake(f"{verb} needs {rule.words}, got {shown(raw)}. {fix}")
        return rule.node(*map(rule.number, raw))

    return read


def _misshaped(rule: _Rule, raw: Any) -> str | None:
    if not isinstance(raw, list) or len(raw) != 2 or not all(map(_is_number, raw)):
        return "Write two numbers: [low, high]."
    if rule.number is int and any(isinstance(bound, float) for bound in raw):
        return "Drop the decimals, or use uniform."
    if not all(map(_is_finite, raw)) or math.isinf(raw[1] - raw[0]):
        return "Write finite numbers, not too far apart."
    return None


def _misplaced(rule: _Rule, low: float, high: float) -> str | None:
    if low > high:
        return "Swap the two."
    if low == high:
        return "To fix it, write the value alone."
    return None if rule.above < low and high < rule.below else rule.fix


def _choice(raw: Any) -> Choice:
    if not isinstance(raw, list) or len(raw) < 2:
        raise Mistake(
            f"choice needs two values or more, got {shown(raw)}. Add one, or write the value alone."
        )
    options = tuple(map(plain, raw))
    for place, option in enumerate(options):
        if option in options[:place]:
            raise Mistake(f"choice lists {shown(option)} twice, got {shown(raw)}. Remove one.")
    return Choice(options)


VERBS: Final[Mapping[str, Callable[[Any], Leaf]]] = {
    **{verb: _range(verb) for verb in _RULES},
    "choice": _choice,
}


def _fitting(node: Leaf, hyperparameter: Hyperparameter) -> Leaf:
    """Refuse a node that can give a value which the hyperparameter refuses."""
    verb = {int: "int", bool: "choice", str: "choice"}.get(hyperparameter.kind or float)
    if verb and isinstance(node, Uniform | Log | OneMinusLog):
        raise Mistake(
            f"{hyperparameter.name} must be {hyperparameter.expected}. Use {verb}, not {node.verb}."
        )
    for value in _extremes(node):
        complaint = hyperparameter.complaint(value)
        if complaint:
            raise Mistake(complaint + (_NO if isinstance(value, bool) else ""))
    return node


def _extremes(node: Leaf) -> Sequence[Value]:
    """Return the values that stand for all: options, or the ends of a range in ascending order."""
    match node:
        case Fixed():
            return (node.value,)
        case Choice():
            return node.options
        case _:
            return sorted(map(node.value, node.options))


def _with_prior(node: Leaf, raw: Mapping[Any, Any]) -> Leaf:
    if PRIOR not in raw or isinstance(node, Fixed):
        return node
    prior = raw[PRIOR]
    if isinstance(node, Choice):
        return replace(node, prior=weights(prior, node.options))
    low, high = sorted(map(node.value, node.options))
    if not _is_number(prior) or not low <= prior <= high:
        raise Mistake(
            f"prior needs a number in [{low:g}, {high:g}], got {shown(prior)}. Move it or the range."
        )
    return replace(node, prior=prior)


def weights(prior: Any, options: Sequence[Option]) -> dict[Option, float]:
    """Read a prior over options: the favourite, or a mapping from options to weights."""
    if not isinstance(prior, Mapping):
        return {_option(prior, options): 1.0}
    found = {_option(key, options): _weight(weight) for key, weight in prior.items()}
    if not (found and 0 < sum(found.values()) < math.inf):
        raise Mistake(f"prior needs a weight above 0, got {shown(prior)}. Remove it, or raise a weight.")
    return found


def _option(key: Any, options: Sequence[Option]) -> Option:
    for option in options:
        if same(option, key) or (option is None and key == "null"):
            return option
    known = [shown(option).strip('"') for option in options]
    raise Mistake(f"prior names {shown(key)}, which is no option.{did_you_mean(str(key), known)}")


def _weight(raw: Any) -> float:
    if not _is_number(raw) or not 0 <= raw <= sys.float_info.max:
        raise Mistake(f"prior needs weights of 0 or more, got {shown(raw)}. Change the weight.")
    return float(raw)
