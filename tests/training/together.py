"""Two workers train the same trials together, each in a process of its own."""

import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from hpo import recipe as recipes
from hpo.config import Config
from hpo.training import plain
from hpo.training.distributed import meet
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.words import VOCABULARY
from hpo.trial import Point

TINY = Path(__file__).with_name("tiny.py")


@dataclass(frozen=True)
class Case:
    """What to train, and how; `swap` holds texts of the recipe's source, each with its replacement."""

    recipe: str
    parallel: str
    values: dict
    epochs: int = 2
    data: dict = field(default_factory=dict)
    swap: tuple[tuple[str, str], ...] = ()

    def __str__(self):
        values = (f"{name}={value}" for name, value in self.values.items())
        return " ".join([self.parallel, self.recipe, *values])

    @property
    def source(self):
        text = (TINY if self.recipe == "tiny" else recipes.names()[self.recipe]).read_text()
        for old, new in self.swap:
            assert old in text
            text = text.replace(old, new)
        return text

    def curve(self, team=None):
        """Train in this process; return what was measured, without durations."""
        recipe = recipes.read(self.source, f"{self.recipe}.py")
        config = VOCABULARY.with_options(recipe.options).defaults(Config({**recipe.baseline, **self.values}))
        module = execute(recipe.source, recipe.path)
        task = Task(module, module.data(**self.data), recipe.objective, self.epochs, seed=3, team=team)
        results = [results[0] for results in plain.train(task, [Member(0, config)])]
        return [replace(one, seconds=0.0) if isinstance(one, Point) else one for one in results]


def run(rank, cases, meetings, folder):
    """Be one of the two workers."""
    torch.set_num_threads(1)
    for number, (case, meeting) in enumerate(zip(cases, meetings, strict=True)):
        with meeting.joined(rank, case.parallel, "cpu") as team:
            Path(folder, f"{number}-{rank}").write_bytes(pickle.dumps(case.curve(team)))


def train(cases, folder):
    """Return the two workers' curves of each case."""
    stores, meetings = zip(*(meet("127.0.0.1", 2) for _ in cases), strict=True)
    torch.multiprocessing.spawn(run, (cases, meetings, str(folder)), nprocs=2)
    del stores
    return [
        [pickle.loads(Path(folder, f"{number}-{rank}").read_bytes()) for rank in (0, 1)]
        for number in range(len(cases))
    ]
