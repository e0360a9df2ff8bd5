"""What `blend` proposes as results come in, and whom `ladder` stops."""

import math
import random
from collections import Counter

import pytest
from optuna.trial import TrialState, create_trial

from hpo.space import read
from hpo.study.blend import Blend
from hpo.study.ladder import Ladder
from hpo.study.rivals import Rivals
from hpo.training.words import VOCABULARY

SPACE = "optimizer: {one_of: {sgd: {lr: {log: [1e-4, 1], prior: 0.1}}, adamw: {lr: {log: [1e-5, 1]}}}}"
LR = "optimizer.sgd.lr"


def blend_of(text):
    return Blend(read(text, "space", VOCABULARY))


def search(blend, trials, cost, epochs=9, seed=0):
    """Let it propose, and tell it what `cost` says of the parameters; return sources and parameters."""
    made = []
    for number in range(trials):
        source, params = blend.propose(seed + number)
        blend.proposed(number, source, params)
        blend.ended(number, epochs, cost(params))
        made.append((source, params))
    return made


def far_from(best):
    return lambda params: abs(math.log10(params["optimizer.sgd.lr"] / best))


ONE = "optimizer: {one_of: {sgd: {lr: {log: [1e-4, 1], prior: 0.1}}}}"
FREE = ONE.replace(", prior: 0.1", "")


def test_an_expert_who_is_wrong_is_soon_asked_less():
    asked = {
        best: Counter(source for source, _ in search(blend_of(ONE), 60, far_from(best))[15:])["prior"]
        for best in (1e-4, 0.1)
    }
    assert asked[1e-4] < 4
    assert asked[0.1] > 2 * asked[1e-4]


@pytest.mark.parametrize(("space", "share"), [(ONE, 1 / 2), (FREE, 1 / 3)])
def test_chance_keeps_a_third_and_half_where_an_expert_may_be_wrong(space, share):
    sources = Counter(source for source, _ in search(blend_of(space), 300, far_from(0.1)))
    assert sources["random"] == pytest.approx(300 * share, rel=0.2)


SCHEDULES = FREE + "\nschedule: {one_of: {constant: {}, cosine: {}}}"


def test_a_third_of_chance_tries_another_word():
    sources = Counter(
        source for source, _ in search(blend_of(SPACE.replace(", prior: 0.1", "")), 300, lambda _: 0.0)
    )
    assert sources["switch"] == pytest.approx(300 / 9, rel=0.35)


def test_another_word_is_tried_with_one_of_the_best():
    made = search(blend_of(SCHEDULES), 300, far_from(3e-3))
    assert "switch" in {source for source, _ in made}
    for number, (source, params) in enumerate(made):
        if source == "switch":
            twin = {**params, "schedule": "cosine" if params["schedule"] == "constant" else "constant"}
            best = sorted((params for _, params in made[:number]), key=far_from(3e-3))
            assert twin in best[:5]


def test_a_word_that_only_shows_its_worth_with_the_right_numbers_is_found():
    def cost(params):
        return far_from(3e-3)(params) - (params["schedule"] == "constant" and far_from(3e-3)(params) < 0.1)

    made = search(blend_of(SCHEDULES), 60, cost)
    assert min(made, key=lambda it: cost(it[1]))[1]["schedule"] == "constant"


def test_when_every_switch_was_tried_chance_proposes_something_new():
    made = search(blend_of(SCHEDULES.replace("log: [1e-4, 1]", "choice: [0.1, 0.2, 0.3]")), 6, len)
    assert len({tuple(params.items()) for _, params in made}) == 6


def test_it_comes_near_the_best_without_an_expert():
    made = search(blend_of(FREE), 60, far_from(3e-3))
    assert {source for source, _ in made} == {"random", "near", "model"}
    by_chance = [far_from(3e-3)(params) for source, params in made if source == "random"]
    for source in ("near", "model"):
        found = [far_from(3e-3)(params) for it, params in made[30:] if it == source]
        assert sum(found) / len(found) < 0.75 * sum(by_chance) / len(by_chance)


def test_a_branch_is_proposed_with_its_own_parameters():
    for _, params in search(blend_of(SPACE), 60, lambda params: len(str(params))):
        word = params["optimizer"]
        assert set(params) == {"optimizer", f"optimizer.{word}.lr"}


FEW = """
optimizer: {one_of: {sgd: {lr: {choice: [0.1, 0.2, 0.3]}, weight_decay: {choice: [0, 0.01]}}, adam: {}}}
batch_size: {int: [3, 9]}
"""


@pytest.mark.parametrize(
    ("space", "count"), [("batch_size: {choice: [16, 32, 64, 128]}", 4), (FEW, (3 * 2 + 1) * 7)]
)
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_proposed_twice_while_there_is_something_new(space, count, seed):
    made = search(blend_of(space), count, lambda params: params["batch_size"], seed=1000 * seed)
    assert len({tuple(sorted(params.items())) for _, params in made}) == count


def test_nor_is_the_best_of_an_earlier_search_that_is_the_baseline():
    blend = Blend(read(FREE, "space", VOCABULARY), past=[{LR: 0.1}], repeat={LR: 0.1})
    blend.proposed(0, "baseline", {LR: 0.1})
    assert blend.propose(1)[1] != {LR: 0.1}


