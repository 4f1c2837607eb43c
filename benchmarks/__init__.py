"""Speed and size, as ratios measured in one run: `make bench`, or python -m benchmarks.offline_speedup and others."""
