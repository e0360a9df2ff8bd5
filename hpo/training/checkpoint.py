"""Weights on disk: one safetensors file that says what it holds, and by which damage is found.

Whatever reads safetensors reads it, and nothing in it is ever run, as a pickle would be. In its header, the
metadata are `hpo` (1), `notes` (JSON: recipe, config, epoch, score) and `sha256` of all else, tensors too.
Files of other writers are read, too; those can only be seen to be complete. Torch is imported where it is
needed, so that a command line can check a file at once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT_SUFFIX = ".safetensors"
SIGNED = {"hpo", "sha256"}


class CheckpointError(ValueError):
    """A file holds no checkpoint, is damaged, or does not fit the model."""


class Checkpoint(NamedTuple):
    """Tensors by name, as in `state_dict()`, and what was noted about them."""

    tensors: dict[str, Tensor]
    notes: dict[str, Any]


def write_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write parameters and buffers, with notes; a reader meets the file before or this one, never a part.

    Raises:
        CheckpointError: the file cannot be written.
    """
    try:
        replace_file(Path(path), pack(tensors, notes))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}.") from None


def pack(tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> bytes:
    """Return what such a file holds."""
    from safetensors.torch import save

    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    about = {"hpo": "1", "notes": json.dumps(dict(notes))}
    header, data = split_safetensors(save(whole, about))
    return save(whole, about | {"sha256": checksum(header, data)})


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in its place only once it is whole and on the disk."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read what was written.

    Raises:
        CheckpointError: there is no such file, it is torn or changed, or it is no safetensors file.
    """
    return unpack(_content(path), path)


def unpack(content: bytes, path: str | Path) -> Checkpoint:
    """Return what the file at this path holds.

    Raises:
        CheckpointError: it is torn or changed, or it is no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    notes = _checked(content, path)
    try:
        return Checkpoint(load(content), notes)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: {error}.") from None


def read_whole(path: str | Path) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of a file that is found whole, and its notes.

    Raises:
        CheckpointError: there is no such file, it is torn or changed, or it is no safetensors file.
    """
    content = _content(path)
    return content, _checked(content, path)


def _content(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}.") from None


def _checked(content: bytes, path: str | Path) -> dict[str, Any]:
    """Return the notes of a file that is whole."""
    try:
        header, data = split_safetensors(content)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}.") from None
    about = header.get("__metadata__", {})
    if not SIGNED & about.keys():
        return {}
    if about.get("sha256") != checksum(header, data):
        raise CheckpointError(f"{path}: its checksum does not fit: it was damaged. Write or copy it again.")
    notes: dict[str, Any] = json.loads(about["notes"])
    return notes


def split_safetensors(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return header and tensors' bytes: 8 bytes with the header's length, the header as JSON, the rest.

    The format is that of huggingface.co/docs/safetensors.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    if content[8:9] != b"{":
        advice = "A pickled .pt could run code and is not read: save its state_dict with safetensors.torch"
        raise ValueError(f"this is no safetensors file, or its start was damaged. {advice}")
    try:
        header = dict(json.loads(content[8:end]))
        offsets = [item["data_offsets"] for name, item in header.items() if name != "__metadata__"]
        size = max((last for _, last in offsets), default=0)
    except (ValueError, LookupError, TypeError):
        raise ValueError("its header was damaged. Write or copy it again") from None
    if len(content) != end + size:
        raise ValueError(f"it has {len(content)} of {end + size} bytes: it is torn. Write or copy it again")
    return header, content[end:]


def checksum(header: Mapping[str, Any], data: bytes) -> str:
    """Return the SHA-256 of everything but itself."""
    about = {name: text for name, text in header["__metadata__"].items() if name != "sha256"}
    said = json.dumps({**header, "__metadata__": about}, sort_keys=True)
    return hashlib.sha256(said.encode() + data).hexdigest()