def test_what_the_baseline_has_in_common_with_a_draw_does_not_stand_for_it():
    blend = Blend(read(FREE, "space", VOCABULARY), past=[{LR: 0.1}])
    blend.proposed(0, "baseline", {LR: 0.1})
    assert blend.propose(1)[1] == {LR: 0.1}


def test_what_is_left_follows_from_what_was_proposed_alone():
    made = search(blend_of(FEW), 44, lambda params: params["batch_size"])
    again = blend_of(FEW)
    for number, (source, params) in enumerate(made):
        again.proposed(number, source, params)
        again.ended(number, 9, params["batch_size"])
    whole = search(blend_of(FEW), 45, lambda params: params["batch_size"])
    assert again.propose(44) == whole[44]
    assert whole[44] not in made


def test_when_nothing_new_is_left_it_goes_on():
    assert len(search(blend_of(FEW), 60, lambda params: params["batch_size"])) == 60


def test_who_wins_is_counted_as_if_all_were_counted_anew_each_time():
    blend, dice, ended = blend_of(SPACE), random.Random(0), []
    for number in range(200):
        source, params = blend.propose(number)
        blend.proposed(number, source, params)
        epochs, cost = dice.choice([0, 3, 9]), dice.random()
        blend.ended(number, epochs, cost)
        ended.append((-epochs, cost, number, source))
        best = sorted(ended)[: math.ceil(len(ended) / 4)]
        assert +blend.wins == Counter(source for epochs, _, _, source in best if epochs)
        assert list(blend.ranking) == [number for _, _, number, _ in sorted(ended)]


def test_who_diverges_never_wins():
    blend = blend_of(ONE)
    made = []
    for number in range(40):
        source, params = blend.propose(number)
        blend.proposed(number, source, params)
        blend.ended(number, 9 if source == "random" else 0, 1.0 if source == "random" else math.inf)
        made.append(source)
    assert Counter(made[20:])["random"] > 10


def steady(_trial, _epoch):
    return 0.0


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, ()), (2, (1,)), (6, (1, 3)), (9, (2, 4)), (20, (2, 4, 9)), (51, (2, 4, 10, 23))]
)
def test_rungs_are_close_together_and_begin_low(epochs, rungs):
    assert Ladder(epochs, Field()).rungs == rungs


class Field:
    """A ladder of six epochs, and whom it has seen."""

    def __init__(self, others=(), to_fall=steady):
        self.rivals, self.size = Rivals(), 0
        self.ladder, self.to_fall = Ladder(6, self), to_fall
        for curve in others:
            self.measured(curve)
            if math.isnan(curve[-1]):
                self.rivals.diverged(self.size - 1, len(curve))

    def place(self, *rung):
        return self.rivals.place(*rung, self.size)

    def agreement(self, _trial, epoch, later):
        return self.rivals.agreement(epoch, later, self.size)

    def measured(self, curve):
        for epoch, cost in enumerate(curve, start=1):
            if not math.isnan(cost):
                self.rivals.measured(self.size, epoch, cost)
        self.size += 1

    def stops(self, *curve):
        self.measured(curve)
        trial = create_trial(state=TrialState.RUNNING, intermediate_values=dict(enumerate(curve, start=1)))
        trial.number = self.size - 1
        return self.ladder.prune(None, trial)


KEPT = range(1, 11)
LOST = KEPT[::-1]


class TestLadder:
    def test_the_best_third_goes_on(self):
        others = [[1.0], [2.0], [3.0], [4.0], [5.0]]
        assert not Field(others).stops(1.5)
        assert Field(others).stops(2.5)

    @pytest.mark.parametrize(("left", "score"), [(0.0, 3.5), (0.6, 5.5), (1.0, 7.5)])
    def test_the_further_the_rate_is_to_fall_the_more_go_on(self, left, score):
        others = [[float(loss)] for loss in range(1, 11)]
        assert not Field(others, lambda trial, epoch: left).stops(score)
        assert Field(others, lambda trial, epoch: left).stops(score + 1)

    @pytest.mark.parametrize(
        ("then", "last", "score"),
        [(KEPT, [], 3.5), (LOST, [], 7.5), (KEPT, KEPT, 3.5), (KEPT, LOST, 6.5), (LOST, LOST, 6.5)],
        ids=["kept", "lost", "kept twice", "lost above", "kept above"],
    )
    def test_the_less_the_order_at_a_rung_foretold_later_ones_the_more_go_on(self, then, last, score):
        others = [[loss, 0.0, then[loss - 1], *([0.0, 0.0, last[loss - 1]] if last else [])] for loss in KEPT]
        assert not Field(others).stops(score)
        assert Field(others).stops(score + 1)

    def test_each_is_judged_by_its_own_rate(self):
        field = Field([[1.0], [2.0], [3.0], [4.0], [5.0]], lambda trial, _: trial == 6)
        assert field.stops(3.5)
        assert not field.stops(3.5)

    def test_who_is_first_goes_on(self):
        assert not Field().stops(9.0)

    def test_between_rungs_nobody_stops(self):
        assert not Field([[1.0, 1.0], [1.0, 1.0]]).stops(9.0, 9.0)

    def test_who_diverged_on_the_way_was_worse(self):
        ill = [math.nan]
        assert Field([[1.0], [2.0]]).stops(1.5)
        assert not Field([[1.0], [2.0], ill, ill]).stops(1.5)
        assert Field([[1.0] * 3, [2.0] * 3, ill, ill]).stops(9.0, 9.0, 1.5)
