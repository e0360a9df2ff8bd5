"""What the recipe `finetune` shows: a start from what is known beats one from nothing."""

from statistics import fmean

import pytest
from safetensors.torch import load_file
from torch.utils.data import TensorDataset


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """Let scikit-learn keep its data in a fresh folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("SCIKIT_LEARN_DATA", str(folder))
        yield folder


def last_loss(train, **values):
    return train("finetune", 20, values=values)[-1].loss


def test_fine_tuning_beats_a_start_from_nothing(train):
    at_its_best = min(last_loss(train, start=None, **{"optimizer.lr": lr}) for lr in (3e-3, 0.01, 0.03))
    assert last_loss(train) < 0.8 * at_its_best


def test_freezing_and_slowing_the_body_matter(train):
    still, frozen = last_loss(train, body_lr=0.01), last_loss(train, freeze="body.*")
    free, slower = last_loss(train, body_lr=1.0), last_loss(train, body_lr=0.3)
    half = last_loss(train, freeze="body.[0-3].*")
    assert len({still, frozen, free, slower, half}) == 5
    assert max(slower, half) < 0.95 * frozen


def test_the_checkpoint_is_made_once_and_the_same_each_time(run, home):
    path = run("finetune").digits_0_to_5()
    first, made = load_file(path), path.stat().st_mtime_ns
    assert path.parent == home
    assert run("finetune").digits_0_to_5().stat().st_mtime_ns == made
    path.unlink()
    second = load_file(run("finetune").digits_0_to_5())
    assert all((first[name] == second[name]).all() for name in first)
    assert [file.name for file in home.iterdir()] == [path.name]


def test_what_is_known_is_known_well_and_none_of_it_is_asked_for(run):
    module = run("finetune")
    network = module.network(6, 0.0)
    network.load_state_dict(load_file(module.digits_0_to_5()))
    images, labels = module.images_of(module.KNOWN)
    assert fmean((network.eval()(images).argmax(dim=1) == labels).tolist()) > 0.99
    known = {tuple(image.flatten().tolist()) for image in images}
    for split in module.data().values():
        assert isinstance(split, TensorDataset)
        assert not known & {tuple(image.flatten().tolist()) for image, _ in split}
