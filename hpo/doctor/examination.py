"""All that is looked at, in the order in which one thing rests on another."""

from __future__ import annotations

from collections.abc import Iterator

from hpo.doctor import machine, software, stores
from hpo.doctor.finding import Finding


def examine(store: str) -> Iterator[Finding]:
    """Look at everything that a search needs; each finding comes as soon as it is known."""
    yield machine.python()
    yield software.versions()
    yield machine.memory()
    yield from machine.disks()
    yield machine.shared_memory()
    yield machine.ports()
    yield stores.ledger(store)
    yield stores.tracking()
    yield software.torch()
    yield software.ray()
