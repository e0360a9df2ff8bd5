"""Splitting what was typed, `key=value …`, and telling what is wrong with how it was typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from hpo.errors import Problem, without_password

# What word processors make of - and of quotes. A shell takes quotes away, so the fix shows none.
_DASHES: Final[dict[str, str | int | None]] = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
_QUOTES: Final[dict[str, str | int | None]] = dict.fromkeys(
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f", ""
)
_TYPOGRAPHIC: Final = _DASHES | _QUOTES


def parse(words: Sequence[str], bare: str = "") -> tuple[dict[str, str], list[Problem]]:
    """Split words at their first `=`; return the values by key, and what is wrong with the words.

    A word without `=` is the value of the key `bare`, if the verb has one.

    >>> parse(["cnn-1", "trial=3"], bare="name")
    ({'name': 'cnn-1', 'trial': '3'}, [])
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for word in _rejoin(words):
        key, equals, value = word.partition("=")
        if bare and not equals:
            key, value = bare, word
        complaint = _typographic(word) or _malformed(word, bare) or _repeated(key, value, values)
        if complaint:
            problems.append(Problem(shown(word), complaint))
        else:
            values[key] = value
    return values, problems


def _rejoin(words: Sequence[str]) -> Iterator[str]:
    """Make one word of `--trials 20`, and of what a shell has cut at blanks, so that it is one mistake."""
    taken = False
    for word, following in pairwise((*_mended(words), "-")):
        taken_before, taken = taken, False
        if taken_before:
            continue
        taken = dashed(word) and "=" not in word and "=" not in following and not dashed(following)
        yield f"{word} {following}" if taken else word


def _mended(words: Sequence[str]) -> Iterator[str]:
    """Put together what was meant as one word: space.clip_norm={log: [0.1, 1]}, typed without quotes."""
    whole = ""
    for word in words:
        whole = f"{whole} {word}" if whole else word
        if not _open(whole):
            yield whole
            whole = ""
    if whole:
        yield whole


def _open(word: str) -> bool:
    """Whether a value has brackets that are not closed yet."""
    value = word.partition("=")[2]
    return any(value.count(left) > value.count(right) for left, right in ("[]", "{}"))


def dashed(word: str) -> bool:
    """Whether a word begins with a dash of any kind."""
    return word.startswith(("-", *_DASHES))


def _typographic(word: str) -> str:
    """Point at the first dash or quote that a word processor made."""
    for position, character in enumerate(word, start=1):
        if character in _TYPOGRAPHIC:
            kind = "dash" if character in _DASHES else "quote"
            return f"Character {position}, {character}, is a typographic {kind}. Write {plain(word)}."
    return ""


def plain(word: str) -> str:
    """Write a word as it should be typed: no dashes before it, no typography in it.

    >>> plain("--trials 20")
    'trials=20'
    """
    text = word.translate(str.maketrans(_TYPOGRAPHIC)).lstrip("-")
    return text if "=" in text else text.replace(" ", "=", 1)


def _malformed(word: str, bare: str) -> str:
    key, equals, value = word.partition("=")
    if dashed(word):
        form = plain(word)
        return f"Write {form}." if "=" in form else "Settings are written key=value, without dashes."
    if not equals:
        return "" if bare else "Write it as key=value."
    if not key:
        return "There is no key before the =."
    return "" if value else "No value given. Leave the word out for the default."


def _repeated(key: str, value: str, values: Mapping[str, str]) -> str:
    return f"{key} is given twice: {shown(values[key])} and {shown(value)}." if key in values else ""


def shown(word: str) -> str:
    """Return a word as it may be repeated: cut short if it is long, and with no password."""
    open_word = without_password(word)
    return open_word if len(open_word) <= 120 else f"{open_word[:119]}…"
