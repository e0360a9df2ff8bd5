"""Advice comes with its evidence, is true of the searches it is given for, and is not given otherwise."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections import Counter
from dataclasses import replace

import pytest
from tales import EPOCHS, add_curve, falling, search, tale

from hpo import space as spaces
from hpo.advice import Facts, Topic, advise, importance, standings
from hpo.advice.budget import starved, warmups
from hpo.advice.curves import curves
from hpo.advice.divergence import divergence
from hpo.advice.edges import edges
from hpo.advice.effects import effects
from hpo.advice.optimizers import optimizers
from hpo.advice.regions import find
from hpo.config import Config
from hpo.history import History
from hpo.planning.plan import Plan
from hpo.training.words import VOCABULARY
from hpo.trial import CONFIRMATION, GIVEN, SEED, Outcome, Proposal

SGD = """
optimizer:
  one_of:
    sgd:
      lr: {log: [0.001, 1]}
      momentum: {one_minus_log: [0.01, 0.5]}
      weight_decay: {log: [1.0e-6, 0.01]}
clip_norm: {choice: [null, 1, 5]}
"""
TWO = """
optimizer:
  one_of:
    sgd: {lr: {log: [0.001, 1]}, weight_decay: {log: [1.0e-6, 0.01]}}
    adam: {lr: {log: [1.0e-5, 0.1]}, weight_decay: {log: [1.0e-6, 0.01]}}
