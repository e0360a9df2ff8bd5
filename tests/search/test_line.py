"""A worker's line: what is waited for, what gathers meanwhile, and that nothing is lost on it."""

import math
from itertools import chain

import pytest
from simulation import history_of, measured, started
from simulation import referee as new_referee

from hpo.config import Config
from hpo.protocol import Answer, Hand, MissingEpochError, Stopped
from hpo.trial import Divergence, Ending, Outcome, Point, Proposal
from hpo.worker.line import Line


def point(epoch, trial=0):
    return Point(trial, epoch, 1.0, 1.0, 1.0, 0.1, 1.0, 1.0, 0.01)


class Question:
    """A report under way, which is answered when the far end likes."""

    def __init__(self, end, reports):
        self.end, self.reports, self.told = end, reports, None

    def answered(self, within):
        if self.end.quick and self.told is None:
            self.arrive()
        return self.told is not None

    def arrive(self):
        try:
            self.told = self.end.take(self.reports)
        except (MissingEpochError, Stopped) as error:
            self.told = error

    def answer(self):
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


class FarEnd:
    """The far end of a line: decides after epoch `due`, and notes what it is asked, waited for or not.

    Its answers take so many `seconds`, by a clock of its own.
    """

    def __init__(self, due=4, quick=False, seconds=0.0):
        self.due, self.quick, self.seconds, self.now, self.trials = due, quick, seconds, 0.0, 1
        self.heard, self.passing = [], []
        self.ended, self.stopping, self.missing = set(), False, 0

    def take(self, reports):
        if self.missing and reports[0].epoch > 1:
            self.missing -= 1
            raise MissingEpochError
        if self.stopping:
            raise Stopped
        trials = {it.trial for it in reports} - self.ended
        return Answer([*trials], [], dict.fromkeys(trials, self.due))

    def clock(self):
        return self.now

    def call(self, method, *words):
        self.now += self.seconds
        self.heard.append((method, [it.epoch for it in words[-1]] if method in ("report", "tell") else None))
        if method == "take_up":
            trials = [Proposal(number, Config({}), "random") for number in range(self.trials)]
            return Hand(trials, {0: self.due, 1: self.due})
        return self.take(words[0]) if method == "report" else None

    def start(self, method, reports, then, waited):
        assert (method, then, waited) == ("report", (), False)
        self.passing.append(Question(self, reports))
        return self.passing[-1]

    @property
    def waited(self):
        return [epochs for method, epochs in self.heard if method == "report"]

    @property
    def passed(self):
        return [[it.epoch for it in question.reports] for question in self.passing]


def line_to(end, within=None):
    line = Line(end.call, start=end.start, within=within, clock=end.clock)
    line.take_up("c", 1, "host/1", "")
    return line


def test_only_where_something_is_decided_a_worker_waits():
    end = FarEnd(due=3, quick=True)
    line = line_to(end)
    for epoch in (1, 2, 3):
        assert line.report([point(epoch)]).on == [0]
    assert (end.passed, end.waited) == ([[1], [2]], [[3]])


@pytest.mark.parametrize(
    ("seconds", "within", "passed"),
    [(0.05, None, [[1], [2]]), (0.2, None, [[1]]), (0.2, 10.0, [[1]]), (0.2, 2.5, [[1], [2]])],
)
def test_a_slow_referee_hears_of_an_epoch_with_the_next_that_is_waited_for(seconds, within, passed):
    """But not where that might be taken for a hang."""
    end = FarEnd(due=3, quick=True, seconds=seconds)
    line = line_to(end, within)
    for epoch in (1, 2, 3):
        end.now += 1.0
        assert line.report([point(epoch)]).on == [0]
    assert end.passed == passed
    assert [*chain(*end.passed, *end.waited)] == [1, 2, 3]


def test_what_is_reported_while_one_is_under_way_gathers():
    end = FarEnd(due=9)
    line = line_to(end)
    for epoch in (1, 2, 3):
        assert line.report([point(epoch)]).on == [0]
    assert end.passed == [[1]]
    end.passing[0].arrive()
    line.report([point(4)])
    assert end.passed == [[1], [2, 3, 4]]
    line.report([point(5)])
    assert end.passed == [[1], [2, 3, 4]]


def test_what_must_be_waited_for_takes_along_what_was_not_answered():
    end = FarEnd(due=3)
    line = line_to(end)
    for epoch in (1, 2, 3):
        line.report([point(epoch)])
    assert (end.passed, end.waited) == ([[1]], [[1, 2, 3]])


