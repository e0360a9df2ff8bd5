"""Exports for other trainers, each run in the real library and compared with the engine step for step."""

import importlib.util
import json
import pkgutil
import re
import sys
import tomllib

import pytest
import torch
import yaml
from repeating import assert_formatted, complete
from torch.utils.data import TensorDataset

from hpo import recipe
from hpo.errors import InputError
from hpo.export import TARGETS, Run
from hpo.export.parts.loaders import loader_of
from hpo.training.engine import Member, Task
from hpo.training.execution import execute
from hpo.training.loop.batches import cut
from hpo.training.plain import _Training
from hpo.training.words.schedule_words import schedule_call

EPOCHS = 4
# Always the whole data in a batch, so that the order of samples does not matter, and nothing else of chance.
STILL = {"batch_size": "full", "model.dropout": 0.0}
ROWS = [
    {"optimizer": "sgd", "optimizer.momentum": 0.9, "schedule": "cosine", "warmup": 0.5, "clip_norm": 0.1},
    {"optimizer": "adamw", "optimizer.lr": 0.01, "schedule": "one_cycle", "weight_decay_on": "matrices"},
    {"schedule": "plateau", "schedule.patience": 0, "schedule.threshold": 1.0, "clip_value": 0.01},
]


@pytest.fixture
def plain(tiny):
    """Without normalization, behind which a bias has a gradient of noise alone."""
    return recipe.read(tiny.source.replace("nn.BatchNorm1d(width)", "nn.Identity()"), tiny.path)


def written(name, recipe, values, *, loaders=False):
    config = complete(recipe, STILL | values)
    return TARGETS[name].write(Run(recipe, config, EPOCHS, seed=3, origin="trial 7", loaders=loaders))


def engine(recipe, values):
    """Return rates and final weights as the plain engine has them."""
    module = execute(recipe.source, recipe.path)
    config = complete(recipe, STILL | values)
    task = Task(module, module.data(), recipe.objective, EPOCHS, seed=3)
    training = _Training(task, task.splits, Member(0, config))
    rates = [training.epoch(epoch).lr for epoch in range(1, EPOCHS + 1)]
    return rates, training.model.state_dict()


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a file's text as a module."""
    monkeypatch.chdir(tmp_path)

    def loaded(text):
        path = tmp_path / "exported.py"
        path.write_text(text)
        assert_formatted(path)
        assert "hpo" not in {name.partition(".")[0] for name in _imported(text)}
        spec = importlib.util.spec_from_file_location("exported", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "exported", module)
        spec.loader.exec_module(module)
        return module

    return loaded


def _imported(text):
    return [line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))]


def assert_close(found, expected):
    for name, item in expected.items():
        torch.testing.assert_close(found[name], item, msg=lambda text, name=name: f"{name}: {text}")


