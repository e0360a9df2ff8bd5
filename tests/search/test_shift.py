"""A worker's shift: how long it lasts, what its cohorts are called, and what its host makes of it."""

import asyncio
from contextlib import closing
from dataclasses import replace
from itertools import count

import pytest
from simulation import history_of, referee, started

from hpo import cluster
from hpo.cluster.host import Host
from hpo.cluster.node import Place
from hpo.cluster.shift import cohorts, length, shift_of
from hpo.ledger import Ledger
from hpo.machine.hardware import Share
from hpo.protocol import Choice, Hand, Sizing, Stopped
from hpo.referee import Referee
from hpo.trial import Divergence, Ending, Outcome, Point

PLACE = Place("", 0, 0)
POINT = Point(0, 1, 1.0, 1.0, 1.0, 0.1, 1.0, 1.0, 0.01)


class Told:
    """A line that was handed nothing ahead, unless a test says so."""

    handed, following = False, str


def test_it_takes_up_one_cohort_after_another_until_its_time_is_over():
    clock = count(100, 4)
    assert list(cohorts("a_1", 10, Told(), lambda: next(clock))) == ["a_1.0", "a_1.1", "a_1.2"]


def test_however_short_there_is_one_cohort():
    assert list(cohorts("a", 0, Told())) == ["a.0"]


def test_before_its_time_is_over_the_line_may_ask_for_the_next_one_ahead():
    line, clock = Told(), iter([0, 6, 6, 12, 12])
    asked = [line.following() for _ in cohorts("a", 10, line, lambda: next(clock))]
    assert asked == ["a.1", ""]


@pytest.mark.parametrize(("handed", "names"), [(True, ["a.0", "a.1"]), (False, ["a.0"])])
def test_what_the_line_was_handed_ahead_does_come_and_what_it_has_only_asked_for_does_not(handed, names):
    """Who trains for an hour after it has asked goes back to Tune after that."""
    line, clock, found = Told(), iter([0, 0, 3600, 3600]), []
    for name in cohorts("a", 10, line, lambda: next(clock)):
        found.append(name)
        line.following()
        line.handed = handed and len(found) == 1
    assert found == names


@pytest.mark.parametrize("name", ["a_1", "a_1.0", "a_1.12"])
def test_a_cohort_belongs_to_the_shift_it_is_called_after(name):
    assert shift_of(name) == "a_1"


@pytest.mark.parametrize(("workers", "seconds"), [(2, 10), (100, 10), (1000, 100)])
def test_many_workers_have_long_shifts_so_that_placing_them_takes_half_of_the_driver_s_time(workers, seconds):
    assert length(workers) == seconds


def hosted(url, story, *words):
    """Let a story happen with a host, and with another one that takes its place."""
    name = started(url, "pruner=none", *words)

    async def told():
        here = Host(lambda: referee(url, name))
        again = await story(here, lambda: Host(lambda: referee(url, name)))
        for host in (here, again):
            if host:
                host._looking.cancel()
                await host.flush()

    asyncio.run(told())
    return history_of(url, name)


@pytest.mark.parametrize("made_again", [False, True])
def test_whose_shift_goes_on_keeps_its_trials_whichever_cohort_has_them(url, made_again):
    async def story(here, make):
        for number in range(3):
            await here.take_up(f"a.{number}", 1, "host/1", "", PLACE)
        await here.take_up("b.0", 1, "host/2", "", PLACE)
        next_one = make() if made_again else here
        await next_one.outlook(["a"])
        assert next_one._referee.cohorts == ["a.0", "a.1", "a.2"]
        return next_one if made_again else None

    assert [trial.cohort for trial in hosted(url, story).running] == ["a.0", "a.1", "a.2", "b.0"]


def test_a_worker_that_dies_loses_what_it_has_in_its_last_cohort(url):
    async def story(here, _):
        hand = await here.take_up("a.0", 1, "host/1", "", PLACE)
        await here.tell([Ending(hand.trials[0].number, Outcome.FAILED, "a reason")], [])
        await here.take_up("a.1", 1, "host/1", "", PLACE)
        assert await here.lost("a", "it was killed")
        assert not await here.lost("b", "it was killed")
        taken = await here.take_up("c.0", 1, "host/3", "", PLACE)
        assert [it.number for it in taken.trials] == [1]

    assert [trial.tries for trial in hosted(url, story).trials.values()] == [1, 2]


