"""A list reads less than the whole history, and says the same."""

import itertools
import math
import random

import pytest
from sqlalchemy import event

from hpo.config import Config
from hpo.history import Search
from hpo.ledger import Ledger, Writer, outline
from hpo.recipe import Objective
from hpo.trial import CONFIRMATION, PROOF, SEED, Attempt, Ending, Outcome, Point, Proposal

CONFIGS = [Config({"optimizer": "sgd", "optimizer.lr": lr}) for lr in (0.1, 0.2, 0.3)]
SCORES = (0.1, 0.2, 0.3, math.nan, math.inf, -math.inf)


def trial(dice, number, origin="random", config=None, seed=None):
    """Yield what was written of a trial; one in ten is under way."""
    notes = {} if seed is None else {SEED: seed}
    yield Proposal(number, config or dice.choice(CONFIGS), origin, notes=notes)
    yield Attempt(number, "host/1", f"cohort-{number}")
    scores = [dice.choice(SCORES) for _ in range(dice.randrange(4))]
    for epoch, score in enumerate(scores, start=1):
        yield Point(number, epoch, score, score, 0.7, 0.05, 1.5, 1.0, 0.1)
    if dice.random() < 0.9:
        outcome = dice.choice([Outcome.FINISHED] * 3 + list(Outcome))
        yield Ending(number, outcome, "", scores[-1] if scores else None)


def told(dice):
    """Yield the records of a search that was confirmed twice, and went on after the first time."""
    numbers = itertools.count()
    for _ in range(2):
        for _ in range(dice.randrange(1, 12)):
            yield from trial(dice, next(numbers))
        for config in CONFIGS[: dice.randrange(4)]:
            for seed in (1, 2):
                yield from trial(dice, next(numbers), CONFIRMATION, config, seed)
        yield from trial(dice, next(numbers), PROOF)


@pytest.fixture
def ledger(store):
    opened = Ledger(store)
    yield opened
    opened.close()


def filled(ledger, name, direction, records):
    objective = Objective(direction, "loss")
    search = Search(name, "cnn", "cnn.py", "", "", objective, settings={}, versions={})
    search = ledger.create_search(search)
    writer = Writer(ledger, search, ledger.open_session(search))
    for record in records:
        writer.append(record)
    writer.flush()
    return ledger.search(name)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_it_says_what_the_whole_history_says(ledger, direction):
    winners = set()
    for seed in range(30):
        search = filled(ledger, f"cnn-{seed}", direction, told(random.Random(seed)))
        short, whole = outline(ledger, search), ledger.history(search).outline
        assert list(short.counts.items()) == list(whole.counts.items())
        assert repr(short) == repr(whole)
        winners.add(whole.best and whole.best.number)
    assert len(winners) > 5


def test_a_search_of_which_nothing_was_written(ledger):
    search = filled(ledger, "cnn-1", "minimize", [])
    assert outline(ledger, search) == ledger.history(search).outline


def test_of_all_points_it_reads_those_of_the_winner(ledger):
    dice = random.Random(0)
    records = [it for number in range(50) for it in trial(dice, number)]
    search, read = filled(ledger, "cnn-1", "minimize", records), []
    event.listen(ledger.engine, "before_cursor_execute", lambda *given: read.append(given[2:4]))
    best = outline(ledger, search).best
    (asked,) = [values for statement, values in read if "points.score" in statement]
    asked = asked.values() if isinstance(asked, dict) else asked
    assert sorted(asked) == sorted([best.number, search.id, len(records)])
