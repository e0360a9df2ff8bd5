"""Why a trial failed, in one line with the recipe's own line, from the error that ended it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Final

from hpo.training.demands import RecipeError
from hpo.training.memory import lacks_memory

Cause = tuple[str, None, Mapping[str, str]]
"""The reason, no score, and notes: the fields of an ending."""

_LONGEST: Final = 20_000


def explain(error: BaseException, recipe: str) -> Cause:
    """Return the error in one line with the line of the recipe at this path, and the whole traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if frame.filename == recipe), frames[-1])
    where = f"{last.filename}:{last.lineno}"
    if isinstance(error, RecipeError) and error.line is not None:
        where = f"{error.path}:{error.line}"
    text = "".join(traceback.format_exception(error))
    return _plain(f"{_said(error)} ({where})"), None, {"traceback": _plain(text[-_LONGEST:])}


def _said(error: BaseException) -> str:
    said = f"{type(error).__name__}: {error}"
    return f"out of memory: {said.partition(chr(10))[0]}" if lacks_memory(error) else said


def _plain(text: str) -> str:
    """Write out what a database refuses: NUL, and what is no UTF-8 in the name of a file."""
    return text.replace("\0", r"\x00").encode("utf-8", "backslashreplace").decode()
