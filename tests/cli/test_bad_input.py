"""What a user may get wrong: each mistake is refused with its place and its fix, and nothing is started."""

import contextlib
import io
import random
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo import cli, recipe, space
from hpo.errors import InputError
from hpo.planning import ordering
from hpo.settings import SearchSettings, TrainSettings
from hpo.training.words import VOCABULARY

RECIPE = '''\
"""Small."""
import torch
from torch import nn

objective = "minimize loss"
epochs = 2
baseline = {"optimizer": "sgd", "optimizer.lr": 0.1}


def model(width: int = 4):
    return nn.Linear(3, width)


def data(samples: int = 40):
    ...


def loss(outputs, targets):
    return ((outputs - targets) ** 2).mean()
'''
METRIC = '\n\ndef accuracy(outputs, targets):\n    ...\n\n\nmetrics = {"accuracy": accuracy}\n'


def changed(before, after):
    assert before in RECIPE
    return RECIPE.replace(before, after)


FILES = {
    "recipes/mine.py": RECIPE,
    "recipes/main.py": changed("def model(width: int = 4)", "def net()"),
    "recipes/syntax.py": changed("epochs = 2", "epochs = = 2"),
    "recipes/typo.py": changed("import torch\n", "import torhc\n"),
    "recipes/beside.py": changed("import torch\n", "import torch, mine\n"),
    "recipes/relative.py": changed("import torch\n", "from .mine import RATE\n"),
    "recipes/metric.py": changed("minimize loss", "minimize regret"),
    "recipes/measured.py": RECIPE + METRIC.replace('"accuracy":', '"loss":'),
    "recipes/direction.py": changed("minimize loss", "minimize accuracy") + METRIC,
    "recipes/form.py": changed("minimize loss", "loss"),
    "recipes/baseline.py": changed('"optimizer.lr": 0.1', '"optimizer.lr": "big"'),
    "recipes/argument.py": changed("samples: int = 40", "folder"),
    "recipes/bytes.py": b"\x80\x81",
    f"recipes/{'long' * 30}.py": changed("import torch\n", "import torch\n"),
    "search_spaces/tab.yaml": "clip_norm:\n\tlog: [0.1, 1]\n",
    "search_spaces/twice.yaml": "batch_size: 8\nbatch_size: {choice: [8, 16]}\n",
    "search_spaces/no.yaml": "clip_norm: {log: [1e-3, 1]}\nwarmup: no\n",
    "search_spaces/open.yaml": "batch_size: [8, 16\n",
    "search_spaces/call.yaml": "clip_norm: {_target_: os.system}\n",
    "search_spaces/empty.yaml": "",
    "search_spaces/bytes.yaml": b"\x80\x81",
    "damaged.db": b"not a database, but long enough to be read as the head of one" * 20,
}

