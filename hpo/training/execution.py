"""Running a recipe's source text, which is all that a worker is sent."""

from __future__ import annotations

import linecache
import sys
from types import ModuleType

from hpo.recipe import module_name


def execute(source: str, path: str) -> ModuleType:
    """Run a recipe and return its module.

    Tracebacks show the recipe's own lines, whether or not `path` exists on this machine. Under the
    module's name, which tells versions of a recipe apart, dataclasses and pickle find it again.
    """
    module = ModuleType(module_name(source, path))
    module.__file__ = path
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    sys.modules[module.__name__] = module
    exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102 - the person asked to run it
    return module
