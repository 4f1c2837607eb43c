"""What a cell writes: its folder, its result, its metrics, its trackers."""
