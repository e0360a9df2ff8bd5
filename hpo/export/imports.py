"""The imports of a file: what each binds, and all of them in the usual order."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_BESIDE: Final = ("optim",)
"""Modules that are exported together."""

_WIDTH: Final = 110
"""Of a line, as in hpo's own code."""

FUTURE: Final = "__future__"
"""Whatever is imported from here says how a file is to be read."""


@dataclass(frozen=True, order=True)
class Import:
    """One imported name: `from module import name as bound`, or `import module` where `name` is empty."""

    module: str
    name: str
    bound: str

    @property
    def statement(self) -> str:
        """The import, as a statement of its own."""
        original = self.name or self.module
        renamed = "" if self.bound == original.partition(".")[0] else f" as {self.bound}"
        return (
            f"from {self.module} import {self.name}{renamed}" if self.name else f"import {original}{renamed}"
        )


def imports_of(statement: ast.stmt) -> Iterator[Import]:
    """Yield the names that a statement imports; none if it is another one."""
    match statement:
        case ast.ImportFrom(module=str(module), names=[ast.alias(name="*")]):
            for name in _public(module):
                yield Import(module, name, name)
        case ast.Import(names=aliases):
            for alias in aliases:
                yield Import(alias.name, "", alias.asname or alias.name.partition(".")[0])
        case ast.ImportFrom(module=str(module), names=aliases):
            for alias in aliases:
                yield Import(module, alias.name, alias.asname or alias.name)


def imports_all(statement: ast.stmt) -> bool:
    """Whether a statement imports whatever its module has, by a star."""
    return isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"


def _public(module: str) -> Iterable[str]:
    """Return the names that a module gives for a star."""
    found = importlib.import_module(module)
    return getattr(found, "__all__", [name for name in vars(found) if not name.startswith("_")])


def import_block(imports: Iterable[Import]) -> str:
    """Print imports in the usual order: future, standard library, others, files beside; `import` first."""
    sections: dict[int, list[Import]] = {0: [], 1: [], 2: [], 3: []}
    for item in imports:
        sections[_section(item)].append(item)
    return "\n\n".join("\n".join(_statements(section)) for section in sections.values() if section)


def _section(item: Import) -> int:
    top = item.module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return 0 if top == FUTURE else 1
    return 3 if top in _BESIDE else 2


def _statements(section: Iterable[Import]) -> Iterator[str]:
    plain = sorted(item for item in section if not item.name)
    yield from (item.statement for item in plain)
    together: dict[str, list[str]] = {}
    for item in sorted((item for item in section if item.name), key=_place):
        together.setdefault(item.module, []).append(item.statement.partition(" import ")[2])
    yield from (_from(module, names) for module, names in together.items())


def _from(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])


def _place(item: Import) -> tuple[str, int, str, bool, str]:
    """Sort as ruff and isort do: constants, then classes, then the rest."""
    kind = 0 if item.name.isupper() and len(item.name) > 1 else 1 if item.name[:1].isupper() else 2
    return item.module, kind, item.name, item.bound != item.name, item.bound
