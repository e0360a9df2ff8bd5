"""`warm_start`: a search begins from what earlier ones found, and needs them no more."""

import sqlite3

import pytest
from simulation import Workers, referee, run

from hpo import space as spaces
from hpo.conductor.recollection import recalling
from hpo.errors import InputError
from hpo.history import State
from hpo.ledger import Ledger, best_configs
from hpo.planning.ordering import order
from hpo.planning.past import Past
from hpo.planning.plan import Plan
from hpo.progress import outlook
from hpo.replay import replay
from hpo.settings import ReplaySettings, SearchSettings
from hpo.study.blend import Blend

EPOCHS = 4
EARLIER = ("space=adamw", "trials=12", f"epochs={EPOCHS}")


def begun(url, *words, recipe="cnn"):
    """Return a search that was just written down."""
    ledger = Ledger(url)
    found = recalling(ledger, order(SearchSettings.from_words([f"recipe={recipe}", f"store={url}", *words])))
    written = ledger.create_search(found)
    ledger.close()
    return written


def searched(url, *words, state=State.FINISHED):
    """Return a search that came to its end."""
    name = begun(url, *words).name
    run(url, name, Workers(1, EPOCHS), judge=referee(url, name))
    ledger = Ledger(url)
    ledger.close_session(ledger.search(name).session, state)
    found = ledger.search(name)
    ledger.close()
    return found


def past(search):
    return Past.of(search.settings)


@pytest.fixture
def earlier(url):
    return searched(url, *EARLIER)


def test_the_best_of_a_finished_search_is_tried_after_the_baseline(url, earlier):
    later = begun(url, "space=adamw", "trials=6", f"epochs={EPOCHS}")
    assert past(later).searches == (earlier.name,)
    assert outlook.beginning(Plan.of(later)) == [
        "Begins from what cnn-1 found (3 configurations); warm_start=off begins anew"
    ]
    baseline, first = referee(url, later.name).ask("cohort", 2)
    assert (baseline.origin, first.origin) == ("baseline", "past")
    best = best_configs(Ledger(url), earlier, 2)
    ranking = Ledger(url).history(earlier).ranking
    assert best == [trial.proposal.config for trial in ranking[:2]]
    assert first.config == best[best[0] == baseline.config]


def test_what_another_space_has_no_words_for_is_left_out(url, earlier):
    later = begun(url, "space=sgd", "trials=6")
    found = past(later).found
    assert found
    assert {name for it in found for name in it} <= {it.name for it in Plan.of(later).space.parameters}
    assert not any(name.startswith("optimizer.") for it in found for name in it)
    referee(url, later.name).ask("cohort", 4)


