"""What an export repeats: one training of a recipe, with the code that it consists of."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from importlib.resources import files
from operator import add
from typing import Final, TypeGuard

from hpo.config import Config, Value
from hpo.export.imports import FUTURE, import_block
from hpo.export.pieces import Drop, Piece, needed, read
from hpo.export.text import edited, places
from hpo.recipe import Recipe
from hpo.training.words.calls import Call, printed

_NAME: Final = "__name__"
_SEARCHED: Final = {"objective", "epochs", "baseline", "optimizers", "schedules", "checkpoints"}


@dataclass(frozen=True)
class Run:
    """A training: `config` is complete, `origin` says which trial it was and how good.

    What it starts from lies in the file `beside` the code, if that is named, else where `config` says.
    Data that may come in `loaders` of the recipe's own need code to read these.
    """

    recipe: Recipe
    config: Config
    epochs: int
    seed: int
    threads: int = 1
    device: str = "cpu"
    data_options: Mapping[str, Value] = field(default_factory=dict)
    origin: str = ""
    beside: str = ""
    loaders: bool = True

    @property
    def about(self) -> str:
        """What the recipe says of itself, and where this training comes from."""
        told = ast.get_docstring(ast.parse(self.recipe.source)) or ""
        return "\n\n".join(
            text for text in (f"Train {self.recipe.name}. {told}".strip(), self.origin) if text
        )

    @property
    def own(self) -> Piece:
        """The recipe's source, without what only a search reads."""
        return read(self._source, _is_of_search(self._source))

    def around(self, ours: Piece, own: Piece | None = None) -> Piece:
        """Return the recipe's own source, or a part of it, and below it ours, with names that are not in it.

        In ours the recipe's definitions are named with its module, so that none is taken for one of ours.
        """
        own = own or self.own
        apart = ours.apart_from(own)
        return own + replace(apart, body=apart.body.replace(f"{self.recipe.module}.", ""))

    def own_words(self, names: Collection[str]) -> Piece:
        """Return what the recipe's own words of these names consist of."""
        return needed(self._source, names, _is_of_search(self._source)) if names else NOTHING

    @property
    def _source(self) -> str:
        """The recipe's source; where it asks whether it is the program, it is told no, as in a search.

        A plain `if __name__ == "__main__"` stays as it is, to be left out.
        """
        text = self.recipe.source
        at, told = places(text), printed(self.recipe.module)
        asking = (
            it
            for statement in ast.parse(text).body
            if not _runs_alone(statement)
            for it in ast.walk(statement)
        )
        names = (
            name for it in asking if isinstance(it, ast.Compare) for name in ast.walk(it) if _is_name(name)
        )
        starts = {at(name.lineno, name.col_offset) for name in names}
        return edited(text, {(start, start + len(_NAME)): told for start in starts})


NOTHING: Final = Piece(frozenset(), "", frozenset())


def definitions(calls: Iterable[Call], others: Mapping[str, set[str]]) -> Piece:
    """Return hpo's definitions that these calls rely on, and others, by module, each once."""
    wanted: dict[str, set[str]] = {}
    for module, name in (pair for call in calls for pair in call.ours):
        wanted.setdefault(module, set()).add(name)
    for module, names in others.items():
        wanted.setdefault(module, set()).update(names)
    pieces = [needed(source(module), names, _is_of_types) for module, names in wanted.items() if names]
    return without_ours(reduce(add, pieces, NOTHING))


def whole(module: str) -> Piece:
    """Return all of one of hpo's modules."""
    return without_ours(read(source(module)))


def without_ours(piece: Piece) -> Piece:
    """Return the piece without imports of hpo's, whose definitions stand beside it.

    How a file is to be read, the recipe alone says: its code might mean something else otherwise.
    """
    kept = (it for it in piece.imports if it.module != FUTURE and not it.module.startswith("hpo."))
    return replace(piece, imports=frozenset(kept))


def source(module: str) -> str:
    """Return the source text of one of hpo's modules, without importing it."""
    package, _, name = module.rpartition(".")
    return files(package).joinpath(f"{name}.py").read_text("utf-8")


def document(piece: Piece, *about: str) -> str:
    """Return a module: paragraphs as its docstring, its imports, its body."""
    text = "\n\n".join(paragraph for paragraph in about if paragraph)
    docstring = '"""' + text.replace("\\", "\\\\").replace('"""', "'''") + '\n"""'
    gap = "\n" if piece.body.startswith(("def ", "class ", "@")) else ""
    return f"{docstring}\n\n{import_block(piece.imports)}\n\n{gap}{piece.body}\n"


def _is_of_types(statement: ast.stmt) -> bool:
    """Whether a statement is for type checkers alone."""
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"


def _is_of_search(text: str) -> Drop:
    """Return what tells the parts of a recipe that only a search reads, or that run when it runs itself."""
    read_names = {
        node.id
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    unread = _SEARCHED - read_names

    def is_of_search(statement: ast.stmt) -> bool:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                return name in unread
        return _runs_alone(statement)

    return is_of_search


def _runs_alone(statement: ast.stmt) -> bool:
    """Whether a statement runs only when its file is the program."""
    match statement:
        case ast.If(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]), orelse=[]):
            return _is_name(left) or _is_name(right)
    return False


def _is_name(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and node.id == _NAME
