"""Finding a recipe, and reading it from its syntax tree: every mistake at once, each with its line."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from hpo import shipped
from hpo.config import Config, Value
from hpo.errors import InputError, Problem, did_you_mean, nearest
from hpo.recipe.recipe import Objective, Recipe
from hpo.recipe.scrutiny import scrutinize
from hpo.recipe.signature import Callee, Definition, arguments, define, is_plain, literal, says_plain

_MEASURED: Final = frozenset({"epoch", "loss", "train_loss", "lr"})
"""What stands beside the metrics in each epoch's line."""
_LONGEST: Final = 100


def names() -> dict[str, Path]:
    """Return every recipe that can be named, with its file."""
    return shipped.available("recipes", ".py")


def find(word: str) -> Recipe:
    """Return the recipe that `recipe=word` means: a name or a path.

    Raises:
        InputError: there is none, the file lacks a part, or it cannot run here; all mistakes at once.
    """
    path = shipped.locate("recipes", ".py", word, "recipe")
    source = shipped.text(path)
    tree = _parse(source, str(path))
    return _Reader(tree, source, str(path), [*_too_long(path), *scrutinize(tree, path)]).recipe()


def read(source: str, path: str) -> Recipe:
    """Read a recipe from its source text.

    Raises:
        InputError: it is not Python, or lacks a part; all mistakes at once.
    """
    return _Reader(_parse(source, path), source, path, []).recipe()


def _too_long(path: Path) -> list[Problem]:
    """Refuse a name that no ledger has the room for."""
    if len(path.stem) <= _LONGEST:
        return []
    message = f"A recipe's name has at most {_LONGEST} letters; this one has {len(path.stem)}."
    return [Problem(shipped.near(str(path)), f"{message} Rename the file.")]


