"""What a machine takes: so many trials at once, each with its share; what does not fit is refused at once."""

import socket

import psutil
import pytest

from hpo.errors import InputError
from hpo.machine import hardware
from hpo.machine.hardware import Hardware, Share, company, interface_to, share_out
from hpo.planning.ordering import order
from hpo.settings import SearchSettings


@pytest.mark.parametrize(
    ("gpus", "asked", "workers", "share"),
    [
        (0, (None, None, 1), 8, Share(1.0, 0.0, 1)),
        (0, (None, None, 2), 4, Share(1.0, 0.0, 2)),
        (0, (None, None, 3), 2, Share(1.0, 0.0, 3)),
        (0, (5, None, 2), 5, Share(1.0, 0.0, 2)),
        (4, (None, None, 1), 4, Share(1.0, 1.0, 1)),
        (4, (None, 0.5, 1), 8, Share(1.0, 0.5, 1)),
        (4, (None, 0.4, 1), 8, Share(1.0, 0.4, 1)),  # two on each: none lies on two GPUs
        (3, (None, 2.0, 1), 1, Share(1.0, 2.0, 1)),
        (4, (None, None, 2), 2, Share(1.0, 1.0, 2)),
        (4, (None, 2.0, 2), 2, Share(1.0, 1.0, 2)),
    ],
)
def test_workers_fill_the_machine(gpus, asked, workers, share):
    assert share_out(Hardware(8, gpus), *asked) == (workers, share)


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, 4),
        ("", 0),
        ("-1", 0),
        ("NoDevFiles", 0),
        ("0, 2", 2),
        ("1,-1,2", 1),
        ("0,4,1", 1),
        ("GPU-8932f937,GPU-7a1c", 2),
    ],
)
def test_gpus_are_seen_as_cuda_sees_them(visible, found, monkeypatch):
    """Up to the first entry that names none of the four."""
    monkeypatch.setattr(hardware.Path, "glob", lambda *_: [f"nvidia{number}" for number in range(4)])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.gpus_here() == found


def test_the_gpus_of_windows_are_counted_by_their_driver(tmp_path, monkeypatch):
    """A Linux that runs within it has no file for each; this one has a file for none."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --list-gpus ] && echo "GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-8932)"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(hardware.Path, "glob", lambda *_: [])
    monkeypatch.setattr(hardware, "_WINDOWS", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert hardware.gpus_here() == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert hardware.gpus_here() == 0
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(hardware, "_WINDOWS", tmp_path / "none")
    assert hardware.gpus_here() == 0


@pytest.mark.parametrize(
    ("gpus", "asked", "where", "message"),
    [
        (0, (None, 1.0, 1), "gpus_per_trial=1", "This machine has no GPU. Leave the word out"),
        (0, (None, None, 9), "workers_per_trial=9", "This machine has 8 CPUs, and each worker takes one."),
        (1, (None, 2.0, 1), "gpus_per_trial=2", "This machine has 1 GPU. Leave the word out"),
        (0, (33, None, 1), "workers=33", "This machine has 8 CPUs. Write workers=32 at most."),
        (1, (None, None, 2), "workers_per_trial=2", "This machine has 1 GPU, and each worker takes one."),
        (4, (None, 1.0, 2), "gpus_per_trial=1", "Each of the 2 workers of a trial trains on one GPU."),
    ],
)
def test_what_does_not_fit_is_refused(gpus, asked, where, message):
    with pytest.raises(InputError) as caught:
        share_out(Hardware(8, gpus), *asked)
    (problem,) = caught.value.problems
    assert problem.where == where
    assert problem.message.startswith(message)


def test_more_gpus_than_any_machine_of_a_cluster_has_are_refused():
    with pytest.raises(InputError, match=r"The cluster has 2 GPUs, 1 at most on one machine\."):
        share_out(cluster((8, 1), (8, 1)), None, 2.0)
    assert share_out(cluster((8, 2), (8, 0)), None, 2.0)[0] == 1


def cluster(*machines):
    found = [Hardware(cpus, gpus) for cpus, gpus in machines]
    return Hardware(sum(it.cpus for it in found), sum(it.gpus for it in found), "The cluster", tuple(found))


@pytest.mark.parametrize(
    ("found", "workers", "share", "beside", "threads"),
    [
        (Hardware(8, 0), 8, Share(1.0, 0.0), 8, 1),
        (Hardware(8, 0), 2, Share(1.0, 0.0), 2, 4),
        (Hardware(8, 0), 2, Share(1.0, 0.0, 2), 2, 2),
        (Hardware(8, 0), 16, Share(1.0, 0.0), 16, 1),
        (cluster((8, 0), (8, 0)), 16, Share(1.0, 0.0), 8, 1),
        (cluster((8, 0), (8, 0)), 1, Share(1.0, 0.0), 1, 1),
        (cluster((8, 0), (8, 0)), 6, Share(1.0, 0.0, 2), 4, 1),
        (cluster((2, 0), (2, 0)), 1, Share(1.0, 0.0, 4), 1, 1),
        (cluster((0, 0), (64, 8), (16, 4)), 12, Share(1.0, 1.0), 8, 4),
        (cluster((96, 0), (64, 8)), 1, Share(1.0, 1.0), 1, 8),
        (cluster((64, 8)), 32, Share(1.0, 0.25), 32, 2),
    ],
)
def test_a_trial_takes_no_more_of_its_machine_than_its_part(found, workers, share, beside, threads):
    assert company(found, workers, share) == (beside, threads)


def test_an_address_of_this_machine_is_reached_through_the_interface_that_has_it():
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name in up:
        for own in psutil.net_if_addrs().get(name, ()):
            if own.family == socket.AF_INET:
                assert interface_to(own.address) == name


def complaint(*words):
    with pytest.raises(InputError) as caught:
        order(SearchSettings.from_words(["recipe=mlp", *words]))
    return str(caught.value)


@pytest.mark.parametrize("name", ["adafactor", "muon", "lbfgs"])
def test_fsdp_refuses_an_optimizer_that_needs_whole_parameters(name):
    words = ("workers_per_trial=2", "parallel=fsdp", "space.batch_size=full", "space.clip_norm=null")
    text = complaint(*words, f"space.optimizer={name}")
    assert f"fsdp keeps parameters in parts, {name} needs them whole: parallel=ddp." in text


def test_fsdp_refuses_what_copies_the_model():
    text = complaint("workers_per_trial=2", "parallel=fsdp", "space.ema={choice: [null, 0.9]}")
    assert "fsdp cannot copy a model that lies in parts" in text


def test_fsdp_needs_workers():
    assert complaint("parallel=fsdp") == (
        "parallel=fsdp\n    It shards the model over workers: write workers_per_trial=2, or more."
    )


@pytest.mark.parametrize("words", [("space.optimizer=muon", "space.ema=0.9"), ("parallel=fsdp",)])
def test_what_several_workers_can_do_is_recorded_with_the_search(words):
    settings = order(SearchSettings.from_words(["recipe=mlp", "workers_per_trial=2", *words])).settings
    assert settings["workers_per_trial"] == 2
    assert settings["parallel"] == ("fsdp" if "parallel=fsdp" in words else "ddp")
