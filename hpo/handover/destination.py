"""Files and folders that a person names: made where nothing is yet, and what is there stays."""

from __future__ import annotations

from pathlib import Path

from hpo.errors import InputError, Problem


def write_new(path: Path, text: str) -> Path:
    """Write a file that is not there yet, and return its path.

    Raises:
        InputError: it is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(taken(path)) from None
    except OSError as error:
        raise InputError(Problem(f"to={path}", f"Cannot write here: {error.strerror}.")) from None
    return path


def taken(path: Path) -> Problem:
    """Say that a file is there."""
    return Problem(f"to={path}", "This file exists and is left as it is. Choose another name, or delete it.")


def demand_new(path: Path) -> None:
    """Refuse a file that cannot be written later.

    Raises:
        InputError: it is there, or its folder is not.
    """
    if path.exists():
        raise InputError(taken(path))
    if not path.parent.is_dir():
        message = f"There is no folder {path.parent}. Make it, or choose another one."
        raise InputError(Problem(f"to={path}", message))


def demand_room(to: Path) -> None:
    """Make a folder.

    Raises:
        InputError: something lies in it already, or it cannot be made.
    """
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(Problem(f"to={to}", f"Cannot write here: {error.strerror}.")) from None
    if any(to.iterdir()):
        message = "This folder is not empty, and is left as it is. Choose another name, or delete it."
        raise InputError(Problem(f"to={to}", message))