def _parse(source: str, path: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(Problem(f"{shipped.near(path)}{line}", f"This is not Python: {message}.")) from None


class _Reader:
    """Takes a recipe's parts from its syntax tree and gathers what is wrong with them."""

    def __init__(self, tree: ast.Module, source: str, path: str, problems: list[Problem]) -> None:
        self.source, self.path, self.problems = source, path, problems
        self.summary = (ast.get_docstring(tree) or "").partition("\n")[0]
        self.defined = {name: node for statement in tree.body for name, node in _bindings(statement)}
        stored = (
            it.id for it in ast.walk(tree) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)
        )
        self.stored = Counter(stored)

    def recipe(self) -> Recipe:
        metrics = self._metrics()
        recipe = Recipe(
            name=Path(self.path).stem,
            path=self.path,
            source=self.source,
            summary=self.summary,
            model=self._hyperparameters("model"),
            data=self._options("data"),
            loss=self._hyperparameters("loss", given=2),
            metrics=metrics,
            objective=self._objective(metrics),
            epochs=self._epochs(),
            baseline=self._baseline(),
            optimizers=self._words("optimizers", of_function=1, of_class=1),
            schedules=self._words("schedules", of_function=2),
            checkpoints=self._words("checkpoints"),
        )
        self._demand_rates(recipe.optimizers)
        if self.problems:
            raise InputError(*self.problems)
        return recipe

    def _complain(self, node: ast.AST | None, part: str, message: str) -> None:
        line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.expr | ast.arg) else ""
        self.problems.append(Problem(f"{shipped.near(self.path)}{line}  {part}", message))

    def _part(self, name: str, form: str) -> ast.AST | None:
        if name not in self.defined:
            found = nearest(name, (other for other in self.defined if not other.startswith("_")))
            self._complain(None, name, f"A recipe must define {form}; this one does not.{found}")
        return self.defined.get(name)

    def _function(self, name: str) -> Callee | None:
        forms = {"model": "model(**hyperparameters)", "data": "data()", "loss": "loss(outputs, targets)"}
        node = self._part(name, forms[name])
        if node is not None and not isinstance(node, Callee):
            self._complain(node, name, f"Write it as a function in this file: def {forms[name]}.")
            return None
        return node

    def _hyperparameters(self, name: str, given: int = 0) -> dict[str, Value]:
        """Return the options of a function that can stand in a configuration.

        An argument whose default is no plain value, such as a class or a tuple, keeps it and is left out.
        """
        return {arg: literal(default) for arg, default in self._defaults(name, given) if says_plain(default)}

    def _options(self, name: str) -> dict[str, Value]:
        """Return a function's arguments; None stands for a default that is no plain value."""
        return {arg: literal(default) for arg, default in self._defaults(name)}

    def _defaults(self, name: str, given: int = 0) -> Iterator[tuple[str, ast.expr]]:
        """Yield a function's arguments, but for those that are `given` by position, with their defaults."""
        function = self._function(name)
        for argument, default in self._defaulted(function, name, given) if function else ():
            yield argument.arg, self._meant(default)

    def _meant(self, node: ast.expr) -> ast.expr:
        """Return what a name stands for, if it is a constant of this file; else the expression itself."""
        found = self.defined.get(node.id) if isinstance(node, ast.Name) else None
        constant = isinstance(node, ast.Name) and self.stored[node.id] == 1
        return found if constant and isinstance(found, ast.expr) else node

    def _defaulted(self, node: Callee, name: str, given: int) -> Iterator[tuple[ast.arg, ast.expr]]:
        """Yield the arguments after those that are `given` by position, each of which needs a default."""
        for argument, default in arguments(node)[given:]:
            if default is None:
                self._complain(argument, f"{name}({argument.arg})", "Give this argument a default value.")
            else:
                yield argument, default

    def _constant(self, name: str, form: str, kind: type) -> Any:
        node = self._part(name, form)
        if node is None:
            return None
        value = literal(node) if isinstance(node, ast.expr) else None
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
        for name in _MEASURED & set(found):
            self._complain(node, f"metrics {name!r}", "This is measured anyway. Call it by another name.")
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
        flat = {k: v for k, v in (values or {}).items() if isinstance(k, str) and is_plain(v)}
        node = self.defined.get("baseline")
        for key in (values or {}).keys() - flat.keys():
            self._complain(node, f"baseline {key!r}", "Write dotted names and plain values.")
        return Config(flat)

    def _words(self, part: str, of_function: int = 0, of_class: int = 0) -> tuple[Definition, ...]:
        """Return what a list of own words names; so many arguments of each are passed by position."""
        node = self.defined.get(part)
        if node is None:
            return ()
        if not isinstance(node, ast.List | ast.Tuple) or not all(
            isinstance(it, ast.Name) for it in node.elts
        ):
            self._complain(node, part, f"List what this file defines, by its names: {part} = [mine].")
            return ()
        callees = [self._callee(part, item) for item in node.elts if isinstance(item, ast.Name)]
        return tuple(
            self._word(it, of_class if isinstance(it, ast.ClassDef) else of_function) for it in callees if it
        )

    def _word(self, callee: Callee, given: int) -> Definition:
        list(self._defaulted(callee, callee.name, given))
        return define(callee, given)

    def _callee(self, part: str, name: ast.Name) -> Callee | None:
        node = self.defined.get(name.id)
        if isinstance(node, Callee):
            return node
        own = [other for other, it in self.defined.items() if isinstance(it, Callee)]
        message = (
            f"Write {name.id} as a class or function in this file." if node else f"There is no {name.id}."
        )
        self._complain(name, part, message + nearest(name.id, own))
        return None

    def _demand_rates(self, optimizers: Iterable[Definition]) -> None:
        for it in optimizers:
            node = self.defined[it.name]
            if isinstance(node, Callee) and "lr" not in {argument.arg for argument, _ in arguments(node)}:
                message = "An optimizer takes lr=…, which schedules multiply. Add it, with a default value."
                self._complain(node, it.name, message)


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
