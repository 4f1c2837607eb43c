"""Targets that look like hidden-state knowledge and are not: what the teacher's states are worth shows beside them.

none        no control: the states of the teacher as it is taught from
untrained   of the same teacher before fine-tuning        another teacher, another store
shuffled    of another example                            another row of the same store
random      noise with the states' means and variances    other values at the same places
constant    their means: the same for every example
"""