"""


def rate(config, best):
    """How far the learning rate is from the best one, in orders of magnitude."""
    return abs(math.log10(config["optimizer.lr"] / best))


def by_rate(best, noise=0.01):
    return lambda config, rng: falling(0.1 + 0.1 * rate(config, best) + rng.gauss(0, noise))


def only(found):
    (advice,) = found
    return advice


class TestEdges:
    def test_the_best_beyond_a_range_asks_for_more_of_it(self):
        advice = only(edges(tale(SGD, by_rate(50))))
        assert advice.finding == "The best trials sit at the upper edge of optimizer.sgd.lr"
        assert advice.evidence.startswith(
            "4 of the best 5 (of 60 trials with it) lie in the highest tenth of"
        )
        assert advice.remedy == "Widen it: space.optimizer.sgd.lr='{log: [0.001, 4.0]}'"
        assert len(advice.trials) == 4

    def test_the_other_end(self):
        assert "lower edge of optimizer.sgd.lr" in only(edges(tale(SGD, by_rate(1e-5)))).finding

    def test_a_momentum_is_widened_towards_one(self):
        def curve(config, rng):
            return falling(0.1 + (1 - config["optimizer.momentum"]))

        advice = only(edges(tale(SGD, curve)))
        assert advice.finding == "The best trials sit at the upper edge of optimizer.sgd.momentum"
        assert "'{one_minus_log: [0.0025, 0.5]}'" in advice.remedy

    def test_a_choice_gets_another_step(self):
        space = "model: {width: {choice: [16, 32, 64]}}\nwarmup: {uniform: [0, 0.2]}"
        advice = only(
            edges(tale(space, lambda config, rng: falling(1 / config["model.width"] + rng.random() / 99)))
        )
        assert advice.changes[0].form == {"choice": [16, 32, 64, 128]}

    def test_what_has_no_room_is_not_widened(self):
        space = "warmup: {uniform: [0, 0.2]}"
        assert not list(edges(tale(space, lambda config, rng: falling(0.1 + config["warmup"]))))

    @pytest.mark.parametrize("trials", [19, 60])
    def test_the_middle_and_too_few_are_passed_over(self, trials):
        assert not list(edges(tale(SGD, by_rate(0.03 if trials > 19 else 50), trials)))

    def test_every_change_is_sound_yaml(self):
        change = only(edges(tale(SGD, by_rate(50)))).changes[0]
        spaces.read(SGD, "tale", VOCABULARY, {change.path: change.text})


class TestBudget:
    def test_a_branch_without_trials_is_told(self):
        facts = tale(TWO, by_rate(0.03))
        kept = [it for it in facts.history.searched if it.proposal.config["optimizer"] == "sgd"]
        advice = only(starved(Facts(facts.plan, _again(facts, kept[:40]))))
        assert advice.finding == "adam was hardly tried, so nothing is known of optimizer's rest"
        assert advice.evidence.endswith(": adam 0")

    def test_fair_shares_are_not(self):
        assert not list(starved(tale(TWO, by_rate(0.03))))

    def test_a_warmup_that_outlasts_the_first_rung(self):
        def curve(config, rng):
            warming = config["warmup"] * EPOCHS >= 2
            stopped = warming or rng.random() < 0.3
            return (Outcome.PRUNED, falling(1.0)[:2]) if stopped else falling(0.1)

        advice = only(warmups(tale("warmup: {uniform: [0, 0.4]}", curve)))
        assert "were still warming up at epoch 2 were stopped there" in advice.evidence

    def test_warmups_that_lose_no_more_than_others(self):
        def curve(config, rng):
            return (Outcome.PRUNED, falling(1.0)[:2]) if rng.random() < 0.8 else falling(0.1)

        assert not list(warmups(tale("warmup: {uniform: [0, 0.4]}", curve)))


def _again(facts, trials):
    """A search of these trials alone."""
    history = History(facts.history.objective)
    for number, trial in enumerate(trials):
        history.add(replace(trial.proposal, number=number))
        add_curve(history, number, trial.outcome, [point.loss for point in trial.points])
    return history


def blows_up(config, rng):
    fast = config["optimizer.lr"] > 0.2 and config["optimizer.momentum"] > 0.9 and config["clip_norm"] is None
    return (Outcome.DIVERGED, [2.0]) if fast or rng.random() < 0.02 else falling(0.1 + rate(config, 0.1))


class TestDivergence:
    def test_the_region_is_named_with_what_happens_elsewhere(self):
        facts = tale(SGD, blows_up, 150)
        advice = only(divergence(facts))
        bad = [it for it in facts.ranking if it.outcome is Outcome.DIVERGED]
        assert "no clip_norm" in advice.finding
        assert "lr > " in advice.finding
        (hits, inside), (misses, outside) = (
            map(int, it) for it in re.findall(r"(\d+) of (\d+)", advice.finding)
        )
        assert (hits + misses, inside + outside) == (len(bad), 150)
        assert hits >= 0.7 * inside
        assert misses / outside < 0.1
        assert "first bad at epoch 1, step 7, gradient norm 1e9" in advice.evidence
        assert advice.changes[0].path == "optimizer.sgd.lr"
        assert advice.changes[1].form == {"choice": [1, 5]}

    def test_a_metric_that_is_no_number_is_no_matter_of_learning_rates(self):
        facts = tale(SGD, blows_up, 150)
        for trial in facts.ranking:
            if trial.outcome is Outcome.DIVERGED:
                trial.ending = replace(trial.ending, notes={"epoch": 1, "loss": 0.3, "metric": "r2 is nan"})
        assert not list(divergence(facts))

    def test_chance_is_no_region(self):
        def curve(config, rng):
            return (Outcome.DIVERGED, [2.0]) if rng.random() < 0.3 else falling(0.1)

        advice = only(divergence(tale(SGD, curve, 60)))
        assert advice.finding.endswith("in no simple region")
        assert not advice.changes

    def test_a_few_are_no_pattern(self):
        facts = tale(
            SGD, lambda config, rng: (Outcome.DIVERGED, [2.0]) if rng.random() < 0.04 else falling(0.1)
        )
        assert not list(divergence(facts))

    def test_a_region_with_good_trials_is_kept(self):
        def curve(config, rng):
            if config["optimizer.lr"] < 0.3:
                return falling(0.5)
            return falling(0.1) if rng.random() < 0.15 else (Outcome.DIVERGED, [2.0])

        advice = only(divergence(tale(SGD, curve, 100)))
        assert "keep the region" in advice.remedy
        assert not advice.changes

    def test_a_region_is_found_among_noise(self):
        rng = random.Random(1)
        configs = [{"a": rng.random(), "b": rng.choice(["x", "y"]), "c": rng.random()} for _ in range(200)]
        region = find([(it, it["a"] > 0.7 and it["b"] == "x") for it in configs], ["a", "b", "c"])
        assert {condition.key for condition in region.conditions} == {"a", "b"}
        assert (region.misses, region.hits == region.inside) == (0, True)
        assert region.chance < 1e-6


class TestImportance:
    def test_each_is_judged_where_it_is_active(self):
        """The rate of a rare branch decides everything there, and nothing elsewhere."""

        def curve(config, rng):
            if config["optimizer"] == "adam":
                return falling(0.5 + rng.gauss(0, 0.02))
            return falling(0.3 + 0.2 * rate(config, 0.03) + rng.gauss(0, 0.02))

        facts = tale(TWO, curve, 160)
        rare = [it for it in facts.history.searched if it.proposal.config["optimizer"] == "sgd"][:25]
        common = [it for it in facts.history.searched if it.proposal.config["optimizer"] == "adam"]
        found = importance(Facts(facts.plan, _again(facts, [*rare, *common])))
        share = {it.path: it.share for it in found.weights}
        assert max(share, key=share.get) == "optimizer.sgd.lr"
        assert share["optimizer.sgd.lr"] > 0.5
        assert max(abs(share[f"optimizer.{it}.weight_decay"]) for it in ("sgd", "adam")) < 0.2

    def test_it_says_when_there_are_too_few(self):
        assert importance(tale(SGD, by_rate(0.03), 29)) is None
        facts = tale(TWO, by_rate(0.03), 36)
        counts = Counter(it.proposal.config["optimizer"] for it in facts.ranking)
        shares = {it.path: (it.trials, it.share) for it in importance(facts).weights}
        assert all((share is None) == (trials < 15) for trials, share in shares.values())
        assert shares["optimizer.sgd.lr"][0] == counts["sgd"]

    def test_where_all_did_equally_well_nothing_is_said(self):
        """As where the accuracy comes to 1 and stays there."""
        facts = tale(SGD, lambda config, rng: falling(0.0), 160)
        assert importance(facts) is None
        assert not list(effects(facts))

    def test_nor_of_what_only_those_had_that_did_equally_well(self):
        def curve(config, rng):
            return falling(0.1 if config["optimizer"] == "adam" else 0.3 + rng.random())

        shares = {it.path: it.share for it in importance(tale(TWO, curve, 80)).weights}
        assert shares["optimizer.adam.lr"] is None
        assert shares["optimizer.sgd.lr"] is not None

    def test_noise_has_no_weight(self):
        found = importance(tale(SGD, lambda config, rng: falling(rng.random()), 100))
        assert found.explained < 0.2
        assert max(it.low for it in found.told) < 0.1

    def test_what_does_nothing_is_to_be_frozen(self):
        advice = only(effects(tale(SGD, by_rate(0.03, noise=0.001), 160)))
        paths = {change.path for change in advice.changes}
        assert "optimizer.sgd.lr" not in paths
        assert paths <= {"optimizer.sgd.weight_decay", "optimizer.sgd.momentum", "clip_norm"}
        assert "at most" in advice.evidence

    def test_a_forest_that_knows_nothing_freezes_nothing(self):
        assert not list(effects(tale(SGD, lambda config, rng: falling(rng.random()), 160)))


class TestOptimizers:
    def two(self, gap, trials=60):
        def curve(config, rng):
            return falling(0.2 + (gap if config["optimizer"] == "adam" else 0) + abs(rng.gauss(0, 0.02)))

        return tale(TWO, curve, trials)

    def test_a_clear_lead_is_told(self):
        advice = only(optimizers(self.two(0.2)))
        assert advice.finding == "sgd is better than adam at equal budget"
        assert advice.changes[0].word == "space.optimizer=sgd"

    def test_none_is_none(self):
        advice = only(optimizers(self.two(0.0)))
        assert "cannot be told apart from" in advice.finding
        assert not advice.changes

    def test_too_few_say_nothing(self):
        assert not list(optimizers(self.two(0.2, trials=10)))

    def test_more_trials_alone_are_no_merit(self):
        """Of equal optimizers, the one with ten times the trials has the better best, and is not better."""
        facts = self.two(0.0, trials=250)
        many = [it for it in facts.history.searched if it.proposal.config["optimizer"] == "sgd"][:100]
        few = [it for it in facts.history.searched if it.proposal.config["optimizer"] == "adam"][:10]
        unequal = Facts(facts.plan, _again(facts, [*many, *few]))
        assert {it.word: it.budget for it in standings(unequal)} == {"sgd": 10, "adam": 10}
        assert "cannot be told apart" in only(optimizers(unequal)).finding

    def test_the_interval_is_that_of_the_bootstrap(self):
        """The closed form against 20 000 draws."""
        facts, rng = self.two(0.0), random.Random(0)
        standing = standings(facts)[0]
        costs = [it.score for it in facts.ranking if it.proposal.config["optimizer"] == standing.word]
        draws = sorted(min(rng.choices(costs, k=standing.budget)) for _ in range(20_000))
        assert standing.middle == pytest.approx(draws[10_000], rel=0.02)
        assert standing.worse == pytest.approx(draws[19_000], rel=0.02)


def falls():
    """A training loss that falls with each epoch, whatever the validation loss does."""
    seen = itertools.count(2)
    return lambda loss: 1 / next(seen)


class TestCurves:
    def tell(self, shape, train=lambda loss: loss / 2, **more):
        """What is said of twenty trials with such a curve, each on a level of its own."""
        space = tale(SGD, lambda config, rng: falling(1), 1)
        history, rng = History(space.history.objective), random.Random(0)
        for number in range(20):
            level = 1 + rng.random()
            history.add(Proposal(number, Config({"optimizer": "sgd"}), "tpe"))
            losses = [level * shape(epoch, rng) for epoch in range(EPOCHS)]
            add_curve(history, number, Outcome.FINISHED, losses, train=train, **more)
        return list(curves(Facts(space.plan, history)))

    def test_a_loss_that_falls_to_the_end(self):
        advice = only(self.tell(lambda epoch, rng: 0.8**epoch))
        assert "still improving" in advice.finding
        assert advice.remedy == "Train longer: epochs=18"
        assert "underfit" not in advice.evidence

    def test_training_data_that_is_not_learned_either(self):
        advice = only(self.tell(lambda epoch, rng: 0.8**epoch, train=lambda loss: loss))
        assert "so they underfit" in advice.evidence

    def test_a_loss_that_rises_again_while_training_goes_on(self):
        rising = self.tell(lambda epoch, rng: 0.5 + abs(epoch - 4) / 20, train=falls())
        assert "overfit" in only(rising).finding
        assert "lowest around epoch 5 of 12" in only(rising).evidence

    def test_a_loss_below_zero(self):
        """As a negative log-likelihood of densities may be: lower is better all the same."""
        found = only(self.tell(lambda epoch, rng: -1 - epoch / 12, train=lambda loss: loss))
        assert "still improving" in found.finding
        assert "fell by 10% in the last 2 of 12 epochs" in found.evidence
        assert "so they underfit" in found.evidence
        rising = self.tell(lambda epoch, rng: abs(epoch - 4) / 20 - 1, train=falls())
        assert "overfit" in only(rising).finding
        assert "and rose by 35% since" in only(rising).evidence
        assert not self.tell(lambda epoch, rng: 0.1**epoch - 1.1)

    def test_a_loss_that_rises_in_training_as_well_is_no_overfitting(self):
        assert not self.tell(lambda epoch, rng: 0.5 + abs(epoch - 4) / 20)

    def test_noise_hides_the_order(self):
        advice = only(self.tell(lambda epoch, rng: 1 + rng.gauss(0, 0.1)))
        assert "too close to tell" in advice.finding

    def test_fresh_seeds_know_better_than_noise(self):
        facts = tale(SGD, lambda config, rng: [1 + rng.gauss(0, 0.1) for _ in range(EPOCHS)], 20)
        assert any("too close to tell" in it.finding for it in curves(facts))
        for trial in facts.history.candidates(2):
            number = len(facts.history.trials)
            facts.history.add(Proposal(number, trial.proposal.config, CONFIRMATION, notes={SEED: 1}))
            add_curve(facts.history, number, Outcome.FINISHED, [0.5])
        assert not any("too close to tell" in it.finding for it in curves(facts))

    def test_clipping_of_every_step(self):
        advice = only(self.tell(lambda epoch, rng: 0.1**epoch + 0.1, clipped_share=0.97))
        assert "was clipped" in advice.finding

    def test_calm_curves_say_nothing(self):
        assert not self.tell(lambda epoch, rng: 0.1**epoch + 0.1)


class TestAll:
    def test_small_searches_stay_silent(self):
        facts = tale(SGD, blows_up, 11)
        assert advise(facts.plan.search, facts.history) == []

    def test_a_single_training_gets_none(self):
        facts = tale(SGD, blows_up, 60)
        assert advise(search(SGD, sampler=GIVEN), facts.history) == []

    def test_all_of_it_is_strict_json(self):
        facts = tale(SGD, blows_up, 150)
        found = advise(facts.plan.search, facts.history)
        assert found[0].topic is Topic.DIVERGENCE
        assert json.loads(json.dumps([it.describe() for it in found], allow_nan=False))

    def test_a_space_of_other_words_is_no_obstacle(self):
        facts = tale(SGD, blows_up, 60)
        assert advise(replace(facts.plan.search, space="optimiser: sgd"), facts.history) == []

    def test_trials_that_failed_or_ran_out_of_time_say_nothing(self):
        facts = tale(SGD, lambda config, rng: (Outcome.FAILED, []), 30)
        assert facts.ranking == []

    def test_a_trial_is_worth_what_it_was_when_it_was_stopped(self):
        history = History(Plan.of(search(SGD)).search.objective)
        for number, (outcome, losses) in enumerate(
            [
                (Outcome.FINISHED, [1.0, 0.9, 0.8]),
                (Outcome.PRUNED, [0.5]),
                (Outcome.PRUNED, [2.0, 1.9]),
                (Outcome.DIVERGED, [0.1]),
            ]
        ):
            history.add(Proposal(number, Config({"optimizer": "sgd"}), "tpe"))
            add_curve(history, number, outcome, losses)
        facts = Facts(Plan.of(search(SGD)), history)
        assert facts.wins == {0: 2 / 3, 1: 1.0, 2: 1 / 3, 3: 0.0}
        assert [trial.number for trial in facts.ranking] == [0, 1, 2, 3]
