"""What must be right about a recipe before a search starts, though not where one is only looked at."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hpo import shipped
from hpo.errors import Problem, nearest
from hpo.recipe.recipe import DIRECTIONS, SPLITS
from hpo.recipe.signature import literal

BETTER: Final = {  # which way these are better, whatever the recipe
    **dict.fromkeys(("loss", "error", "perplexity", "mae", "mse", "rmse", "nll"), "minimize"),
    **dict.fromkeys(("accuracy", "acc", "f1", "auc", "auroc", "precision", "recall", "r2"), "maximize"),
}
_COMMON: Final = ("torch", "torchvision", "numpy", "scipy", "sklearn", "pandas", "transformers", "datasets")


def scrutinize(tree: ast.Module, path: Path) -> list[Problem]:
    """Return what would go wrong when the file is run here, or make no sense.

    Its imports must be there (what it only tries to import, it can do without), and accuracy is not to be
    minimized. A loss is what torch can take the gradient of, and data have the names that a search looks for.
    """
    looks = (_without_module, _upside_down, _unlearnable, _unnamed)
    return [problem for look in looks for statement in tree.body for problem in look(statement, path)]


def _without_module(statement: ast.stmt, path: Path) -> Iterator[Problem]:
    for name in _imported(statement):
        where = f"{shipped.near(path)}:{statement.lineno}  import {name}"
        if name.startswith(".") or not _importable(name):
            yield Problem(where, _missing(name, path.parent))


def _missing(name: str, folder: Path) -> str:
    """Say that a module is not there for a recipe, though it may lie beside it, and what to do."""
    own = name.lstrip(".")
    if any((place / file).exists() for place in (folder, Path.cwd()) for file in (own, f"{own}.py")):
        return (
            "A recipe goes to its workers as one file, without what lies beside it. Write this into it, or"
            " install it as a package: pip install --editable FOLDER."
        )
    hint = nearest(own, [*_COMMON, *sys.stdlib_module_names]) or " Install it first."
    return f"There is no module of this name in this environment.{hint}"


def _imported(statement: ast.stmt) -> list[str]:
    """Return the top-level modules that a statement imports."""
    match statement:
        case ast.Import(names=aliases):
            return [alias.name.partition(".")[0] for alias in aliases]
        case ast.ImportFrom(module=module, level=level):
            return ["." * level + (module or "").partition(".")[0]]
    return []


def _importable(name: str) -> bool:
    """Say whether there is a module of this name, without running any of it."""
    return name in sys.modules or find_spec(name) is not None


def _upside_down(statement: ast.stmt, path: Path) -> Iterator[Problem]:
    match statement:
        case ast.Assign(targets=[ast.Name(id="objective")], value=value):
            direction, _, metric = str(literal(value)).partition(" ")
            if direction in DIRECTIONS and BETTER.get(metric, direction) != direction:
                message = f'{metric} is not meant to be {direction}d. Write "{BETTER[metric]} {metric}"'
                where = f"{shipped.near(path)}:{statement.lineno}  objective"
                yield Problem(where, f"{message}, or call what you measure by another name.")


def _unlearnable(statement: ast.stmt, path: Path) -> Iterator[Problem]:
    """Find a loss that takes too little, or returns a plain number."""
    match statement:
        case ast.FunctionDef(name="loss", args=ast.arguments(vararg=None)):
            where = f"{shipped.near(path)}:{{}}  loss"
            if len([*statement.args.posonlyargs, *statement.args.args]) < 2:
                message = "It is called as loss(outputs, targets), with what model gives and what data has."
                yield Problem(where.format(statement.lineno), f"{message} Give it these two arguments.")
            for line in (it.lineno for it in _returned(statement) if _is_number(it)):
                message = (
                    "This is a plain number, of which no gradient can be taken. Return the tensor itself."
                )
                yield Problem(where.format(line), message)


def _is_number(node: ast.expr) -> bool:
    """Whether an expression makes a plain number of a tensor."""
    match node:
        case ast.Call(func=ast.Name(id="float" | "int")) | ast.Call(func=ast.Attribute(attr="item", value=_)):
            return True
    return False


def _unnamed(statement: ast.stmt, path: Path) -> Iterator[Problem]:
    """Find data that are returned under other names than those that a search looks for."""
    match statement:
        case ast.FunctionDef(name="data"):
            returned = [it for it in _returned(statement) if isinstance(it, ast.Dict)]
            for node, names in ((it, [literal(key) if key else None for key in it.keys]) for it in returned):
                absent = [name for name in SPLITS if name not in names]
                if absent and all(isinstance(name, str) for name in names):
                    known, missing = (" and ".join(map(repr, them)) for them in (names, absent))
                    message = f"It returns {known or 'nothing'}, but no {missing}, as a search calls what it"
                    where = f"{shipped.near(path)}:{node.lineno}  data"
                    yield Problem(
                        where, f"{message} trains and measures on. Call them 'train' and 'validation'."
                    )


def _returned(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """Yield what a function returns itself, not what is defined in it."""
    left: list[ast.AST] = [*function.body]
    while left:
        node = left.pop(0)
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            left += ast.iter_child_nodes(node)
