"""What a trial can be written as besides plain code: for other trainers, and as plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from hpo.export.huggingface import huggingface, not_in_huggingface
from hpo.export.lightning import lightning, not_in_lightning
from hpo.export.plainly import not_in_toml, to_json, to_toml, to_yaml
from hpo.export.run import Run


class Target(NamedTuple):
    """What writes a training, and what says which parts of it cannot be said there."""

    write: Callable[[Run], str]
    missing: Callable[[Run], list[str]] = lambda _: []


TARGETS: Final = {
    "lightning": Target(lightning, not_in_lightning),
    "huggingface": Target(huggingface, not_in_huggingface),
    "yaml": Target(to_yaml),
    "json": Target(to_json),
    "toml": Target(to_toml, not_in_toml),
}
