"""What a cell writes: its folder, its result, its trackers."""
