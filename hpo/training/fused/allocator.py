"""How the C library hands out memory: freed memory is kept for the next step, which wants as much again."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1  # names of malloc.h
_MMAP_THRESHOLD: Final = -3
_NEVER: Final = 2**31 - 1
_LARGEST: Final = 2**25  # glibc takes no more; what is larger still is mapped and unmapped, each time


def keep_freed() -> None:
    """Let this process keep the memory that it frees, where the C library is glibc.

    Glibc would give it back to the system after each step of several trials, and in the next step every page
    costs a fault, and zeros: up to an eighth of the time of a transformer's step. Memory peaks as before.
    """
    if sys.platform != "linux":
        return
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose is not None:
        choose(_MMAP_THRESHOLD, _LARGEST)
        choose(_TRIM_THRESHOLD, _NEVER)
