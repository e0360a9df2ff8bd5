"""Torch without its compiler until somebody compiles: to import that takes as long as all of torch.

With their first step torch's optimizers import `torch._dynamo`, and so does `torch.func`, to keep it off some
of their functions. As long as it is not there it keeps off by itself.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType
from typing import Any, Final

import torch

_COMPILER: Final = "torch._dynamo"


class _Absent(ModuleType):
    """Stands for a module until anything is asked of it that takes more than its absence."""

    def __init__(self, name: str, answers: dict[str, Any]) -> None:
        super().__init__(name)
        vars(self).update(answers)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # who looks through all modules asks nothing of it
            raise AttributeError(name)
        if isinstance(sys.modules.get(_COMPILER), _Absent):
            del sys.modules[_COMPILER], torch._dynamo
        importlib.import_module(_COMPILER)
        return getattr(importlib.import_module(self.__name__), name)


def put_off() -> None:
    """Put off the import of torch's compiler until it is needed; nothing if it is there already."""
    if _COMPILER in sys.modules:
        return
    autograd = _Absent(f"{_COMPILER}.compiled_autograd", {"_disable": nullcontext})
    answers = {"compiled_autograd": autograd, "disable": _as_it_is, "graph_break": _nothing}
    sys.modules[_COMPILER] = torch._dynamo = _Absent(_COMPILER, answers)


def _as_it_is(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    return function


def _nothing(*_: Any) -> None: ...