def test_the_end_of_a_trial_takes_it_along_too():
    end = FarEnd(due=9)
    line = line_to(end)
    line.report([point(1)])
    line.report([point(2)])
    line.tell([Ending(0, Outcome.FINISHED)])
    assert end.heard[-1] == ("tell", [1, 2])


def test_who_diverges_is_waited_for():
    end = FarEnd(due=9, quick=True)
    line = line_to(end)
    end.ended.add(0)
    assert line.report([Divergence(0, 1, 3, math.inf, 1.0)]).on == []
    assert end.waited == [[1]]


def test_with_no_way_to_go_on_meanwhile_each_is_waited_for():
    end = FarEnd(due=9)
    line = Line(end.call)
    line.take_up("c", 1, "host/1", "")
    line.report([point(1)])
    assert end.waited == [[1]]


def test_that_a_trial_has_ended_is_heard_with_the_next_report():
    end = FarEnd(due=9)
    line = line_to(end)
    assert line.report([point(1)]).on == [0]
    end.ended.add(0)
    end.passing[0].arrive()
    assert line.report([point(2)]).on == []
    assert end.waited == [[1, 2]]


@pytest.mark.parametrize("quick", [True, False])
def test_that_one_of_several_has_ended_takes_no_other_along(quick):
    end = FarEnd(due=9, quick=quick)
    line = line_to(end)
    end.ended.add(0)
    told = line.report([point(1), point(1, trial=1)])
    if not quick:
        end.passing[0].arrive()
        told = line.report([point(2), point(2, trial=1)])
    assert told.on == [1]


def test_in_a_pause_a_worker_waits_once_it_has_heard_of_it():
    end = FarEnd(due=9, quick=True)
    line = line_to(end)
    end.take = lambda reports: Answer([it.trial for it in reports])  # and not when they are due
    assert line.report([point(1)]).on == [0]
    assert (end.passed, end.waited) == ([[1]], [[1]])
    assert line.report([point(2)]).on == [0]
    assert (end.passed, end.waited) == ([[1]], [[1], [2]])


def test_that_the_search_stops_is_heard_with_the_next_report_which_is_taken_along():
    end = FarEnd(due=9)
    line = line_to(end)
    line.report([point(1)])
    end.stopping = True
    end.passing[0].arrive()
    with pytest.raises(Stopped):
        line.report([point(2)])
    assert end.waited == [[1, 2]]


def test_a_quick_referee_is_heard_at_once():
    end = FarEnd(due=9, quick=True)
    line = line_to(end)
    end.stopping = True
    with pytest.raises(Stopped):
        line.report([point(1)])


def test_a_referee_that_missed_something_in_passing_is_told_all_again():
    end = FarEnd(due=9)
    line = line_to(end)
    line.report([point(1)])
    end.passing[0].arrive()
    line.report([point(2)])
    end.missing = 2  # the one under way, and the one that is waited for next
    end.passing[1].arrive()
    assert line.report([point(3)]).on == [0]
    assert end.waited == [[2, 3], [1, 2, 3]]


def test_that_a_trial_is_saved_is_said_and_not_waited_for():
    said, end = [], FarEnd()
    line = Line(end.call, start=lambda *words: said.append(words))
    line.saved({3})
    assert (said, end.heard) == ([("saved", [3])], [])
    Line(end.call).saved({3})
    assert end.heard == [("saved", None)]


def test_a_cohort_takes_nothing_along_of_the_one_before():
    end = FarEnd(due=2)
    line = line_to(end)
    line.report([point(1)])
    line.take_up("d", 1, "host/1", "")
    line.report([point(2)])
    assert end.waited == [[2]]


class Generous(FarEnd):
    """A far end that hands on what is asked for with the last word of a cohort, and notes which that is."""

    def __init__(self, **how):
        super().__init__(**how)
        self.asked = []

    def call(self, method, *words):
        *words, then = words if method != "take_up" and isinstance(words[-1], tuple) else (*words, ())
        answer = super().call(method, *words)
        if not then or (method == "report" and answer.on):
            return answer
        self.asked.append(then)
        hand = Hand([Proposal(7, Config({}), "random")], {7: self.due})
        return answer._replace(next=hand) if method == "report" else hand


