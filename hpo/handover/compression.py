"""From a search to a smaller model: the winner compressed in several ways, in one table, and in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.handover.chosen import chosen, trained
from hpo.handover.destination import demand_room
from hpo.settings import CompressSettings

if TYPE_CHECKING:  # imports torch
    from hpo.serving.compressing import Variant


def compress(settings: CompressSettings, hear: Callable[[str], None]) -> tuple[list[Variant], str]:
    """Compress a trial, the winner if none is named; return all forms, and where MLflow has them.

    Raises:
        InputError: there is no such search or trial, the folder is not empty, or a library is not installed.
        HpoError: the trial diverges now, or its model cannot be followed.
    """
    found = chosen(settings, settings.trial)
    from hpo.serving import forms
    from hpo.serving.compressing import Pruning
    from hpo.serving.compressing import compress as make
    from hpo.tracking import attach

    plan, to = found.plan, Path(settings.to or f"{settings.name}-compressed")
    forms.demand_onnx("hpo compress")
    demand_room(to)
    served = trained(found, hear, rehearse=forms.rehearsal(forms.to_onnx))
    pruning = Pruning(settings.prune, settings.epochs or max(1, plan.epochs // 3))
    hear(f"Compressing; what is pruned trains on for {pruning.epochs} epochs.")
    config = plan.vocabulary.defaults(found.trial.proposal.config)
    variants = list(make(served, config, pruning, to))
    made = [variant for variant in variants if not variant.reason]
    values = {name: value for variant in made for name, value in _measures(variant)}
    return variants, attach(plan.search, [variant.path for variant in made], values, found.apart)


def _measures(variant: Variant) -> Iterator[tuple[str, float]]:
    """Yield what MLflow keeps of a form, by name."""
    yield f"{variant.name}_bytes", variant.size
    yield f"{variant.name}_zipped_bytes", variant.zipped
    yield f"{variant.name}_milliseconds", variant.latency
    yield from ((f"{variant.name}_{name}", value) for name, value in (variant.measured or {}).items())
