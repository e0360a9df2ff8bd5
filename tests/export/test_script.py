import subprocess
import sys

import pytest
from repeating import assert_formatted, complete, curve

from hpo import recipe
from hpo.export import Run, script
from hpo.training.checkpoint import read_checkpoint
from hpo.training.execution import execute
from hpo.training.words import VOCABULARY

ROWS = [
    {"optimizer": "sgd", "optimizer.lr": 0.05},
    {"optimizer.momentum": 0.9, "optimizer.nesterov": True, "optimizer.lr": 0.05, "schedule": "cosine"},
    {"optimizer": "adagrad", "schedule": "step", "clip_norm": 0.5},
    {"optimizer": "rmsprop", "schedule": "exponential", "warmup": 0.25, "batch_size": 13},
    {"optimizer": "adam", "schedule": "cosine", "clip_norm": 0.1, "warmup": 0.1, "model.dropout": 0.5},
    {"optimizer": "adamw", "optimizer.lr": 0.0123456789, "optimizer.beta1": 0.8, "model.width": 16},
    {"optimizer": "adadelta", "schedule": "multi_step", "batch_size": "full"},
    {"optimizer": "nadam", "schedule": "cosine_restarts", "weight_decay_on": "matrices", "clip_value": 0.01},
    {"optimizer": "radam", "schedule": "linear", "then": "one_cycle", "warmup": 0.1},
    {
        "optimizer": "adamax",
        "schedule": "polynomial",
        "then": "step",
        "then_2": "plateau",
        "then_4": "cosine",
    },
    {"optimizer": "adafactor", "schedule": "inverse_sqrt", "warmup": 0.1},
    {"optimizer": "muon", "schedule": "one_cycle", "weight_decay_on": "matrices", "batch_size": 16},
    {"optimizer": "lbfgs", "schedule": "wsd", "batch_size": "full", "optimizer.max_iter": 4},
    {"schedule": "plateau", "schedule.patience": 0, "schedule.threshold": 1, "schedule.gamma": 0.5},
    {"init": "orthogonal", "loss.label_smoothing": 0.1},
    {"init": "kaiming_uniform", "model.width": 16},
    {"l1": 0.01, "weight_decay_on": "matrices", "accumulate": 2},
    {"ema": 0.9, "optimizer": "muon", "precision": "bf16"},
    {"precision": "fp16", "clip_norm": 1.0, "accumulate": 3, "l1": 1e-3, "ema": 0.5},
]

# A recipe may use any name that the rest of the script uses, too.
CROWDED = """
cut = evaluate = load = Batch = main = EPOCHS = SEED = Scheduler = nn = Iterable = "mine"
WEIGHTS = CONFIG = start = started = freeze = slow = write_checkpoint = Start = checksum = "mine"
DEVICE = CosineSchedule = Schedule = Step = take_step = mean_loss = epoch_seed = place = train_epoch = "mine"
WARMUP = CLIPPING = Clipping = BATCH_SIZE = THREADS = Split = Mapping = NamedTuple = Any = Callable = "mine"
Gradient = Wrapped = Penalized = Forward = Loss = gradient = average = criterion = averaged = "mine"
AveragedModel = functools = dataclass = field = math = initialize = LAYERS = matrices = weighted = "mine"
"""


def export(recipe, config, weights="", **options):
    return script(Run(recipe, config, **{"epochs": 2, "seed": 3, "loaders": False} | options), weights)


