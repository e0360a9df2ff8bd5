"""What `recipe.NAME=` changes in the recipes: tables, cells, images, contexts."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset

from hpo import recipe
from hpo.errors import InputError


@pytest.mark.parametrize("table", ["breast_cancer", "wine", "digits", "diabetes"])
def test_each_table_trains(table, run, train):
    parts = run("mlp").data(table=table)
    points = train("mlp", 3, parts, {"model.table": table, "model.width": 16})
    assert points[-1].loss < points[0].loss
    assert 0.5 < points[-1].metrics["accuracy"] <= 1


@pytest.mark.parametrize("table", ["breast_cancer", "diabetes"])
def test_tables_are_scaled_by_their_training_part_alone(table, run):
    parts = run("mlp").data(table=table)
    means = {name: split.tensors[0].mean(dim=0).abs().max() for name, split in parts.items()}
    assert means["train"] < 1e-5 < 0.01 < min(means["validation"], means["test"])


def test_depth_counts_the_hidden_layers(run):
    linear = [layer for layer in run("mlp").model(depth=3, width=5) if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(30, 5), (5, 5), (5, 5), (5, 2)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_each_cell_takes_sequences_of_any_length(cell, run):
    module = run("rnn")
    inputs, targets = module.data(length=7, samples=8)["train"].tensors
    assert module.model(cell=cell, width=4, depth=2)(inputs).shape == targets.shape == (8, 1)


def test_the_sum_is_that_of_the_two_marked_numbers(run):
    inputs, targets = run("rnn").data(length=9, samples=32)["train"].tensors
    numbers, marks = inputs.unbind(dim=2)
    assert torch.equal(marks.sum(dim=1), torch.full((32,), 2.0))
    assert torch.equal(marks[:, :4].sum(dim=1), torch.ones(32))
    torch.testing.assert_close((numbers * marks).sum(dim=1, keepdim=True), targets)


def test_a_transformer_does_not_look_ahead(run):
    module = run("transformer")
    network = module.model(context=8, width=16, heads=2).eval()
    characters = torch.randint(0, 128, (2, 8))
    changed = characters.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 128
    before, after = network(characters), network(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_targets_are_the_characters_that_come_next(run):
    inputs, targets = run("transformer").data(context=16, windows=64)["validation"].tensors
    assert inputs.shape == targets.shape == (8, 16)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])


@pytest.mark.parametrize(("name", "option"), [("mlp", "table"), ("rnn", "cell"), ("cnn", "data")])
def test_an_unknown_name_is_told_the_known_ones(name, option, run):
    with pytest.raises(ValueError, match=r"'nonesuch'\. Known: \w+, \w+"):
        run(name).model(**{option: "nonesuch"})


def test_digits_are_as_scikit_learn_has_them(run):
    parts = run("cnn").data()
    images = torch.cat([split.tensors[0] for split in parts.values()])
    pixels, digits = load_digits(return_X_y=True)
    assert [len(split) for split in parts.values()] == [1077, 360, 360]
    assert images.shape == (1797, 1, 8, 8)
    assert images.double().sum() * 16 == pixels.sum()
    assert torch.cat([split.tensors[1] for split in parts.values()]).sum() == digits.sum()


@pytest.mark.parametrize(
    ("shape", "kind"), [((30, 12, 8), "uint8"), ((30, 3, 12, 8), "int64"), ((30, 3, 12, 8), "float64")]
)
def test_images_of_ones_own_come_from_a_file(shape, kind, run, train, tmp_path):
    path = str(tmp_path / "own.npz")
    images = np.random.default_rng(0).integers(0, 256, shape)
    np.savez(path, images=images.astype(kind), labels=np.arange(30, dtype="uint8") % 3)
    module = run("cnn")
    parts = module.data(data=path)
    inputs, targets = parts["train"].tensors
    assert inputs.shape == (18, 1 if len(shape) == 3 else 3, 12, 8)
    assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
    assert (inputs.max() <= 1) == (kind != "float64")
    assert module.model(data=path)(inputs).shape == (18, 3)
    train("cnn", 1, parts, {"model.data": path, "batch_size": 9})


@pytest.mark.parametrize(
    ("data", "known_as", "pixels"),
    [("mnist", "mnist_784", 784), ("fashion_mnist", "Fashion-MNIST", 784), ("cifar10", "CIFAR_10", 3072)],
)
def test_images_come_from_openml(data, known_as, pixels, run, monkeypatch):
    def fetch(name, **_):
        assert name == known_as
        flat = np.arange(60 * pixels).reshape(60, pixels) % 256
        return flat.astype(float), np.array([str(row % 10) for row in range(60)])

    module = run("cnn")
    monkeypatch.setattr(module, "fetch_openml", fetch)
    parts = module.data(data=data)
    inputs, targets = parts["train"].tensors
    assert inputs.shape[1:] == ((1, 28, 28) if pixels == 784 else (3, 32, 32))
    assert (inputs.min(), inputs.max()) == (0, 1)
    assert module.model(data=data)(inputs).shape == (36, 10)
    assert isinstance(parts["test"], TensorDataset)
    assert set(targets.tolist()) <= set(range(10))


def test_an_argument_of_the_loss_is_an_option_and_needs_a_default():
    found = recipe.find("cnn")
    assert found.loss == {"label_smoothing": 0.0}
    assert recipe.find("rnn").loss == {}
    broken = found.source.replace("label_smoothing: float = 0.0", "label_smoothing: float")
    with pytest.raises(InputError, match=r"loss\(label_smoothing\)\n +Give this argument a default value"):
        recipe.read(broken, "broken.py")


@pytest.mark.parametrize(
    ("default", "option"),
    [("0.5", 0.5), ("DROPOUT", 0.5), ("None", None)],
    ids=["a number", "a constant", "none"],
)
def test_a_plain_default_is_an_option(default, option):
    assert recipe.read(defaulting(default), "mine.py").model == {"dropout": option}


@pytest.mark.parametrize("default", ["(16, 8)", "[16]", "nn.ReLU", "1 / 4", "AGAIN", "os.cpu_count()"])
def test_any_other_default_of_a_model_is_its_own_and_no_option(default):
    """It cannot stand in a configuration, so nobody passes anything in its place."""
    assert recipe.read(defaulting(default), "mine.py").model == {}


def defaulting(default):
    constants = "DROPOUT = 0.5\nAGAIN = 1\nfor AGAIN in range(3):\n    pass\n"
    return constants + recipe.find("linear").source.replace("def model(", f"def model(dropout={default}")


def test_label_smoothing_moves_targets_towards_all_classes(run):
    outputs = torch.tensor([[4.0, 0.0, -2.0]])
    target = torch.tensor([0])
    away = torch.tensor([[0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3]])
    smooth = run("cnn").loss(outputs, target, label_smoothing=0.2)
    assert smooth == pytest.approx(torch.nn.functional.cross_entropy(outputs, away))
