"""The grammar, and what is said about text that breaks it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.config import Config
from hpo.errors import InputError
from hpo.space import Choice, Fixed, Int, Log, OneMinusLog, OneOf, Space, Uniform, find, names, read

from .strategies import VOCABULARY, spaces

EXAMPLE = """\
optimizer:
  one_of:
    sgd:
      lr: {log: [1e-3, 2], prior: 5e-2}
      momentum: {one_minus_log: [0.01, 0.3], prior: 0.9}
      nesterov: {choice: [true, false], prior: true}
    adam:
      beta1: 0.9
  prior: {adam: 0.4, sgd: 0.6}
schedule: step
batch_size: {int: [16, 64], prior: 32}
clip_norm: {choice: [null, 0.5, 1], prior: {null: 0.5, 0.5: 0.25, 1: 0.25}}
model:
  dropout: {uniform: [0, 0.5]}
  activation: relu
"""

BRANCHES = {
    "sgd": {
        "lr": Log(1e-3, 2.0, 0.05),
        "momentum": OneMinusLog(0.01, 0.3, 0.9),
        "nesterov": Choice((True, False), {True: 1.0}),
    },
    "adam": {"beta1": Fixed(0.9)},
}
NODES = {
    "optimizer": OneOf(BRANCHES, {"adam": 0.4, "sgd": 0.6}),
    "schedule": Fixed("step"),
    "batch_size": Int(16, 64, 32),
    "clip_norm": Choice((None, 0.5, 1), {None: 0.5, 0.5: 0.25, 1: 0.25}),
    "model.dropout": Uniform(0.0, 0.5),
    "model.activation": Fixed("relu"),
}

POINTS = """\
points:
- {optimizer.lr: 0.1, batch_size: 8}
- {optimizer.lr: 0.2, optimizer.momentum: 0.5, schedule: step}
clip_norm: {choice: [null, 1]}
"""

KNOWN = "Known: choice, int, log, one_minus_log, uniform."
KEYS = "Known: batch_size, clip_norm, loss, model, optimizer, schedule."
BAD = {
    # bounds
    "optimizer: {one_of: {sgd: {lr: {log: [1e-1, 1e-4]}}}}": (
        "optimizer.sgd.lr",
        "log needs 0 < low < high, got [0.1, 0.0001]. Swap the two.",
    ),
    "optimizer: {one_of: {sgd: {momentum: {one_minus_log: [0.5, 0.01]}}}}": (
        "optimizer.sgd.momentum",
        "one_minus_log needs 0 < low < high < 1, got [0.5, 0.01]. Swap the two.",
    ),
    "optimizer: {one_of: {sgd: {momentum: {one_minus_log: [0.5, 1]}}}}": (
        "optimizer.sgd.momentum",
        "one_minus_log needs 0 < low < high < 1, got [0.5, 1]. The bounds are those of 1 - value.",
    ),
    "clip_norm: {log: [0, 1]}": (
        "clip_norm",
        "log needs 0 < low < high, got [0, 1]. Raise low above 0, or use uniform.",
    ),
    "clip_norm: {uniform: [1, 1]}": (
        "clip_norm",
        "uniform needs low < high, got [1, 1]. To fix it, write the value alone.",
    ),
    "clip_norm: {uniform: [1, .inf]}": (
        "clip_norm",
        "uniform needs low < high, got [1, Infinity]. Write finite numbers, not too far apart.",
    ),
    "clip_norm: {uniform: [.nan, 1]}": (
        "clip_norm",
        "uniform needs low < high, got [NaN, 1]. Write finite numbers, not too far apart.",
    ),
    "clip_norm: {uniform: 3}": (
        "clip_norm",
        "uniform needs low < high, got 3. Write two numbers: [low, high].",
    ),
    "clip_norm: {uniform: ['1', 3]}": (
        "clip_norm",
        'uniform needs low < high, got ["1", 3]. Write two numbers: [low, high].',
    ),
    "batch_size: {int: [16, 32.5]}": (
        "batch_size",
        "int needs whole numbers low < high, got [16, 32.5]. Drop the decimals, or use uniform.",
    ),
    # choices
    "batch_size: {choice: []}": (
        "batch_size",
        "choice needs two values or more, got []. Add one, or write the value alone.",
    ),
    "batch_size: {choice: [32]}": (
        "batch_size",
        "choice needs two values or more, got [32]. Add one, or write the value alone.",
    ),
    "batch_size: {choice: [32, 64, 32]}": (
        "batch_size",
        "choice lists 32 twice, got [32, 64, 32]. Remove one.",
    ),
    "clip_norm: {choice: [null, {log: [1, 2]}]}": (
        "clip_norm",
        'A choice holds plain values, got {"log": [1, 2]}. Write values, ranges stand alone.',
    ),
    "batch_size: [32, 64]": ("batch_size", "A list is no value, got [32, 64]. Write {choice: [32, 64]}."),
    # verbs
    "clip_norm: {loguniform: [1, 2]}": (
        "clip_norm",
        f"'loguniform' is no verb here. Did you mean log? {KNOWN}",
    ),
    "clip_norm: {unifrom: [1, 2]}": (
        "clip_norm",
        f"'unifrom' is no verb here. Did you mean uniform? {KNOWN}",
    ),
    "clip_norm: {log: [1, 2], uniform: [1, 2]}": (
        "clip_norm",
        "A searched value takes one verb, got log and uniform. Remove one.",
    ),
    "clip_norm: {log: [1, 2], value: 1}": (
        "clip_norm",
        "Beside log only prior may stand, got value. Remove it.",
    ),
    "clip_norm: {prior: 1}": ("clip_norm", "This needs a verb: log, uniform, one_minus_log, int, choice."),
    "optimizer: {choice: [sgd, adam]}": (
        "optimizer",
        'optimizer opens branches, got {"choice": ["sgd", "adam"]}. Write {one_of: {sgd: {…}, …}}.',
    ),
    "optimizer: {one_of: [sgd, adam]}": (
        "optimizer",
        'optimizer opens branches, got {"one_of": ["sgd", "adam"]}. Write {one_of: {sgd: {…}, …}}.',
    ),
    "optimizer: {one_of: {sgd: {}}, lr: 3}": (
        "optimizer",
        "Beside one_of only prior may stand, got lr. Remove it.",
    ),
    # names
    "optimiser: sgd": ("optimiser", f"There is no 'optimiser'. Did you mean optimizer? {KEYS}"),
    "optimizer: agd": ("optimizer", 'Unknown optimizer "agd". Did you mean sgd? Known: adam, sgd.'),
    "optimizer: {one_of: {adm: {}}}": (
        "optimizer.adm",
        "Unknown optimizer 'adm'. Did you mean adam? Known: adam, sgd.",
    ),
    "optimizer: {one_of: {adam: {momentum: 0.9}}}": (
        "optimizer.adam.momentum",
        "adam has no 'momentum'. Known: beta1, lr.",
    ),
    "optimizer: {one_of: {lr: 0.1}}": (
        "optimizer.lr",
        "Unknown optimizer 'lr'. Name the optimizer too: optimizer.sgd.lr.",
    ),
    "optimizer: {one_of: {sgd: 0.1}}": (
        "optimizer.sgd",
        "sgd takes hyperparameters by name, got 0.1. Write {name: value}.",
    ),
    "model: {drop: 0.1}": (
        "model.drop",
        "The recipe's model has no 'drop'. Did you mean dropout? Known: activation, dropout, free, width.",
    ),
    "model: 3": ("model", "The recipe's model takes hyperparameters by name, got 3. Write {name: value}."),
    # values that the hyperparameter refuses
    "batch_size: 0": ("batch_size", "batch_size must be a whole number in [1, inf), got 0."),
    "batch_size: .inf": ("batch_size", "Numbers must be finite, got Infinity. Write a finite number."),
    "batch_size: {int: [0, 8]}": ("batch_size", "batch_size must be a whole number in [1, inf), got 0."),
    "batch_size: {choice: [8, 16.5]}": (
        "batch_size",
        "batch_size must be a whole number in [1, inf), got 16.5.",
    ),
    "batch_size: {log: [8, 64]}": (
        "batch_size",
        "batch_size must be a whole number in [1, inf). Use int, not log.",
    ),
    "optimizer: {one_of: {sgd: {nesterov: {uniform: [0, 1]}}}}": (
        "optimizer.sgd.nesterov",
        "nesterov must be true or false. Use choice, not uniform.",
    ),
    "optimizer: {one_of: {sgd: {momentum: {uniform: [0, 1]}}}}": (
        "optimizer.sgd.momentum",
        "momentum must be a number in [0, 1), got 1.0.",
    ),
    "optimizer: {one_of: {sgd: {nesterov: {choice: [true, false]}}}}": (
        "optimizer.sgd",
        "Some draws break a rule: nesterov needs a momentum above 0.",
    ),
    # priors
    "clip_norm: {log: [1, 2], prior: 3}": (
        "clip_norm",
        "prior needs a number in [1, 2], got 3. Move it or the range.",
    ),
    "clip_norm: {log: [1, 2], prior: null}": (
        "clip_norm",
        "prior needs a number in [1, 2], got null. Move it or the range.",
    ),
    "optimizer: {one_of: {sgd: {momentum: {one_minus_log: [0.01, 0.3], prior: 0.1}}}}": (
        "optimizer.sgd.momentum",
        "prior needs a number in [0.7, 0.99], got 0.1. Move it or the range.",
    ),
    "batch_size: {choice: [8, 16], prior: 32}": (
        "batch_size",
        "prior names 32, which is no option. Known: 16, 8.",
    ),
    "optimizer: {one_of: {sgd: {}, adam: {}}, prior: {sdg: 1}}": (
        "optimizer.prior",
        'prior names "sdg", which is no option. Did you mean sgd? Known: adam, sgd.',
    ),
    "batch_size: {choice: [8, 16], prior: {8: -1}}": (
        "batch_size",
        "prior needs weights of 0 or more, got -1. Change the weight.",
    ),
    "batch_size: {choice: [8, 16], prior: {8: 0}}": (
        "batch_size",
        'prior needs a weight above 0, got {"8": 0}. Remove it, or raise a weight.',
    ),
    # text
    "batch_size: 8\nbatch_size: 16": ("batch_size", "This is given twice, first in line 1. Remove one."),
    "batch_size: [": ("", "This is not YAML: expected the node content, but found '<stream end>'."),
    "batch_size:\n\t- 8": (
        "",
        "This is not YAML: found character '\\t' that cannot start any token. Indent with spaces, not tabs.",
    ),
    "a\x00b": ("", "This is not YAML: special characters are not allowed."),
    "_target_: os.system": ("", "_target_ is refused: a space cannot call code. Remove it."),
    "batch_size: ${oc.env:HOME}": (
        "",
        "Interpolations (${…}) are refused: a space says what it means. Write the value.",
    ),
    "batch_size: !!python/object/apply:os.system [ls]": (
        "",
        "Tags (! and !!) are refused: a space holds plain values. Remove it.",
    ),
    "batch_size: &a 3": ("", "Anchors (&) are refused: a space says everything where it stands. Remove it."),
    "batch_size: *a": ("", "Aliases (*) are refused: a space says everything where it stands. Write it out."),
    "batch_size: 0x_": ("", "This cannot be read: invalid literal for int() with base 16: ''."),
    "{a: b}: 3": ("", "A name must be a plain word."),
}


def complaints(text, **overrides):
    with pytest.raises(InputError) as caught:
        read(text, "my.yaml", VOCABULARY, overrides)
    return [(problem.where, problem.message) for problem in caught.value.problems]


def _written(space):
    """Outside of `suppress`'s reach: what was read must be readable."""
    try:
        return read(space.to_yaml(), "my.yaml", VOCABULARY)
    except InputError as error:
        pytest.fail(str(error))


