"""Finding what ships with hpo, and the user's own: recipes and search spaces, by name or path."""

from __future__ import annotations

from pathlib import Path

from hpo.errors import InputError, Problem, did_you_mean

_PACKAGE = Path(__file__).parent


def folders(kind: str) -> list[Path]:
    """Return where things of a kind (`recipes`, `search_spaces`) are looked for, nearest first."""
    installed = _PACKAGE / "shipped" / kind
    return [Path.cwd() / kind, installed if installed.is_dir() else _PACKAGE.parent / kind]


def available(kind: str, suffix: str) -> dict[str, Path]:
    """Return every name of a kind with its file; the user's own hide shipped ones of the same name."""
    found: dict[str, Path] = {}
    for folder in folders(kind):
        for path in sorted(folder.glob(f"*{suffix}")):
            if not path.name.startswith("_"):
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def locate(kind: str, suffix: str, word: str, key: str) -> Path:
    """Return the file that `key=word` means: a path if it looks like one, else a name.

    Raises:
        InputError: there is no such file or name.
    """
    if word.endswith(suffix) or "/" in word or "\\" in word:
        return _by_path(word, suffix, key)
    names = available(kind, suffix)
    if word not in names:
        what = kind.removesuffix("s").replace("_", " ")
        hint = did_you_mean(word, names)
        raise InputError(Problem(f"{key}={word}", f"There is no {what} of this name.{hint}"))
    return names[word]


def text(file: Path) -> str:
    """Return what is written in a file.

    Raises:
        InputError: it cannot be read as text.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(near(file), f"This file cannot be read as text: {error}.")) from None


def near(file: Path | str) -> str:
    """Return a path as seen from the working directory, if it lies below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _by_path(word: str, suffix: str, key: str) -> Path:
    path = Path(word)
    if path.is_file():
        return path.resolve()
    siblings = (
        [str(path.parent / sibling.name) for sibling in path.parent.glob(f"*{suffix}")]
        if path.parent.is_dir()
        else []
    )
    raise InputError(Problem(f"{key}={word}", f"There is no such file.{did_you_mean(str(path), siblings)}"))
