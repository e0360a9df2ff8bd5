"""What an exported folder's train.py and optim.py do, run in this process."""

import importlib.util
import json
import math
import re
import subprocess
import sys

import pytest
import torch
from repeating import assert_formatted, complete, curve
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from hpo import recipe
from hpo.export import Proof, Run, card, script
from hpo.export.optim import optim
from hpo.export.parts.comparing import compare
from hpo.export.parts.together import Workers
from hpo.export.train import train
from hpo.training.execution import execute

ROWS = [
    {"optimizer": "sgd", "optimizer.momentum": 0.9, "optimizer.nesterov": True, "schedule": "cosine"},
    {"optimizer": "adam", "warmup": 0.3, "clip_value": 0.01, "weight_decay_on": "matrices"},
    {"optimizer": "muon", "schedule": "one_cycle", "then": "plateau", "then.patience": 0},
    {"optimizer": "lbfgs", "batch_size": "full", "optimizer.max_iter": 4, "loss.label_smoothing": 0.1},
    {"precision": "fp16", "clip_norm": 1.0, "accumulate": 3, "l1": 1e-3, "ema": 0.5, "init": "orthogonal"},
]
OWN = [
    {"optimizer": "Sign", "optimizer.lr": 0.02, "schedule": "sawtooth", "then": "Halving"},
    {"start": "elsewhere", "body_lr": 0.1, "weight_decay_on": "matrices", "freeze": "1.*"},
]


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Write the two files, and return train.py as a module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(recipe, values, epochs=2):
        run = Run(
            recipe,
            complete(recipe, values),
            epochs,
            seed=3,
            origin="trial 7 of tiny-1: loss 0.1",
            loaders=False,
        )
        for name, text in {"train": train(run), "optim": optim(run)}.items():
            (tmp_path / f"{name}.py").write_text(text)
            assert "import hpo" not in text
            assert "from hpo" not in text
        sys.modules.pop("optim", None)
        spec = importlib.util.spec_from_file_location("train", tmp_path / "train.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "train", module)
        spec.loader.exec_module(module)
        return module

    yield write
    sys.modules.pop("optim", None)


@pytest.fixture
def trained(monkeypatch, capsys):
    """Run train.py with some words, and return what it printed as rows of words."""

    def run(module, *words):
        monkeypatch.setattr(sys, "argv", ["train.py", *words])
        module.main()
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.mark.parametrize("values", ROWS, ids=str)
def test_it_repeats_the_curve_to_the_last_digit(tiny, values, export, trained, tmp_path):
    assert trained(export(tiny, values)) == curve(tiny, complete(tiny, values))
    for name in ("train", "optim"):
        assert_formatted(tmp_path / f"{name}.py")


@pytest.mark.parametrize("values", OWN, ids=str)
def test_own_words_are_repeated_too(own, values, export, trained, tmp_path):
    assert trained(export(own, values)) == curve(own, complete(own, values))
    for name in ("train", "optim"):
        assert_formatted(tmp_path / f"{name}.py")


@pytest.mark.parametrize("values", ROWS[-2:], ids=str)
def test_a_recipe_may_use_any_name_that_the_code_around_it_uses(tiny, values, export, trained):
    theirs, ours = vars(execute(tiny.source, tiny.path)), vars(export(tiny, values))
    names = " = ".join(sorted(ours.keys() - theirs.keys() - {"main"}))  # which the test calls
    crowded = recipe.read(tiny.source.replace("\n\nobjective", f"\n{names} = 'mine'\nobjective"), tiny.path)
    assert trained(export(crowded, values)) == curve(crowded, complete(crowded, values))


def test_own_words_may_be_called_optimizer_and_scheduler(tiny, export, trained):
    optimizer = "def optimizer(params, lr=0.1):\n    return torch.optim.SGD(params, lr)\n\n\n"
    scheduler = "def scheduler(step, steps):\n    return 1 - step / steps\n\n\n"
    words = f"{optimizer}{scheduler}optimizers = [optimizer]\nschedules = [scheduler]\n"
    named = recipe.read(f"{tiny.source}\n\n{words}", tiny.path)
    values = {"optimizer": "optimizer", "schedule": "scheduler", "batch_size": 16}
    assert trained(export(named, values)) == curve(named, complete(named, values))


def test_own_words_may_be_called_as_anything_around_them(own, export, trained, tmp_path):
    """As a class, as a function that is imported from optim.py, as what fills the network."""
    names = {"Sign": "Scheduler", "heavy": "configure", "sawtooth": "CosineSchedule", "Halving": "Clipping"}
    source = own.source.replace("elsewhere", "start")
    for name, other in names.items():
        source = re.sub(rf"\b{name}\b", other, source)
    named = recipe.read(source, own.path)
    for values in (
        {"optimizer": "Scheduler", "schedule": "CosineSchedule", "then": "Clipping", "then_2": "cosine"},
        {"optimizer": "configure", "schedule": "cosine", "start": "start", "batch_size": 16},
    ):
        expected = curve(named, complete(named, values))
        assert trained(export(named, values)) == expected
        config = complete(named, values)
        (tmp_path / "script.py").write_text(script(Run(named, config, 2, seed=3)))
        command = [sys.executable, "script.py"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert [line.split() for line in printed.splitlines()] == expected


def test_annotations_of_own_words_may_be_for_type_checkers_alone(tiny, export, trained):
    head = "from __future__ import annotations\n\nfrom typing import TYPE_CHECKING\n\nimport torch\n"
    types = "if TYPE_CHECKING:\n    from torch.optim.optimizer import ParamsT\n"
    plain = "def plain(params: ParamsT, lr: float = 0.1):\n    return torch.optim.SGD(params, lr)\n"
    source = tiny.source.replace("import torch\n", head, 1).replace("\nobjective", f"\n{types}\nobjective")
    typed = recipe.read(f"{source}\n\n{plain}\n\noptimizers = [plain]\n", tiny.path)
    values = {"optimizer": "plain", "batch_size": 16}
    assert trained(export(typed, values)) == curve(typed, complete(typed, values))


def test_a_table_of_own_words_is_filled_as_in_the_recipe(tiny, export, trained):
    table = "TABLE = [1.0] * 4\nTABLE[1:] = [0.1] * 3\n\n\n"
    stairs = "def stairs(step, steps):\n    return TABLE[4 * step // steps]\n\n\nschedules = [stairs]\n"
    stepped = recipe.read(f"{tiny.source}\n\n{table}{stairs}", tiny.path)
    values = {"schedule": "stairs", "batch_size": 16}
    assert trained(export(stepped, values)) == curve(stepped, complete(stepped, values))


@pytest.mark.parametrize("values", [*ROWS, {"schedule": "plateau", "schedule.patience": 0}], ids=str)
def test_it_goes_on_from_its_checkpoint(tiny, values, export, trained, monkeypatch):
    """Having been cut off after the first epoch, to the last digit."""
    module = export(tiny, values, epochs=3)
    whole, save = trained(module), module.save

    def cut_off(*words):
        save(*words)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        trained(module, "--checkpoint", "run.pt")
    monkeypatch.setattr(module, "save", save)
    assert trained(module, "--checkpoint", "run.pt") == [*whole[:2], whole[0], *whole[2:]]


def test_its_words_reach_the_training(tiny, export, trained):
    module = export(tiny, {"batch_size": 16})
    rows = trained(module, "--samples", "60", "--epochs", "1", "--seed", "5", "--precision", "bf16")
    assert len(rows) == 2
    assert rows[1] != trained(module, "--samples", "60", "--epochs", "1", "--seed", "5")[1]


def test_an_argument_of_the_data_may_be_called_as_a_word_of_the_file(tiny, export, trained):
    named = recipe.read(
        tiny.source.replace("samples: int = 99", "samples: int = 99, help='', seed=1"), tiny.path
    )
    values = {"batch_size": 16}
    assert trained(export(named, values)) == curve(named, complete(named, values))


def test_its_weights_and_notes_are_those_of_the_training(tiny, export, trained):
    module = export(tiny, {"ema": 0.5, "batch_size": 16})
    noted = []
    for samples in ("99", "60"):
        trained(module, "--weights", "a.safetensors", "--samples", samples)
        with safe_open("a.safetensors", "pt") as file:
            noted.append(json.loads(file.metadata()["notes"]))
    execute(tiny.source, tiny.path).model().load_state_dict(load_file("a.safetensors"))
    assert (noted[0]["epochs"], noted[0]["seed"]) == (2, 3)
    assert noted[0]["data"] != noted[1]["data"]


@pytest.mark.parametrize("values", ROWS[:3], ids=str)
def test_configure_steps_in_other_code_as_in_a_search(tiny, values, export):
    """In the loop that everyone writes."""
    module = export(tiny, {**values, "batch_size": "full"})
    torch.manual_seed(3)
    network = module.model(dropout=0.1, width=8)
    optimizer, scheduler, clip = module.configure(network, 2)
    inputs, targets = module.data()["train"][:]
    rates = []
    for epoch in (1, 2):
        seed = module.epoch_seed(3, epoch)
        torch.manual_seed(seed)
        rows = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs[rows]), targets[rows]).backward()
        clip(network.parameters())
        rates += scheduler.get_last_lr()[:1]
        optimizer.step()
        scheduler.step()
    expected = curve(tiny, complete(tiny, {**values, "batch_size": "full"}))
    network.eval()
    inputs, targets = module.data()["validation"][:]
    assert [repr(rate) for rate in rates] == [row[-1] for row in expected[1:]]
    assert repr(nn.functional.cross_entropy(network(inputs), targets).item()) == expected[-1][2]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("samples", range(1, 8))
