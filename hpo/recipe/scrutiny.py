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
        if not _importable(name, path.parent):
            hint = nearest(name, [*_COMMON, *sys.stdlib_module_names]) or " Install it first."
            where = f"{shipped.near(path)}:{statement.lineno}  import {name}"
            yield Problem(where, f"There is no module of this name in this environment.{hint}")


def _imported(statement: ast.stmt) -> list[str]:
    """Return the top-level modules that a statement imports."""
    match statement:
        case ast.Import(names=aliases):
            return [alias.name.partition(".")[0] for alias in aliases]
        case ast.ImportFrom(module=str(module), level=0):
            return [module.partition(".")[0]]
    return []


def _importable(name: str, folder: Path) -> bool:
    """Say whether there is a module of this name, without running any of it."""
    beside = [place / file for place in (folder, Path.cwd()) for file in (name, f"{name}.py")]
    return name in sys.modules or find_spec(name) is not None or any(path.exists() for path in beside)


def _upside_down(statement: ast.stmt, path: Path) -> Iterator[Problem]:
    match statement:
        case ast.Assign(targets=[ast.Name(id="objective")], value=value):
            direction, _, metric = str(literal(value)).partition(" ")
            if direction in DIRECTIONS and BETTER.get(metric, direction) != direction:
                message = f'{metric} is not meant to be {direction}d. Write "{BETTER[metric]} {metric}"'
                where = f"{shipped.near(path)}:{statement.lineno}  objective"
                yield Problem(where, f"{message}, or call what you measure by another name.")