def overridden(**words):
    return read(EXAMPLE, "my.yaml", VOCABULARY, words).nodes


def test_the_whole_language():
    assert read(EXAMPLE, "my.yaml", VOCABULARY) == Space(NODES)


@pytest.mark.parametrize("text", ["", "# nothing", "model:", "{}"])
def test_nothing_is_a_space(text):
    assert read(text, "my.yaml", VOCABULARY) == Space({})


@pytest.mark.parametrize("text", BAD)
def test_each_mistake_is_told_with_its_place_and_fix(text):
    ((where, message),) = complaints(text)
    assert (where.partition("  ")[2], message) == BAD[text]


def test_all_mistakes_are_told_at_once_with_their_lines():
    text = """\
optimizer:
  one_of:
    sgd:
      lr: {log: [0, 1]}
      lr: 3
      nesterov: maybe
    agd: {}
  prior: {sgd: -1}
batch_size: 0
modl: {}
"""
    assert [where for where, _ in complaints(text, schedule="cosin", clip_norm="[", **{"foo.bar": "3"})] == [
        "my.yaml:5  optimizer.sgd.lr",
        "space.clip_norm=[",
        "my.yaml:4  optimizer.sgd.lr",
        "my.yaml:6  optimizer.sgd.nesterov",
        "my.yaml:7  optimizer.agd",
        "my.yaml:8  optimizer.prior",
        "my.yaml:9  batch_size",
        "my.yaml:10  modl",
        "space.schedule=cosin",
        "space.foo.bar=3",
    ]