def test_processes_share_a_batch(samples, size, device):
    """Each sample counts once; on the CPU, where each normalizes by itself, nobody trains on a single one."""
    batch = (torch.arange(samples), torch.arange(samples))
    shares = [Workers(rank, size, device).part(batch) for rank in range(size)]
    counted = [number for (_, targets), count in shares for number in targets[:count].tolist()]
    assert counted == list(range(samples))
    assert all(len(targets) >= min(samples, 2) for (_, targets), _ in shares if device == "cpu")
    assert all(count in (0, len(targets)) for (_, targets), count in shares)


@pytest.mark.slow
def test_processes_that_train_together_normalize_the_smallest_batch(tiny, export):
    """On the CPU, with two samples left for both of them."""
    export(tiny, {"batch_size": 16, "accumulate": 2})
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    both = subprocess.run([*launch, "train.py"], check=True, capture_output=True, text=True).stdout
    assert len(both.splitlines()) == 3


@pytest.mark.slow
def test_processes_that_train_together_take_the_steps_of_one(tiny, export):
    """But for rounding; on the CPU each has batch statistics of its own."""
    plain = recipe.read(tiny.source.replace("nn.BatchNorm1d(width)", "nn.Identity()"), tiny.path)
    export(plain, {"model.dropout": 0.0, "batch_size": 16, "accumulate": 2})
    alone = subprocess.run([sys.executable, "train.py"], check=True, capture_output=True, text=True).stdout
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    both = subprocess.run([*launch, "train.py"], check=True, capture_output=True, text=True).stdout
    gap, where = compare(alone, both)
    assert gap < 1e-5, where


