"""Pieces of source code that are put together in one file: their imports, their body, the names they bind."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

Drop = Callable[[ast.stmt], bool]

BESIDE: Final = ("optim",)
"""Modules that are exported together."""

_DEFINITION: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORT: Final = (ast.Import, ast.ImportFrom)
_SCOPE: Final = (
    *_DEFINITION,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
"""What has names of its own."""

_HEADING: Final = re.compile(rb"(?:async\s+)?(?:def|class)\s+")
_JOINT: Final = re.compile(rb"[ \t\f]*;(?:[ \t\f]|\\\n)*")
"""What stands between two statements of a line."""


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


@dataclass(frozen=True)
class Piece:
    """Source code without its docstring and its leading imports, which are kept apart."""

    imports: frozenset[Import]
    body: str
    names: frozenset[str]

    def apart_from(self, other: Piece) -> Piece:
        """Return the piece with other names, `name_`, for those of its own that mean something else there."""
        theirs = other.names | {item.bound for item in other.imports}
        foreign = {item.bound for item in self.imports - other.imports}
        names = {name: other_name(name, theirs) for name in (self.names | foreign) & theirs}
        imports = (replace(item, bound=names.get(item.bound, item.bound)) for item in self.imports)
        own = (names.get(name, name) for name in self.names)
        return Piece(frozenset(imports), _renamed(self.body, names), frozenset(own))

    def __add__(self, other: Piece) -> Piece:
        """Put another piece below this one."""
        body = "\n\n\n".join(part.body for part in (self, other) if part.body)
        return Piece(self.imports | other.imports, body, self.names | other.names)


def other_name(name: str, taken: Collection[str]) -> str:
    """Return a name, or `name_` if it is taken."""
    return other_name(f"{name}_", taken) if name in taken else name


def _renamed(body: str, names: Mapping[str, str]) -> str:
    """Give names of a module others where its code means them: texts and arguments may be called the same."""
    text, at, tree, edits = body.encode(), _places(body), ast.parse(body), dict[tuple[int, int], str]()
    for node, name in _called(tree, names.keys(), names.keys()):
        start = at(node.lineno, node.col_offset)
        heading = _HEADING.match(text, start)
        start = heading.end() if heading else start
        edits[start, start + len(name.encode())] = names[name]
    return _edited(body, edits)


def _called(node: ast.AST, names: Set[str], inside: Set[str]) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yield what has these names of a module in a scope of its code, or those `inside` its functions."""
    for part in ast.iter_child_nodes(node):
        match part:
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) if name in names:
                yield part, name
        here, there = names, inside
        if isinstance(part, _SCOPE):
            here = inside - {name for it in ast.iter_child_nodes(part) for name in _bound(it)}
            there = inside if isinstance(part, ast.ClassDef) else here
        yield from _called(part, here, there)


def _nothing(_: ast.stmt) -> bool:
    return False


def read(source: str, drop: Drop = _nothing) -> Piece:
    """Take source code apart, leaving out the statements that `drop` says are not wanted."""
    source = _one_a_line(source)
    tree = ast.parse(source)
    return _taken_apart(source, tree, [statement for statement in tree.body if drop(statement)])


def needed(source: str, names: Collection[str], drop: Drop = _nothing) -> Piece:
    """Take source code apart, leaving in these definitions, those that they mention, and what fills them.

    A statement that runs when the module is read may fill a table, by itself or by a function that it calls,
    and a decorator may enter what it decorates in one. What `drop` says is not wanted does not count.
    """
    source = _one_a_line(source)
    tree = ast.parse(source)
    left = [statement for statement in tree.body if not drop(statement)]
    mentioned: dict[str, set[str]] = {}
    for statement in left:
        for name in () if isinstance(statement, _IMPORT) else _bound(statement):
            mentioned.setdefault(name, set()).update(_mentioned([statement]))
    wanted = _reached(names, mentioned)
    while found := [it for it in left if not wanted.isdisjoint(_concerned(it, mentioned))]:
        left = [statement for statement in left if statement not in found]
        wanted |= _reached(_mentioned(found), mentioned)
    dropped = [statement for statement in tree.body if statement in left or drop(statement)]
    return _taken_apart(source, tree, dropped)


def _concerned(statement: ast.stmt, mentioned: Mapping[str, set[str]]) -> set[str]:
    """Return the names that a statement binds, or reaches when the module is read."""
    runs: Sequence[ast.AST] = [statement]
    if isinstance(statement, _DEFINITION):
        runs = statement.decorator_list
    return {*_bound(statement), *(_reached(_mentioned(runs), mentioned) & mentioned.keys())}


def _reached(names: Iterable[str], mentioned: Mapping[str, set[str]]) -> set[str]:
    """Return names, those that their definitions mention, and so on."""
    reached, left = set[str](), set(names)
    while left:
        reached |= left
        left = {other for name in left for other in mentioned.get(name, ())} - reached
    return reached