@pytest.mark.parametrize("word", ["report", "tell"])
def test_with_the_last_word_of_a_cohort_a_worker_has_the_next(url, word):
    """And loses that, if it dies before it has begun."""

    async def story(here, _):
        then, reports = ("a.1", 1, "host/1", "", PLACE), [Divergence(0, 1, 3, 1.0, 1.0)]
        await here.take_up("a.0", 1, "host/1", "", PLACE)
        if word == "report":
            hand = (await here.report(reports, then)).next
        else:
            hand = await here.tell([Ending(0, Outcome.FAILED)], [], then)
        assert [it.number for it in hand.trials] == [1]
        assert await here.take_up("a.1", 1, "host/1", "", PLACE) == hand  # who asks again has the same
        assert await here.lost("a", "it was killed")

    trials = hosted(url, story).trials
    assert (trials[0].outcome is not None, trials[1].cohort, trials[1].outcome) == (True, "a.1", None)


def test_who_goes_on_has_no_other_trial_yet(url):
    async def story(here, _):
        await here.take_up("a.0", 1, "host/1", "", PLACE)
        answer = await here.report([POINT], ("a.1", 1, "host/1", "", PLACE))
        assert (answer.on, answer.next) == ([0], None)

    assert len(hosted(url, story).trials) == 1


@pytest.mark.parametrize("word", ["report", "tell"])
def test_when_the_search_stops_nobody_has_another_trial(url, word):
    async def story(here, _):
        then = ("a.1", 1, "host/1", "", PLACE)
        await here.take_up("a.0", 1, "host/1", "", PLACE)
        stopping = asyncio.create_task(here.stop())
        await asyncio.sleep(0)
        if word == "report":
            with pytest.raises(Stopped):
                await here.report([Divergence(0, 1, 3, 1.0, 1.0)], then)
        else:
            assert await here.tell([Ending(0, Outcome.FAILED)], [], then) == Hand([], {})
        await here.leave("a")
        await stopping

    assert len(hosted(url, story).trials) == 1


def test_one_worker_of_a_machine_measures_and_the_others_hear_of_it(url):
    choice = Choice(8, 2, "8 at a time: 2.0x as fast")

    async def story(here, _):
        assert await here.size("a.0", "one", PLACE) == Sizing(None, yours=True)
        assert await here.size("a.0", "one", PLACE) == Sizing(None, yours=True)  # nobody has told it
        assert await here.size("b.3", "one", PLACE) == Sizing(None, yours=False)
        assert await here.size("c.0", "another", PLACE) == Sizing(None, yours=True)
        await here.sized("one", choice)
        assert await here.size("b.4", "one", PLACE) == Sizing(choice)
        assert await here.size("d.0", "another", PLACE) == Sizing(None, yours=False)

    hosted(url, story)


@pytest.mark.parametrize("heard", ["from Tune", "by its absence"])
def test_if_who_measures_dies_another_one_does(url, heard):
    async def story(here, _):
        for shift in "ab":
            await here.size(f"{shift}.0", "one", PLACE)
        await (here.lost("a", "it was killed") if heard == "from Tune" else here.outlook(["b"]))
        assert await here.size("b.1", "one", PLACE) == Sizing(None, yours=True)

    hosted(url, story)


def test_on_ray_a_worker_takes_up_all_that_there_is_in_one_shift(url):
    name = started(url, "trials=5", "epochs=2", "pruner=none", "confirm=0")
    with closing(Ledger(url)) as ledger:
        session, point = ledger.open_session(ledger.search(name)), POINT

    def work(cohort, line, _crew):
        trials = line.take_up(cohort, 1, "host/1", "", alike=True)
        for trial in trials:
            for epoch in (1, 2):
                line.report([replace(point, trial=trial.number, epoch=epoch)])
        line.tell([Ending(trial.number, Outcome.FINISHED) for trial in trials])
        return bool(trials)

    with cluster.local(1):
        order = cluster.Order(1, Share(1, 0))
        cluster.train(lambda: Referee(url, name, session), work, order, lambda: None)
    taken = [trial.cohort for trial in history_of(url, name).trials.values()]
    assert len(set(taken)) == 5
    assert len({shift_of(cohort) for cohort in taken}) == 1