def run(text, folder):
    """Run a script in a bare interpreter and return what it printed as rows of words."""
    path = folder / "train.py"
    path.write_text(text)
    command = [sys.executable, "-I", "-W", "error::SyntaxWarning", str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout
    return [line.split() for line in printed.splitlines()]


@pytest.mark.parametrize("values", ROWS, ids=str)
def test_the_script_repeats_the_curve_to_the_last_digit(tiny, values, tmp_path):
    config = complete(tiny, values)
    assert run(export(tiny, config), tmp_path) == curve(tiny, config)


OWN_ROWS = [
    {"optimizer": "Sign", "optimizer.lr": 0.02, "schedule": "sawtooth", "schedule.teeth": 3},
    {"optimizer": "heavy", "schedule": "Halving", "then": "sawtooth", "weight_decay_on": "matrices"},
    {"start": "elsewhere", "freeze": "[01].*", "ema": 0.5},
    {"start": "elsewhere", "body_lr": 0.1, "weight_decay_on": "matrices", "freeze": "1.*"},
    {"start": "FILE", "body_lr": 0.3, "optimizer": "muon"},
]


@pytest.mark.parametrize("values", OWN_ROWS, ids=str)
def test_own_words_and_checkpoints_are_repeated_too(own, values, tmp_path):
    values = {
        name: str(tmp_path / "start.safetensors") if it == "FILE" else it for name, it in values.items()
    }
    config = complete(own, values)
    text = export(own, config, weights="trained.safetensors")
    assert run(text, tmp_path) == curve(own, config)
    assert "import hpo" not in text
    assert "from hpo" not in text
    assert_formatted(tmp_path / "train.py")


def test_the_script_leaves_its_weights_for_another_to_start_from(tiny, tmp_path):
    """Which then begins at the loss that the first ended with."""
    config = complete(tiny, {"optimizer": "adam", "optimizer.lr": 0.05, "ema": 0.5})
    path = tmp_path / "trained.safetensors"
    first = run(export(tiny, config, weights=str(path)), tmp_path)
    tensors, notes = read_checkpoint(path)
    assert tensors.keys() == execute(tiny.source, tiny.path).model().state_dict().keys()
    assert notes == {"recipe": "tiny", "config": dict(config), "epoch": 2, "score": float(first[-1][2])}
    still = {"start": str(path), "optimizer.lr": 1e-12, "freeze": "1.*"}
    again = run(export(tiny, complete(tiny, still)), tmp_path)
    assert float(again[-1][2]) == pytest.approx(float(first[-1][2]), rel=1e-5)


def test_every_optimizer_and_schedule_is_among_the_rows():
    for branch in ("optimizer", "schedule"):
        words = VOCABULARY.branches[branch]
        assert {row.get(branch, next(iter(words))) for row in ROWS} == words.keys()


def test_a_plateau_drops_in_the_script_as_in_the_search(tiny, tmp_path):
    sign = recipe.read(tiny.source.replace("minimize loss", "maximize accuracy"), "tiny.py")
    for one in (tiny, sign):
        config = complete(one, {"schedule": "plateau", "schedule.patience": 0, "schedule.threshold": 1})
        printed = run(export(one, config, epochs=3), tmp_path)
        assert printed == curve(one, config, epochs=3)
        assert float(printed[-1][-1]) == pytest.approx(0.1 * float(printed[1][-1]))


def test_data_options_are_passed_on(tiny, tmp_path):
    config = complete(tiny, {"batch_size": 9})
    options = {"samples": 45}
    assert run(export(tiny, config, data_options=options), tmp_path) == curve(tiny, config, options)


def test_names_of_the_recipe_and_of_the_loop_are_kept_apart(tiny, tmp_path):
    source = tiny.source.replace("from torch import Tensor, nn", "import torch.nn\nfrom torch import Tensor")
    source = source.replace("nn.", "torch.nn.").replace("torch.torch.", "torch.")
    crowded = recipe.read(source.replace("\n\nobjective", f"\n{CROWDED}\nobjective"), "crowded.py")
    config = complete(crowded, {"schedule": "cosine", "l1": 0.01, "ema": 0.5, "init": "orthogonal"})
    assert run(export(crowded, config), tmp_path) == curve(crowded, config)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "data_options"),
    [
        ("cnn", {}, {}),
        ("finetune", {"freeze": "body.0.*"}, {}),
        ("linear", {}, {}),
        ("mlp", {"model.table": "diabetes"}, {"table": "diabetes"}),
        ("rnn", {"model.cell": "gru"}, {"length": 8, "samples": 256}),
        ("transformer", {"model.context": 16}, {"context": 16, "windows": 256}),
    ],
)
def test_a_shipped_recipe_is_repeated_to_the_last_digit(name, options, data_options, tmp_path):
    shipped = recipe.find(name)
    config = complete(shipped, {**shipped.baseline, **options})
    text = export(shipped, config, data_options=data_options)
    assert run(text, tmp_path) == curve(shipped, config, data_options)