def _mentioned(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names in some code."""
    return {it.id for node in nodes for it in ast.walk(node) if isinstance(it, ast.Name)}


def _taken_apart(source: str, tree: ast.Module, dropped: Sequence[ast.stmt]) -> Piece:
    leading = list(_leading(tree))
    body = _without(source.split("\n"), leading, dropped)
    kept = [statement for statement in tree.body if statement not in leading and statement not in dropped]
    imports = frozenset(item for statement in leading for item in _imports(statement))
    return Piece(imports, body, frozenset(name for statement in kept for name in _bound(statement)))


def used(piece: Piece) -> Piece:
    """Return the piece with only those imports that its body mentions."""
    names = _mentioned([ast.parse(piece.body)])
    return replace(piece, imports=frozenset(item for item in piece.imports if item.bound in names))


def import_block(imports: Iterable[Import]) -> str:
    """Print imports in the usual order: future, standard library, others, files beside; `import` first."""
    sections: dict[int, list[Import]] = {0: [], 1: [], 2: [], 3: []}
    for item in imports:
        sections[_section(item)].append(item)
    return "\n\n".join("\n".join(_statements(section)) for section in sections.values() if section)


def _section(item: Import) -> int:
    top = item.module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return 0 if top == "__future__" else 1
    return 3 if top in BESIDE else 2


def _statements(section: Iterable[Import]) -> Iterator[str]:
    plain = sorted(item for item in section if not item.name)
    yield from (item.statement for item in plain)
    together: dict[str, list[str]] = {}
    for item in sorted((item for item in section if item.name), key=_place):
        together.setdefault(item.module, []).append(item.statement.partition(" import ")[2])
    yield from (f"from {module} import {', '.join(names)}" for module, names in together.items())


def _place(item: Import) -> tuple[str, int, str, bool, str]:
    """Sort as ruff and isort do: constants, then classes, then the rest."""
    kind = 0 if item.name.isupper() and len(item.name) > 1 else 1 if item.name[:1].isupper() else 2
    return item.module, kind, item.name, item.bound != item.name, item.bound


def _leading(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the docstring and the imports that a module begins with."""
    for position, statement in enumerate(tree.body):
        docstring = position == 0 and ast.get_docstring(tree) is not None
        if not docstring and not isinstance(statement, _IMPORT):
            return
        yield statement


def _imports(statement: ast.stmt) -> Iterator[Import]:
    match statement:
        case ast.Import(names=aliases):
            for alias in aliases:
                yield Import(alias.name, "", alias.asname or alias.name.partition(".")[0])
        case ast.ImportFrom(module=str(module), names=aliases):
            for alias in aliases:
                yield Import(module, alias.name, alias.asname or alias.name)


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that some code binds in the scope in which it stands."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import() | ast.ImportFrom():
            yield from (item.bound for item in _imports(node))
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield name
        case _ if not isinstance(node, _SCOPE):
            for part in ast.iter_child_nodes(node):
                yield from _bound(part)


def _one_a_line(source: str) -> str:
    """Give each statement of a module lines of its own, where semicolons join several."""
    text, at, body = source.encode(), _places(source), ast.parse(source).body
    ends = (at(it.end_lineno or it.lineno, it.end_col_offset or 0) for it in body)
    starts = (at(it.lineno, it.col_offset) for it in body[1:])
    joints = [span for span in zip(ends, starts, strict=False) if _JOINT.fullmatch(text, *span)]
    return _edited(source, dict.fromkeys(joints, "\n"))


def _places(text: str) -> Callable[[int, int], int]:
    """Return where in a text's bytes a syntax tree's line, counted from 1, and column, in bytes, lie."""
    lines = [0, *accumulate(len(line) + 1 for line in text.encode().split(b"\n"))]
    return lambda line, column: lines[line - 1] + column


def _edited(text: str, edits: Mapping[tuple[int, int], str]) -> str:
    """Put other text in the place of some spans of bytes."""
    edited = bytearray(text.encode())
    for (start, end), new in sorted(edits.items(), reverse=True):
        edited[start:end] = new.encode()
    return edited.decode()


def _without(lines: list[str], leading: Iterable[ast.stmt], dropped: Iterable[ast.stmt]) -> str:
    """Return the text without some statements, the blank lines after them and the dropped ones' comments."""
    gone: set[int] = set()
    for statement in leading:
        gone.update(_span(lines, statement))
    for statement in dropped:
        first = _first_line(statement)
        while first > 1 and lines[first - 2].startswith("#"):
            first -= 1
        gone.update(range(first, _first_line(statement)), _span(lines, statement))
    return "\n".join(line for number, line in enumerate(lines, start=1) if number not in gone).strip()


def _span(lines: list[str], statement: ast.stmt) -> range:
    end = statement.end_lineno or statement.lineno
    while end < len(lines) and not lines[end].strip():
        end += 1
    return range(_first_line(statement), end + 1)


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])
