"""What people ask of a search that runs: a pause, no more trials, more of them."""

import asyncio
import sqlite3
import time
from contextlib import closing
from itertools import count

import pytest
from simulation import Workers, history_of, measured, referee, started

from hpo.cluster import host
from hpo.cluster.host import Host
from hpo.cluster.node import Place
from hpo.cluster.watch import Watch
from hpo.conductor import inprocess
from hpo.history import State
from hpo.ledger import Ledger, meter
from hpo.protocol import Answer
from hpo.remote import watching
from hpo.trial import Divergence, Ending, Outcome
from hpo.wish import Wish


@pytest.fixture
def ask(url):
    """Note a wish in the ledger, as a view does."""
    ledger = Ledger(url)
    yield lambda name, wish: ledger.note_wish(ledger.search(name), wish)
    ledger.close()


def trials_of(url, name):
    ledger = Ledger(url)
    search = ledger.search(name)
    history = ledger.history(search)
    ledger.close()
    return search.settings["trials"], len(history.searched)


def finish(judge, epochs):
    workers = Workers(2, epochs)
    while workers.turn(judge, 0) | workers.turn(judge, 1):
        judge.heed(judge.wished())
    judge.flush()


@pytest.mark.parametrize(("wish", "trials"), [(Wish(1), 5), (Wish(9), 9), (Wish(), 7)])
def test_there_are_as_many_trials_as_people_ask_for(url, ask, wish, trials):
    name = started(url, "trials=7", "epochs=2", "pruner=none", "sampler=random")
    judge = referee(url, name)
    first = judge.ask("first", 5)
    ask(name, wish)
    judge.heed(judge.wished())
    for epoch in (1, 2):
        judge.report([measured(it.number, it.config, epoch) for it in first])
    judge.tell([Ending(it.number, Outcome.FINISHED) for it in first])
    finish(judge, 2)
    assert trials_of(url, name) == (trials, trials)
    assert judge.exhausted


@pytest.mark.parametrize(("begun", "confirmed"), [(10, 0), (30, 2 * 4)])
@pytest.mark.parametrize("sessions", [1, 2])
def test_a_stop_confirms_as_much_as_so_many_trials_pay_for(url, ask, begun, confirmed, sessions):
    name = started(url, "trials=64", "epochs=2", "pruner=none", "sampler=random")
    judge = referee(url, name)
    trials = judge.ask("first", begun)
    ask(name, Wish(1))
    judge.heed(judge.wished())
    if sessions == 2:
        judge.flush()
        judge = referee(url, name)
    for epoch in (1, 2):
        judge.report([measured(it.number, it.config, epoch) for it in trials])
    judge.tell([Ending(it.number, Outcome.FINISHED) for it in trials])
    finish(judge, 2)
    history = history_of(url, name)
    assert (len(history.searched), len(history.confirmations)) == (begun, confirmed)
    assert judge.exhausted


def test_a_referee_that_is_made_again_knows_it(url, ask):
    name = started(url, "trials=7")
    judge = referee(url, name)
    judge.ask("first", 2)
    judge.flush()
    ask(name, Wish(1))
    judge.heed(judge.wished())
    assert not referee(url, name).ready


def test_a_wish_is_for_the_session_that_runs(url, ask):
    name = started(url)
    referee(url, name)
    ask(name, Wish(paused=True))
    assert not referee(url, name).wished().paused


def test_the_clock_of_a_search_stands_still_in_a_pause(url, monkeypatch):
    name, now = started(url, "timeout=10m"), 100.0  # of which to import Optuna takes a few seconds
    monkeypatch.setattr(time, "monotonic", lambda: now)
    judge = referee(url, name)
    judge.heed(Wish(paused=True))
    now += 3600
    judge.heed(Wish())
    now += 500
    judge.heed(Wish())
    assert judge.ready
    now += 110
    assert not judge.ready


def test_workers_wait_in_a_pause_and_do_not_hang(url, monkeypatch):
    monkeypatch.setattr(host, "_LOOK_SECONDS", 0.01)
    name = started(url)
    judge = referee(url, name)
    ledger = Ledger(url)

    async def story():
        here = Host(lambda: judge)
        here._watch = Watch(0.3, count(0, 0.01).__next__)  # thirty looks, however slow the machine is
        (trial,) = (await here.take_up("c", 1, "host/1", "", Place("", 0, 0))).trials
        ledger.note_wish(ledger.search(name), Wish(paused=True))
        while not judge.paused:
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(here.report([measured(trial.number, trial.config, 1)]))
        await asyncio.sleep(0.6)
        assert not waiting.done()
        assert here._watch.look() == []
        assert len(ledger.history(ledger.search(name)).trials[trial.number].points) == 1
        ledger.note_wish(ledger.search(name), Wish())
        assert (await asyncio.wait_for(waiting, 20)).on == [trial.number]
        ledger.note_wish(ledger.search(name), Wish(paused=True))
        while not judge.paused:
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(here.report([measured(trial.number, trial.config, 2)]))
        here._stopping = True
        with pytest.raises(host.Stopped):
            await asyncio.wait_for(waiting, 20)
        here._looking.cancel()

    asyncio.run(story())
    ledger.close()


