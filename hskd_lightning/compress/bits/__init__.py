"""Bits: how finely each kept value is said. One module a strategy; `base` says what a strategy and its code are."""