def test_all_that_refers_elsewhere_is_told_at_once():
    assert [where for where, _ in complaints("a: !x 1\nb: ${c}\n_target_: d\ne: &f 1\ng: *f")] == [
        f"my.yaml:{line}" for line in range(1, 6)
    ]


def test_deep_nesting_is_refused():
    ((where, message),) = complaints("[" * 1200)
    assert where.startswith("my.yaml")
    assert "recursion" in message


def test_an_override_replaces_a_value():
    words = {"optimizer.sgd.lr": "{log: [1e-4, 1e-1]}", "batch_size": "128", "clip_norm": "null"}
    nodes = overridden(**words)
    assert nodes["optimizer"].branches["sgd"]["lr"] == Log(1e-4, 0.1)
    assert nodes["batch_size"] == Fixed(128)
    assert nodes["clip_norm"] == Fixed(None)


def test_an_override_may_name_a_part():
    nodes = overridden(
        **{"optimizer.sgd.lr.prior": "1", "optimizer.prior": "sgd", "batch_size.int": "[1, 99]"}
    )
    assert nodes["optimizer"].branches["sgd"]["lr"] == Log(1e-3, 2.0, 1)
    assert nodes["optimizer"].prior == {"sgd": 1.0}
    assert nodes["batch_size"] == Int(1, 99, 32)


