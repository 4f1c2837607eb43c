"""Initialisation: where a student's first weights come from. One class each; see `base.StudentInit`."""
