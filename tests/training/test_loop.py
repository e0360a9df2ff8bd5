import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from hpo.training.loop.batches import load
from hpo.training.loop.clipping import Clipping
from hpo.training.loop.gradients import Gradient
from hpo.training.loop.loop import epoch_seed, evaluate, mean_loss, train_epoch
from hpo.training.loop.scheduler import Scheduler
from hpo.training.words.schedules import LinearSchedule, PlateauSchedule

NO_LIMIT = Clipping()
NUMBERS = TensorDataset(torch.arange(9.0).reshape(9, 1), torch.arange(9))


def test_epochs_have_seeds_of_their_own():
    seeds = {epoch_seed(seed, epoch) for seed in range(30) for epoch in range(100)}
    assert len(seeds) == 3000
    assert all(0 <= seed < 2**32 for seed in (*seeds, epoch_seed(2**40, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 9))


def train(network, optimizer, batches, clip=NO_LIMIT):
    """One epoch, at a rate that falls along a line to 0 after two steps."""
    scheduler = Scheduler(optimizer, LinearSchedule(end_factor=0.0, decay_size=1.0), steps=2)
    loss = nn.functional.cross_entropy
    return list(train_epoch(network, loss, optimizer, scheduler, Gradient(), clip, batches))


def test_each_batch_is_one_step_at_its_own_rate(network):
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    before = network[0].weight.clone()
    steps = train(network, optimizer, load(NUMBERS, 4), clip=Clipping(0.01))
    assert [(step.lr, step.samples) for step in steps] == [(1.0, 4), (0.5, 5)]
    assert all(step.clipped_norm == pytest.approx(0.01, rel=1e-3) for step in steps)
    assert all(step.grad_norm > 0.01 for step in steps)
    assert network.training
    assert network[1].num_batches_tracked == 2
    assert not torch.equal(network[0].weight, before)
    mean = sum(step.loss * step.samples for step in steps) / 9
    assert mean_loss(iter(steps)) == pytest.approx(mean)


def rates(scheduler, steps):
    found = []
    for _ in range(steps):
        found += scheduler.get_last_lr()
        scheduler.step()
    return found


def test_rates_go_down_to_the_last_step_and_stay():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=3.0)
    scheduler = Scheduler(optimizer, LinearSchedule(end_factor=0.0, decay_size=1.0), steps=6)
    assert rates(scheduler, 8) == pytest.approx([3, 2.5, 2, 1.5, 1, 0.5, 0.5, 0.5])


def test_a_scheduler_goes_on_where_another_was():
    """Also one that has heard something."""

    def made():
        schedule = PlateauSchedule(gamma=0.5, patience=0, threshold=0.0)
        return Scheduler(torch.optim.SGD([torch.zeros(1)], lr=1.0), schedule, steps=9)

    first, second = made(), made()
    for cost in (3.0, 4.0):
        rates(first, 3)
        first.hear(cost)
    second.load_state_dict(first.state_dict())
    assert rates(second, 3) == rates(first, 3) == [0.5, 0.5, 0.5]


def test_every_group_keeps_its_own_rate(network):
    groups = [{"params": network[0].parameters()}, {"params": network[3].parameters(), "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    scheduler = Scheduler(optimizer, LinearSchedule(end_factor=0.0, decay_size=1.0), steps=2)
    for factor in (1.0, 0.5):
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([factor, 0.1 * factor])
        scheduler.step()


def test_an_optimizer_may_look_more_than_once_and_the_first_look_is_reported(network):
    network[2].p = 0.0
    inputs, targets = NUMBERS[:]
    first = nn.functional.cross_entropy(network(inputs), targets)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=5)
    [step] = train(network, optimizer, [(inputs, targets)])
    assert step.loss == first.item()
    assert nn.functional.cross_entropy(network(inputs), targets) < 0.9 * first


def test_evaluation_weighs_batches_and_changes_nothing(network):
    measures = {"loss": nn.functional.cross_entropy, "mean": lambda outputs, targets: targets.float().mean()}
    before = {name: value.clone() for name, value in network.state_dict().items()}
    whole, parts = (evaluate(network, measures, load(NUMBERS, size)) for size in (9, 4))
    assert parts == pytest.approx(whole)
    assert parts["mean"] == 4.0
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network[0].weight.grad is None