@pytest.mark.parametrize(
    "words",
    [
        ("warm_start=off",),
        ("sampler=tpe",),
        ("deterministic=true",),
        ("objective=maximize accuracy",),
        ("space=./foreign.yaml",),
    ],
)
def test_these_begin_anew(url, earlier, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foreign.yaml").write_text("optimizer: {one_of: {nadam: {lr: {log: [0.1, 1]}}}}\n")
    assert not past(begun(url, *words))


TWO = """
optimizer:
  one_of:
    adamw: {lr: {log: [1e-4, 1e-1]}}
    sgd: {lr: {log: [1e-3, 1]}, momentum: {one_minus_log: [0.01, 0.3]}}
    nadam: {lr: {log: [1e-4, 1e-1]}}
"""


def test_where_nobody_has_said_anything_a_search_begins_from_the_lists(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(TWO)
    search = begun(url, "space=./two.yaml", "deterministic=true")
    assert outlook.beginning(Plan.of(search)) == [
        "The space has no priors: begins from 3 configurations that did well on other recipes"
        " (five_adamw, five_sgd); warm_start=off begins anew"
    ]
    assert [it["optimizer"] for it in past(search).found] == ["adamw", "sgd", "adamw"]
    baseline, first = referee(url, search.name).ask("cohort", 2)
    assert (baseline.origin, first.origin) == ("baseline", "past")
    listed = spaces.find("five_adamw", Plan.of(search).vocabulary, {}).listed
    assert first.config["optimizer.lr"] == pytest.approx(listed[0]["optimizer.lr"])


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (TWO, ("warm_start=off",)),
        (TWO, ("sampler=random",)),
        (TWO.replace("{log: [1e-4, 1e-1]}", "{log: [1e-4, 1e-1], prior: 1e-3}", 1), ()),
        ("optimizer: {one_of: {nadam: {lr: {log: [1e-4, 1e-1]}}}}", ()),
        ("optimizer: {one_of: {adamw: {lr: {log: [1e-7, 1e-6]}}}}\nclip_norm: {choice: [1, 5]}", ()),
        ("optimizer: adamw\nclip_norm: {choice: [1, 5]}", ()),
        ("clip_norm: {choice: [1, 5]}", ()),
    ],
    ids=["off", "random", "an expert", "no list", "out of range", "no number of its own", "no optimizer"],
)
def test_the_lists_are_left_alone_where(url, tmp_path, monkeypatch, space, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(space + "\n")
    assert not past(begun(url, "space=./mine.yaml", *words))


def test_what_the_own_recipe_found_comes_before_the_lists(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(TWO)
    first = searched(url, "space=./two.yaml", "trials=12", f"epochs={EPOCHS}")
    found = past(begun(url, "space=./two.yaml", f"epochs={EPOCHS}"))
    assert (found.searches, found.lists) == ((first.name,), ())


def test_another_recipe_and_an_interrupted_search_teach_nothing(url):
    searched(url, *EARLIER, state=State.INTERRUPTED)
    assert not past(begun(url))
    searched(url, *EARLIER)
    assert not past(begun(url, recipe="mlp"))


def test_the_latest_come_first_and_those_of_the_same_options_before_them(url):
    names = [
        searched(url, *EARLIER, "warm_start=off", f"seed={seed}", *words).name
        for seed, words in enumerate([("recipe.width=8",), (), ("recipe.width=8",), (), ()])
    ]
    assert past(begun(url, "recipe.width=8", f"epochs={EPOCHS}")).searches == (names[0], names[2], names[4])


def test_a_search_that_is_named_is_taken_whatever_its_recipe(url, earlier):
    assert past(begun(url, f"warm_start={earlier.name}", recipe="mlp")).searches == (earlier.name,)
    by_rule = begun(url, f"warm_start={earlier.name}", "deterministic=true")
    assert past(by_rule).searches == (earlier.name,)


def test_a_search_that_is_not_there_or_found_nothing_is_refused(url):
    name = begun(url, *EARLIER).name
    with pytest.raises(InputError, match=f"warm_start={name}\n.*No trial of it"):
        begun(url, f"warm_start={name}")
    with pytest.raises(InputError, match=r"warm_start=cnn-7\n.*There is no search of this name"):
        begun(url, "warm_start=cnn-7")
    with pytest.raises(InputError, match="Only sampler=blend begins"):
        begun(url, f"warm_start={name}", "sampler=tpe")


def test_it_goes_on_and_is_replayed_without_the_earlier_search(url, earlier, tmp_path):
    later = begun(url, "space=adamw", "trials=14", f"epochs={EPOCHS}", "seed=3")
    run(url, later.name, Workers(1, EPOCHS), turns=9)
    with sqlite3.connect(tmp_path / "hpo.db") as database:
        database.execute("UPDATE endings SET score = NULL WHERE search_id = ?", (earlier.id,))
    database.close()
    judge = referee(url, later.name)
    judge.requeue()
    run(url, later.name, Workers(1, EPOCHS), judge=judge)
    decisions = replay(ReplaySettings.from_words([later.name, f"store={url}"]))
    assert decisions.differences == ()
    assert decisions.proposals == 14


def test_a_past_that_does_not_help_is_soon_asked_less(url, earlier):
    space = Plan.of(begun(url, "space=adamw")).space
    lr = "optimizer.adamw.lr"
    asked = {good: [] for good in (True, False)}
    for good, sources in asked.items():
        blend = Blend(space, [{lr: 1e-3 if good else 3e-2}])
        for number in range(90):
            source, params = blend.propose(number)
            blend.proposed(number, source, params)
            blend.ended(number, EPOCHS, abs(params[lr] - 1e-3))
            sources.append(source)
    assert 3 * asked[False][20:].count("past") < asked[True][20:].count("past")
