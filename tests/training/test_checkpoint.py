"""Weights on disk: they come back as they were, or not at all."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hpo.training.checkpoint import CheckpointError, read_checkpoint, read_whole, write_checkpoint

NOTES = {"recipe": "tiny", "config": {"optimizer": "sgd", "optimizer.lr": 0.1}, "epoch": 3, "score": 0.25}


def network():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


@pytest.fixture
def trained():
    """A network whose weights and running statistics have moved."""
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 1, 4, 4)).square().mean().backward()
        optimizer.step()
    return model.eval()


def test_a_network_read_back_computes_the_same_to_the_last_bit(trained, tmp_path):
    path = tmp_path / "weights.safetensors"
    write_checkpoint(path, trained.state_dict(), NOTES)
    tensors, notes = read_checkpoint(path)
    again = network().eval()
    again.load_state_dict(tensors)
    inputs = torch.randn(5, 1, 4, 4)
    assert torch.equal(again(inputs), trained(inputs))
    assert tensors["1.running_mean"].abs().min() > 0
    assert tensors["1.num_batches_tracked"] == 3
    assert notes == NOTES
    assert os.listdir(tmp_path) == ["weights.safetensors"]


def test_tied_weights_views_and_other_types_come_back(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "tied": whole,
        "same": whole,
        "view": whole[1:].T,
        "half": whole.bfloat16(),
        "none": torch.zeros(0, 3),
        "count": torch.tensor(7),
    }
    write_checkpoint(tmp_path / "w.safetensors", tensors, {})
    found = read_checkpoint(tmp_path / "w.safetensors").tensors
    assert found.keys() == tensors.keys()
    assert all(
        torch.equal(found[name], item) and found[name].dtype == item.dtype for name, item in tensors.items()
    )


def test_every_changed_byte_is_found(tmp_path):
    path = tmp_path / "w.safetensors"
    write_checkpoint(path, {"a": torch.arange(3.0), "b": torch.ones(2, 2)}, NOTES)
    sound = path.read_bytes()
    for position in range(len(sound)):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 4]) + sound[position + 1 :])
        with pytest.raises(CheckpointError, match=r"w\.safetensors: "):
            read_checkpoint(path)


def test_every_torn_file_is_found(tmp_path):
    path = tmp_path / "w.safetensors"
    write_checkpoint(path, {"a": torch.arange(3.0)}, NOTES)
    sound = path.read_bytes()
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
    path.write_bytes(sound[:-1])
    with pytest.raises(CheckpointError, match=f"it has {len(sound) - 1} of {len(sound)} bytes: it is torn"):
        read_checkpoint(path)


def test_a_plain_safetensors_file_is_read_too(tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_file({"a": torch.ones(2)}, path, {"format": "pt"})
    tensors, notes = read_checkpoint(path)
    assert torch.equal(tensors["a"], torch.ones(2))
    assert notes == {}
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="it is torn"):
        read_checkpoint(path)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="no safetensors file"):
        read_checkpoint(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors: cannot be read: No such file"):
        read_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_checkpoint(tmp_path / "none" / "w.safetensors", {}, {})


def test_a_failed_write_leaves_the_file_before_it(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    write_checkpoint(path, {"a": torch.ones(2)}, {"epoch": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        write_checkpoint(path, {"a": torch.zeros(2)}, {"epoch": 2})
    assert read_checkpoint(path).notes == {"epoch": 1}
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_a_file_is_checked_without_torch(tmp_path):
    path = tmp_path / "w.safetensors"
    write_checkpoint(path, {"a": torch.ones(2)}, NOTES)
    assert read_whole(path)[1] == NOTES
    code = f"""if True:
        import sys
        from hpo.training.checkpoint import read_whole
        read_whole({str(path)!r})
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)
