"""Labelled text from the hub, from files or from a grammar, as padded batches of token ids."""
