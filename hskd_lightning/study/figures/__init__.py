"""Each figure as plain numbers, and as they are drawn: on paper and on a page."""
