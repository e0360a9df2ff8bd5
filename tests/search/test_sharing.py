"""Two searches side by side on several raylets of this machine: who has which places, and when."""

import signal
import time

import pytest
from raylets import two_machines

from hpo.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(600)]

NAP = '''
"""A line, whose steps take a while and no processor."""

import time

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 10
baseline = {"optimizer": "sgd", "optimizer.lr": 0.01, "batch_size": 100}


def model() -> nn.Module:
    return nn.Linear(1, 1)


def data() -> dict[str, TensorDataset]:
    x = torch.linspace(0, 1, 100).unsqueeze(1)
    whole = TensorDataset(x, 3 * x + 2)
    return {"train": whole, "validation": whole, "test": whole}


def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    time.sleep(0.2)
    return F.mse_loss(outputs, targets)
'''
WORDS = ("space=sgd", "fuse=off", "pruner=none", "sampler=random", "confirm=0", "recipe=nap")


@pytest.fixture
def cluster():
    with two_machines(cpus=2) as made:
        yield made


class Sleeper:
    """A search of trials that sleep, with a ledger of its own."""

    def __init__(self, folder, cluster, name, *words):
        (folder.path / "recipes").mkdir(exist_ok=True)
        (folder.path / "recipes" / "nap.py").write_text(NAP)
        self.folder, self.name, self.store = folder, name, f"store=sqlite:///{name}.db"
        self.url = f"sqlite:///{folder.path}/{name}.db"
        address = f"cluster={cluster.address}"
        self.process = folder.start("search", *WORDS, f"name={name}", address, self.store, *words)

    @property
    def trials(self):
        ledger = Ledger(self.url)
        try:
            found = ledger.exists() and ledger.searches()
            return list(ledger.history(found[0]).trials.values()) if found else []
        finally:
            ledger.close()

    @property
    def under_way(self):
        return sum(bool(trial.attempts) and trial.ending is None for trial in self.trials)

    def wait_for(self, seen, seconds=240):
        deadline = time.monotonic() + seconds
        while not seen():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, (self.name, self.under_way)
            time.sleep(0.2)

    def resume(self):
        self.process.communicate()
        self.process = self.folder.start("resume", self.name, self.store)

    def end(self):
        out, err = self.process.communicate(timeout=400)
        assert self.process.returncode == 0, out + err
        assert self.folder.run("audit", self.name, self.store).returncode == 0


def test_places_go_by_priority_and_those_of_a_driver_that_is_killed_to_the_other(cluster, folder):
    first = Sleeper(folder, cluster, "first", "trials=60")
    first.wait_for(lambda: first.under_way == 4)
    second = Sleeper(folder, cluster, "second", "trials=20", "priority=3")
    second.wait_for(lambda: second.under_way == 3)
    begun = {trial.number for trial in first.trials if trial.attempts}
    assert first.under_way <= 1
    second.wait_for(lambda: sum(trial.ending is not None for trial in second.trials) >= 6)
    later = [trial for trial in first.trials if trial.attempts and trial.number not in begun]
    assert len({trial.attempts[-1].worker for trial in later}) <= 1  # it keeps its last place
    second.process.send_signal(signal.SIGKILL)
    first.wait_for(lambda: first.under_way >= 3)
    second.process.wait()
    time.sleep(1)
    second.resume()
    first.end()
    second.end()
    assert [len(search.trials) for search in (first, second)] >= [60, 20]
    assert all(trial.ending for search in (first, second) for trial in search.trials)
