"""Writing a starting point into the folder where it is found by its name; what is there stays."""

from __future__ import annotations

import keyword
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from hpo import shipped
from hpo.errors import InputError, Problem, did_you_mean

Kind = Literal["recipe", "space"]

_PLACES: Final[dict[Kind, tuple[str, str]]] = {
    "recipe": ("recipes", ".py"),
    "space": ("search_spaces", ".yaml"),
}


def new(kind: Kind, name: str) -> Path:
    """Write a commented starting point of this name, and return its path.

    Raises:
        InputError: the name cannot be one, or the file is there or cannot be written.
    """
    suffix = _PLACES[kind][1]
    text = resources.files("hpo.starting").joinpath(f"{kind}{suffix}.txt").read_text(encoding="utf-8")
    return _write(kind, name, text.replace("NAME", name))


def copy(source: str, name: str) -> list[Path]:
    """Copy the recipe of a name, and the space of that name, to another name; return the new paths.

    Raises:
        InputError: there is neither, or a file is there or cannot be written.
    """
    known = {kind: shipped.available(*place) for kind, place in _PLACES.items()}
    found = {kind: paths[source] for kind, paths in known.items() if source in paths}
    if not found:
        names = {it for paths in known.values() for it in paths}
        message = f"There is no recipe and no space of this name.{did_you_mean(source, names)}"
        raise InputError(Problem(source, message))
    for kind in found:
        _refuse(kind, name)
    return [_write(kind, name, _renamed(shipped.text(path), source, name)) for kind, path in found.items()]


def _renamed(text: str, source: str, name: str) -> str:
    """Return a text whose first line, where a space has its command, says the new name."""
    first, newline, rest = text.partition("\n")
    return first.replace(f"={source}", f"={name}") + newline + rest


def _write(kind: Kind, name: str, text: str) -> Path:
    path = _refuse(kind, name)
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(Problem(str(path), f"Cannot write here: {error.strerror}.")) from None
    return path


def _refuse(kind: Kind, name: str) -> Path:
    """Return where a starting point of this name lies, unless something is wrong with that."""
    folder, suffix = _PLACES[kind]
    path = Path(folder, f"{name}{suffix}")
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        message = "A name is letters, digits and _, and begins with a letter: it names a Python file."
        raise InputError(Problem(name, message))
    if path.exists():
        raise InputError(Problem(str(path), "This file exists and is left as it is. Choose another name."))
    return path
