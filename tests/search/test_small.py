"""A space of a few configurations: each is tried once, and then the search is over."""

import pytest
from simulation import Workers, history_of, referee, run, started

from hpo.conductor.conductor import resume
from hpo.errors import InputError
from hpo.history import State
from hpo.ledger import Ledger
from hpo.planning.plan import Plan
from hpo.progress import outlook
from hpo.settings import ResumeSettings
from hpo.wish import Wish

EPOCHS = 2
WORDS = (f"epochs={EPOCHS}", "confirm=0")
FEW = """
optimizer:
  one_of:
    adam: {lr: {choice: [0.003, 0.01]}}
    sgd: {lr: {choice: [0.01, 0.05]}, momentum: {choice: [0.5, 0.9]}, nesterov: true, weight_decay: 5e-4}
"""


@pytest.fixture
def few(tmp_path):
    """A space of six configurations, one of which is the baseline."""
    file = tmp_path / "few.yaml"
    file.write_text(FEW, encoding="utf-8")
    return f"space={file}"


def searched(url, *words):
    """Search with a simulated worker; return the plan and what was found."""
    name = started(url, *WORDS, *words)
    run(url, name, Workers(2, EPOCHS))
    return Plan.of(Ledger(url).search(name)), history_of(url, name)


def test_a_search_ends_when_every_configuration_was_tried(url, few):
    plan, history = searched(url, few)
    tried = [trial.proposal.config for trial in history.searched]
    assert len(tried) == len({config.to_json() for config in tried}) == plan.trials == 6
    assert outlook.ended(plan, history) == "all 6 configurations of the space were tried"


def test_it_is_said_beforehand_how_few_there_are(url, few):
    plan = Plan.of(Ledger(url).search(started(url, *WORDS, few)))
    assert outlook.beginning(plan) == ["There are 6 configurations, with the baseline; each is tried once"]


def test_fewer_trials_than_there_are_configurations_are_as_many_as_asked_for(url, few):
    plan, history = searched(url, few, "trials=3")
    assert (plan.trials, len(history.searched)) == (3, 3)
    assert outlook.beginning(plan) == []
    assert outlook.ended(plan, history) == ""


def test_a_baseline_that_the_space_does_not_have_is_tried_beside_all_it_has(url, few):
    plan, history = searched(url, few, "space.optimizer=adam")
    assert plan.trials == len(history.searched) == 3


def test_a_baseline_that_the_space_has_in_part_does_not_stand_for_what_it_has(url, few):
    plan, history = searched(url, few, "space.optimizer=sgd", "space.optimizer.sgd.weight_decay=0")
    assert plan.trials == len(history.searched) == 5
    assert len({trial.proposal.config.to_json() for trial in history.searched}) == 5


def test_a_list_of_points_is_tried_once(url):
    plan, history = searched(url, "space=five_adamw")
    assert plan.trials == len(history.searched) == 6
    assert len({trial.proposal.config.to_json() for trial in history.searched}) == 6


def test_a_sampler_that_may_repeat_itself_goes_on(url, few):
    plan, history = searched(url, few, "sampler=random", "trials=9")
    assert plan.trials == len(history.searched) == 9


def test_more_may_be_wished_for_than_there_is(url, few):
    name = started(url, *WORDS, few, "trials=3")
    judge = referee(url, name)
    judge.heed(Wish(trials=9))
    run(url, name, Workers(2, EPOCHS), judge=judge)
    assert len(history_of(url, name).searched) == 6


def test_a_finished_search_says_that_nothing_is_left(url, few):
    plan, _ = searched(url, few)
    ledger = Ledger(url)
    ledger.close_session(plan.search.session, State.FINISHED)
    with pytest.raises(InputError, match="all 6 configurations of the space were tried"):
        resume(ResumeSettings.from_words([plan.search.name, f"store={url}", "trials=20"]), lambda _: None)
