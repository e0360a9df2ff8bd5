"""Memory that a step frees is there for the next one."""

import platform

import pytest
import torch

from hpo.training.fused.allocator import keep_freed

resource = pytest.importorskip("resource")

MIB = 2**20


def fill(size: int) -> int:
    """Write so many bytes and free them; return how many pages the system had to give."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(size, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_pages_that_were_freed_are_not_asked_for_again():
    keep_freed()
    fill(30 * MIB)
    assert sum(fill(size * MIB) for size in (8, 12, 16, 20)) < MIB // 4096