def fit(module, batch_size="full", **options):
    """Train a Lightning file's module as its main does, and return it, and the rate of each step."""
    import lightning

    rates = []

    class Watch(lightning.Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    torch.manual_seed(3)
    made = module.Module()
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        callbacks=[Watch()],
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        **options,
    )
    splits = module.data()
    make = vars(module).get("loader_of", module.loader)
    train = make(splits["train"], batch_size, shuffle=True)
    trainer.fit(made, train, make(splits["validation"], 64))
    return made, rates


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("values", ROWS, ids=str)
def test_lightning_takes_the_steps_of_the_engine(plain, values, load):
    made, rates = fit(load(written("lightning", plain, values)))
    expected, weights = engine(plain, values)
    assert rates == expected
    assert_close(made.network.state_dict(), weights)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_lightning_clips_gradients_that_are_unscaled(plain, optimizer, load):
    """Of float16, as on a GPU: on a CPU Lightning itself would take bfloat16."""
    from lightning.pytorch.plugins.precision import MixedPrecision

    values = {"optimizer": optimizer, "optimizer.eps": 1e-3, "clip_norm": 0.05, "precision": "fp16"}
    half = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    made, _ = fit(load(written("lightning", plain, values)), plugins=[half])
    assert_close(made.network.state_dict(), engine(plain, values)[1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_validation_is_in_full_precision_as_in_a_search(plain, load, monkeypatch):
    values = {"precision": "bf16", "loss.label_smoothing": 0.1}
    inputs, targets = execute(plain.source, plain.path).data()["validation"].tensors
    measured = {}

    module = load(written("lightning", plain, values)).Module().eval()
    monkeypatch.setattr(module, "log", lambda name, value, **_: measured.update({name: value}))
    with torch.autocast("cpu", torch.bfloat16):
        assert module(inputs).dtype == torch.bfloat16
        module.validation_step((inputs, targets), 0)
    expected = torch.nn.functional.cross_entropy(module(inputs), targets)
    assert measured["validation_loss"] == expected

    network = load(written("huggingface", plain, values)).Network()
    network.network.load_state_dict(module.network.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        assert network.train()(inputs, targets)["logits"].dtype == torch.bfloat16
        assert network.eval()(inputs, targets)["loss"] == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("values", ROWS[:2], ids=str)
def test_huggingface_takes_the_steps_of_the_engine(plain, values, load):
    from transformers import TrainerCallback

    module, rates = load(written("huggingface", plain, values)), []

    class Watch(TrainerCallback):
        def on_step_begin(self, *_, optimizer, **__):
            rates.append(optimizer.param_groups[0]["lr"])

    trainer = module.make_trainer("trained")
    trainer.add_callback(Watch())
    trainer.train()
    expected, weights = engine(plain, values)
    assert rates == expected
    assert_close(trainer.model.network.state_dict(), weights)


@pytest.fixture
def loaders(tiny):
    """With loaders of its own; the one to train on leaves a single sample for the last batch of 13."""
    source = (
        tiny.source.replace("def data(", "def parts(")
        + """

def data():
    split = parts()
    whole = torch.utils.data.DataLoader(split["validation"], batch_size=len(split["validation"]))
    return {**split, "validation": whole}
"""
    )
    return recipe.read(source, tiny.path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_on_the_batches_of_the_engine(loaders, load):
    values = {"batch_size": 13, "schedule": "cosine"}
    _, rates = fit(load(written("lightning", loaders, values, loaders=True)), 13)
    assert rates[4::5] == engine(loaders, values)[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_huggingface_trains_on_the_batches_of_the_engine(loaders, load):
    values = {"batch_size": 13, "schedule": "cosine"}
    trainer = load(written("huggingface", loaders, values, loaders=True)).make_trainer("trained")
    trainer.train()
    assert (trainer.state.global_step, trainer.lr_scheduler.taken) == (5 * EPOCHS, 5 * EPOCHS)
    *_, measured = (it["eval_loss"] for it in trainer.state.log_history if "eval_loss" in it)
    ((inputs, targets),) = execute(loaders.source, loaders.path).data()["validation"]
    outputs = trainer.model.network.eval()(inputs)
    assert measured == pytest.approx(torch.nn.functional.cross_entropy(outputs, targets).item())


@pytest.mark.parametrize(("samples", "size"), [(9, 4), (8, 4), (10, 4), (1, 4), (5, 4), (9, "full"), (3, 1)])
def test_other_trainers_are_given_batches_cut_as_in_a_search(samples, size):
    rows = torch.arange(samples)
    data = TensorDataset(rows, rows)
    for shuffle in (False, True):
        batches = loader_of(data, size, shuffle=shuffle)
        found = [inputs for inputs, _ in batches]
        assert [len(it) for it in found] == [len(it) for it in cut(rows, size)]
        assert len(batches) == len(found)
        assert sorted(torch.cat(found).tolist()) == rows.tolist()
    assert loader_of(batches, 2) is batches


def built(tree):
    """Make the calls that a file of plain data tells."""
    if not isinstance(tree, dict):
        return tree
    arguments = {name: built(value) for name, value in tree.items() if name != "_target_"}
    return pkgutil.resolve_name(tree["_target_"])(**arguments)


@pytest.mark.parametrize(
    ("name", "read"), [("yaml", yaml.safe_load), ("json", json.loads), ("toml", tomllib.loads)]
)
@pytest.mark.parametrize("values", ROWS, ids=str)
def test_plain_data_says_the_same_optimizer_schedule_and_clipping(tiny, values, name, read):
    found = read(written(name, tiny, values))
    config = complete(tiny, STILL | values)
    assert complete(tiny, found["config"]) == config
    calls = found["optimizer"]
    parameters = [torch.zeros(1)]
    optimizer = pkgutil.resolve_name(calls.pop("_target_"))(parameters, **calls)
    assert optimizer.param_groups[0]["lr"] == config["optimizer.lr"]
    ours, theirs = schedule_call(config).build(), built(found["schedule"])
    assert [ours.factor(step, 9) for step in range(9)] == [theirs.factor(step, 9) for step in range(9)]
    assert found["clip"].get("norm") == config["clip_norm"]
    assert found["clip"].get("value") == config["clip_value"]


@pytest.mark.parametrize("name", ["lightning", "huggingface"])
def test_what_a_target_cannot_say_is_told_in_the_file_too(tiny, name):
    values = {"ema": 0.5, "l1": 0.1, "accumulate": 2, "clip_value": 0.1}
    run = Run(tiny, complete(tiny, values), EPOCHS, seed=3)
    told, text = TARGETS[name].missing(run), TARGETS[name].write(run)
    others = {"lightning": values.keys() - {"clip_value"}, "huggingface": values.keys() | {"accuracy"}}
    assert {re.split("[=:]", it)[0] for it in told} == others[name]
    assert all(it in text for it in told)
    assert "average(" not in text


@pytest.mark.parametrize("values", [{}, {"optimizer": "adafactor"}], ids=str)
def test_nothing_is_dropped_in_toml_without_a_word(tiny, values):
    run = Run(tiny, complete(tiny, values), EPOCHS, seed=3)
    [told] = TARGETS["toml"].missing(run)
    assert all(f"config.{name}" in told for name, value in run.config.items() if value is None)
    assert ("optimizer.eps" in told.split(", ")) is bool(values)
    text = TARGETS["toml"].write(run)
    assert told in text
    assert (
        tomllib.loads(text)["optimizer"].keys()
        <= yaml.safe_load(TARGETS["yaml"].write(run))["optimizer"].keys()
    )


def test_an_optimizer_that_looks_twice_is_refused_where_it_cannot(tiny):
    with pytest.raises(InputError, match="as=lightning"):
        written("huggingface", tiny, {"optimizer": "lbfgs"})