class TestTheNextCohort:
    """Is taken up with the last word of the one before, if that is certain to be wanted."""

    def cohorts(self, end, following="d", *, alike=True):
        end.due = 2
        line = Line(end.call, ["here"], end.start, clock=end.clock)
        line.following = lambda: following
        line.take_up("c", 2, "host/1", "why", alike=alike)
        return line

    def test_with_the_end_of_the_last_trial(self):
        end = Generous()
        line = self.cohorts(end)
        line.tell([Ending(0, Outcome.FINISHED)])
        assert end.asked == [("d", 2, "host/1", "why", "here")]
        assert line.handed
        assert [trial.number for trial in line.take_up("d", 2, "host/1", "why")] == [7]
        assert [method for method, _ in end.heard] == ["take_up", "tell"]

    def test_with_the_report_after_which_nobody_goes_on(self):
        end = Generous(quick=True)
        line = self.cohorts(end)
        end.ended.add(0)
        assert line.report([point(2)]).on == []
        assert [trial.number for trial in line.take_up("d", 2, "host/1", "why")] == [7]
        assert line.report([point(1, trial=7)]).on == [7]  # which is not due before its second epoch
        assert (end.passed, end.waited) == ([[1]], [[2]])

    def test_not_where_the_trial_goes_on(self):
        end = Generous()
        line = self.cohorts(end)
        assert line.report([point(2)]).on == [0]
        assert not line.handed
        line.take_up("d", 2, "host/1", "why")
        assert [method for method, _ in end.heard] == ["take_up", "report", "take_up"]

    def test_not_before_those_of_the_cohort_that_wait_have_had_their_turn(self):
        end = Generous()
        end.trials = 2
        line = self.cohorts(end)
        line.tell([Ending(1, Outcome.FAILED)])
        assert end.asked == []
        line.tell([Ending(0, Outcome.FAILED)])
        assert len(end.asked) == 1

    @pytest.mark.parametrize("how", [{"following": ""}, {"alike": False}])
    def test_not_where_the_shift_is_over_or_the_next_may_be_of_another_size(self, how):
        end = Generous()
        self.cohorts(end, **how).tell([Ending(0, Outcome.FINISHED)])
        assert end.asked == []

    def test_once_for_each(self):
        end = Generous()
        line = self.cohorts(end)
        line.tell([Ending(0, Outcome.FINISHED)])
        line.take_up("d", 2, "host/1", "why")
        line.take_up("e", 2, "host/1", "why")
        assert [method for method, _ in end.heard] == ["take_up", "tell", "take_up"]


class TestWithAReferee:
    """The real one, which dies with what it has not committed."""

    EPOCHS = 9

    @pytest.fixture
    def name(self, url):
        return started(url, f"epochs={self.EPOCHS}", "trials=1", "pruner=none")

    def test_one_that_dies_with_reports_under_way_loses_nothing(self, url, name):
        judges = [new_referee(url, name)]
        end = FarEnd()

        def take(reports):
            return judges[-1].report(reports)

        def call(method, *words):
            answer = getattr(judges[-1], method)(*words)
            if method in ("take_up", "tell"):
                judges[-1].flush()
            return answer

        end.take = take
        line = Line(call, start=end.start)
        (trial,) = line.take_up("c", 1, "host/1", "")
        for epoch in range(1, self.EPOCHS + 1):
            assert line.report([measured(0, trial.config, epoch)]).on == [0]
            if epoch in (2, 5):
                end.passing[-1].arrive()
            if epoch in (3, 6):
                judges.append(new_referee(url, name))  # the one before has written nothing
        line.tell([Ending(0, Outcome.FINISHED)])
        found = history_of(url, name).trials[0]
        assert found.outcome is Outcome.FINISHED
        assert [it.epoch for it in found.points] == list(range(1, self.EPOCHS + 1))

    def test_several_epochs_at_once_count_once_each_and_leave_no_hole(self, url, name):
        judge = new_referee(url, name)
        (trial,) = judge.ask("c", 1)
        curve = [measured(0, trial.config, epoch) for epoch in range(1, self.EPOCHS + 1)]
        assert judge.report(curve[:3]).on == [0]
        assert judge.report(curve[1:5]).on == [0]
        with pytest.raises(MissingEpochError, match="trial 0 has 6 epochs of 7"):
            judge.report([curve[5], curve[7]])
        with pytest.raises(MissingEpochError, match="trial 0 has 7 epochs of 9"):
            judge.tell([Ending(0, Outcome.FINISHED)], curve[5:7])
        judge.tell([Ending(0, Outcome.FINISHED)], curve[5:])
        judge.flush()
        assert [it.epoch for it in history_of(url, name).trials[0].points] == list(range(1, self.EPOCHS + 1))
