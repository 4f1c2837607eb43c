"""What malloc does once it was asked."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

MALLOC = """
import ctypes, torch
from hskd_lightning.allocator import keep_freed_memory
keep_freed_memory()
fields = "arena ordblks smblks mapped hblkhd usmblks fsmblks uordblks free keepcost".split()
info = type("mallinfo2", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in fields]})
ask = ctypes.CDLL(None).mallinfo2
ask.restype = info
def mapped(megabytes):
    before, block = ask().mapped, torch.empty(megabytes << 20, dtype=torch.uint8)
    return ask().mapped - before
print(mapped(16), mapped(64))
for _ in range(3):
    [torch.ones(1000, 400) for _ in range(40)]  # 1.6 MB each, as the activations of a step
print(ask().free >> 20)
"""
"""Prints how many blocks of 16 and of 64 MB are mapped by themselves; and how many MB are free after a step."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="of glibc")
def test_what_a_step_frees_is_kept_for_the_next() -> None:
    said = subprocess.run([sys.executable, "-c", MALLOC], check=True, capture_output=True, text=True).stdout
    small, large, free = map(int, said.split())
    assert (small, large) == (0, 1)
    assert free > 50
