"""Searches made up by hand, as a ledger would tell them."""

from __future__ import annotations

import math
from types import SimpleNamespace

from hpo.config import Config
from hpo.history import History, Search, State
from hpo.planning.past import Past
from hpo.recipe import Objective
from hpo.trial import CONFIRMATION, COSTS, SEED, Attempt, Ending, Outcome, Point, Proposal

OBJECTIVE = Objective("minimize", "loss")
EPOCHS = 18

SGD = Config(
    {
        "optimizer": "sgd",
        "optimizer.lr": 0.05,
        "optimizer.momentum": 0.9,
        "optimizer.nesterov": True,
        "schedule": "cosine",
        "clip_norm": 1.0,
        "batch_size": 32,
    }
)
ADAMW = Config(
    {"optimizer": "adamw", "optimizer.lr": 1.2e-3, "optimizer.weight_decay": 0.02, "schedule": "cosine"}
)


SETTINGS = {"budget": "", "trials": 64, "sampler": "tpe", "pruner": "halving", "seed": 0, "timeout": None}


def search(state: State = State.RUNNING, **changes: object) -> Search:
    facts = {
        "name": "cnn-1",
        "recipe": "cnn",
        "path": "recipes/cnn.py",
        "source": "",
        "space": "",
        "objective": OBJECTIVE,
        "settings": dict(SETTINGS),
        "versions": {},
        "created": 1_000.0,
        "state": state,
    }
    return Search(**{**facts, **changes})


def plan(state: State = State.RUNNING, seeds: int = 0) -> SimpleNamespace:
    """What the views ask of a plan."""
    made = SimpleNamespace(
        at=lambda _: made,
        search=search(state),
        epochs=EPOCHS,
        setting=SETTINGS.get,
        confirm=3,
        fresh_seeds=range(1, seeds + 1),
        confirmations=4 * seeds,
        trials=64,
        configurations=None,
        budget=None,
        frugal=False,
        past=Past(),
    )
    return made


class Story:
    """Builds a history trial by trial."""

    def __init__(self, objective: Objective = OBJECTIVE) -> None:
        self.history = History(objective)
        self.now = 1_000.0

    def trial(
        self,
        outcome: Outcome | None,
        *scores: float,
        config: Config = SGD,
        worker: str = "host/101",
        reason: str = "",
        origin: str = "tpe",
        seed: int | None = None,
        costs: dict[str, float] | None = None,
    ) -> Story:
        number = len(self.history.trials)
        notes = {} if seed is None else {SEED: seed}
        self.history.add(Proposal(number, config, origin if number else "baseline", notes=notes))
        self.history.add(Attempt(number, worker, "", {COSTS: costs} if costs else {}, at=self.now))
        for epoch, score in enumerate(scores, start=1):
            self.now += 1
            point = Point(
                number, epoch, score, score, score, 0.1, 1, 1, 1.0, {"accuracy": 1 - score}, at=self.now
            )
            self.history.add(point)
        if outcome:
            score = scores[-1] if scores else None
            self.history.add(Ending(number, outcome, reason, score, at=self.now))
        return self


def typical() -> History:
    story = Story()
    story.trial(Outcome.FINISHED, *[0.5] * (EPOCHS - 1), 0.045)
    story.trial(Outcome.PRUNED, 0.9, 0.4312, config=ADAMW)
    story.trial(Outcome.FINISHED, *[0.4] * (EPOCHS - 1), 0.03125, config=ADAMW)
    story.trial(Outcome.DIVERGED, 0.9, math.nan, reason="loss nan at epoch 2, step 3, gradient norm 1.2e+09")
    story.trial(
        Outcome.FAILED,
        reason="RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x64 and 32x10)\nmore",
    )
    story.trial(None, 0.5, 0.4, 0.3, worker="host/101")
    story.trial(None, worker="host/102", config=ADAMW)
    return story.history


def confirmed(*others: float) -> History:
    """A baseline at 0.4, a winner of the search at 0.2; with seeds 1, 2, … the second has these scores."""
    story = Story().trial(Outcome.FINISHED, 0.4).trial(Outcome.FINISHED, 0.2, config=ADAMW)
    for seed, score in enumerate(others, start=1):
        story.trial(Outcome.FINISHED, 0.41 + seed / 100, origin=CONFIRMATION, seed=seed)
        outcome = Outcome.FINISHED if math.isfinite(score) else Outcome.DIVERGED
        story.trial(outcome, score, config=ADAMW, origin=CONFIRMATION, seed=seed)
    return story.history


def awkward() -> dict[str, History]:
    """Histories in which something is missing or not a number."""
    return {
        "none": Story().history,
        "confirmed": confirmed(0.3, 0.31, 0.32, 0.3, 0.29),
        "confirmed once": confirmed(0.3),
        "confirmed in vain": confirmed(0.3, math.nan),
        "typical": typical(),
        "only pruned": Story().trial(Outcome.PRUNED, 0.5).trial(Outcome.PRUNED, 0.6).history,
        "only the baseline": Story().trial(Outcome.FINISHED, 0.5).history,
        "nan scores": Story().trial(Outcome.FINISHED, math.nan).trial(Outcome.FINISHED, math.inf).history,
        "nan baseline": Story().trial(Outcome.FINISHED, math.nan).trial(Outcome.FINISHED, 0.5).history,
        "zero baseline": Story().trial(Outcome.FINISHED, 0.0).trial(Outcome.FINISHED, -1.0).history,
        "pruned baseline": Story().trial(Outcome.PRUNED, 0.9).trial(Outcome.FINISHED, 0.5).history,
        "running baseline": Story().trial(None, 0.9).trial(Outcome.FINISHED, 0.5).history,
        "failed at once": Story()
        .trial(Outcome.FAILED, reason="")
        .trial(Outcome.LOST, reason="worker died")
        .history,
        "long words": Story()
        .trial(Outcome.FAILED, reason="x" * 500)
        .trial(None, 0.1, worker="w" * 200)
        .history,
        "markup": Story().trial(Outcome.FAILED, reason="bad [/bold] [red] index\x1b[2J").history,
    }


def several_goals() -> History:
    """Trials 0 to 3 of which nobody beats 1, 2 and 3: the best, the knee, the smallest and fastest."""
    story = Story(Objective("minimize", "loss", ("memory", "seconds")))
    for loss, mebibytes, seconds in ((0.5, 8, 0.008), (0.1, 16, 0.01), (0.15, 2, 0.004), (0.4, 1, 0.002)):
        costs = {"memory": mebibytes * 2**20, "seconds": seconds}
        story.trial(Outcome.FINISHED, loss, costs=costs)
    return story.history
