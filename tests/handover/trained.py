"""A ledger that holds one real training."""

from dataclasses import replace
from pathlib import Path

import torch

from hpo.history import History
from hpo.planning.ordering import order_training
from hpo.planning.plan import Plan
from hpo.settings import TrainSettings
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.plain import train
from hpo.trial import SEED, Attempt, Ending, Outcome, Proposal

TINY = Path(__file__).parents[1] / "training" / "tiny.py"


class Trained:
    """A ledger with one training of two epochs, by these words; `added` is what its last loss is off."""

    added, seed, device, words = 0.0, 0, "cpu", ()

    def __init__(self, _):
        words = [f"recipe={TINY}", "epochs=2", "batch_size=16", "name=tiny-1", *self.words]
        ordered = order_training(TrainSettings.from_words(words))
        self._search = replace(ordered, settings={**ordered.settings, "threads": 1, "device": self.device})

    def search(self, _):
        return self._search

    def history(self, search):
        plan = Plan.of(search)
        torch.set_num_threads(plan.setting("threads"))
        module = execute(search.source, search.path)
        task = Task(module, module.data(), search.objective, 2, self.seed)
        points = [points[0] for points in train(task, [Member(0, plan.baseline)])]
        points[-1] = replace(points[-1], loss=points[-1].loss + self.added)
        ending = Ending(0, Outcome.FINISHED, score=points[-1].score, notes=points[-1].notes)
        given = Proposal(0, plan.baseline, "baseline", notes={SEED: self.seed})
        return History(search.objective, [given, Attempt(0, "here/1"), *points, ending])
