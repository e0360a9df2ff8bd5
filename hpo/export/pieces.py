"""Pieces of source code that are put together in one file: their imports, their body, the names they bind."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from hpo.export.imports import FUTURE, Import, imports_all, imports_of
from hpo.export.text import edited, one_a_line, places, without

Drop = Callable[[ast.stmt], bool]

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


@dataclass(frozen=True)
class Piece:
    """Source code without its docstring and its leading imports, which are kept apart."""

    imports: frozenset[Import]
    body: str
    names: frozenset[str]

    def apart_from(self, other: Piece) -> Piece:
        """Return the piece with other names, `name_`, for those of its own that mean something else there."""
        names, imports = self.other_names(other), self.imports | self._hidden_by(other)
        imports = frozenset(replace(item, bound=names.get(item.bound, item.bound)) for item in imports)
        own = (names.get(name, name) for name in self.names)
        return Piece(imports, _renamed(self.body, names), frozenset(own))

    def other_names(self, other: Piece) -> dict[str, str]:
        """Return the other names that it has apart from another piece, by those that it has here."""
        theirs = other.names | {item.bound for item in other.imports}
        foreign = {item.bound for item in (self.imports | self._hidden_by(other)) - other.imports}
        return {name: other_name(name, theirs) for name in (self.names | foreign) & theirs}

    def _hidden_by(self, other: Piece) -> frozenset[Import]:
        """Return imports of what is built in and used here, and means something else in another piece."""
        hidden = vars(builtins).keys() & (other.names | {item.bound for item in other.imports})
        return frozenset(Import("builtins", it, it) for it in hidden & _mentioned([ast.parse(self.body)]))

    def __add__(self, other: Piece) -> Piece:
        """Put another piece below this one."""
        body = "\n\n\n".join(part.body for part in (self, other) if part.body)
        return Piece(self.imports | other.imports, body, self.names | other.names)


def other_name(name: str, taken: Collection[str]) -> str:
    """Return a name, or `name_` if it is taken."""
    return other_name(f"{name}_", taken) if name in taken else name


def _renamed(body: str, names: Mapping[str, str]) -> str:
    """Give names of a module others where its code means them: texts and arguments may be called the same."""
    text, at, tree, edits = body.encode(), places(body), ast.parse(body), dict[tuple[int, int], str]()
    for node, name in _called(tree, names.keys(), names.keys()):
        start = at(node.lineno, node.col_offset)
        heading = _HEADING.match(text, start)
        start = heading.end() if heading else start
        edits[start, start + len(name.encode())] = names[name]
    return edited(body, edits)


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
    source = one_a_line(source)
    tree = ast.parse(source)
    return _taken_apart(source, tree, [statement for statement in tree.body if drop(statement)])


def needed(source: str, names: Collection[str], drop: Drop = _nothing) -> Piece:
    """Take source code apart, leaving in these definitions, those that they mention, and what fills them.

    A statement that runs when the module is read may fill a table, by itself or by a function that it calls,
    and a decorator may enter what it decorates in one. What `drop` says is not wanted does not count.
    """
    source = one_a_line(source)
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
    body = without(source.split("\n"), leading, dropped)
    used_somewhere = _mentioned([tree])
    imports = {  # of two that bind the same name, the last
        item.bound if item.name else item.module: item
        for statement in leading
        for item in imports_of(statement)
        if item.bound in used_somewhere or not imports_all(statement)
    }
    return Piece(frozenset(imports.values()), body, frozenset(_module_names(body)))


def _module_names(body: str) -> Iterator[str]:
    """Yield the names that code binds in its module: by statements, in patterns, from within functions."""
    for symbol in symtable.symtable(body, "body", "exec").get_symbols():
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_declared_global():
            yield symbol.get_name()


def used(piece: Piece) -> Piece:
    """Return the piece with only those imports that its body mentions, or is to be read by."""
    names = set(_looked_up(symtable.symtable(piece.body, "body", "exec")))
    kept = (item for item in piece.imports if item.bound in names or item.module == FUTURE)
    return replace(piece, imports=frozenset(kept))


def _looked_up(scope: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names that the code of a scope, and of all scopes in it, looks up in its module."""
    own = isinstance(scope, symtable.Function)  # what a function binds is its own
    for symbol in scope.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or not own):
            yield symbol.get_name()
    for inner in scope.get_children():
        yield from _looked_up(inner)


def _leading(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the docstring and the imports that a module begins with."""
    for position, statement in enumerate(tree.body):
        docstring = position == 0 and ast.get_docstring(tree) is not None
        if not docstring and not isinstance(statement, _IMPORT):
            return
        yield statement


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that some code binds in the scope in which it stands."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import() | ast.ImportFrom():
            yield from (item.bound for item in imports_of(node))
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield name
        case _ if not isinstance(node, _SCOPE):
            for part in ast.iter_child_nodes(node):
                yield from _bound(part)
