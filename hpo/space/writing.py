"""Plain values → YAML that reads well: one line for each parameter."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

import yaml


class _Inline(dict[str, object]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes YAML that OmegaConf reads back as it was."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    """Quote what is no word: OmegaConf reads a plain `1e3` as a number, PyYAML does not."""
    style = None if re.fullmatch(r"[A-Za-z]\w*", text, re.ASCII) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _inline(dumper: _Dumper, mapping: _Inline) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items(), flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Inline, _inline)


def write(form: Mapping[str, object]) -> str:
    """Return the values as YAML."""
    return yaml.dump(_folded(form), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)


def _folded(form: object) -> object:
    """Put each mapping that holds no other but a prior's weights on one line."""
    if not isinstance(form, Mapping):
        return form
    nested = any(isinstance(value, Mapping) for key, value in form.items() if key != "prior")
    return {key: _folded(value) for key, value in form.items()} if nested else _Inline(form)


def inline(form: object) -> str:
    """Return a value as YAML on one line.

    >>> inline({"log": [0.001, 2.0]})
    '{log: [0.001, 2.0]}'
    """
    text: str = yaml.dump(
        form, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=sys.maxsize
    )
    return text.removesuffix("...\n").strip()
