"""Memory that a step frees is there for the next one."""

import platform
from pathlib import Path

import pytest
import torch

from hpo.training.fused.allocator import keep_freed

SIZE = 30 * 2**20


def find_heap() -> range:
    """Return the addresses of the memory that the C library keeps."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    (line,) = [line for line in maps if line.endswith("[heap]")]
    first, last = line.split()[0].split("-")
    return range(int(first, 16), int(last, 16))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_what_is_freed_is_not_given_back():
    keep_freed()
    tensor = torch.empty(SIZE, dtype=torch.uint8)
    address, heap = tensor.data_ptr(), find_heap()
    assert address in heap
    del tensor
    assert len(find_heap()) >= len(heap)