def test_an_override_may_add_what_the_vocabulary_knows():
    nodes = overridden(
        **{"model.width": "{int: [8, 64]}", "optimizer.adam.lr": "0.1", "schedule.step.gamma": "1"}
    )
    assert nodes["model.width"] == Int(8, 64)
    assert nodes["optimizer"].branches["adam"] == {"beta1": Fixed(0.9), "lr": Fixed(0.1)}
    assert nodes["schedule"] == OneOf({"step": {"gamma": Fixed(1)}})
    assert read("", "", VOCABULARY, {"optimizer.sgd.lr": "1"}).nodes == {
        "optimizer": OneOf({"sgd": {"lr": Fixed(1)}})
    }


def test_a_bare_name_narrows_a_branch_and_keeps_its_searches():
    assert overridden(optimizer="sgd")["optimizer"] == OneOf({"sgd": BRANCHES["sgd"]})
    words = {"optimizer": "adam", "optimizer.adam.lr": "1", "optimizer.sgd.lr": "1"}
    assert overridden(**words)["optimizer"] == OneOf({"adam": {"beta1": Fixed(0.9), "lr": Fixed(1)}})
    assert overridden(schedule="constant")["schedule"] == Fixed("constant")


@pytest.mark.parametrize(
    ("path", "text", "where", "message"),
    [
        ("batch_size", "", "space.batch_size=", "No value is given. Write one, or null."),
        ("batch_size", "0", "space.batch_size=0", "batch_size must be a whole number in [1, inf), got 0."),
        ("", "3", "space.=3", f"There is no ''. {KEYS}"),
        (
            "optimizer.lr",
            "3",
            "space.optimizer.lr=3",
            "Unknown optimizer 'lr'. Name the optimizer too: optimizer.sgd.lr.",
        ),
        (
            "schedule",
            "{one_of: {step: {gamma: 2}}}",
            "space.schedule={one_of: {step: {gamma: 2}}}  schedule.step.gamma",
            "gamma must be a number in (0, 1], got 2.",
        ),
    ],
)
def test_mistakes_in_overrides_are_told_by_the_words_typed(path, text, where, message):
    assert complaints(EXAMPLE, **{path: text}) == [(where, message)]


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_no_text_ever_gives_a_traceback(data):
    text = data.draw(st.just(EXAMPLE) | spaces().map(Space.to_yaml))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        junk = data.draw(
            st.text(max_size=4) | st.text("[]{}:,-#\n\t '\"&*!$_~<?|>%@0123456789.eE", max_size=4)
        )
        text = text[:start] + junk + text[end:]
    with suppress(InputError):
        space = read(text, "my.yaml", VOCABULARY)
        assert _written(space) == space


