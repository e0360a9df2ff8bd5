"""A worker's part: what a recipe raises ends its trial, with the recipe's own line as the reason."""

from hpo import cohort
from hpo.config import Config
from hpo.recipe import Objective
from hpo.trial import Outcome, Proposal

RECIPE = """from torch import nn

def data():
    return nn.Linear("wide", 1)
"""


class Listening:
    """A referee with one trial, who keeps what it is told."""

    def __init__(self):
        self.told = []

    def ask(self, cohort, size):
        return [Proposal(0, Config({}), "baseline")]

    def attempt(self, trials, worker):
        pass

    def tell(self, endings):
        self.told += endings


def test_an_error_inside_a_library_is_told_with_the_recipe_s_line():
    path = "/home/me/hpo/recipes/mine.py"
    referee = Listening()
    cohort.train(cohort.Job(RECIPE, path, Objective("minimize", "loss"), epochs=1, seed=0), "c", referee)
    (ending,) = referee.told
    assert ending.outcome is Outcome.FAILED
    assert ending.reason.endswith(f"({path}:4)")
    assert "Traceback" in ending.notes["traceback"]