SEARCH = "search recipe=mine "
REFUSALS = {  # what is typed: where the complaint points, and what it says
    # recipes
    "search recipe=cn": ("recipe=cn", "Did you mean cnn? Known: argument,"),
    "search recipe=./recipes/mien.py": ("recipe=./recipes/mien.py", "Did you mean recipes/mine.py?"),
    "search recipe=main": (
        "recipes/main.py  model",
        "must define model(**hyperparameters)",
    ),
    "search recipe=syntax": ("recipes/syntax.py:6", "This is not Python: invalid syntax."),
    "search recipe=typo": ("recipes/typo.py:2  import torhc", "Did you mean torch?"),
    "search recipe=beside": ("recipes/beside.py:2  import mine", "without what lies beside it"),
    "search recipe=relative": ("recipes/relative.py:2  import .mine", "pip install --editable FOLDER."),
    "search recipe=metric": ("recipes/metric.py:5  objective", "does not measure regret. Known: loss."),
    "search recipe=measured": ("recipes/measured.py:26  metrics 'loss'", "Call it by another name."),
    "search recipe=direction": ("recipes/direction.py:5  objective", 'Write "maximize accuracy"'),
    "search recipe=form": ("recipes/form.py:5  objective", 'Must read "minimize NAME"'),
    "search recipe=baseline": (
        "recipes/baseline.py  baseline  optimizer.lr",
        "(0, inf), got 'big'",
    ),
    "search recipe=argument": ("recipes/argument.py:14  data(folder)", "Give this argument a default value."),
    "search recipe=bytes": ("recipes/bytes.py", "cannot be read as text"),
    f"search recipe={'long' * 30}": ("recipes/longlong", "has at most 100 letters; this one has 120. Rename"),
    "search recipe=mine recipe.widht=8": ("recipe.widht=8", "Did you mean width?"),
    "search recipe=mine recipe.width=wide": ("recipe.width=wide", "Must be of type int"),
    "search": ("recipe=…", "Missing: what to train"),
    # words
    "serach recipe=mine": ("serach", "Did you mean search?"),
    SEARCH + "trails=20": ("trails=20", "Did you mean trials?"),
    SEARCH + "lr=0.1": ("lr=0.1", "Did you mean space.optimizer.sgd.lr?"),
    SEARCH + "learning_rate=0.1": ("learning_rate=0.1", "Did you mean space.optimizer.sgd.lr?"),
    "train recipe=mine lr=0.1": ("lr=0.1", "Did you mean optimizer.lr?"),
    SEARCH + "--trials 20": ("--trials 20", "Write trials=20."),
    SEARCH + "trials=abc": ("trials=abc", "Must be a whole number ≥ 1, got 'abc'."),
    SEARCH + "trials=0": ("trials=0", "Must be a whole number ≥ 1, got '0'."),
    SEARCH + "trials=1e3": ("trials=1e3", "Write 1000."),
    SEARCH + "trials=2.5": ("trials=2.5", "got '2.5'."),
    SEARCH + "epochs=": ("epochs=", "No value given. Leave the word out for the default."),
    SEARCH + "seed=1 seed=2": ("seed=2", "seed is given twice: 1 and 2."),
    SEARCH + "sampler=tep": ("sampler=tep", "Did you mean tpe?"),
    SEARCH + "pruner=asha": ("pruner=asha", "Must be one of ladder, halving, hyperband, median, none"),
    SEARCH + "timeout=0s": ("timeout=0s", "a duration such as 90, 90s, 10m or 2h"),
    SEARCH + "name=../up": ("name=../up", "at most 100 letters, digits, . _ or -"),
    SEARCH + "name=" + "a" * 300: ("name=aaaa", "…"),
    SEARCH + "–trials=20": ("–trials=20", "Character 1, –, is a typographic dash. Write trials=20."),  # noqa: RUF001
    SEARCH + "trials=“20”": ("trials=“20”", "is a typographic quote. Write trials=20."),
    SEARCH + "tracking=http://h": ("tracking=http://h", "MLFLOW_TRACKING_URI says where runs go"),
    "train recipe=mine tracking=x.db": ("tracking=x.db", "Set that instead."),
    SEARCH + "parallel=fsdp": ("parallel=fsdp", "write workers_per_trial=2, or more"),
    SEARCH + "fuse=8 workers_per_trial=2": ("fuse=8", "leave out fuse, or workers_per_trial"),
    SEARCH + "workers=40000": ("workers=40000", "at most."),
    SEARCH + "workers_per_trial=4000": ("workers_per_trial=4000", "each worker takes one"),
    SEARCH + "gpus_per_trial=400": ("gpus_per_trial=400", "Leave the word out to train on CPUs."),
    # spaces
    SEARCH + "space=defualt": ("space=defualt", "Did you mean default?"),
    SEARCH + "space=tab": ("search_spaces/tab.yaml:2", "Indent with spaces, not tabs."),
    SEARCH + "space=twice": ("search_spaces/twice.yaml:2  batch_size", "given twice, first in line 1"),
    SEARCH + "space=no": ("search_spaces/no.yaml:2  warmup", "YAML reads no and off as false"),
    SEARCH + "space=open": ("search_spaces/open.yaml:2", "This is not YAML"),
    SEARCH + "space=call": ("search_spaces/call.yaml:1", "a space cannot call code"),
    SEARCH + "space=empty": ("space=empty", "Nothing is searched here"),
    SEARCH + "space=bytes": ("search_spaces/bytes.yaml", "cannot be read as text"),
    SEARCH + "space._target_=os.system": ("space._target_=os.system", "a space cannot call code"),
    SEARCH + "space.batch_size=${oc.env:HOME}": ("space.batch_size=${oc.env:HOME}", "are refused"),
    SEARCH + "space.batch_size=!!python/name:os": ("space.batch_size=!!python/name:os", "are refused"),
    SEARCH + "space.clip_norm={log: [10, 0.1]}": ("space.clip_norm={log: [10, 0.1]}", "Swap the two."),
    SEARCH + "space.clip_norm={log: [0, 1]}": ("space.clip_norm=", "Raise low above 0, or use uniform."),
    SEARCH + "space.clip_norm={log: [1, .inf]}": ("space.clip_norm=", "Write finite numbers"),
    SEARCH + "space.clip_norm={log: [1, .nan]}": ("space.clip_norm=", "Write finite numbers"),
    SEARCH + "space.clip_norm={loguniform: [1, 2]}": ("space.clip_norm=", "Did you mean log?"),
    SEARCH + "space.clip_norm=[1, 2]": ("space.clip_norm=[1, 2]", "Write {choice: [1, 2]}."),
    SEARCH + "space.batch_size={int: [1.5, 7]}": ("space.batch_size=", "Drop the decimals"),
    SEARCH + "space.batch_size={int: [8, 64], step: 0}": ("space.batch_size=", "got step. Remove it."),
    SEARCH + "space.batch_size={choice: []}": ("space.batch_size=", "needs two values or more, got []"),
    SEARCH + "space.batch_size={choice: [8]}": ("space.batch_size=", "needs two values or more, got [8]"),
    SEARCH + "space.batch_size={choice: [8, 8]}": ("space.batch_size=", "lists 8 twice"),
    SEARCH + "space.momentum=0.9": ("space.momentum=0.9", "Did you mean optimizer.sgd.momentum?"),
    SEARCH + "space.learning_rate=1": ("space.learning_rate=1", "Did you mean optimizer.sgd.lr?"),
    SEARCH + "space.width=8": ("space.width=8", "Did you mean model.width?"),
    SEARCH + "space.model.widht=8": ("space.model.widht=8", "Did you mean width? Known: width."),
    SEARCH + "recipe.width=8 space.model.width=9": ("space.model.width", "give only one of them"),
    "train recipe=mine optimizer=adm": ("optimizer=adm", "Did you mean adam?"),
    "train recipe=mine optimizer.lr=-1": ("optimizer.lr=-1", "a number in (0, inf), got -1"),
    # stores
    SEARCH + "store=hpo.db": ("store=hpo.db", "Must be a database URL such as sqlite:///hpo.db"),
    SEARCH + "store=sqlite://x.db": ("store=sqlite://x.db", "Needs a third slash: sqlite:///x.db"),
    SEARCH + "store=postgres://h/x": ("store=postgres://h/x", "Did you mean postgresql?"),
    SEARCH + "store=mongo://me:secret@h/x": ("store=mongo://me:***@h/x", "Must be one of sqlite, postgresql"),
    SEARCH + "store=sqlite:////nowhere/at/all.db": (
        "sqlite:////nowhere/at/all.db",
        "no folder /nowhere/at.",
    ),
    "show mine-1": ("mine-1", "There is no search of this name"),
    "resume mine-1": ("mine-1", "There is no search of this name"),
    "export mine-1 to=train.py": ("mine-1", "There is no search of this name"),
    "sync mine-1": ("mine-1", "There is no search of this name"),
    "extend mine-1 epochs=50": ("mine-1", "There is no search of this name"),
    "compress mine-1": ("mine-1", "There is no search of this name"),
    "promote mine-1": ("mine-1", "There is no search of this name"),
    "diff mine-1 mine-2": ("mine-1", "There is no search of this name"),
    "ui tracking=nonsense": ("tracking=nonsense", "a server such as http://127.0.0.1:5000"),
}


