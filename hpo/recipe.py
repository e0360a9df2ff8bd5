"""A recipe: a Python file that defines a model, its data, its loss and what is to be improved.

The file is *read* here and never run: all that a search must know beforehand (names, defaults,
literals) stands in its syntax tree. That takes no torch and no time, and finds mistakes before
anything starts. Workers get the source text and its hash, and run that.

A recipe defines

- `model(**hyperparameters)` → a `torch.nn.Module`; each argument has a default
- `data(**options)` → `{"train": …, "validation": …, "test": …}`, torch datasets
- `loss(outputs, targets, **options)` → a scalar tensor; options, such as `label_smoothing=0.0`, are for
  training: validation is measured with their defaults, so that trials compare
- `metrics = {"accuracy": accuracy}`, functions of (outputs, targets) → a mean over the batch
- `objective = "minimize loss"` or `"maximize accuracy"`, on validation data
- `epochs = 20`
- `baseline = {"optimizer": "sgd", "optimizer.lr": 0.05, …}`: what an expert would try first
"""

from __future__ import annotations

import ast
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hpo import shipped
from hpo.config import Config, Value
from hpo.errors import InputError, Problem, did_you_mean, nearest

DIRECTIONS: Final = ("minimize", "maximize")


@dataclass(frozen=True)
class Objective:
    """What is searched on validation data: `minimize loss`, `maximize accuracy`."""

    direction: str
    metric: str

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}"

    def cost(self, score: float | None) -> float:
        """Return the score as something to be minimized; what cannot be compared costs infinitely much."""
        if score is None or math.isnan(score):
            return math.inf
        return score if self.direction == "minimize" else -score

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read `minimize loss`.

        Raises:
            ValueError: the text has another form.
        """
        direction, _, metric = text.partition(" ")
        if direction not in DIRECTIONS or not metric.isidentifier():
            raise ValueError(text)
        return cls(direction, metric)


@dataclass(frozen=True)
class Recipe:
    """A recipe as its source tells it; `model`, `data` and `loss` map each option to its default."""

    name: str
    path: str
    source: str
    summary: str
    model: Mapping[str, Value]
    data: Mapping[str, Value]
    loss: Mapping[str, Value]
    metrics: tuple[str, ...]
    objective: Objective
    epochs: int
    baseline: Config

    @property
    def digest(self) -> str:
        """The hash of the source text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def options(self) -> Mapping[str, Mapping[str, Value]]:
        """What a space may search of the recipe, by the function whose argument it is."""
        return {"model": self.model, "loss": self.loss}


def names() -> dict[str, Path]:
    """Return every recipe that can be named, with its file."""
    return shipped.available("recipes", ".py")


def find(word: str) -> Recipe:
    """Return the recipe that `recipe=word` means: a name or a path.

    Raises:
        InputError: there is none, or the file lacks a part; all mistakes at once.
    """
    path = shipped.locate("recipes", ".py", word, "recipe")
    return read(path.read_text(encoding="utf-8"), str(path))


