"""What a training keeps: checkpoints to go on from, and the weights that it ends with."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from hpo.training.loop.batches import Split


def save(path: str, parts: Mapping[str, Any], epoch: int) -> None:
    """Save all that changes as a model trains, so that the file is whole at any moment."""
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"epoch": epoch, **states}, f"{path}.new")
    os.replace(f"{path}.new", path)


def resume(path: str, parts: Mapping[str, Any]) -> int:
    """Bring all parts to where they were saved, and return after which epoch that was; 0 without a file."""
    if not os.path.exists(path):
        return 0
    saved = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return int(saved["epoch"])


def write_weights(path: str, network: nn.Module, notes: Mapping[str, Any]) -> None:
    """Write parameters and buffers as safetensors, which is read without running anything."""
    tensors = {name: item.detach().cpu().clone().contiguous() for name, item in network.state_dict().items()}
    save_file(tensors, path, {"notes": json.dumps(dict(notes))})


def fingerprint(splits: Mapping[str, Split]) -> str:
    """Return the SHA-256 of the data that is in memory, or nothing if none is."""
    digest = hashlib.sha256()
    tensors = [(name, item) for name in sorted(splits) for item in getattr(splits[name], "tensors", ())]
    for name, item in tensors:
        digest.update(f"{name} {item.dtype} {tuple(item.shape)}".encode())
        digest.update(item.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest() if tensors else ""
