"""How fast, how large: every table is measured here, on whatever machine runs it. In a process as a cell's is."""

from hskd_lightning.allocator import keep_freed_memory

keep_freed_memory()
