"""Memory that a step frees is there for the next one."""

import platform

import pytest
import torch

from hpo.training.fused.allocator import keep_freed

resource = pytest.importorskip("resource", reason="only Unix counts page faults")

TENSORS, SIZE, PAGE = 4, 20 * 2**20, 2**12


def step():
    """Take as much memory as a step of several trials does, and leave it."""
    return sum(int(tensor[-1]) for tensor in [torch.ones(SIZE, dtype=torch.uint8) for _ in range(TENSORS)])


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_what_a_step_frees_costs_later_ones_no_page_faults():
    keep_freed()
    assert min(faults() for _ in range(4)) < TENSORS * SIZE / PAGE / 10