@given(
    st.dictionaries(
        st.text("opt.sgdlrmeinz_", max_size=12) | st.sampled_from(sorted(NODES)), st.text(max_size=8)
    )
)
@settings(deadline=None)
def test_no_override_ever_gives_a_traceback(overrides):
    with suppress(InputError):
        read(EXAMPLE, "my.yaml", VOCABULARY, overrides)


def test_a_space_is_found_by_name_and_by_path(tmp_path, monkeypatch):
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.yaml").write_text("batch_size: 0")
    monkeypatch.chdir(tmp_path)
    assert "mine" in names()
    assert "default" in names()
    for word in ("mine", "search_spaces/mine.yaml"):
        with pytest.raises(InputError, match=r"^search_spaces/mine\.yaml:1  batch_size\n"):
            find(word, VOCABULARY, {})
    with pytest.raises(InputError, match=r"space=mind\n.*Did you mean mine\?"):
        find("mind", VOCABULARY, {})


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="This file cannot be read as text"):
        find(str(tmp_path / "mine.yaml"), VOCABULARY, {})


def test_points_are_taken_whole_beside_what_is_searched():
    space = read(POINTS, "my.yaml", VOCABULARY)
    assert [parameter.name for parameter in space.parameters] == ["points", "clip_norm"]
    assert read(space.to_yaml(), "again", VOCABULARY) == space
    config = space.sample(Draws({"points": 1, "clip_norm": None}))
    assert dict(config) == {
        "optimizer.lr": 0.2,
        "optimizer.momentum": 0.5,
        "schedule": "step",
        "clip_norm": None,
    }
    assert space.locate(config) == {"points": 1, "clip_norm": None}
    assert space.turns(None) == [{"points": 0}, {"points": 1}]


def test_a_point_that_is_the_baseline_is_not_proposed_again():
    space = read("points: [{optimizer.lr: 0.1}, {optimizer.lr: 0.2}]", "my.yaml", VOCABULARY)
    assert space.turns(space.locate(Config({"optimizer.lr": 0.2}))) == [{"points": 0}]


class Draws:
    def __init__(self, drawn):
        self.drawn = drawn

    def suggest_categorical(self, name, choices):
        return self.drawn[name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("points: 3", "points lists configurations, got 3."),
        ("points: []", "points lists configurations, got []."),
        (
            "points: [{batch_size: 8}, {batch_sise: 8}]",
            "Point 2, batch_sise: Unknown name. Did you mean batch_size?",
        ),
        ("points: [{batch_size: 0}]", "Point 1, batch_size: batch_size must be"),
        (
            "points: [{batch_size: 8}]\nbatch_size: 4",
            "Point 1, batch_size: This stands beside the points, too.",
        ),
        (
            "points: [{optimizer.lr: 1}]\noptimizer: {one_of: {sgd: {lr: 1}}}",
            "Point 1, optimizer.lr: This stands",
        ),
        ("points: [{batch_size: [8]}]", "A choice holds plain values, got [8]."),
    ],
)
def test_points_that_are_wrong_are_told(text, message):
    with pytest.raises(InputError) as caught:
        read(text, "my.yaml", VOCABULARY)
    [problem] = caught.value.problems
    assert problem.where == "my.yaml:1  points"
    assert problem.message.startswith(message)
