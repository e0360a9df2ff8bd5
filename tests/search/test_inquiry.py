"""Who begins when: real Ray, and a host that says what it is told to say."""

import asyncio

import psutil
import pytest
import ray
from ray._private.node import Node

from hpo import cluster
from hpo.cluster.allowance import Allowance
from hpo.cluster.inquiry import Inquiry
from hpo.machine.hardware import Share


class Host:
    def __init__(self):
        self.begun = asyncio.Event()
        self.exhausted = False

    async def training(self):
        await self.begun.wait()

    async def train(self):
        self.begun.set()

    async def exhaust(self):
        self.exhausted = True

    async def outlook(self, alive):
        return not self.exhausted, self.exhausted

    async def lost(self, cohort):
        return cohort == "had trials"


@pytest.fixture(scope="module")
def our_ray():
    with cluster.local(1):
        yield


@pytest.fixture
def inquiry(our_ray):
    def of(workers):
        host = ray.remote(Host).options(num_cpus=0).remote()
        made.append(host)
        order = cluster.Order(workers, Share(1, 0))
        return host, Inquiry(host, order, Allowance(order))

    made = []
    yield of
    for host in made:
        ray.kill(host)


def trained(host, asked):
    """Let somebody train, and hear what is answered once that is known."""
    ray.get(host.train.remote())
    ray.wait([asked._training])


def test_half_of_the_workers_begin_and_the_others_when_somebody_trains(inquiry):
    host, asked = inquiry(3)
    assert [asked.answer(it) for it in ("a", "b", "c")] == ["now", "now", "later"]
    trained(host, asked)
    assert [asked.answer(it) for it in ("c", "d")] == ["now", "later"]  # three at once, and no more
    asked.end("a", failed=False)
    assert asked.answer("d") == "now"


def test_one_worker_begins_before_there_is_a_referee_to_ask(inquiry):
    _, asked = inquiry(1)
    assert asked.answer("a") == "now"


def test_where_the_first_die_before_anybody_trains_the_next_begins_until_it_is_in_vain(inquiry):
    _, asked = inquiry(2)
    for cohort in "abc":
        assert asked.answer(cohort) == "now"
        asked.end(cohort, failed=True)
    assert asked.gave_up
    assert asked.answer("d") == "never"


def test_a_worker_that_died_with_trials_was_not_in_vain(inquiry):
    _, asked = inquiry(2)
    for _ in range(4):
        assert asked.answer("had trials") == "now"
        asked.end("had trials", failed=True)
    assert not asked.gave_up


def test_nobody_begins_when_nothing_is_left(inquiry):
    host, asked = inquiry(2)
    asked.answer("a")
    trained(host, asked)
    ray.get(host.exhaust.remote())
    assert asked.answer("b") == "never"


def test_a_ray_of_our_own_starts_nobody_but_those_who_train(our_ray):
    alive = [it for it in psutil.Process().children(recursive=True) if it.status() != psutil.STATUS_ZOMBIE]
    commands = [" ".join(it.cmdline()) for it in alive]
    assert any("raylet" in it for it in commands)
    assert not [it for it in commands if any(its in it for its in ("dashboard.py", "monitor.py"))]
    assert Node.start_monitor.__module__ == "ray._private.node"  # a Ray that others start is as ever
