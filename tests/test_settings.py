import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hpo.errors import InputError
from hpo.settings import ExportSettings, NameSettings, SearchSettings, Settings, StoreSettings, parse


def read(line: str) -> SearchSettings:
    return SearchSettings.from_words(line.split())


def complaint(kind: type[Settings], words: list[str]) -> str:
    with pytest.raises(InputError) as caught:
        kind.from_words(words)
    return str(caught.value)


def test_only_the_recipe_must_be_said(monkeypatch):
    monkeypatch.delenv("HPO_STORE", raising=False)
    assert read("recipe=cnn").model_dump() == {
        "recipe": "cnn",
        "space": "default",
        "budget": "",
        "trials": None,
        "epochs": None,
        "timeout": None,
        "sampler": "blend",
        "pruner": "ladder",
        "warm_start": "auto",
        "workers": "auto",
        "cluster": "",
        "priority": 1.0,
        "objective": "",
        "memory": None,
        "fuse": "auto",
        "gpus_per_trial": None,
        "workers_per_trial": 1,
        "parallel": "ddp",
        "seed": 0,
        "confirm": 3,
        "confirm_seeds": "auto",
        "require": "",
        "junit": "",
        "deterministic": False,
        "report_within": None,
        "checkpoint_every": 10.0,
        "checkpoints": "",
        "name": None,
        "store": "sqlite:///hpo.db",
        "recipe_options": {},
        "space_overrides": {},
    }


def test_dotted_words_are_gathered_as_text():
    settings = read("recipe=cnn recipe.width=64 recipe.dropout=1e-1 space.optimizer.sgd.lr={log:[1e-4,1]}")
    assert settings.recipe_options == {"width": "64", "dropout": "1e-1"}
    assert settings.space_overrides == {"optimizer.sgd.lr": "{log:[1e-4,1]}"}


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("timeout=90", "timeout", 90.0),
        ("timeout=90s", "timeout", 90.0),
        ("timeout=10m", "timeout", 600.0),
        ("timeout=1.5h", "timeout", 5400.0),
        ("timeout=1h30m", "timeout", 5400.0),
        ("budget=90m", "budget", "1h30m"),
        ("budget=1trainings", "budget", "1training"),
        ("workers=3", "workers", 3),
        ("workers=auto", "workers", "auto"),
        ("priority=3", "priority", 3.0),
        ("priority=.5", "priority", 0.5),
        ("priority=high", "priority", 4.0),
        ("priority=low", "priority", 0.25),
        ("gpus_per_trial=0.25", "gpus_per_trial", 0.25),
        ("gpus_per_trial=2", "gpus_per_trial", 2.0),
        ("workers_per_trial=2", "workers_per_trial", 2),
        ("parallel=fsdp", "parallel", "fsdp"),
        ("pruner=none", "pruner", "none"),
        ("name=a.b_c-1", "name", "a.b_c-1"),
        ("store=postgresql+psycopg://me:pw@host/db?x=1", "store", "postgresql+psycopg://me:pw@host/db?x=1"),
    ],
)
def test_values_are_typed(word, key, value):
    assert getattr(read(f"recipe=cnn {word}"), key) == value


def test_what_was_dumped_is_read_again():
    settings = read("recipe=cnn timeout=10m workers=2 gpus_per_trial=0.5 epochs=3 recipe.width=64")
    assert SearchSettings(**settings.model_dump()) == settings


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        read("recipe=cnn").trials = 3


def test_the_store_comes_from_the_environment_unless_it_is_said(monkeypatch):
    monkeypatch.setenv("HPO_STORE", "sqlite:///team.db")
    assert read("recipe=cnn").store == "sqlite:///team.db"
    assert read("recipe=cnn store=sqlite:///mine.db").store == "sqlite:///mine.db"
    monkeypatch.setenv("HPO_STORE", "team.db")
    expected = "store\n    Must be a database URL such as sqlite:///hpo.db, got 'team.db'."
    assert complaint(StoreSettings, []) == expected


def test_commands_repeat_a_store_that_is_not_the_default_and_no_password(monkeypatch):
    monkeypatch.delenv("HPO_STORE", raising=False)
    words = {word: StoreSettings.from_words([word]).store_words for word in ("store=sqlite:///a'b.db",)}
    assert words == {"store=sqlite:///a'b.db": ("""'store=sqlite:///a'"'"'b.db'""",)}
    assert StoreSettings.from_words([]).store_words == ()
    assert "secret" not in StoreSettings.from_words(["store=postgresql://me:secret@host/db"]).store_words[0]