def test_in_a_pause_who_has_nothing_left_to_train_is_not_taken_for_hung(url):
    name = started(url)
    judge, ledger = referee(url, name), Ledger(url)

    async def story():
        here = Host(lambda: judge)
        here._watch = Watch(0.3, count(0, 0.01).__next__)
        (trial,) = (await here.take_up("c", 1, "host/1", "", Place("", 0, 0))).trials
        ledger.note_wish(ledger.search(name), Wish(paused=True))
        while not judge.paused:
            await asyncio.sleep(0.01)
        diverged = Divergence(trial.number, 1, 3, 1.0, 1.0)
        waiting = asyncio.create_task(here.report([diverged]))
        for _ in range(20):  # of thirty looks and more
            await asyncio.sleep(0.04)
            assert [here._watch.look() for _ in range(2)] == [[], []]
        assert not waiting.done()
        ledger.note_wish(ledger.search(name), Wish())
        assert (await asyncio.wait_for(waiting, 20)).on == []
        await here.flush()
        here._looking.cancel()

    asyncio.run(story())
    ledger.close()


@pytest.mark.parametrize("word", ["take_up", "attempt", "report", "tell"])
def test_while_the_ledger_is_locked_who_waits_for_it_is_not_taken_for_hung(url, word):
    judge = referee(url, started(url))

    async def story():
        here = Host(lambda: judge)
        here._watch = Watch(0.3, count(0, 0.01).__next__)
        (trial,) = (await here.take_up("c", 1, "host/1", "", Place("", 0, 0))).trials
        words = {
            "take_up": ("c.1", 1, "host/1", "", Place("", 0, 0)),
            "attempt": ("c", [trial.number], "host/1", {}),
            "report": ([Divergence(trial.number, 1, 3, 1.0, 1.0)],),
            "tell": ([Ending(trial.number, Outcome.FAILED)], []),
        }
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as someone:
            someone.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(getattr(here, word)(*words[word]))
            await asyncio.sleep(0.1)
            assert [here._watch.look() for _ in range(60)] == [[]] * 60
            assert not waiting.done()
        await asyncio.wait_for(waiting, 20)
        assert [here._watch.look() for _ in range(60)][-1] == ["c"]  # who is silent with an answer hangs
        here._looking.cancel()

    asyncio.run(story())


def test_while_the_ledger_is_locked_who_need_not_wait_for_it_is_answered(url, monkeypatch):
    monkeypatch.setattr(host, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(meter, "_SECONDS", 0.0)
    judge = referee(url, started(url))

    async def story():
        here = Host(lambda: judge)
        (trial,) = (await here.take_up("c", 1, "host/1", "", Place("", 0, 0))).trials
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as someone:
            someone.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            await asyncio.sleep(0.3)
            assert (await here.report([measured(trial.number, trial.config, 1)])).on == [trial.number]
            assert time.monotonic() - began < 15  # a try waits for 30
        await here.flush()
        here._looking.cancel()

    asyncio.run(story())


def test_who_does_not_wait_hears_of_a_pause_and_of_the_end_at_once(url):
    judge = referee(url, started(url, "pruner=none"))

    async def story():
        here = Host(lambda: judge)
        (trial,), due = await here.take_up("c", 1, "host/1", "", Place("", 0, 0))
        reports = [measured(trial.number, trial.config, epoch) for epoch in (1, 2, 3)]
        assert (await here.report(reports[:1], waited=False)).due == due
        judge.heed(Wish(paused=True))
        assert (await here.report(reports[1:2], waited=False)) == Answer([trial.number], [])
        here._stopping = True
        with pytest.raises(host.Stopped):
            await here.report(reports[2:], waited=False)
        await here.flush()
        here._looking.cancel()

    asyncio.run(story())


def test_who_dies_after_its_trials_have_ended_did_not_fail_before_it_trained(url):
    judge = referee(url, started(url, "pruner=none"))

    async def story():
        here = Host(lambda: judge)
        (trial,) = (await here.take_up("trained.0", 1, "host/1", "", Place("", 0, 0))).trials
        await here.tell([Ending(trial.number, Outcome.FAILED, "CUDA error")], [])
        assert await here.lost("trained", "its worker gave up")
        assert not await here.lost("never did", "its worker died")
        here._looking.cancel()

    asyncio.run(story())


def test_who_has_no_worker_any_more_is_not_watched(url):
    judge = referee(url, started(url))

    async def story():
        here = Host(lambda: judge)
        for shift in ("gone", "here"):
            await here.begin(shift, Place("", 0, 0))
        await here.outlook(["here", "next"])
        assert here._watch.shifts == ["here"]
        await here.leave("here")
        await asyncio.wait_for(here.stop(), 20)
        here._looking.cancel()

    asyncio.run(story())


def test_a_training_in_this_process_waits_too(url, ask):
    name = started(url, "trials=1", "epochs=3")
    judge, times = referee(url, name), []

    def work(cohort, line):
        (trial,) = line.take_up(cohort, 1, "host/1", "")
        for epoch in (1, 2, 3):
            ask(name, Wish(paused=epoch == 2))
            deadline = time.monotonic() + 20
            while judge.paused != (epoch == 2) and time.monotonic() < deadline:
                time.sleep(0.01)
            times.append(time.monotonic())
            line.report([measured(trial.number, trial.config, epoch)])

    stop = iter([False] * 3 + [True] * 9)
    with pytest.raises(KeyboardInterrupt):
        inprocess.train(judge, work, lambda: next(stop), resumed=False)
    assert len(times) == 2


def test_who_watches_from_elsewhere_can_ask(url, ask, monkeypatch):
    monkeypatch.setattr(watching, "GLANCE_SECONDS", 0.02)
    name = started(url)
    judge, ledger = referee(url, name), Ledger(url)

    class Viewer:
        def start(self, plan, history):
            self.wishes = iter([None, Wish(9)])

        def update(self, search, history):
            if search.wish == Wish(9):
                ledger.close_session(search.session, State.FINISHED)
            return next(self.wishes, None)

        def finish(self):
            pass

    found, _ = watching.watch(name, url, lambda plan: Viewer(), print)
    assert found.wish == judge.wished() == Wish(9)
    ledger.close()
