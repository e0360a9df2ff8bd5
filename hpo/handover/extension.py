"""A trial that trains on, for more epochs than its search gave it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from hpo.conductor.conductor import run
from hpo.conductor.session import Result, Telling, Viewing
from hpo.errors import InputError, Problem
from hpo.handover.chosen import chosen, trained
from hpo.history import EXTENDS, Search, Trial
from hpo.planning.ordering import order_training
from hpo.planning.plan import Plan
from hpo.recipe import read
from hpo.settings import ExtendSettings, TrainSettings, as_name
from hpo.training.checkpoint import CheckpointError
from hpo.trial import GIVEN, Proposal
from hpo.worker.shelf import Kept, Shelf


def extend(settings: ExtendSettings, viewing: Viewing, hear: Callable[[str], None], tell: Telling) -> Result:
    """Train a trial, the winner if none is named, to more epochs, as a training of its own.

    Its first epochs are those of the search, told again; then its schedule is that of all epochs.

    Raises:
        InputError: there is no such trial, it has as many epochs, the recipe is another now, or there is no
            room for what it begins from.
        HpoError: the trial diverges when it is trained again for its checkpoint.
        SearchError: it did not come to its end.
        InterruptedSearch: Ctrl-C; `hpo resume` goes on.
    """
    found = chosen(settings, settings.trial)
    plan = found.plan
    if settings.epochs <= plan.epochs:
        message = f"Trials of {plan.search.name} have {plan.epochs} epochs: name a larger number."
        raise InputError(Problem(f"epochs={settings.epochs}", message))
    ordered = _ordered(plan, found.trial, settings)
    so_far = trained(found, hear, "up to where it goes on")
    kept = Kept(so_far.snapshot(), tuple(replace(point, trial=0) for point in so_far.curve))

    def begin(created: Search) -> None:
        new = Plan.of(created)
        try:
            Shelf.of(new, settings.store).keep(Proposal(0, new.baseline, GIVEN), kept)
        except CheckpointError as error:
            another = "Begin it anew under another name, to=…, when there is room or with other checkpoints=…"
            raise InputError(Problem(created.name, f"{error} {another}")) from None

    return run(ordered, settings.store, viewing, tell, begin)


def _ordered(plan: Plan, trial: Trial, settings: ExtendSettings) -> Search:
    """Return the training: the trial's configuration, and all else as in its search."""
    search, options = plan.search, plan.data_options
    config = plan.whole(trial.proposal).config
    words = {f"recipe.{name}": value for name, value in options.items()}
    said = {f"{owner}.{name}" for owner in ("model", "loss") for name in options}
    words |= {name: value for name, value in config.items() if name not in said}
    typed = [f"{name}={it if isinstance(it, str) else json.dumps(it)}" for name, it in words.items()]
    name = settings.to or f"{as_name(search.name)}-{trial.number}-{settings.epochs}"
    place = settings.checkpoints or plan.setting("checkpoints")
    whole = TrainSettings.from_words(
        [
            f"recipe={search.path}",
            f"epochs={settings.epochs}",
            f"seed={plan.seed_of(trial.proposal)}",
            f"name={name}",
            f"store={settings.store}",
            f"checkpoint_every={plan.setting('checkpoint_every')}",
            *([f"checkpoints={place}"] if place else []),
            *typed,
        ]
    )
    recipe = replace(read(search.source, search.path), objective=search.objective.first)
    ordered = order_training(whole, recipe)
    return replace(ordered, settings={**ordered.settings, EXTENDS: f"{search.name}/{trial.number}"})
