"""What a list says of a search, which the database counts, is what its whole history says."""

import math
from dataclasses import replace

import pytest
from test_ledger import order, point, writer_of

from hpo.config import Config
from hpo.ledger import Ledger, glance
from hpo.recipe import Objective
from hpo.trial import PROOF, Attempt, Ending, Outcome, Proposal


@pytest.fixture
def ledger(store):
    opened = Ledger(store)
    yield opened
    opened.close()


def records():
    """Finished, finished as NaN, finished and better, pruned, open; and the proof of the third."""
    scores = {0: 0.5, 1: math.nan, 2: 0.4, 3: 0.1, 4: 0.2, 5: 0.4}
    for number in range(6):
        config = Config({"optimizer.lr": 0.1 * (2 if number == 5 else number)})
        yield Proposal(number, config, PROOF if number == 5 else "random")
        yield Attempt(number, "host/1", f"{number}")
        yield point(number, 1, scores[number])
    for number, outcome in (
        (0, "finished"),
        (1, "finished"),
        (2, "finished"),
        (3, "pruned"),
        (5, "finished"),
    ):
        yield Ending(number, Outcome(outcome), "", scores[number])


@pytest.mark.parametrize(("direction", "best", "proof"), [("minimize", 2, 5), ("maximize", 0, None)])
def test_it_is_what_the_whole_history_says(ledger, direction, best, proof):
    search = ledger.create_search(replace(order(), objective=Objective(direction, "loss")))
    ledger.create_search(order(name="another"))
    writer = writer_of(ledger, search)
    for record in records():
        writer.append(record)
    writer.flush()
    seen = glance(ledger, search)
    assert seen == ledger.history(search).glance
    assert (seen.best.number, seen.proof and seen.proof.number) == (best, proof)
    assert (seen.counts, seen.open) == ({"finished": 3, "pruned": 1}, 1)


def test_of_a_search_that_has_only_begun_there_is_nothing_to_see(ledger):
    search = ledger.create_search(order())
    assert glance(ledger, search) == ledger.history(search).glance