def read(source: str, path: str) -> Recipe:
    """Read a recipe from its source text.

    Raises:
        InputError: it is not Python, or lacks a part; all mistakes at once.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise InputError(Problem(f"{path}:{error.lineno}", f"This is not Python: {error.msg}.")) from None
    return _Reader(tree, source, path).recipe()


class _Reader:
    """Takes a recipe's parts from its syntax tree and gathers what is wrong with them."""

    def __init__(self, tree: ast.Module, source: str, path: str) -> None:
        self.source, self.path = source, path
        self.problems: list[Problem] = []
        self.summary = (ast.get_docstring(tree) or "").partition("\n")[0]
        self.defined = {name: node for statement in tree.body for name, node in _bindings(statement)}

    def recipe(self) -> Recipe:
        metrics = self._metrics()
        recipe = Recipe(
            name=Path(self.path).stem,
            path=self.path,
            source=self.source,
            summary=self.summary,
            model=self._options("model"),
            data=self._options("data"),
            loss=self._options("loss", given=2),
            metrics=metrics,
            objective=self._objective(metrics),
            epochs=self._epochs(),
            baseline=self._baseline(),
        )
        if self.problems:
            raise InputError(*self.problems)
        return recipe

    def _complain(self, node: ast.AST | None, part: str, message: str) -> None:
        line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.expr | ast.arg) else ""
        self.problems.append(Problem(f"{self.path}{line}  {part}", message))

    def _part(self, name: str, form: str) -> ast.AST | None:
        if name not in self.defined:
            found = nearest(name, (other for other in self.defined if not other.startswith("_")))
            self._complain(None, name, f"A recipe must define {form}; this one does not.{found}")
        return self.defined.get(name)

    def _function(self, name: str) -> ast.FunctionDef | None:
        forms = {"model": "model(**hyperparameters)", "data": "data()", "loss": "loss(outputs, targets)"}
        node = self._part(name, forms[name])
        if isinstance(node, ast.ClassDef):
            inits = (
                item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"
            )
            return next(inits, None)
        if node is not None and not isinstance(node, ast.FunctionDef):
            self._complain(node, name, f"Write it as a function in this file: def {forms[name]}.")
            return None
        return node

    def _options(self, name: str, given: int = 0) -> dict[str, Value]:
        """Return a function's arguments, but for those that are `given` by position."""
        function = self._function(name)
        if function is None:
            return {}
        arguments = [argument for argument in _arguments(function) if argument[0].arg != "self"][given:]
        options: dict[str, Value] = {}
        for argument, default in arguments:
            if default is None:
                self._complain(argument, f"{name}({argument.arg})", "Give this argument a default value.")
            else:
                options[argument.arg] = _literal(default)
        return options

    def _constant(self, name: str, form: str, kind: type) -> Any:
        node = self._part(name, form)
        if node is None:
            return None
        value = _literal(node) if isinstance(node, ast.expr) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            self._complain(node, name, f"Write it as a plain value, like {form}.")
            return None
        return value

    def _epochs(self) -> int:
        epochs = self._constant("epochs", "epochs = 20", int)
        if epochs is not None and epochs < 1:
            self._complain(self.defined["epochs"], "epochs", f"Must be 1 or more, got {epochs}.")
        return epochs or 0

    def _metrics(self) -> tuple[str, ...]:
        node = self.defined.get("metrics")
        if node is None:
            return ()
        keys = node.keys if isinstance(node, ast.Dict) else [None]
        constants = [key.value for key in keys if isinstance(key, ast.Constant)]
        found = tuple(name for name in constants if isinstance(name, str))
        if len(found) < len(keys):
            self._complain(node, "metrics", 'Write a dictionary with names as keys: {"accuracy": accuracy}.')
        return found

    def _objective(self, metrics: tuple[str, ...]) -> Objective:
        text = self._constant("objective", 'objective = "minimize loss"', str)
        fallback = Objective("minimize", "loss")
        if text is None:
            return fallback
        node = self.defined["objective"]
        try:
            objective = Objective.parse(text)
        except ValueError:
            form = '"minimize NAME" or "maximize NAME"'
            self._complain(node, "objective", f'Must read {form}, got "{text}".')
            return fallback
        if objective.metric not in ("loss", *metrics):
            hint = did_you_mean(objective.metric, ("loss", *metrics))
            self._complain(node, "objective", f"This recipe does not measure {objective.metric}.{hint}")
        return objective

    def _baseline(self) -> Config:
        values = self._constant("baseline", 'baseline = {"optimizer": "sgd", "optimizer.lr": 0.1}', dict)
        flat = {k: v for k, v in (values or {}).items() if isinstance(k, str) and _plain(v)}
        node = self.defined.get("baseline")
        for key in (values or {}).keys() - flat.keys():
            self._complain(node, f"baseline {key!r}", "Write dotted names and plain values.")
        return Config(flat)


def _bindings(statement: ast.stmt) -> list[tuple[str, ast.AST]]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [(name, statement)]
        case ast.Assign(targets=targets, value=value):
            return [(target.id, value) for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return [(name, value)]
        case ast.ImportFrom(names=aliases) | ast.Import(names=aliases):
            return [(alias.asname or alias.name, statement) for alias in aliases]
    return []


def _arguments(function: ast.FunctionDef) -> list[tuple[ast.arg, ast.expr | None]]:
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    return [
        *zip(positional, [*missing, *args.defaults], strict=True),
        *zip(args.kwonlyargs, args.kw_defaults, strict=True),
    ]


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
