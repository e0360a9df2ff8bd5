"""Two workers train the same trials together, each in a process of its own."""

import os
import pickle
import signal
import time
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
    broken_after: int = 0

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

    def curve(self, team=None, device="cpu"):
        """Train in this process; return what was measured, without durations."""
        recipe = recipes.read(self.source, f"{self.recipe}.py")
        config = VOCABULARY.with_options(recipe.options).defaults(Config({**recipe.baseline, **self.values}))
        module = execute(recipe.source, recipe.path)
        splits = module.data(**self.data)
        task = Task(module, splits, recipe.objective, self.epochs, seed=3, device=device, team=team)
        results = self.results(task, Member(0, config))
        return [replace(one, seconds=0.0) if isinstance(one, Point) else one for one in results]

    def results(self, task, member):
        """Train, and if that is to break off after some epochs, go on from a snapshot."""
        progress = plain.train(replace(task, snapshots=(taken := {})), [member])
        results = [next(progress)[0] for _ in range(self.broken_after)]
        if self.broken_after:
            progress = plain.train(task, [replace(member, snapshot=taken[0]())])
        return results + [reports[0] for reports in progress]


def run(rank, cases, meetings, device, folder):
    """Be one of the two workers."""
    torch.set_num_threads(1)
    if device != "cpu":  # each sees a GPU of its own, as Ray's workers do
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1").split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[rank]
    for number, (case, meeting) in enumerate(zip(cases, meetings, strict=True)):
        with meeting.joined(rank, case.parallel, device) as team:
            Path(folder, f"{number}-{rank}").write_bytes(pickle.dumps(case.curve(team, device)))


def hang(rank, meeting, folder):
    """Be one of two workers of whom the second comes to a stop; the first writes down what happens."""
    with meeting.joined(rank, "ddp", "cpu") as team:
        if rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        began = time.monotonic()
        try:
            team.total(torch.ones(1))
        except RuntimeError as error:
            seconds = time.monotonic() - began
            Path(folder, "hang").write_bytes(pickle.dumps((seconds, str(error))))


def work(rank, cases, meetings, device, folder):
    """Be one of the two workers, from case to case; the last meeting is the one that hangs."""
    run(rank, cases, meetings[:-1], device, folder)
    hang(rank, meetings[-1], folder)


def train(cases, folder, device="cpu"):
    """Return the two workers' curves of each case, and what the first noticed when the second stopped."""
    meetings = [meet("127.0.0.1", 2) for _ in cases] + [meet("127.0.0.1", 2, patience=2.0)]
    arguments = (cases, [meeting for _, meeting in meetings], device, str(folder))
    spawn = torch.multiprocessing.get_context("spawn")
    first, second = (spawn.Process(target=work, args=(rank, *arguments)) for rank in (0, 1))
    first.start()
    second.start()
    first.join()
    second.kill()
    second.join()
    assert first.exitcode == 0
    curves = [
        [pickle.loads(Path(folder, f"{number}-{rank}").read_bytes()) for rank in (0, 1)]
        for number in range(len(cases))
    ]
    return curves, pickle.loads(Path(folder, "hang").read_bytes())