def test_a_bare_word_is_the_name_where_a_verb_takes_one():
    assert NameSettings.from_words(["cnn-1"]).name == "cnn-1"
    assert ExportSettings.from_words(["to=a=b.py", "name=cnn-1", "trial=0"]).to == "a=b.py"
    assert parse(["cnn-1"], bare="name") == ({"name": "cnn-1"}, [])


KNOWN = (
    "recipe, space, budget, trials, epochs, timeout, objective, memory, sampler, pruner, warm_start, "
    "workers, cluster, priority, fuse, gpus_per_trial, workers_per_trial, parallel, seed, confirm, "
    "confirm_seeds, require, junit, deterministic, report_within, name, store, checkpoint_every, checkpoints"
)
OPTION = "If it is an option of the recipe, write recipe."
WHOLE = "Must be a whole number ≥ 1, got "
DURATION = "Must be a duration such as 90, 90s, 10m or 2h, got "
SHARE = "Must be a share such as 0.25, or whole GPUs such as 2, got "
WEIGHT = "Must be low, normal, high or a number above 0, such as 3"
PLACE = "Must be a folder, or an address such as s3://bucket/path"
CHARACTERS = "Must be at most 100 letters, digits, . _ or -, got "


@pytest.mark.parametrize(
    ("words", "where", "message"),
    [
        ("trails=20", "trails=20", "Unknown key. Did you mean trials?"),
        ("zebra=1", "zebra=1", f"Unknown key. Known: {KNOWN}. {OPTION}zebra=1."),
        ("table=digits", "table=digits", f"Unknown key. Did you mean trials? {OPTION}table=digits."),
        ("recipe.=1", "recipe.=1", "Unknown key. Did you mean recipe?"),
        (
            "recipe_options=1",
            "recipe_options=1",
            f"Unknown key. Did you mean recipe? {OPTION}recipe_options=1.",
        ),
        ("--trials 20", "--trials 20", "Write trials=20."),
        ("--trials=20", "--trials=20", "Write trials=20."),
        ("-epochs=3", "-epochs=3", "Write epochs=3."),
        ("--resume", "--resume", "Settings are written key=value, without dashes."),
        ("cnn", "cnn", "Write it as key=value."),
        ("=20", "=20", "There is no key before the =."),
        ("epochs=", "epochs=", "No value given. Leave the word out for the default."),
        ("seed=1 seed=2", "seed=2", "seed is given twice: 1 and 2."),
        ("recipe.a=1 recipe.a=2", "recipe.a=2", "recipe.a is given twice: 1 and 2."),
        ("–trials=20", "–trials=20", "Character 1, –, is a typographic dash. Write trials=20."),  # noqa: RUF001
        ("seed=“1”", "seed=“1”", "Character 6, “, is a typographic quote. Write seed=1."),
        ("trials=abc", "trials=abc", f"{WHOLE}'abc'."),
        ("trials=0", "trials=0", f"{WHOLE}'0'."),
        ("trials=-3", "trials=-3", f"{WHOLE}'-3'."),
        ("trials=1e3", "trials=1e3", f"{WHOLE}'1e3'. Write 1000."),
        ("trials=20.0", "trials=20.0", f"{WHOLE}'20.0'. Write 20."),
        ("trials=2.5", "trials=2.5", f"{WHOLE}'2.5'."),
        ("trials=1e400", "trials=1e400", f"{WHOLE}'1e400'."),
        ("trials=" + "9" * 30, "trials=" + "9" * 30, f"{WHOLE}'{'9' * 30}'."),
        ("trials=true", "trials=true", f"{WHOLE}'true'."),
        ("epochs=0.5", "epochs=0.5", f"{WHOLE}'0.5'."),
        ("seed=-1", "seed=-1", "Must be a whole number ≥ 0, got '-1'."),
        ("workers=many", "workers=many", "Must be auto or a whole number ≥ 1, got 'many'."),
        ("workers=1e1", "workers=1e1", "Must be auto or a whole number ≥ 1, got '1e1'. Write 10."),
        ("fuse=of", "fuse=of", "Must be auto, off or a whole number ≥ 1, got 'of'. Did you mean off?"),
        ("timeout=0", "timeout=0", f"{DURATION}'0'."),
        ("timeout=2d", "timeout=2d", f"{DURATION}'2d'."),
        ("timeout=nan", "timeout=nan", f"{DURATION}'nan'."),
        ("gpus_per_trial=0", "gpus_per_trial=0", f"{SHARE}'0'."),
        ("gpus_per_trial=1.5", "gpus_per_trial=1.5", f"{SHARE}'1.5'."),
        ("workers_per_trial=0", "workers_per_trial=0", f"{WHOLE}'0'."),
        ("parallel=ddq", "parallel=ddq", "Must be one of ddp, fsdp, got 'ddq'. Did you mean ddp?"),
        ("name=../up", "name=../up", f"{CHARACTERS}'../up'."),
        ("name=" + "a" * 101, "name=" + "a" * 101, f"{CHARACTERS}'{'a' * 101}'."),
        (
            "sampler=tep",
            "sampler=tep",
            "Must be one of blend, tpe, random, qmc, gp, cmaes, got 'tep'. Did you mean tpe?",
        ),
        ("priority=0", "priority=0", f"{WEIGHT}, got '0'."),
        ("priority=hihg", "priority=hihg", f"{WEIGHT}, got 'hihg'. Did you mean high?"),
        (
            "pruner=asha",
            "pruner=asha",
            "Must be one of ladder, halving, hyperband, median, none, got 'asha'.",
        ),
        ("checkpoints=s3:///here", "checkpoints=s3:///here", f"{PLACE}, got 's3:///here'."),
        (
            "checkpoints=sftp://me:secret@host/here",
            "checkpoints=sftp://me:***@host/here",
            f"{PLACE} whose password is where its package looks for it, such as the environment, "
            "got 'sftp://me:***@host/here'.",
        ),
        (
            "checkpoints=memory://here",
            "checkpoints=memory://here",
            f"{PLACE}; other processes do not see 'memory://here'.",
        ),
        (f"checkpoints={__file__}", f"checkpoints={__file__}", f"Must be a folder, {__file__!r} is a file."),
        (
            "report_within=0",
            "report_within=0",
            "Must be a duration such as 90, 90s, 10m or 2h, got '0'.",
        ),
        ("store=hpo.db", "store=hpo.db", "Must be a database URL such as sqlite:///hpo.db, got 'hpo.db'."),
    ],
)
def test_bad_words_are_refused_with_the_fix(words, where, message):
    assert complaint(SearchSettings, ["recipe=cnn", *words.split()]) == f"{where}\n    {message}"


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        (SearchSettings, [], "recipe=…\n    Missing: what to train: a name (`hpo recipes`) or a path."),
        (SearchSettings, ["recipe="], "recipe=\n    No value given. Leave the word out for the default."),
        (SearchSettings, ["--recipe", "cnn"], "--recipe cnn\n    Write recipe=cnn."),
        (NameSettings, [], "NAME\n    Missing: the name of a search; `hpo list` shows them."),
        (NameSettings, ["a", "b"], "b\n    name is given twice: a and b."),
        (ExportSettings, ["a"], "to=…\n    Missing: the file to write, such as train.py, or folder/."),
        (Settings, ["x=1"], "x=1\n    Unknown key. Known: none."),
    ],
)
def test_each_verb_says_what_it_takes(kind, words, expected):
    assert complaint(kind, words) == expected


def test_all_mistakes_are_found_at_once():
    words = ["trails=20", "--seed", "3", "epochs=abc", "workers=", "timeout=2d"]
    expected = ["--seed 3", "workers=", "trails=20", "recipe=…", "epochs=abc", "timeout=2d"]
    with pytest.raises(InputError) as caught:
        SearchSettings.from_words(words)
    assert [problem.where for problem in caught.value.problems] == expected


VALID = "recipe=cnn space=default trials=20 epochs=3 timeout=2h sampler=gp seed=1 name=a-1 recipe.width=64"
ODDITIES = string.printable + "–“”éß٣\x00\ud800"  # noqa: RUF001


@given(st.data())
def test_no_edit_of_a_command_line_gives_a_traceback(data):
    line = list(VALID)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(line)))
        line[place : place + data.draw(st.integers(0, 3))] = data.draw(st.text(ODDITIES, max_size=3))
    with contextlib.suppress(InputError):
        SearchSettings.from_words("".join(line).split(" "))


@given(st.lists(st.text(max_size=12)))
def test_no_words_give_a_traceback(words):
    with contextlib.suppress(InputError):
        SearchSettings.from_words(["recipe=cnn", *words])