def words_of(line):
    """Cut a line at blanks, as a shell does, but not within brackets: hpo mends those."""
    return line.split(" ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("bad")
    for name, content in FILES.items():
        file = place / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("HPO_STORE", raising=False)
    return folder


@pytest.mark.parametrize("line", REFUSALS, ids=lambda line: line[:60])
def test_bad_input_is_refused_with_its_place_and_its_fix(line, here, capsys):
    before = sorted(here.rglob("*"))
    assert cli.main(words_of(line)) == 2
    head, first, *said = capsys.readouterr().err.splitlines()
    where, message = REFUSALS[line]
    assert head == "hpo: nothing was started, 1 problem:"
    assert first.startswith(where)
    assert message in " ".join([first, *said])
    assert sorted(here.rglob("*")) == before


def test_refusals_take_a_fraction_of_a_second(folder):
    """Whatever is heavy is imported later; `benchmarks/start.py` measures one."""
    heavy = ["torch", "ray", "mlflow", "optuna", "sklearn"]
    lines = [words_of(line) for line in REFUSALS]
    code = f"""if True:
        import sys, time
        import hpo.cli, hpo.ledger
        began = time.perf_counter()
        statuses = [hpo.cli.main(words) for words in {lines!r}]
        assert set(statuses) == {{2}}
        assert time.perf_counter() - began < 0.5 * {len(lines)}
        print([name for name in {heavy} if name in sys.modules])"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder, timeout=60
    )
    assert done.stdout == "[]\n"


def test_all_mistakes_are_told_at_once(here, capsys):
    assert cli.main(words_of("search recipe=mine trials=0 space=twice trails=3")) == 2
    assert capsys.readouterr().err.startswith("hpo: nothing was started, 2 problems:")


def test_a_password_is_never_repeated(here, capsys):
    for word in (
        "store=mysqll://me:secret@h/x",
        "stroe=postgresql://me:secret@h/x",
        "tracking=ftp://me:secret@h",
    ):
        assert cli.main(["sync", "mine-1", word]) == 2
        assert "secret" not in capsys.readouterr().err


def test_a_space_that_a_shell_has_cut_is_put_together(here):
    cut = ["recipe=mine", "space.clip_norm={log:", "[0.1,", "1]}"]
    assert SearchSettings.from_words(cut).space_overrides == {"clip_norm": "{log: [0.1, 1]}"}


# Whatever is typed or written, it is understood or refused.

LINES = ["search recipe=mine trials=20 seed=1 space=default", *REFUSALS]
PIECES = [*"={}[]:,.\"'–#&*!%@`|>\\\t\n\0-ß", "space.", "recipe.", "1e999", "null", ".nan", "${", "_target_"]  # noqa: RUF001


def mutated(text, seed, times):
    """Return a text with characters or pieces put in, taken out or doubled."""
    rng = random.Random(seed)
    for _ in range(times):
        place = rng.randrange(len(text) + 1)
        end = min(len(text), place + rng.choice([0, 0, 1, 2, 8]))
        piece = rng.choice(["", rng.choice(PIECES), rng.choice(string.printable), text[place:end] * 2])
        text = text[:place] + piece + text[end:]
    return text


@settings(max_examples=300)
@given(line=st.sampled_from(LINES), seed=st.integers(0, 2**32), times=st.integers(1, 6))
def test_a_mutated_command_line_is_never_a_traceback(folder, line, seed, times):
    verb, *words = mutated(line, seed, times).split(" ")
    kind = TrainSettings if verb == "train" else SearchSettings
    order = ordering.order_training if verb == "train" else ordering.order
    with contextlib.chdir(folder), contextlib.suppress(InputError):
        order(kind.from_words(words))
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        for other in ("show", "export", "plot", "ui"):
            with contextlib.suppress(InputError):
                cli.VERBS[other][0].from_words(words)


@settings(max_examples=300)
@given(
    text=st.sampled_from([path.read_text() for path in space.names().values()]),
    seed=st.integers(0, 2**32),
    times=st.integers(1, 6),
)
def test_a_mutated_space_is_never_a_traceback(text, seed, times):
    with contextlib.suppress(InputError):
        space.read(mutated(text, seed, times), "space", VOCABULARY)


@settings(max_examples=200)
@given(
    text=st.sampled_from([RECIPE, *(Path(path).read_text() for path in recipe.names().values())]),
    seed=st.integers(0, 2**32),
    times=st.integers(1, 6),
)
def test_a_mutated_recipe_is_never_a_traceback(text, seed, times):
    with contextlib.suppress(InputError):
        recipe.read(mutated(text, seed, times), "recipe.py")
