"""The front in rows, and what `pick=` names."""

import pytest
from made_up import search, several_goals, typical
from rich.console import Console

from hpo.api import Result
from hpo.errors import InputError
from hpo.history import State
from hpo.results import pareto, summary
from hpo.terminal import overview


def test_the_front_is_listed_best_first_with_the_winner_and_the_knee():
    history = several_goals()
    assert pareto.columns(history) == ("trial", "loss", "memory", "seconds", "")
    assert pareto.rows(history) == [
        ("1", "0.1", "16 MiB", "10 ms", "winner"),
        ("2", "0.15", "2 MiB", "4 ms", "knee"),
        ("3", "0.4", "1 MiB", "2 ms", ""),
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("memory", 999, "999 bytes"),
        ("memory", 1010 * 1024, "0.986 MiB"),
        ("memory", 1023.9 * 1024**2, "1 GiB"),
        ("seconds", 0.9994, "999 ms"),
        ("seconds", 0.9996, "1 s"),
    ],
)
def test_a_cost_is_said_in_the_unit_in_which_it_has_three_digits(name, value, said):
    assert pareto.cost(name, value) == said


@pytest.mark.parametrize(
    ("word", "trial"),
    [("best", 1), ("loss", 1), ("memory", 3), ("seconds", 3), ("knee", 2), ("0", 0), ("99", 99)],
)
def test_a_goal_the_knee_or_a_number_picks_a_trial(word, trial):
    assert pareto.pick(several_goals(), word) == trial


def test_of_those_that_take_the_same_time_the_best_is_picked():
    history = several_goals()
    history.trials[2].attempts[0].notes["costs"]["seconds"] = 0.00201  # trial 3: 0.002
    assert pareto.pick(history, "seconds") == 2


@pytest.mark.parametrize(
    ("history", "word", "said"),
    [
        (several_goals(), "memroy", "Did you mean memory? Known: best, knee, loss, memory, seconds."),
        (several_goals(), "smallest", "Known: best, knee, loss, memory, seconds."),
        (typical(), "knee", "one goal, so there is no front. Known: best, loss."),
    ],
)
def test_what_picks_nothing_is_told(history, word, said):
    with pytest.raises(InputError) as error:
        pareto.pick(history, word)
    assert said in str(error.value)


def test_times_that_a_short_measurement_cannot_tell_apart_make_no_front():
    history = several_goals()
    before = [trial.number for trial in history.front]
    attempt = history.trials[0].attempts[0]
    attempt.notes["costs"].update(memory=2**20, seconds=0.00199)
    assert [trial.number for trial in history.front] == before


def test_the_front_is_a_table_in_python():
    told = search(objective=several_goals().objective)
    front = Result(told, several_goals()).front
    assert list(front["trial"]) == [1, 2, 3]
    assert list(front["memory"]) == [16 * 2**20, 2 * 2**20, 2**20]
    assert list(front["seconds_per_step"]) == [0.01, 0.004, 0.002]
    assert Result(search(), typical()).front.empty


def test_the_front_stands_on_the_page_of_a_search(capsys):
    told = search(state=State.FINISHED, objective=several_goals().objective)
    Console(width=200).print(overview.show(told, several_goals()))
    said = capsys.readouterr().out
    assert "hpo export cnn-1 to=train.py pick=knee" in said
    assert "2 MiB   4 ms     knee" in said


def test_programs_read_the_front():
    front = summary.describe_briefly(search(), several_goals())["front"]
    assert [it["trial"] for it in front] == [1, 2, 3]
    assert [it["knee"] for it in front] == [False, True, False]
    assert front[1]["memory"] == 2 * 2**20
    assert summary.describe_briefly(search(), typical())["front"] is None
