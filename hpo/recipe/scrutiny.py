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
from hpo.recipe.recipe import DIRECTIONS
from hpo.signature import literal

BETTER: Final = {  # which way these are better, whatever the recipe
    **dict.fromkeys(("loss", "error", "perplexity", "mae", "mse", "rmse", "nll"), "minimize"),
    **dict.fromkeys(("accuracy", "acc", "f1", "auc", "auroc", "precision", "recall", "r2"), "maximize"),
}
_COMMON: Final = ("torch", "torchvision", "numpy", "scipy", "sklearn", "pandas", "transformers", "datasets")


def scrutinize(tree: ast.Module, path: Path) -> list[Problem]:
    """Return what would go wrong when the file is run here, or make no sense.

    Its imports must be there (what it only tries to import, it can do without), and accuracy is not to be
    minimized.
    """
    found = [problem for statement in tree.body for problem in _without_module(statement, path)]
    return found + [problem for statement in tree.body for problem in _upside_down(statement, path)]


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
