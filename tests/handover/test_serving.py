"""`hpo export NAME as=onnx`, `as=torch_export`: read back, the model is the one that was trained."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_structure
from torch.utils.data import TensorDataset
from trained import TINY, Trained

from hpo import cli
from hpo.errors import HpoError
from hpo.handover.chosen import chosen, trained
from hpo.recipe import Objective
from hpo.serving import Served, forms
from hpo.serving.forms import run_onnx, to_onnx, to_program
from hpo.settings import NameSettings
from hpo.training.engine import Task


@pytest.fixture
def export(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    monkeypatch.setattr(
        "hpo.tracking.attach", lambda search, paths, trial: f"kept {paths[0]} of {search.name}"
    )
    return lambda *words: cli.main(["export", "tiny-1", *words])


@pytest.mark.slow
def test_a_program_runs_without_the_models_code(export, capsys):
    assert export("as=torch_export", "to=tiny.pt2") == 0
    told = capsys.readouterr()
    assert "It takes float32 of shape [batch, 5]; read back, its outputs are torch's." in told.out
    assert "kept tiny.pt2 of tiny-1" in told.out
    assert "epoch 2  loss " in told.err
    outputs = torch.export.load("tiny.pt2").module()(torch.zeros(7, 5))
    assert outputs.shape == (7, 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_onnx_gives_what_torch_gives(export, capsys):
    assert export("as=onnx", "to=tiny.onnx") == 0
    assert "outputs are torch's" in capsys.readouterr().out
    assert run_onnx("tiny.onnx")(torch.zeros(7, 5)).shape == (7, 3)


def test_a_model_is_trained_again_with_the_seed_of_its_trial(monkeypatch):
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    monkeypatch.setattr(Trained, "seed", 5)
    found = chosen(NameSettings(name="tiny-1"), None)
    assert trained(found, lambda _: None).curve[-1].score == found.trial.score


def test_only_the_winners_files_are_kept_as_the_winners(monkeypatch):
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    found = chosen(NameSettings(name="tiny-1"), None)
    other = replace(found.trial, proposal=replace(found.trial.proposal, number=7))
    assert (found.apart, found._replace(trial=other).apart) == (None, 7)


def test_a_model_of_a_gpu_is_trained_again_where_there_is_none(monkeypatch):
    monkeypatch.setattr("hpo.handover.chosen.Ledger", Trained)
    monkeypatch.setattr(Trained, "device", "cuda")
    where = "" if torch.cuda.is_available() else " on the CPU, since this machine has no GPU"
    found = chosen(NameSettings(name="tiny-1"), None)
    told = []
    assert trained(found, told.append).curve[-1].score == pytest.approx(found.trial.score, rel=1e-2)
    assert told[0] == f"Training trial 0 once more{where}, for the weights."


def test_what_is_not_installed_is_told_before_anything_is_trained(export, monkeypatch, capsys):
    monkeypatch.setattr(forms, "_ONNX", ("onnx_of_another_world",))
    assert export("as=onnx", "to=tiny.onnx") == 2
    told = capsys.readouterr().err
    assert "This needs onnx_of_another_world. Install them: pip install 'hpo[serve]'" in told
    assert "Training" not in told


def test_words_that_do_not_fit_are_refused_before_anything_is_trained(export, tmp_path, capsys):
    assert export("as=onnx", "to=tiny.onnx", "weights=a.safetensors") == 2
    (tmp_path / "tiny.pt2").write_text("kept")
    assert export("as=torch_export", "to=tiny.pt2") == 2
    assert "This file exists" in capsys.readouterr().err
    assert export("as=torch_export", "to=missing/tiny.pt2") == 2
    told = capsys.readouterr().err
    assert "There is no folder missing." in told
    assert "Training" not in told


BRANCHING = """

class Branching(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, inputs):
        return self.network(inputs) if inputs.sum() > 0 else self.network(-inputs)

straight = model

def model(width=4):
    return Branching(straight(width))
"""


@pytest.mark.parametrize("form", ["torch_export", "onnx"])
def test_a_model_that_cannot_be_followed_is_told_before_it_is_trained(
    form, export, tmp_path, monkeypatch, capsys
):
    branching = tmp_path / "branching.py"
    branching.write_text(TINY.read_text() + BRANCHING)
    monkeypatch.setattr("trained.TINY", branching)
    assert export(f"as={form}", "to=model") == 1
    told = capsys.readouterr().err
    assert "torch.export cannot follow this model: " in told
    assert "Training" not in told
    assert not Path("model").exists()


class Several(torch.nn.Module):
    """A model that gives what its inputs and their sum are put into."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, inputs):
        return self.form(2 * inputs, inputs.sum(1) > 0)


def several(form):
    splits = {"validation": TensorDataset(torch.randn(40, 5), torch.zeros(40))}
    task = Task(None, splits, Objective("minimize", "loss"), 1, 0)
    return Served(Several(form).eval(), task, (), lambda: None)


FORMS = {
    "outputs_0 outputs_1": lambda *them: them,
    "outputs_scores_0 outputs_signs": lambda scores, signs: {"scores": [scores], "signs": signs},
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("names", FORMS)
@pytest.mark.parametrize("write", [to_onnx, to_program])
def test_a_model_may_give_several_tensors(names, write, tmp_path):
    served, path = several(FORMS[names]), tmp_path / "several.pt2"
    assert write(served, path).gap == 0
    expected = served.outputs(served.inputs)
    again = run_onnx(path, tree_structure(expected)) if write is to_onnx else torch.export.load(path).module()
    found = served.named(again(served.inputs))
    assert " ".join(found) == names
    assert all(torch.equal(found[name], item) for name, item in served.named(expected).items())
    assert [it.name for it in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("form", "told"),
    [(lambda scores, signs: (scores, "told"), "outputs_1 is of type str"), (lambda *_: None, "NoneType")],
)
@pytest.mark.parametrize("write", [to_onnx, to_program])
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_tensor_is_refused_and_leaves_no_file(form, told, write, tmp_path):
    with pytest.raises(HpoError, match=told):
        write(several(form), tmp_path / "several.pt2")
    assert not list(tmp_path.iterdir())
