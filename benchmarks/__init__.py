"""Speed and size, as ratios measured in one run: `make bench`, or one of them, see README.md here."""
