"""The next space is sound YAML, differs where it was advised, and says why."""

from tales import tale
from test_advice import SGD, blows_up, by_rate

from hpo import space as spaces
from hpo.advice import advise
from hpo.advice.suggestion import suggest
from hpo.training.words import VOCABULARY


def suggested(facts):
    search = facts.plan.search
    return suggest(search, advise(search, facts.history), "next")


def test_the_advised_changes_are_in_it_with_their_evidence():
    facts = tale(SGD, by_rate(50))
    text = suggested(facts)
    before, after = (spaces.read(it, "next", VOCABULARY).nodes["optimizer"] for it in (SGD, text))
    assert after.branches["sgd"]["lr"].options == (0.001, 4.0)
    assert after.branches["sgd"]["momentum"] == before.branches["sgd"]["momentum"]
    assert text.startswith("# hpo search recipe=mlp space=next\n")
    assert "# The best trials sit at the upper edge of optimizer.sgd.lr: 4 of the best 5" in text


def test_of_two_changes_of_one_place_the_first_counts():
    facts = tale(SGD, blows_up, 150)
    bounds = (
        spaces.read(suggested(facts), "next", VOCABULARY).nodes["optimizer"].branches["sgd"]["lr"].options
    )
    assert bounds[1] < 1


def test_without_advice_it_is_the_space_as_it_was():
    facts = tale(SGD, by_rate(0.03), 12)
    text = suggested(facts)
    assert "No change is advised" in text
    assert spaces.read(text, "next", VOCABULARY) == spaces.read(SGD, "tale", VOCABULARY)
