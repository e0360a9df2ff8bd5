"""What a function or class takes, read from its syntax tree: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hpo.config import Value

_KINDS: Final = {"float": float, "int": int, "bool": bool, "str": str}
Callee = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Argument:
    """A keyword argument: its type, if annotation or default tell, and its default, a plain value."""

    name: str
    kind: type | None
    default: Value
    optional: bool


@dataclass(frozen=True)
class Definition:
    """A function or class: its name, first line, the docstring's first line, and what can be set of it."""

    name: str
    line: int
    doc: str
    arguments: tuple[Argument, ...]


def define(node: Callee, given: int = 0) -> Definition:
    """Read a definition whose first `given` arguments are passed by whoever calls it.

    An argument whose default is no plain value, such as a tuple, keeps it and is left out.
    """
    pairs = [(argument, default) for argument, default in arguments(node)[given:] if default is not None]
    plain = tuple(_argument(argument, default) for argument, default in pairs if says_plain(default))
    doc = (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
    return Definition(node.name, node.lineno, doc, plain)


def arguments(node: Callee) -> list[tuple[ast.arg, ast.expr | None]]:
    """Return all arguments with their defaults; a class has those of its `__init__`, or its fields."""
    if isinstance(node, ast.FunctionDef):
        return _parameters(node)
    init = next((it for it in node.body if isinstance(it, ast.FunctionDef) and it.name == "__init__"), None)
    return _parameters(init)[1:] if init else list(_fields(node))


def _parameters(function: ast.FunctionDef) -> list[tuple[ast.arg, ast.expr | None]]:
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    return [
        *zip(positional, [*missing, *args.defaults], strict=True),
        *zip(args.kwonlyargs, args.kw_defaults, strict=True),
    ]


def _fields(node: ast.ClassDef) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Yield the fields of a dataclass, which are its arguments."""
    decorated = any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    for statement in node.body if decorated else ():
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, annotation = statement.target.id, statement.annotation
            yield ast.copy_location(ast.arg(name, annotation), statement), statement.value


def literal(node: ast.expr) -> Any:
    """Return the value that stands in the source, or None."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def is_plain(value: object) -> bool:
    """Whether a value may stand in a configuration."""
    return value is None or isinstance(value, bool | int | float | str)


def says_plain(node: ast.expr) -> bool:
    """Whether a plain value stands in the source."""
    known = isinstance(node, ast.Constant) or literal(node) is not None
    return known and is_plain(literal(node))


def _argument(argument: ast.arg, node: ast.expr) -> Argument:
    default, words = literal(node), _annotated(argument)
    named = next((_KINDS[word] for word in words if word in _KINDS), None)
    kind = named or (type(default) if default is not None else None)
    return Argument(argument.arg, kind, default, default is None or "None" in words)


def _annotated(argument: ast.arg) -> Sequence[str]:
    """Return the alternatives of an annotation: `float | None`."""
    return ast.unparse(argument.annotation).split(" | ") if argument.annotation else ()
