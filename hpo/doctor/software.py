"""What is installed: the versions that hpo asks for, torch on its device, Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from hpo.doctor.finding import Finding
from hpo.machine import hardware, limits


def versions() -> Finding:
    """Compare what is installed with what hpo asks for."""
    wrong = [text for text in map(_wrong, _required()) if text]
    count = len(list(_required()))
    if wrong:
        return Finding(
            "Packages", "; ".join(wrong), "pip install --upgrade hpo, in an environment of its own"
        )
    return Finding("Packages", f"all {count} in the versions that hpo {metadata.version('hpo')} asks for")


def _required() -> Iterator[Requirement]:
    for line in metadata.requires("hpo") or ():
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _wrong(requirement: Requirement) -> str:
    try:
        found = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    fits = requirement.specifier.contains(found, prereleases=True)
    return "" if fits else f"{requirement.name} is {found}, not {requirement.specifier}"


def torch() -> Finding:
    """Train a step on the device that a search would use."""
    try:
        import torch as library
    except ImportError as error:
        return Finding("torch", str(error), "pip install torch")
    device = "cuda" if hardware.gpus_here() else "cpu"
    try:
        weight = library.ones(64, 64, device=device, requires_grad=True)
        (weight @ weight).sum().backward()
    except (RuntimeError, AssertionError) as error:
        remedy = "Install the torch that suits the GPU's driver, or hide the GPUs: CUDA_VISIBLE_DEVICES="
        return Finding(
            "torch", f"{library.__version__} on {device}: {str(error).partition(chr(10))[0]}", remedy
        )
    name = library.cuda.get_device_name() if device == "cuda" else f"{library.get_num_threads()} threads"
    return Finding("torch", f"{library.__version__} on {device}, {name}")


def ray() -> Finding:
    """Start Ray as a search does, and stop it."""
    from hpo import cluster

    began = time.monotonic()
    try:
        with cluster.local(1):
            started = time.monotonic() - began
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what a person wants to know
        said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return Finding(
            "Ray",
            f"does not start: {said}",
            "See the findings on ports, memory and disk; then pip install --upgrade 'ray[tune]'",
        )
    return Finding(
        "Ray", f"starts in {started:.1f} s on {limits.cpus()} CPUs and {hardware.gpus_here()} GPUs"
    )
