"""The configuration of every run: one yaml = one option = one name; train.yaml is the table of contents."""
