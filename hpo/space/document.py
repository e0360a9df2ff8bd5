"""YAML text → plain values, with the place where each was written.

OmegaConf reads the values, PyYAML's syntax tree tells the lines. Text that refers to anything outside
itself (tags, anchors, interpolations, `_target_`) is refused before a value is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hpo.errors import Problem
from hpo.space.nodes import POINTS

Path = tuple[str, ...]
Place = Callable[[Path, int], str]

_LIST, _TEXT, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("seq", "str", "null"))
_UNREADABLE: Final = (yaml.YAMLError, OmegaConfBaseException, ValueError, OverflowError, RecursionError)
_REFUSED: Final[dict[type[yaml.Token], str]] = {
    yaml.TagToken: "Tags (! and !!) are refused: a space holds plain values. Remove it.",
    yaml.AnchorToken: "Anchors (&) are refused: a space says everything where it stands. Remove it.",
    yaml.AliasToken: "Aliases (*) are refused: a space says everything where it stands. Write it out.",
}

CALL: Final = "_target_"
CALL_REFUSED: Final = "_target_ is refused: a space cannot call code. Remove it."


class Document:
    """The raw values of a space, where each was written, and what is wrong so far."""

    def __init__(self, text: str, where: str) -> None:
        self.values: dict[Any, Any] = {}
        self.problems: list[Problem] = []
        self._places: dict[Path, str] = {(): where}
        values = self._read(text, (), lambda path, line: f"{where}:{line}  {dotted(path)}".rstrip())
        if isinstance(values, dict):
            self.values = values
        elif isinstance(values, list):
            self.values = {POINTS: values}
        elif values is not None:
            self.complain((), "A space maps names to values: write `batch_size: 64`, for example.")

    def complain(self, path: Path, message: str) -> None:
        """Note what is wrong with the value at a path."""
        while path not in self._places:
            path = path[:-1]
        self.problems.append(Problem(self._places[path], message))

    def put(self, path: Path, text: str, word: str) -> None:
        """Read a value that was typed as `word`, and put it where the path says."""
        below = len(path)
        self._places = {old: place for old, place in self._places.items() if old[:below] != path}
        for end in range(1, below):
            self._places.setdefault(path[:end], word)
        self._places[path] = word
        known = len(self.problems)
        value = self._read(text, path, lambda at, _line: f"{word}  {dotted(at)}" if at[below:] else word)
        if len(self.problems) == known:
            _put(self.values, path, value)

    def move(self, origin: Path, path: Path, value: Any) -> None:
        """Put a value where the path says; what is wrong with it was written at `origin`."""
        self._places[path] = self._places[origin]
        _put(self.values, path, value)

    def _read(self, text: str, path: Path, place: Place) -> Any:
        """Return the values in a text, or None where there are none."""
        try:
            refused = list(_refusals(text))
            root = None if refused else yaml.compose(text, yaml.SafeLoader)
        except _UNREADABLE as error:
            refused, root = [(_line(error, text), f"This is not YAML: {_reason(error)}")], None
        self.problems += [Problem(place((), line), message) for line, message in refused]
        return root and self._values(root, path, place)

    def _values(self, root: yaml.Node, path: Path, place: Place) -> Any:
        try:
            self._sift(root, path, place)
            text = yaml.serialize(yaml.SequenceNode(_LIST, [root]), Dumper=yaml.SafeDumper)
            values: Any = OmegaConf.to_container(OmegaConf.create(text))
            return values[0]
        except _UNREADABLE as error:
            line = root.start_mark.line + 1
            self.problems.append(Problem(place(path, line), f"This cannot be read: {_reason(error)}"))
            return None

    def _sift(self, node: yaml.Node, path: Path, place: Place) -> None:
        """Note the places below a node, and take out of it what is wrong: OmegaConf reads the rest."""
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._sift(item, path, place)
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            node.value = [
                (key, value) for key, value in node.value if self._keep(key, value, seen, path, place)
            ]

    def _keep(self, key: yaml.Node, value: yaml.Node, seen: dict[str, int], path: Path, place: Place) -> bool:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            self.problems.append(Problem(place(path, line), "A name must be a plain word."))
            return False
        if key.tag == _NULL:  # OmegaConf takes no null as a name, but `prior: {null: 0.5, 1: 0.5}` is sound
            key.tag, key.value, key.style = _TEXT, "null", '"'
        here = (*path, key.value)
        if key.value in seen:
            message = f"This is given twice, first in line {seen[key.value]}. Remove one."
            self.problems.append(Problem(place(here, line), message))
            return False
        seen[key.value] = line
        self._places[here] = place(here, line)
        self._sift(value, here, place)
        return True


def dotted(path: Path) -> str:
    """Return a path as it is written on the command line."""
    return ".".join(part for part in path if part != "one_of")


def _put(values: dict[Any, Any], path: Path, value: Any) -> None:
    *folders, last = path
    for name in folders:
        if not isinstance(values.get(name), dict):
            values[name] = {}
        values = values[name]
    values[last] = value


def _refusals(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line of everything that refers to something else, and why it is refused."""
    for token in yaml.scan(text, yaml.SafeLoader):
        content = token.value if isinstance(token, yaml.ScalarToken) else ""
        message = _REFUSED.get(type(token))
        if "${" in content:
            message = "Interpolations (${…}) are refused: a space says what it means. Write the value."
        if content == CALL:
            message = CALL_REFUSED
        if message:
            yield token.start_mark.line + 1, message


def _line(error: Exception, text: str) -> int:
    mark = getattr(error, "problem_mark", None)
    position = getattr(error, "position", 0)  # yaml's ReaderError counts characters
    return mark.line + 1 if mark else text.count("\n", 0, position) + 1


def _reason(error: Exception) -> str:
    text = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    advice = " Indent with spaces, not tabs." if r"'\t'" in text else ""
    return f"{text.splitlines()[0].rstrip('.')}.{advice}"
