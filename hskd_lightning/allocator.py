"""What malloc is asked for by whatever trains, or runs a teacher, on a CPU."""

from __future__ import annotations

import ctypes
import functools
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = {M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 512 << 20}
"""Bytes: larger blocks are the system's, smaller ones malloc's; as much of these may lie free, see malloc.h."""


@functools.cache
def keep_freed_memory() -> None:
    """Have malloc keep what a step frees for the next step, where it is glibc's.

    By itself it gives much of it back to the system, which clears every page again at the first touch: some 2,000 to
    9,000 pages in each step of a student on a CPU, 4 to 15% of its time. What is larger than 32 MB still goes back.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, size in KEPT.items():
            mallopt(option, size)
