"""What the study takes where nobody says otherwise."""

LEVEL = 0.95
"""Of every interval."""
ALPHA = 0.05
"""Of every test, after its correction."""
MARGIN = 0.01
"""One point of score: the loss that does not matter, in tests and bands."""