@pytest.mark.parametrize("values", [{"init": "orthogonal", "model.width": 16}, {"ema": 0.5}], ids=str)
def test_the_lines_of_the_card_load_the_weights(tiny, values, export, trained):
    trained(export(tiny, values), "--weights", "model.safetensors")
    run, proof = Run(tiny, complete(tiny, values), 2, seed=3), Proof("", {}, {}, 0.0)
    lines = card(run, proof, {}, "").partition("```python\n")[2].partition("```")[0]
    exec(lines, {})


def test_curves_are_compared_number_by_number():
    logged = "epoch  F1 loss  lr\n1  0.5  0.1\n2  0.25  0.1\n"
    assert compare(logged, logged + "3  0.1  0.1\n") == (0.0, "epoch, epoch 1")
    assert compare(logged, logged.replace("0.25", "0.5")) == (0.5, "F1 loss, epoch 2")
    assert compare(logged, "epoch  F1 loss  lr\n1  0.5  0.1\n")[0] == float("inf")
    assert compare(logged, logged.replace("loss", "cost"))[0] == float("inf")


def test_what_a_recipe_prints_is_no_part_of_its_curve():
    logged = "epoch  loss  lr\n1  0.5  0.1\n2  0.25  0.1\n"
    noisy = "3 files are there.\n" + logged.replace("\n2", "\n0.7\nhalf  the  way\n\n2")
    assert compare(logged, noisy) == (0.0, "epoch, epoch 1")
    assert compare(logged, noisy.replace("0.25", "0.5")) == (0.5, "loss, epoch 2")


@pytest.mark.parametrize(
    ("logged", "found", "gap"),
    [
        ("nan", "nan", 0.0),
        ("inf", "inf", 0.0),
        ("nan", "0.5", math.inf),
        ("0.5", "nan", math.inf),
        ("inf", "0.5", math.inf),
        ("inf", "nan", math.inf),
    ],
)
def test_what_is_no_number_repeats_only_its_like(logged, found, gap):
    curve = "epoch  loss  lr\n1  {}  0.1\n".format
    assert compare(curve(logged), curve(found))[0] == gap
