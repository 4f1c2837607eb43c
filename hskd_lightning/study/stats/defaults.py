"""What the study takes where nobody says otherwise."""

LEVEL = 0.95
"""Of every interval."""
ALPHA = 0.05
"""Of every test, after its correction."""
MARGIN = 0.01
"""One point of score: the loss that does not matter, in tests and bands."""
FEWEST = 3
"""Seeds of either setting without which nothing is said to serve as well."""
POWER = 0.8
"""How often a comparison should be decided, where two settings truly serve alike."""
COLLAPSED = 0.05
"""A score this far below its setting's median is that of a run that failed to learn."""
