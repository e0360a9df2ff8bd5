"""Memory that a step frees is there for the next one."""

import platform
import subprocess
import sys

import pytest

# In a process of its own: in one that has run for long, a hole of the right size may be missing.
STEPS = """
import resource
import torch
from hpo.training.fused.allocator import keep_freed

def step():
    return [torch.ones(20 * 2**20, dtype=torch.uint8) for _ in range(4)]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed()
print(min(faults() for _ in range(4)))
"""
PAGES = 4 * 20 * 2**20 / 2**12


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_what_a_step_frees_costs_later_ones_no_page_faults():
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < PAGES / 10
