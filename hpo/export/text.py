"""The text of a module, edited where its syntax tree says: all else in it stays to the letter."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Final

_JOINT: Final = re.compile(rb"[ \t\f]*;(?:[ \t\f]|\\\n)*")
"""What stands between two statements of a line."""


def one_a_line(source: str) -> str:
    """Give each statement of a module lines of its own, where semicolons join several."""
    text, at, body = source.encode(), places(source), ast.parse(source).body
    ends = (at(it.end_lineno or it.lineno, it.end_col_offset or 0) for it in body)
    starts = (at(it.lineno, it.col_offset) for it in body[1:])
    joints = [span for span in zip(ends, starts, strict=False) if _JOINT.fullmatch(text, *span)]
    return edited(source, dict.fromkeys(joints, "\n"))


def places(text: str) -> Callable[[int, int], int]:
    """Return where in a text's bytes a syntax tree's line, counted from 1, and column, in bytes, lie."""
    lines = [0, *accumulate(len(line) + 1 for line in text.encode().split(b"\n"))]
    return lambda line, column: lines[line - 1] + column


def edited(text: str, edits: Mapping[tuple[int, int], str]) -> str:
    """Put other text in the place of some spans of bytes."""
    edited = bytearray(text.encode())
    for (start, end), new in sorted(edits.items(), reverse=True):
        edited[start:end] = new.encode()
    return edited.decode()


def without(lines: list[str], leading: Iterable[ast.stmt], dropped: Iterable[ast.stmt]) -> str:
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