def test_the_script_says_nothing_of_loaders_where_there_are_none(tiny):
    config = complete(tiny, {})
    assert "from torch.utils.data import DataLoader, TensorDataset\n" in export(tiny, config)
    assert "len(recut(split, batch_size))" in export(tiny, config, loaders=True)


def test_the_script_knows_nothing_of_hpo(tiny):
    text = export(tiny, complete(tiny, {}))
    assert "import hpo" not in text
    assert "from hpo" not in text
    assert "noqa" not in text
    assert "type: ignore" not in text


def test_the_script_keeps_what_a_person_reads_and_leaves_out_what_a_search_reads(tiny):
    text = export(tiny, complete(tiny, {}), origin='Trial 7 of tiny-1: loss 0.1, "good" \\ """best"""')
    assert text.startswith('"""Train tiny. A small classifier with batch normalization')
    assert "Trial 7 of tiny-1: loss 0.1" in text
    compile(text, "train.py", "exec")
    for gone in ("baseline", "objective =", "epochs = 3", "print(model())", "What an expert would try first"):
        assert gone not in text
    body = tiny.source.partition("def model")[2].partition("\n\n\nif __name__")[0]
    assert f"def model{body}" in text


@pytest.mark.parametrize("test", ['__name__ == "__main__"', '"__main__" == __name__'])
def test_what_runs_when_the_recipe_runs_itself_is_left_out(tiny, test):
    source = tiny.source.replace('__name__ == "__main__"', test)
    assert test in source
    text = export(recipe.read(source, "tiny.py"), complete(tiny, {}))
    assert "print(model())" not in text


@pytest.mark.parametrize(
    "branches",
    [
        'if __name__ != "__main__":\n    SCALE = 2.0\nelse:\n    SCALE = 3.0\n',
        'if __name__ == "__main__":\n    print("alone")\nelse:\n    SCALE = 2.0\n',
        'SCALE = 3.0 if __name__ == "__main__" else 2.0\n',
        'SCALE = 2.0\nif "__main__" == __name__ and SCALE:\n    SCALE = 3.0\n',
    ],
)
def test_what_runs_when_the_recipe_is_imported_runs_in_the_script_too(tiny, branches, tmp_path):
    source = tiny.source.replace("def model", f"NAMED = __name__\n{branches}\n\ndef model")
    source = source.replace("return nn.functional.cross", "return SCALE * nn.functional.cross")
    named = recipe.read(source, tiny.path)
    config = complete(named, {"batch_size": 16})
    text = export(named, config)
    assert run(text, tmp_path) == curve(named, config)
    assert "NAMED = __name__" in text


def test_what_the_recipe_itself_reads_is_kept(tiny):
    source = tiny.source.replace("samples: int = 99", "samples: int = 33 * epochs")
    text = export(recipe.read(source, "tiny.py"), complete(tiny, {}))
    assert "\nepochs = 3\n" in text


@pytest.mark.parametrize(
    "values", [*ROWS, {"optimizer": "rmsprop", "optimizer.lr": 0.012345678901234567}], ids=str
)
def test_the_script_is_formatted(tiny, values, tmp_path):
    path = tmp_path / "train.py"
    path.write_text(export(tiny, complete(tiny, values), origin="Trial 7"))
    assert_formatted(path)
