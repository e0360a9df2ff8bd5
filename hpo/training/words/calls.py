"""A call that is either made or printed, so that what an export says cannot drift from what was trained."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any, Final

_LINE: Final = 90
_OURS: Final = "hpo."


@dataclass(frozen=True)
class Call:
    """A call with keyword arguments, which may be calls themselves.

    `target` is a full name (`torch.optim.SGD`), or `.name` for a method of what is given first. What is
    defined here is printed by its last name, as an export prints its definition, too.
    """

    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self, *positional: Any) -> Any:
        """Make the call, and before it those among its arguments."""
        arguments = {name: _built(value) for name, value in self.arguments.items()}
        if self.target.startswith("."):
            return methodcaller(self.target[1:], *positional[1:], **arguments)(positional[0])
        return pkgutil.resolve_name(self.target)(*positional, **arguments)

    def source(self, *positional: str) -> str:
        """Print the call: in one line if it is short, else with one argument in each.

        >>> Call("torch.optim.SGD", {"lr": 0.05}).source("model.parameters()")
        'torch.optim.SGD(model.parameters(), lr=0.05)'
        >>> Call(".parameters").source("model")
        'model.parameters()'
        """
        name, positional = self._printed_name(positional)
        arguments = (f"{key}={printed(value)}" for key, value in self.arguments.items())
        items = [*positional, *arguments]
        line = f"{name}({', '.join(items)})"
        if len(line) <= _LINE:
            return line
        return "\n".join([f"{name}(", *(f"    {_indented(item)}," for item in items), ")"])

    def _printed_name(self, positional: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        if self.target.startswith("."):
            return f"{positional[0]}{self.target}", positional[1:]
        return _short(self.target), positional

    @property
    def ours(self) -> Iterator[tuple[str, str]]:
        """The (module, name) of each definition that printing relies on, as hpo has it."""
        if self.target.startswith(_OURS):
            module, _, name = self.target.rpartition(".")
            yield module, name
        for value in self.arguments.values():
            if isinstance(value, Call):
                yield from value.ours


@dataclass(frozen=True)
class Name:
    """Something that is only named, so that another may call it."""

    target: str


def _short(target: str) -> str:
    return target.rpartition(".")[2] if target.startswith(_OURS) else target


def _built(value: Any) -> Any:
    if isinstance(value, Name):
        return pkgutil.resolve_name(value.target)
    return value.build() if isinstance(value, Call) else value


def printed(value: Any) -> str:
    """Return a plain value or a call as source code."""
    if isinstance(value, Call):
        return value.source()
    if isinstance(value, Name):
        return _short(value.target)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
